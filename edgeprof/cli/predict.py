"""``edgeprof predict``."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeprof.base.units import format_count
from edgeprof.cli import options

if TYPE_CHECKING:
    from edgeprof.predictors.base import LatencyPredictor


LEAST_FOR_A_RATE = 1000
"""A handful of subnets says nothing about how fast predictions are."""


@dataclass(frozen=True)
class PredictArguments:
    """What is to be predicted, and by what."""

    predictor: Path = options.argument(type=options.INPUT)
    subnets: Path = options.argument(type=options.INPUT)
    space: str | None = options.space_of_files()
    codes_only: bool = options.flag(
        "--codes",
        help="Print the subnets' codes, which `edgeprof-harness predict` reads on a board.",
    )
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = options.shapes()
    batch: int | None = options.option(
        "--batch", type=click.IntRange(1), help="Leading dimension of a model's inputs."
    )
    output: Path | None = options.subnet_output()


@click.command()
@options.takes(PredictArguments)
def predict(arguments: PredictArguments) -> None:
    """Predict the latency of subnets; one JSON object a line: the subnet and its latency_ms.

    PREDICTOR is an .edgp file, a .host.npz, or a folder of lookup tables; SUBNETS is a file of
    JSON lines as `edgeprof sample` writes it. A .host.npz also says how sure it is: latency_low_ms
    and latency_high_ms (90 % interval). In place of SUBNETS, an .onnx or .tflite model is predicted
    by the .host.npz beside an .edgp; its weights are not read.

    \b
    Example:
      edgeprof sample -n 5 -o subnets.jsonl
      edgeprof predict pi4.edgp subnets.jsonl
    """
    from edgeprof.predictors import load_predictor
    from edgeprof.predictors.train import load_base

    predictor, subnets = arguments.predictor, arguments.subnets
    if subnets.suffix.lower() in (".onnx", ".tflite"):
        lines = [_model_line(load_base(predictor), arguments)]
    elif arguments.codes_only:
        lines = _code_lines(load_predictor(predictor, space=arguments.space), subnets)
    else:
        loaded = load_predictor(predictor, space=arguments.space)
        lines = _subnet_lines(loaded, predictor, subnets)
    if arguments.output is None:
        for line in lines:
            click.echo(line)
        return
    from edgeprof.base.files import atomic_write

    with atomic_write(arguments.output) as stream:
        stream.writelines(line + "\n" for line in lines)


def _subnet_lines(loaded: LatencyPredictor, predictor: Path, subnets: Path) -> list[str]:
    import numpy as np

    from edgeprof.networks.spaces import get_space
    from edgeprof.networks.subnet import read_subnets
    from edgeprof.predictors.base import IntervalPredictor

    listed = read_subnets(subnets, space=loaded.space)
    codes = get_space(loaded.space).encode(listed)
    start_s = time.perf_counter()
    names = ["latency_ms"]
    if isinstance(loaded, IntervalPredictor):
        names += ["latency_low_ms", "latency_high_ms"]
        columns = np.array(loaded.predict_interval(codes))
    else:
        columns = loaded.predict_codes(codes)[np.newaxis]
    rate = len(listed) / (time.perf_counter() - start_s)
    if len(listed) >= LEAST_FOR_A_RATE:
        click.echo(f"{predictor}: {len(listed)} subnets, {format_count(rate)} subnets/s", err=True)
    return [
        json.dumps(
            {**subnet.to_dict(), **dict(zip(names, row, strict=True))}, separators=(",", ":")
        )
        for subnet, row in zip(listed, columns.T.tolist(), strict=True)
    ]


def _code_lines(loaded: LatencyPredictor, subnets: Path) -> list[str]:
    from edgeprof.networks.spaces import get_space
    from edgeprof.networks.subnet import read_subnets

    codes = get_space(loaded.space).encode(read_subnets(subnets, space=loaded.space))
    return [json.dumps(row.tolist(), separators=(",", ":")) for row in codes]


def _model_line(loaded: LatencyPredictor, arguments: PredictArguments) -> str:
    from edgeprof.base.errors import PredictorFormatError
    from edgeprof.networks import read_network
    from edgeprof.predictors.gp.model import GaussianProcess
    from edgeprof.predictors.hardware.model import HardwareModel

    model = arguments.subnets
    if not isinstance(loaded, (GaussianProcess, HardwareModel)):
        raise PredictorFormatError(
            f"{arguments.predictor}: predicts subnets of {loaded.space} only; {model} needs the "
            ".host.npz of a gp beside it"
        )
    network = read_network(model, shapes=dict(arguments.shapes), batch=arguments.batch)
    for note in network.notes:
        click.echo(f"{model}: {note}", err=True)
    interval = loaded.predict_networks([network])
    fields = {
        "model": str(model),
        "latency_ms": float(interval.mean_ms[0]),
        "latency_low_ms": float(interval.low_ms[0]),
        "latency_high_ms": float(interval.high_ms[0]),
    }
    return json.dumps(fields, separators=(",", ":"))
