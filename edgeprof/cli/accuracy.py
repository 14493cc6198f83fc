"""``edgeprof accuracy``."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def accuracy() -> None:
    """Make accuracy models for `edgeprof search`.

    \b
    Example:
      edgeprof accuracy fit measured.csv -o accuracy.host.npz
    """


@accuracy.command()
@click.argument("data", type=click.Path(readable=False, path_type=Path))
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of the fit."
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(readable=False, path_type=Path),
    help="File, *.host.npz.",
)
def fit(data: Path, seed: int, output: Path) -> None:
    """Fit an accuracy model to measured subnets.

    DATA is a CSV with the columns space,resolution,ks,e,d,top1 (and w for spaces with widths);
    top1 is a fraction.

    \b
    Example:
      edgeprof accuracy fit measured.csv -o accuracy.host.npz
    """
    from edgeprof.accuracy.fitted import fit_accuracy

    rows = fit_accuracy(data, output, seed=seed)
    click.echo(f"{output}: fitted to {len(rows)} subnets of {rows.space}")


@accuracy.command()
@click.argument("model", type=click.Path(readable=False, path_type=Path))
@click.option("--space", default="ofa-mbv3-w1.0", show_default=True, help="Space to search.")
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Seed of the subnets it is fitted to.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(readable=False, path_type=Path),
    help="File, *.edgp.",
)
def compact(model: Path, space: str, seed: int, output: Path) -> None:
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

    searched = get_space(space)
    with progress_bar("Distilling", N_STEPS) as advance:
        report = compact_accuracy(
            load_accuracy(model, searched), searched, output, seed=seed, progress=advance
        )
    click.echo(
        f"{output}: {format_bytes(report.file_bytes)}; against {model.name} on {report.n} subnets: "
        f"root mean square difference {report.rmse:.3%} points of top-1, largest "
        f"{report.largest:.3%}"
    )
