"""``edgeprof profile``."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from edgeprof.cli.settings import (
    SECONDS,
    SHARE,
    batch_option,
    board_option,
    cpus_option,
    format_option,
    precision_option,
    runtime_option,
    threads_option,
)
from edgeprof.cli.subnets import parse_integers

if TYPE_CHECKING:
    from edgeprof.networks.subnet import Subnet
    from edgeprof.runs.settings import ProfileSettings


@click.command()
@click.option("--space", default="ofa-mbv3-w1.0", show_default=True, help="Search space.")
@click.option(
    "-n", "count", default=100, show_default=True, type=click.IntRange(1), help="How many."
)
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of the draw."
)
@click.option("--resolutions", metavar="R[,R...]", help="Resolutions to draw from, in pixels.")
@click.option(
    "--subnets",
    "subnet_file",
    type=click.Path(readable=False, dir_okay=False, path_type=Path),
    help="Measure the subnets of this file instead of drawing them.",
)
@click.option(
    "--store",
    required=True,
    type=click.Path(readable=False, path_type=Path),
    help="Store to append to (.db).",
)
@click.option("--device", help="Name of this machine in the store  [default: its host name]")
@click.option(
    "--models",
    type=click.Path(readable=False, file_okay=False, path_type=Path),
    help="Folder of the model files  [default: beside the store, NAME-models]",
)
@format_option
@precision_option
@batch_option
@runtime_option
@threads_option
@cpus_option
@click.option(
    "--ci",
    "ci_rel",
    default=0.01,
    show_default=True,
    type=SHARE,
    help="Stop when the interval of the median is within this fraction.",
)
@click.option(
    "--max-secs",
    default=5.0,
    show_default=True,
    type=SECONDS,
    help="And after so many seconds per subnet and pass.",
)
@click.option(
    "--passes",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Measure all subnets so often, each time in another order; a row has the median.",
)
@click.option(
    "--max-load-secs",
    type=click.FloatRange(0, min_open=True),
    help="Give up opening the runtime or loading a model after so long  [default: 120]",
)
@click.option(
    "--boards",
    "inventory_path",
    type=click.Path(readable=False, path_type=Path),
    help="Measure on the boards of this inventory instead of here.",
)
@board_option
@click.option(
    "--dask",
    metavar="ADDRESS",
    help="Reach the boards through the workers of this Dask scheduler, which offer them by name.",
)
@click.option(
    "--attempts",
    default=3,
    show_default=True,
    type=click.IntRange(1),
    help="On boards: of a subnet whose measurement failed in passing, or was disturbed.",
)
@click.option(
    "--retry-failed", is_flag=True, help="On boards: try again what failed for good before."
)
@click.option(
    "--prepare/--no-prepare",
    default=True,
    show_default=True,
    help="On boards: pin clocks while measuring, and restore them.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def profile(
    space: str,
    count: int,
    seed: int,
    resolutions: str | None,
    subnet_file: Path | None,
    store: Path,
    device: str | None,
    models: Path | None,
    model_format: str,
    precision: str,
    batch: int,
    runtime: str | None,
    threads: int,
    cpus: tuple[int, ...],
    ci_rel: float,
    max_secs: float,
    passes: int,
    max_load_secs: float | None,
    inventory_path: Path | None,
    board_names: tuple[str, ...],
    dask: str | None,
    attempts: int,
    retry_failed: bool,
    prepare: bool,
    as_json: bool,
) -> None:
    """Sample, export and measure subnets in bulk; every raw sample goes into a store.

    The same command continues where it stopped: what is in the store is not measured again.

    \b
    Example:
      edgeprof profile --space ofa-mbv3-w1.0 -n 100 --seed 1 --store here.db
      edgeprof profile --subnets subnets.jsonl --store here.db --threads 4
      edgeprof profile -n 1000 --boards boards.yaml --board rpi4 --store rack.db
    """
    import numpy as np

    from edgeprof.base.executors import EXPORTS_WORTH_A_POOL, bulk_executor
    from edgeprof.cli.progress_bar import progress_bar
    from edgeprof.measuring.runtimes import default_runtime
    from edgeprof.networks.spaces import get_space
    from edgeprof.networks.subnet import read_subnets
    from edgeprof.records.store import Store
    from edgeprof.runs.profiling import profile_here
    from edgeprof.runs.settings import ProfileSettings

    if subnet_file is not None:
        subnets = read_subnets(subnet_file, space=space)
    else:
        rng = np.random.default_rng(seed)
        subnets = get_space(space).sample(count, rng, parse_integers(resolutions, "--resolutions"))
    settings = ProfileSettings(
        format=model_format,
        precision=precision,
        batch=batch,
        runtime=runtime or default_runtime(model_format),
        threads=threads,
        cpus=cpus,
        ci_rel=ci_rel,
        max_secs=max_secs,
        passes=passes,
        max_load_secs=max_load_secs,
    )
    models = models or store.with_name(f"{store.stem}-models")
    if inventory_path is not None:
        work = BoardWork(subnets, settings, models, attempts, prepare, retry_failed)
        _profile_on_boards(work, store, inventory_path, board_names, dask, as_json)
        return
    if board_names or dask:
        raise click.UsageError("--board and --dask go with --boards")
    with Store(store) as opened, bulk_executor(len(subnets), EXPORTS_WORTH_A_POOL) as executor:
        summary = profile_here(
            subnets,
            opened,
            device=device or socket.gethostname(),
            settings=settings,
            models=models,
            progress=partial(progress_bar, quiet=as_json),
            executor=executor,
        )
    if as_json:
        result = {
            "measured": summary.n_measured,
            "resumed": summary.n_resumed,
            "failed": dict(summary.failures_by_kind),
        }
        click.echo(json.dumps(result))
    else:
        resumed = f", {summary.n_resumed} there already" if summary.n_resumed else ""
        click.echo(f"{store}: {summary.n_measured} measurements{resumed}")
        for kind, number in summary.failures_by_kind.items():
            click.echo(f"failed: {number} x {kind}: {summary.messages[kind]}", err=True)
    if summary.n_failed:
        raise SystemExit(1)


class BoardWork(NamedTuple):
    """What the boards have to do."""

    subnets: Sequence[Subnet]
    settings: ProfileSettings
    models: Path
    attempts: int
    prepare: bool
    retry_failed: bool


def _profile_on_boards(
    work: BoardWork,
    store: Path,
    inventory_path: Path,
    names: tuple[str, ...],
    dask: str | None,
    as_json: bool,
) -> None:
    from edgeprof.base.errors import InventoryError
    from edgeprof.base.executors import EXPORTS_WORTH_A_POOL, bulk_executor
    from edgeprof.boards.inventory import read_inventory
    from edgeprof.boards.transport.dask import DaskNetwork
    from edgeprof.boards.transport.ssh import SshNetwork
    from edgeprof.records.store import Store
    from edgeprof.runs.context import FleetOptions
    from edgeprof.runs.queue import RetryPolicy
    from edgeprof.runs.subnets import profile_on_boards
    from edgeprof.runs.view import shown, summary_lines

    inventory = read_inventory(inventory_path)
    boards = inventory.select(names)
    for problem in inventory.problems_of(names):
        click.echo(f"edgeprof: {problem}", err=True)
    if not boards:
        raise InventoryError(f"{inventory_path}: none of the boards asked for can be used")
    with (
        Store(store) as opened,
        shown(quiet=as_json) as listener,
        bulk_executor(len(work.subnets), EXPORTS_WORTH_A_POOL) as executor,
    ):
        summary = profile_on_boards(
            work.subnets,
            opened,
            boards,
            settings=work.settings,
            models=work.models,
            retry_failed=work.retry_failed,
            options=FleetOptions(prepare=work.prepare, policy=RetryPolicy(attempts=work.attempts)),
            listener=listener,
            open_network=SshNetwork if dask is None else partial(DaskNetwork, dask),
            executor=executor,
        )
    click.echo(json.dumps(summary.as_dict()) if as_json else "\n".join(summary_lines(summary)))
    if summary.failed or summary.unfinished or summary.unreached:
        raise SystemExit(1)
