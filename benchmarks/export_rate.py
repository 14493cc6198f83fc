"""How many subnets a second are written, and what a further subnet costs on disk.

python benchmarks/export_rate.py [-n 300]
"""

from __future__ import annotations

import argparse
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np

from edgeprof.export import export_subnets
from edgeprof.networks.spaces import get_space

CASES = (("onnx", "fp32"), ("onnx", "int8"), ("tflite", "fp32"), ("tflite", "int8"))
_SLOW_SHARE = 10  # int8 calibrates each subnet, TFLite writes its weights: a tenth will do


def measure_export(n: int, folder: Path, model_format: str, precision: str) -> str:
    subnets = get_space("ofa-mbv3-w1.0").sample(n, np.random.default_rng(0))
    options = {"format": model_format, "precision": precision}
    export_subnets(subnets[:1], folder, **options)  # plans the weights, imports the packages
    start = time.perf_counter()
    entries = export_subnets(subnets, folder, **options)
    seconds = time.perf_counter() - start
    kib = np.array([entry.model_bytes for entry in entries]) / 1024
    packed_kib = (
        np.array([len(zlib.compress((folder / entry.file).read_bytes())) for entry in entries[:20]])
        / 1024
    )
    shared = entries[0].weights_file
    shared_mib = (folder / shared).stat().st_size / 2**20 if shared else 0.0
    return (
        f"| {model_format} {precision} | {n} | {n / seconds:.1f} | {kib.mean():.1f} "
        f"| {kib.max():.1f} | {packed_kib.mean():.1f} | {shared_mib:.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=300, help="subnets to write")
    n = parser.parse_args().n
    print(
        "| format | subnets | subnets/s | KiB per further subnet | largest | deflated | once, MiB |"
    )
    print("|---|---|---|---|---|---|---|")
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            print(measure_export(n if case == CASES[0] else n // _SLOW_SHARE, Path(folder), *case))


if __name__ == "__main__":
    main()
