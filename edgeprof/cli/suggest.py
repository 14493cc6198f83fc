"""``edgeprof suggest``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option(
    "--predictor",
    "predictors",
    multiple=True,
    type=click.Path(readable=False, path_type=Path),
    help="Host model of the device, or (with --new-device) a base; then it may be repeated.",
)
@click.option(
    "-n", "count", default=10, show_default=True, type=click.IntRange(1), help="How many."
)
@click.option(
    "--new-device",
    is_flag=True,
    help="Choose the first subnets for a device nothing has been measured on.",
)
@click.option("--space", help="Search space, where no predictor names it.")
@click.option(
    "--pool",
    default=2000,
    show_default=True,
    type=click.IntRange(1),
    help="Random subnets to choose from, at least -n.",
)
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of the pool."
)
@click.option("--resolutions", metavar="R[,R...]", help="Resolutions of the pool, in pixels.")
@click.option(
    "-o",
    "--output",
    type=click.Path(readable=False, dir_okay=False, path_type=Path),
    help="File to write, one JSON object a line  [default: standard output]",
)
def suggest(
    predictors: tuple[Path, ...],
    count: int,
    new_device: bool,
    space: str | None,
    pool: int,
    seed: int,
    resolutions: str | None,
    output: Path | None,
) -> None:
    """Choose the subnets worth measuring next: those a predictor is least sure of.

    \b
    Example:
      edgeprof suggest --predictor pi4.edgp -n 20 -o next.jsonl
      edgeprof suggest --predictor pi4.edgp --new-device -n 10 -o first.jsonl
      edgeprof suggest --new-device --space ofa-mbv3-w1.0 -n 10 -o first.jsonl
    """
    from edgeprof.cli.subnets import parse_integers
    from edgeprof.networks.subnet import write_subnets
    from edgeprof.predictors.gp.suggest import suggest_first, suggest_next
    from edgeprof.predictors.train import load_base, load_host_model

    wanted = parse_integers(resolutions, "--resolutions")
    if new_device:
        bases = [load_base(path) for path in predictors]
        if not bases and space is None:
            raise click.UsageError("--new-device without --predictor needs --space")
        space_id = space or bases[0].space
        subnets = suggest_first(
            space_id, bases, count, seed=seed, pool_size=pool, resolutions=wanted
        )
    elif len(predictors) == 1:
        model = load_host_model(predictors[0])
        subnets = suggest_next(model, count, seed=seed, pool_size=pool, resolutions=wanted)
    else:
        raise click.UsageError("want --predictor once, or --new-device")
    if output is None:
        for subnet in subnets:
            click.echo(subnet.to_json())
    else:
        write_subnets(output, subnets)
        click.echo(f"{output}: {len(subnets)} subnets", err=True)
