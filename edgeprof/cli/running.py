"""The options of commands that measure in bulk, here or on boards, and what such a run prints."""

from __future__ import annotations

import json
import socket
from collections import Counter
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeprof.base.text import printable
from edgeprof.cli import options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgeprof.boards.inventory import BoardSpec
    from edgeprof.measuring.grade import Verdict
    from edgeprof.records.store import Store
    from edgeprof.runs.summary import RunSummary
    from edgeprof.runs.workload import Workload


@dataclass(frozen=True)
class RunArguments:
    """Where a workload is measured, and what becomes of failures."""

    device: str | None = options.this_device()
    model_format: str = options.model_format()
    runtime: str | None = options.runtime()
    library: Path | None = options.library()
    providers: tuple[str, ...] = options.providers()
    runtime_options: tuple[tuple[str, Any], ...] = options.runtime_options()
    threads: int = options.threads()
    cpus: tuple[int, ...] = options.cpus()
    max_load_secs: float | None = options.max_load_secs()
    inventory: Path | None = options.on_boards()
    board_names: tuple[str, ...] = options.board_names()
    dask: str | None = options.option(
        "--dask",
        metavar="ADDRESS",
        help="Reach the boards through the workers of this Dask scheduler.",
    )
    attempts: int = options.attempts()
    retry_failed: bool = options.flag(
        "--retry-failed", help="Try again what failed for good in an earlier run."
    )
    prepare: bool = options.option(
        "--prepare/--no-prepare",
        default=True,
        help="On boards: pin clocks while measuring, and restore them.",
    )
    as_json: bool = options.as_json()

    def check(self) -> None:
        """Refuse options that do not go together, with a usage error."""
        if self.inventory is None and (self.board_names or self.dask):
            raise click.UsageError("--board and --dask go with --boards")
        if self.inventory is not None and self.device is not None:
            raise click.UsageError("--device names this machine; boards are named by --boards")

    @property
    def device_name(self) -> str:
        """What this machine is called."""
        return self.device or socket.gethostname()

    def boards(self) -> tuple[BoardSpec, ...]:
        """Return the boards asked for; faulty entries are reported on stderr.

        Raises:
            InventoryError: none of them can be used.
        """
        from edgeprof.base.errors import InventoryError
        from edgeprof.boards.inventory import read_inventory

        assert self.inventory is not None
        inventory = read_inventory(self.inventory)
        boards = inventory.select(self.board_names)
        for problem in inventory.problems_of(self.board_names):
            click.echo(printable(f"edgeprof: {problem}"), err=True)
        if not boards:
            raise InventoryError(f"{self.inventory}: none of the boards asked for can be used")
        return boards

    def open_network(self) -> AbstractAsyncContextManager[Any]:
        """Open the way to the boards."""
        from edgeprof.boards.transport.dask import DaskNetwork
        from edgeprof.boards.transport.ssh import SshNetwork

        return SshNetwork() if self.dask is None else DaskNetwork(self.dask)

    def measure(self, workload: Workload[Any]) -> RunSummary:
        """Measure a workload, and show how that goes."""
        from edgeprof.runs.context import RunOptions
        from edgeprof.runs.queue import RetryPolicy
        from edgeprof.runs.start import measure_here, measure_on
        from edgeprof.runs.view import shown

        options = RunOptions(prepare=self.prepare, policy=RetryPolicy(attempts=self.attempts))
        with shown(quiet=self.as_json) as listener:
            if self.inventory is None:
                return measure_here(workload, self.device_name, options=options, listener=listener)
            return measure_on(
                workload,
                self.boards(),
                options=options,
                listener=listener,
                open_network=self.open_network,
            )

    def settings(self, **more: Any) -> dict[str, Any]:
        """Return the fields of ``ProfileSettings`` that these options give."""
        return {
            "format": self.model_format,
            "runtime": self.runtime,
            "library": self.library,
            "runtime_options": options.with_providers(self.runtime_options, self.providers),
            "threads": self.threads,
            "cpus": self.cpus,
            "max_load_secs": self.max_load_secs,
            **more,
        }


class NotAllMeasured(SystemExit):
    """Exit status 1 after a run in which items failed or were left over.

    Attributes:
        summary: how the run ended.
    """

    def __init__(self, summary: RunSummary) -> None:
        super().__init__(1)
        self.summary = summary


def grades_of(store: Store, summary: RunSummary) -> dict[str, Verdict]:
    """Grade what the store holds of each device of a run."""
    from edgeprof.records.evidence import grade_device

    devices = sorted({board.device for board in summary.boards})
    graded = {device: grade_device(store, device) for device in devices}
    return {device: verdict for device, verdict in graded.items() if verdict is not None}


def print_grades(grades: Mapping[str, Verdict], *, err: bool = False) -> None:
    """Print the grade of each device, a line each; on stderr beside JSON."""
    for device, verdict in grades.items():
        click.echo(printable(f"{device}: {verdict}"), err=err)


def grades_json(grades: Mapping[str, Verdict]) -> dict[str, dict[str, str]]:
    """Return grades as they stand in JSON output."""
    return {
        device: {"grade": verdict.grade.value, "reason": verdict.reason}
        for device, verdict in grades.items()
    }


def print_board_summary(summary: RunSummary, as_json: bool, **more: Any) -> None:
    """Print how a run on boards ended."""
    from edgeprof.runs.view import summary_lines

    if as_json:
        click.echo(json.dumps({**summary.as_dict(), **more}))
    else:
        click.echo("\n".join(map(printable, summary_lines(summary))))


def print_local_summary(summary: RunSummary, as_json: bool, store: Path) -> None:
    """Print how a run on this machine ended; failures go to stderr, by their kind."""
    failed = Counter[str]()
    for group in summary.failures:
        failed[group.kind] += group.count
    if as_json:
        printed: dict[str, Any] = {"measured": summary.measured, "resumed": summary.found_done}
        printed["failed"] = dict(failed)
        if summary.failures:
            printed["failures"] = [vars(group) for group in summary.failures]
        click.echo(json.dumps(printed))
        return
    there = f", {summary.found_done} there already" if summary.found_done else ""
    click.echo(f"{store}: {summary.measured} measurements{there}")
    print_failures(summary)


def print_failures(summary: RunSummary) -> None:
    """Print on stderr what failed, by its cause."""
    for group in summary.failures:
        failed = f"failed: {group.count} x {group.kind}: {group.example}"
        click.echo(printable(failed), err=True)
    if summary.failed_before:
        click.echo(
            f"left out: {summary.failed_before} that failed before; --retry-failed tries them "
            "again",
            err=True,
        )
