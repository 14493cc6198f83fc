"""``edgeprof train`` and ``edgeprof adapt``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeprof.cli import options
from edgeprof.cli.evaluate import print_metrics
from edgeprof.cli.rows import RowsArguments
from edgeprof.cli.say import say

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from edgeprof.predictors.base import LatencyPredictor
    from edgeprof.predictors.hardware.devices import Device
    from edgeprof.predictors.metrics import Metrics
    from edgeprof.predictors.train import Training
    from edgeprof.records.dataset import Dataset

MODEL_NAMES = ("gp", "linear", "lut", "paper-finetune", "paper-gpu", "paper-mlp")


@dataclass(frozen=True)
class OutputArguments:
    """What is written and printed."""

    output: Path = options.output_file(
        required=True, help="File to write, P.edgp; the host model P.host.npz goes beside it."
    )
    no_host: bool = options.flag("--no-host", help="Do not write the host model.")
    as_json: bool = options.as_json()

    def save(self, done: Training) -> tuple[Path, ...]:
        """Write the files and return them."""
        from edgeprof.predictors.save import save_predictor

        return save_predictor(self.output, done.student, None if self.no_host else done.host)


@dataclass(frozen=True)
class TrainArguments(RowsArguments, OutputArguments):
    """What ``edgeprof train`` is asked for."""

    data: Path = options.argument(type=options.INPUT)
    model: str = options.option(
        "--model",
        default="gp",
        type=click.Choice(MODEL_NAMES),
        help="lut goes with --lut, paper-finetune with --base, paper-gpu with --across.",
    )
    base: Path | None = options.option(
        "--base",
        type=options.INPUT,
        help="Host model of a paper-mlp whose last layer paper-finetune fits anew, or a base of "
        "gp.",
    )
    lut: Path | None = options.option(
        "--lut",
        type=options.INPUT,
        help="Folder of lookup tables that the model lut takes; DATA judges them.",
    )
    across: Path | None = options.option(
        "--across",
        type=options.INPUT,
        help="devices.csv: predict --device from the other devices in DATA and their data sheets.",
    )
    space: str | None = options.option(
        "--space",
        help="With --across: space to predict in  [default: that of the rows of --device, or of "
        "all]",
    )
    jobs: int | None = options.jobs()
    dask: str | None = options.dask()

    def check(self) -> None:
        """Refuse options that the model would not use, and those that it lacks."""
        across, gp = self.across is not None, self.model == "gp"
        if across != (self.model == "paper-gpu") and not (across and gp):
            raise click.UsageError("--across goes with the models gp and paper-gpu, which needs it")
        if across and self.device is None:
            raise click.UsageError("--across needs --device, the device to predict")
        if self.space is not None and not across:
            raise click.UsageError("--space goes with --across; else the rows say it")
        if (self.lut is not None) != (self.model == "lut"):
            raise click.UsageError("--lut and --model lut go together")
        if self.base is None and self.model == "paper-finetune":
            raise click.UsageError("paper-finetune needs --base, the host model of a paper-mlp")
        if self.base is not None and (across or self.model not in ("gp", "paper-finetune")):
            raise click.UsageError("--base goes with the models gp and paper-finetune only")

    def bases(self, space: str) -> Sequence[LatencyPredictor]:
        """Load what the model starts from."""
        from edgeprof.predictors.load import load_base, load_predictor

        if self.lut is not None:
            return [load_predictor(self.lut, space=space)]
        return [] if self.base is None else [load_base(self.base, space)]

    def executor(self, n_fits: int) -> AbstractContextManager[Executor | None]:
        """Open what so many models are fitted through."""
        from edgeprof.base.executors import FITS_WORTH_A_POOL, bulk_executor

        return bulk_executor(n_fits, FITS_WORTH_A_POOL, jobs=self.jobs, dask=self.dask)


@click.command()
@options.takes(TrainArguments)
def train(arguments: TrainArguments) -> None:
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

    devices.csv has the columns device, cores, clock_mhz, ram_gb, bandwidth_gb_per_s and,
    where known, batch (else 1), launch_us (else 5) and hardware: devices of the same hardware are
    never predicted from one another, nor --device from its own rows.
    """
    from edgeprof.predictors.models import FOLDS
    from edgeprof.predictors.save import check_output
    from edgeprof.records.network_rows import names_models

    arguments.check()
    if arguments.across is None and names_models(arguments.data):
        _train_networks(arguments)
        return
    check_output(arguments.output)
    if arguments.across is not None:
        _train_across(arguments, arguments.across)
        return
    measured = arguments.read(arguments.data)
    bases = arguments.bases(measured.space)
    # The other models take milliseconds, or leave out one row at a time in a single fit.
    with arguments.executor(FOLDS if arguments.model == "paper-mlp" else 0) as executor:
        done = _trained(measured, arguments, arguments.model, bases, arguments.seed, executor)
    _report(measured, done, arguments)


@dataclass(frozen=True)
class AdaptArguments(RowsArguments, OutputArguments):
    """What ``edgeprof adapt`` is asked for."""

    bases: tuple[Path, ...] = options.argument(nargs=-1, required=True, type=options.INPUT)
    data: Path = options.option(
        "--data",
        required=True,
        type=options.INPUT,
        help="Measurements of the new device (.csv, .csv.gz, .parquet).",
    )
    where: tuple[tuple[str, str], ...] = options.where()
    bank: tuple[Path, ...] = options.bank()

    def check(self) -> None:
        """Refuse options that no base would use."""
        if not any(".db:" in str(base) for base in self.bases):
            options.refuse_given(("where", "bank"), "is for a base that is STORE.db:DEVICE")

    def load_bases(self, space: str) -> Sequence[LatencyPredictor]:
        """Load the bases."""
        from edgeprof.predictors.bank.others import Others
        from edgeprof.predictors.load import load_base

        where, others = dict(self.where), Others(self.bank)
        return [load_base(path, space, where=where, others=others) for path in self.bases]


@click.command()
@options.takes(AdaptArguments)
def adapt(arguments: AdaptArguments) -> None:
    """Move predictors of other devices (BASES) to a new one with a few measurements.

    The host model beside each base is used where there is one. A base may be of the same supernet
    at another width, or a device of a store, STORE.db:DEVICE, whatever was measured there.

    \b
    Example:
      edgeprof adapt pi4.edgp --data nano.csv --device nano -n 10 -o nano.edgp
      edgeprof adapt lab.db:pi4 --data nano.csv --device nano -n 10 -o nano.edgp
    """
    from edgeprof.predictors.save import check_output

    arguments.check()
    check_output(arguments.output)
    measured = arguments.read(arguments.data)
    bases = arguments.load_bases(measured.space)
    _report(measured, _trained(measured, arguments, "gp", bases, arguments.seed), arguments)


def _train_networks(arguments: TrainArguments) -> None:
    from edgeprof.predictors.layers.training import train_networks

    if arguments.model != "gp" or arguments.base is not None or arguments.no_host:
        raise click.UsageError("rows of model files go with none of --model, --base, --no-host")
    rows = arguments.read_networks(arguments.data)
    done = train_networks(rows, arguments.output, seed=arguments.seed)
    if arguments.as_json:
        result = {
            "files": [str(done.file)],
            "n": len(rows),
            "cross_validated": done.cross_validated and done.cross_validated.to_dict(),
            "intervals_hold": done.held,
            "notes": done.notes,
        }
        click.echo(json.dumps(result))
        return
    say(f"{rows.device}: {len(rows)} measurements of networks")
    for note in done.notes:
        say(f"note: {note}")
    if done.cross_validated is not None:
        print_metrics({"cross-validated": done.cross_validated})
        say(f"90 % intervals hold for {done.held:.0%} of the networks")
    assert done.file is not None
    say(f"{done.file}: {done.file.stat().st_size} bytes; predicts any network")


def _trained(
    data: Dataset,
    output: OutputArguments,
    model: str,
    bases: Sequence[LatencyPredictor],
    seed: int,
    executor: Executor | None = None,
) -> Training:
    from edgeprof.cli.progress_bar import progress_bar
    from edgeprof.predictors.train import N_TRAINING_STEPS, train

    with progress_bar("Training", N_TRAINING_STEPS, quiet=output.as_json) as advance:
        return train(data, model=model, bases=bases, seed=seed, progress=advance, executor=executor)


def _train_across(arguments: TrainArguments, sheet: Path) -> None:
    from edgeprof.cli.progress_bar import progress_bar
    from edgeprof.predictors.across import leave_one_device_out, train_across
    from edgeprof.predictors.train import N_TRAINING_STEPS

    target, measured = _measured_devices(arguments, sheet)
    space = arguments.space
    if space is None:
        space = next((data.space for device, data in measured if device.name == target.name), None)
    errors: dict[str, Metrics] = {}
    with (
        arguments.executor(len(measured)) as executor,
        progress_bar("Training", N_TRAINING_STEPS, quiet=arguments.as_json) as advance,
    ):
        seed, model = arguments.seed, arguments.model
        done = train_across(measured, target, model=model, space=space, seed=seed, progress=advance)
        if len(measured) > 1:
            errors = leave_one_device_out(measured, model=model, seed=seed, executor=executor)
    files = arguments.save(done)
    if arguments.as_json:
        held_out = {name: metrics.to_dict() for name, metrics in errors.items()}
        click.echo(json.dumps({**_as_dict(done, files), "held_out_devices": held_out}))
        return
    _print_notes(done)
    _print_files(done, files)
    if errors:
        say("each device as the others predict it:")
        print_metrics(errors)


def _measured_devices(
    arguments: TrainArguments, sheet: Path
) -> tuple[Device, list[tuple[Device, Dataset]]]:
    """Return the device to predict, and the devices of the data sheet that have rows."""
    from edgeprof.base.errors import DatasetError
    from edgeprof.predictors.hardware.devices import read_devices
    from edgeprof.records.dataset import devices_of

    devices = read_devices(sheet)
    target = arguments.device or ""
    if target not in devices:
        raise DatasetError(f"{sheet}, column device: no {target!r}; found {', '.join(devices)}")
    found = devices_of(arguments.data)
    unknown = [name for name in found if name not in devices and name != target]
    if unknown:
        say(f"{sheet}: lacks {', '.join(unknown)}; their rows are not used", err=True)
    return devices[target], [
        (devices[name], arguments.read(arguments.data, name)) for name in found if name in devices
    ]


def _as_dict(done: Training, files: Sequence[Path]) -> dict[str, object]:
    judged = done.cross_validated
    return {
        "files": [str(path) for path in files],
        "provenance": dict(done.student.provenance),
        "notes": list(done.notes),
        "trivial": {name: metrics.to_dict() for name, metrics in judged.trivial.items()}
        if judged
        else {},
        "verdict": judged and judged.verdict.to_dict(),
        "left_out": [row.to_dict() for row in done.left_out],
    }


def _report(data: Dataset, done: Training, output: OutputArguments) -> None:
    """Write the files and print what came out."""
    files = output.save(done)
    if output.as_json:
        click.echo(json.dumps(_as_dict(done, files)))
        return
    say(f"{data.device}: {len(data)} measurements, space {data.space}")
    _print_notes(done)
    judged = done.cross_validated
    if judged is not None:
        trivial = {f"trivial: {name}": metrics for name, metrics in judged.trivial.items()}
        print_metrics({"cross-validated": judged.metrics, **trivial})
        say("\n".join(judged.verdict.lines), wrap=True)
    _print_files(done, files)


def _print_notes(done: Training) -> None:
    for note in done.notes:
        say(f"note: {note}")


def _print_files(done: Training, files: Sequence[Path]) -> None:
    say(f"distillation costs {done.distillation_mape:.2%} (MAPE against the host model)")
    for path in files:
        say(f"{path}: {path.stat().st_size} bytes")
