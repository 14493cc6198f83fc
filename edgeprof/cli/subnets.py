"""``edgeprof sample``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--space", default="ofa-mbv3-w1.0", show_default=True, help="Search space.")
@click.option(
    "-n", "count", default=100, show_default=True, type=click.IntRange(1), help="How many."
)
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of the draw."
)
@click.option(
    "--resolutions",
    metavar="R[,R...]",
    help="Resolutions to draw from, in pixels  [default: those of the space]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(readable=False, dir_okay=False, path_type=Path),
    help="File to write, one JSON object a line  [default: standard output]",
)
def sample(space: str, count: int, seed: int, resolutions: str | None, output: Path | None) -> None:
    """Draw random, distinct subnets of a search space.

    \b
    Example:
      edgeprof sample --space ofa-mbv3-w1.0 -n 100 --seed 1 -o subnets.jsonl
    """
    import numpy as np

    from edgeprof.networks.spaces import get_space
    from edgeprof.networks.subnet import write_subnets

    subnets = get_space(space).sample(
        count, np.random.default_rng(seed), parse_integers(resolutions, "--resolutions")
    )
    if output is None:
        for subnet in subnets:
            click.echo(subnet.to_json())
    else:
        write_subnets(output, subnets)
        click.echo(f"{output}: {len(subnets)} subnets of {space}, seed {seed}", err=True)


def parse_integers(text: str | None, option: str) -> list[int] | None:
    """Parse ``160,192,224``; a usage error names the option."""
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise click.BadParameter(f"{text!r} is no list of integers", param_hint=option) from None
