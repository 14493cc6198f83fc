"""``edgeprof predict``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeprof.base.units import format_count

if TYPE_CHECKING:
    from edgeprof.predictors.base import LatencyPredictor


LEAST_FOR_A_RATE = 1000
"""A handful of subnets says nothing about how fast predictions are."""


@click.command()
@click.argument("predictor", type=click.Path(readable=False, path_type=Path))
@click.argument("subnets", type=click.Path(readable=False, path_type=Path))
@click.option("--space", help="Search space, where lookup tables do not name it.")
@click.option(
    "--codes",
    "codes_only",
    is_flag=True,
    help="Print the subnets' codes, which `edgeprof-harness predict` reads on a board.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(readable=False, dir_okay=False, path_type=Path),
    help="File to write  [default: standard output]",
)
def predict(
    predictor: Path, subnets: Path, space: str | None, codes_only: bool, output: Path | None
) -> None:
    """Predict the latency of subnets; one JSON object a line: the subnet and its latency_ms.

    PREDICTOR is an .edgp file, a .host.npz, or a folder of lookup tables; SUBNETS is a file of
    JSON lines as `edgeprof sample` writes it. A .host.npz also says how sure it is: latency_low_ms
    and latency_high_ms (90 % interval). In place of SUBNETS, an .onnx model is predicted by the
    .host.npz beside an .edgp.

    \b
    Example:
      edgeprof sample -n 5 -o subnets.jsonl
      edgeprof predict pi4.edgp subnets.jsonl
    """
    from edgeprof.predictors import load_predictor
    from edgeprof.predictors.train import load_base

    if subnets.suffix == ".onnx":
        lines = [_model_line(load_base(predictor), predictor, subnets)]
    elif codes_only:
        lines = _code_lines(load_predictor(predictor, space=space), subnets)
    else:
        lines = _subnet_lines(load_predictor(predictor, space=space), predictor, subnets)
    if output is None:
        for line in lines:
            click.echo(line)
        return
    from edgeprof.base.files import atomic_write

    with atomic_write(output) as stream:
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


def _model_line(loaded: LatencyPredictor, predictor: Path, model: Path) -> str:
    from edgeprof.base.errors import PredictorFormatError
    from edgeprof.networks.onnx_layers import read_onnx_network
    from edgeprof.predictors.gp.model import GaussianProcess
    from edgeprof.predictors.hardware.model import HardwareModel

    if not isinstance(loaded, (GaussianProcess, HardwareModel)):
        raise PredictorFormatError(
            f"{predictor}: predicts subnets of {loaded.space} only; {model} needs the .host.npz "
            "of a gp beside it"
        )
    interval = loaded.predict_networks([read_onnx_network(model)])
    fields = {
        "model": str(model),
        "latency_ms": float(interval.mean_ms[0]),
        "latency_low_ms": float(interval.low_ms[0]),
        "latency_high_ms": float(interval.high_ms[0]),
    }
    return json.dumps(fields, separators=(",", ":"))
