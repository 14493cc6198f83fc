"""``edgeprof accuracy``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from edgeprof.cli import options
from edgeprof.cli.groups import Group
from edgeprof.cli.say import say


@click.group(cls=Group)
def accuracy() -> None:
    """Make accuracy models for `edgeprof search`.

    \b
    Example:
      edgeprof accuracy fit measured.csv -o accuracy.host.npz
    """


@dataclass(frozen=True)
class FitArguments:
    """What ``edgeprof accuracy fit`` is asked for."""

    data: Path = options.argument(type=options.INPUT)
    seed: int = options.seed()
    output: Path = options.output_file(required=True, help="File to write, *.host.npz.")


@accuracy.command()
@options.takes(FitArguments)
def fit(arguments: FitArguments) -> None:
    """Fit an accuracy model to measured subnets.

    DATA is a CSV with the columns space,resolution,ks,e,d,top1 (and w for spaces with widths);
    top1 is a fraction.

    \b
    Example:
      edgeprof accuracy fit measured.csv -o accuracy.host.npz
    """
    from edgeprof.accuracy.fitted import fit_accuracy

    rows = fit_accuracy(arguments.data, arguments.output, seed=arguments.seed)
    say(f"{arguments.output}: fitted to {len(rows)} subnets of {rows.space}")


@dataclass(frozen=True)
class CompactArguments:
    """What ``edgeprof accuracy compact`` is asked for."""

    model: Path = options.argument(type=options.INPUT)
    space: str = options.space()
    seed: int = options.seed()
    output: Path = options.output_file(required=True, help="File to write, *.edgp.")


@accuracy.command()
@options.takes(CompactArguments)
def compact(arguments: CompactArguments) -> None:
    """Distil an accuracy model (.npz, .pth, .onnx, .host.npz) into a few kilobytes.

    The search then runs at full speed; what the small form loses is printed and kept in the file.

    \b
    Example:
      edgeprof accuracy compact acc.npz --space ofa-mbv3-w1.2 -o acc.edgp
    """
    from edgeprof.accuracy import load_accuracy
    from edgeprof.accuracy.fitted import compact_accuracy
    from edgeprof.base.units import format_bytes
    from edgeprof.cli.progress_bar import progress_bar
    from edgeprof.networks.spaces import get_space
    from edgeprof.predictors.compact.distil import N_STEPS

    space, output = get_space(arguments.space), arguments.output
    model = load_accuracy(arguments.model, space)
    with progress_bar("Distilling", N_STEPS) as advance:
        report = compact_accuracy(model, space, output, seed=arguments.seed, progress=advance)
    say(
        f"{output}: {format_bytes(report.file_bytes)}; against {model.name} on {report.n} "
        f"subnets: root mean square difference {report.rmse:.3%} points of top-1, largest "
        f"{report.largest:.3%}"
    )
