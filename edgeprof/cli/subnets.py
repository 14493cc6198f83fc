"""``edgeprof sample``, and how commands write subnets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeprof.cli import options

if TYPE_CHECKING:
    from edgeprof.networks.subnet import Subnet


@dataclass(frozen=True)
class SampleArguments:
    """What ``edgeprof sample`` is asked for."""

    space: str = options.space()
    count: int = options.count(default=100)
    seed: int = options.seed()
    resolutions: tuple[int, ...] | None = options.resolutions()
    output: Path | None = options.subnet_output()


@click.command()
@options.takes(SampleArguments)
def sample(arguments: SampleArguments) -> None:
    """Draw random, distinct subnets of a search space.

    \b
    Example:
      edgeprof sample --space ofa-mbv3-w1.0 -n 100 --seed 1 -o subnets.jsonl
    """
    import numpy as np

    from edgeprof.networks.spaces import get_space

    rng = np.random.default_rng(arguments.seed)
    subnets = get_space(arguments.space).sample(arguments.count, rng, arguments.resolutions)
    write(subnets, arguments.output, f"of {arguments.space}, seed {arguments.seed}")


def write(subnets: Sequence[Subnet], output: Path | None, what: str = "") -> None:
    """Write subnets to a file and say so on stderr; without a file, print them."""
    from edgeprof.networks.subnet import write_subnets

    if output is None:
        for subnet in subnets:
            click.echo(subnet.to_json())
        return
    write_subnets(output, subnets)
    click.echo(f"{output}: {len(subnets)} subnets {what}".rstrip(), err=True)
