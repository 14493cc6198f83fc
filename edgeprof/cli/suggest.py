"""``edgeprof suggest``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from edgeprof.cli import options


@dataclass(frozen=True)
class SuggestArguments:
    """What ``edgeprof suggest`` is asked for."""

    predictors: tuple[Path, ...] = options.option(
        "--predictor",
        multiple=True,
        type=options.INPUT,
        help="Host model of the device, or (with --new-device) a base; then it may be repeated.",
    )
    count: int = options.count(default=10)
    new_device: bool = options.flag(
        "--new-device", help="Choose the first subnets for a device nothing has been measured on."
    )
    again: bool = options.flag(
        "--again",
        help="List the subnets whose rows contradicted the others when the predictor was trained.",
    )
    space: str | None = options.space_of_files()
    pool: int = options.option(
        "--pool",
        default=2000,
        type=click.IntRange(1),
        help="Random subnets to choose from, at least -n.",
    )
    seed: int = options.seed()
    resolutions: tuple[int, ...] | None = options.resolutions()
    output: Path | None = options.subnet_output()


@click.command()
@options.takes(SuggestArguments)
def suggest(arguments: SuggestArguments) -> None:
    """Choose the subnets worth measuring next: those a predictor is least sure of.

    \b
    Example:
      edgeprof suggest --predictor pi4.edgp -n 20 -o next.jsonl
      edgeprof suggest --predictor pi4.edgp --new-device -n 10 -o first.jsonl
      edgeprof suggest --predictor pi4.edgp --again -o doubtful.jsonl
      edgeprof suggest --new-device --space ofa-mbv3-w1.0 -n 10 -o first.jsonl
    """
    from edgeprof.networks.subnet import write_subnets
    from edgeprof.predictors.gp.suggest import Pool, left_out_subnets, suggest_first, suggest_next
    from edgeprof.predictors.load import load_base, load_gaussian_process, load_predictor

    pool = Pool(arguments.pool, arguments.seed, arguments.resolutions)
    if arguments.again:
        if arguments.new_device or len(arguments.predictors) != 1:
            raise click.UsageError("--again wants --predictor once, without --new-device")
        subnets = left_out_subnets(load_predictor(arguments.predictors[0]))
    elif arguments.new_device:
        bases = [load_base(path, arguments.space) for path in arguments.predictors]
        if not bases and arguments.space is None:
            raise click.UsageError("--new-device without --predictor needs --space")
        space_id = arguments.space or bases[0].space
        if not space_id:
            raise click.UsageError(f"{arguments.predictors[0]} is of any space: say --space")
        subnets = suggest_first(space_id, bases, arguments.count, pool)
    elif len(arguments.predictors) == 1:
        model = load_gaussian_process(arguments.predictors[0])
        subnets = suggest_next(model, arguments.count, pool)
    else:
        raise click.UsageError("want --predictor once, or --new-device")
    if arguments.output is None:
        for subnet in subnets:
            click.echo(subnet.to_json())
    else:
        write_subnets(arguments.output, subnets)
        click.echo(f"{arguments.output}: {len(subnets)} subnets", err=True)
