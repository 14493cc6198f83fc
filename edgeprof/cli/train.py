"""``edgeprof train`` and ``edgeprof adapt``."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from edgeprof.cli.rows import Command, RowsArguments, read_rows, rows_options
from edgeprof.cli.settings import dask_option, jobs_option

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from edgeprof.predictors.train import Training
    from edgeprof.records.dataset import Dataset

    Spread = Callable[[int], AbstractContextManager[Executor | None]]
    """Opens what so many models are fitted through."""

MODEL_NAMES = ("gp", "linear", "lut", "paper-finetune", "paper-gpu", "paper-mlp")


def output_options(command: Command) -> Command:
    """Add the options that say what is written and printed."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
        click.option("--no-host", is_flag=True, help="Do not write the host model."),
        click.option(
            "-o",
            "--output",
            required=True,
            type=click.Path(readable=False, dir_okay=False, path_type=Path),
            help="File to write, P.edgp; the host model P.host.npz goes beside it.",
        ),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("data", type=click.Path(readable=False, path_type=Path))
@rows_options
@click.option(
    "--model",
    default="gp",
    show_default=True,
    type=click.Choice(MODEL_NAMES),
    help="lut goes with --lut, paper-finetune with --base, paper-gpu with --across.",
)
@click.option(
    "--base",
    type=click.Path(readable=False, path_type=Path),
    help="Host model of a paper-mlp whose last layer paper-finetune fits anew, or a base of gp.",
)
@click.option(
    "--lut",
    type=click.Path(readable=False, path_type=Path),
    help="Folder of lookup tables that the model lut takes; DATA judges them.",
)
@click.option(
    "--across",
    type=click.Path(readable=False, path_type=Path),
    help="devices.csv: predict --device from the other devices in DATA and their data sheets.",
)
@click.option(
    "--space",
    help="With --across: space to predict in  [default: that of the rows of --device, or of all]",
)
@jobs_option
@dask_option
@output_options
def train(
    data: Path,
    device: str | None,
    rows: str | None,
    count: int | None,
    seed: int,
    drop_invalid: bool,
    model: str,
    base: Path | None,
    lut: Path | None,
    across: Path | None,
    space: str | None,
    jobs: int | None,
    dask: str | None,
    output: Path,
    no_host: bool,
    as_json: bool,
) -> None:
    """Fit a latency predictor to the measurements in DATA (.csv, .csv.gz, .parquet).

    Writes a compact predictor for boards and, beside it, the host model that knows how sure it is.
    --jobs and --dask share the models that are fitted to check it: paper-mlp on folds of the
    rows, and each device of --across from the others.

    \b
    Example:
      edgeprof train pi4.csv --device pi4 -o pi4.edgp
      edgeprof train rack.csv --device pi4-01 --rows 0:7000 -n 700 --seed 1 -o pi4.edgp
      edgeprof train note10.csv --model lut --lut note10_lut/ -o note10.edgp
      edgeprof train gpus.csv --across devices.csv --device new-gpu -o new-gpu.edgp

    Rows with a column model name ONNX or TFLite files, relative to DATA, in place of a subnet's
    choices; with such rows P.host.npz is written alone, and predicts any network.

    devices.csv has the columns device, cores, clock_mhz, ram_gb, bandwidth_gb_per_s and,
    where known, batch (else 1), launch_us (else 5) and hardware: devices of the same hardware are
    never predicted from one another, nor --device from its own rows.
    """
    from edgeprof.base.executors import FITS_WORTH_A_POOL, bulk_executor
    from edgeprof.predictors.load import load_predictor
    from edgeprof.predictors.train import load_base
    from edgeprof.records.network_rows import names_models

    spread = partial(bulk_executor, worth=FITS_WORTH_A_POOL, jobs=jobs, dask=dask)
    _check_options(model, base=base, lut=lut, across=across)
    if across is not None:
        if device is None:
            raise click.UsageError("--across needs --device, the device to predict")
        selection = Selection(rows, count, seed, drop_invalid)
        _train_across(
            data, across, device, space, selection, output, model, no_host, as_json, spread
        )
        return
    if space is not None:
        raise click.UsageError("--space goes with --across; else the rows say it")
    if names_models(data):
        if model != "gp" or base is not None or no_host:
            raise click.UsageError("rows of model files go with none of --model, --base, --no-host")
        selected = RowsArguments(device, rows, count, seed, drop_invalid)
        _train_networks(data, selected, output, as_json=as_json)
        return
    measured = read_rows(data, device, rows, count, seed, drop_invalid=drop_invalid)
    bases = () if base is None else (load_base(base, measured.space),)
    if lut is not None:
        bases = (load_predictor(lut, space=measured.space),)
    _train(
        measured,
        output,
        model=model,
        bases=bases,
        seed=seed,
        no_host=no_host,
        as_json=as_json,
        spread=spread,
    )


@click.command()
@click.argument("bases", nargs=-1, required=True, type=click.Path(readable=False, path_type=Path))
@click.option(
    "--data",
    required=True,
    type=click.Path(readable=False, path_type=Path),
    help="Measurements of the new device (.csv, .csv.gz, .parquet).",
)
@rows_options
@output_options
def adapt(
    bases: tuple[Path, ...],
    data: Path,
    device: str | None,
    rows: str | None,
    count: int | None,
    seed: int,
    drop_invalid: bool,
    output: Path,
    no_host: bool,
    as_json: bool,
) -> None:
    """Move predictors of other devices (BASES) to a new one with a few measurements.

    The host model beside each base is used where there is one. A base may be of the same supernet
    at another width.

    \b
    Example:
      edgeprof adapt pi4.edgp --data nano.csv --device nano -n 10 -o nano.edgp
    """
    from edgeprof.predictors.train import load_base

    measured = read_rows(data, device, rows, count, seed, drop_invalid=drop_invalid)
    loaded = [load_base(path, measured.space) for path in bases]
    _train(measured, output, model="gp", bases=loaded, seed=seed, no_host=no_host, as_json=as_json)


def _check_options(model: str, *, base: Path | None, lut: Path | None, across: Path | None) -> None:
    """Refuse options that the model would not use, and those it lacks."""
    if (across is not None) != (model == "paper-gpu") and (across is None or model != "gp"):
        raise click.UsageError("--across goes with the models gp and paper-gpu, which needs it")
    if (lut is not None) != (model == "lut"):
        raise click.UsageError("--lut and --model lut go together")
    if base is None and model == "paper-finetune":
        raise click.UsageError("paper-finetune needs --base, the host model of a paper-mlp")
    if base is not None and (across is not None or model not in ("gp", "paper-finetune")):
        raise click.UsageError("--base goes with the models gp and paper-finetune only")


def _here(_n_models: int) -> AbstractContextManager[None]:
    return nullcontext()


def _train_networks(data: Path, selected: RowsArguments, output: Path, *, as_json: bool) -> None:
    from edgeprof.cli.evaluate import print_metrics
    from edgeprof.predictors.layers.training import train_networks

    rows = selected.read_networks(data)
    done = train_networks(rows, output, seed=selected.seed)
    if as_json:
        result = {
            "files": [str(done.file)],
            "n": len(rows),
            "cross_validated": done.cross_validated and done.cross_validated.to_dict(),
            "intervals_hold": done.held,
            "notes": list(done.model.notes),
        }
        click.echo(json.dumps(result))
        return
    click.echo(f"{rows.device}: {len(rows)} measurements of networks")
    for note in done.model.notes:
        click.echo(f"note: {note}")
    if done.cross_validated is not None:
        print_metrics({"cross-validated": done.cross_validated})
        click.echo(f"90 % intervals hold for {done.held:.0%} of the networks")
    click.echo(f"{done.file}: {done.file.stat().st_size} bytes; predicts any network")


def _train(
    data: Dataset,
    output: Path,
    *,
    model: str,
    bases: Any,
    seed: int,
    no_host: bool,
    as_json: bool,
    spread: Spread = _here,
) -> None:
    from edgeprof.cli.progress_bar import progress_bar
    from edgeprof.predictors.models import FOLDS
    from edgeprof.predictors.train import N_TRAINING_STEPS, train

    # The other models take a blink, or leave out one row at a time in a single fit.
    n_fits = FOLDS if model == "paper-mlp" else 0
    with (
        spread(n_fits) as executor,
        progress_bar("Training", N_TRAINING_STEPS, quiet=as_json) as advance,
    ):
        done = train(
            data,
            output,
            model=model,
            bases=bases,
            seed=seed,
            keep_host=not no_host,
            progress=advance,
            executor=executor,
        )
    if as_json:
        click.echo(json.dumps(_as_dict(done)))
    else:
        _print(data, done)


class Selection(NamedTuple):
    """Options that select rows."""

    rows: str | None
    n: int | None
    seed: int
    drop_invalid: bool


def _train_across(
    data: Path,
    across: Path,
    target: str,
    space: str | None,
    selection: Selection,
    output: Path,
    model: str,
    no_host: bool,
    as_json: bool,
    spread: Spread,
) -> None:
    from edgeprof.base.errors import DatasetError
    from edgeprof.cli.evaluate import print_metrics
    from edgeprof.cli.progress_bar import progress_bar
    from edgeprof.predictors.hardware.devices import read_devices
    from edgeprof.predictors.train import N_TRAINING_STEPS, leave_one_device_out, train_across
    from edgeprof.records.dataset import devices_of

    devices = read_devices(across)
    if target not in devices:
        raise DatasetError(f"{across}, column device: no {target!r}; found {', '.join(devices)}")
    found = devices_of(data)
    unknown = [name for name in found if name not in devices and name != target]
    if unknown:
        click.echo(f"{across}: lacks {', '.join(unknown)}; their rows are not used", err=True)
    measured = [
        (devices[name], read_rows(data, name, *selection[:3], drop_invalid=selection.drop_invalid))
        for name in found
        if name in devices
    ]
    if space is None:
        own = [rows.space for device, rows in measured if device.name == target]
        space = own[0] if own else None
    errors = {}
    with (
        spread(len(measured)) as executor,
        progress_bar("Training", N_TRAINING_STEPS, quiet=as_json) as advance,
    ):
        done = train_across(
            measured,
            devices[target],
            output,
            model=model,
            space=space,
            seed=selection.seed,
            keep_host=not no_host,
            progress=advance,
        )
        if len(measured) > 1:
            errors = leave_one_device_out(
                measured, model=model, seed=selection.seed, executor=executor
            )
    if as_json:
        held_out = {name: metrics.to_dict() for name, metrics in errors.items()}
        click.echo(json.dumps({**_as_dict(done), "held_out_devices": held_out}))
        return
    _print_notes(done)
    _print_files(done)
    if errors:
        click.echo("each device as the others predict it:")
        print_metrics(errors)


def _as_dict(done: Training) -> dict[str, object]:
    return {
        "files": [str(path) for path in done.files],
        "provenance": dict(done.student.provenance),
        "notes": list(done.notes),
        "trivial": {name: metrics.to_dict() for name, metrics in done.trivial.items()},
    }


def _print(data: Dataset, done: Training) -> None:
    from edgeprof.cli.evaluate import print_metrics

    click.echo(f"{data.device}: {len(data)} measurements, space {data.space}")
    _print_notes(done)
    if done.cross_validated is not None:
        named = {"cross-validated": done.cross_validated}
        print_metrics({**named, **{f"trivial: {k}": v for k, v in done.trivial.items()}})
    _print_files(done)


def _print_notes(done: Training) -> None:
    for note in done.notes:
        click.echo(f"note: {note}")


def _print_files(done: Training) -> None:
    click.echo(f"distillation costs {done.distillation_mape:.2%} (MAPE against the host model)")
    for path in done.files:
        click.echo(f"{path}: {path.stat().st_size} bytes")
