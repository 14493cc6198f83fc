"""``edgeprof predict``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeprof.units import format_count

if TYPE_CHECKING:
    from edgeprof.predictors.base import LatencyPredictor


LEAST_FOR_A_RATE = 1000
"""A handful of subnets says nothing about how fast predictions are."""


@click.command()
@click.argument("predictor", type=click.Path(readable=False, path_type=Path))
@click.argument("subnets", type=click.Path(readable=False, path_type=Path))
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
def predict(predictor: Path, subnets: Path, codes_only: bool, output: Path | None) -> None:
    """Predict the latency of subnets; one JSON object a line: the subnet and its latency_ms.

    PREDICTOR is an .edgp file, a .host.npz, or a folder of lookup tables; SUBNETS is a file of
    JSON lines as `edgeprof sample` writes it. A .host.npz also takes an .onnx model in place of
    SUBNETS, and says how sure it is (90 % interval).

    \b
    Example:
      edgeprof sample -n 5 -o subnets.jsonl
      edgeprof predict pi4.edgp subnets.jsonl
    """
    from edgeprof.predictors import load_predictor

    loaded = load_predictor(predictor)
    if subnets.suffix == ".onnx":
        lines = [_model_line(loaded, predictor, subnets)]
    elif codes_only:
        lines = _code_lines(loaded, subnets)
    else:
        lines = _subnet_lines(loaded, predictor, subnets)
    if output is None:
        for line in lines:
            click.echo(line)
        return
    from edgeprof.files import atomic_write

    with atomic_write(output) as stream:
        stream.writelines(line + "\n" for line in lines)


def _subnet_lines(loaded: LatencyPredictor, predictor: Path, subnets: Path) -> list[str]:
    from edgeprof.spaces import get_space
    from edgeprof.subnet import read_subnets

    listed = read_subnets(subnets, space=loaded.space)
    codes = get_space(loaded.space).encode(listed)
    start_s = time.perf_counter()
    latencies_ms = loaded.predict_codes(codes)
    rate = len(listed) / (time.perf_counter() - start_s)
    if len(listed) >= LEAST_FOR_A_RATE:
        click.echo(f"{predictor}: {len(listed)} subnets, {format_count(rate)} subnets/s", err=True)
    return [
        json.dumps({**subnet.to_dict(), "latency_ms": float(latency_ms)}, separators=(",", ":"))
        for subnet, latency_ms in zip(listed, latencies_ms, strict=True)
    ]


def _code_lines(loaded: LatencyPredictor, subnets: Path) -> list[str]:
    from edgeprof.spaces import get_space
    from edgeprof.subnet import read_subnets

    codes = get_space(loaded.space).encode(read_subnets(subnets, space=loaded.space))
    return [json.dumps(row.tolist(), separators=(",", ":")) for row in codes]


def _model_line(loaded: LatencyPredictor, predictor: Path, model: Path) -> str:
    from edgeprof.errors import PredictorFormatError
    from edgeprof.onnx_layers import read_onnx_network
    from edgeprof.predictors.gp import HostModel
    from edgeprof.predictors.hardware import HardwareModel

    if not isinstance(loaded, (HostModel, HardwareModel)):
        raise PredictorFormatError(
            f"{predictor}: predicts subnets of {loaded.space} only; use the .host.npz beside it "
            f"for {model}"
        )
    interval = loaded.predict_networks([read_onnx_network(model)])
    fields = {
        "model": str(model),
        "latency_ms": float(interval.mean_ms[0]),
        "low_ms": float(interval.low_ms[0]),
        "high_ms": float(interval.high_ms[0]),
    }
    return json.dumps(fields, separators=(",", ":"))
