"""How long it takes to an interval of 1 % on a model of about 10 ms.

python benchmarks/time_to_interval.py [--quick]

Bar: 2 s; aim: 1 s. Warm-up and sampling, as the record has them; the whole command beside it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from models import save_medium

from edgeprof.harness import measure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer runs")
    runs = 5 if parser.parse_args().quick else 20
    measured_s, whole_s, reasons = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        model = save_medium(Path(folder))
        for _ in range(runs):
            start = time.perf_counter()
            result = measure(model, ci_rel=0.01)
            whole_s.append(time.perf_counter() - start)
            record = result.record
            measured_s.append((record["warmup"]["wall_ns"] + record["sampling_wall_ns"]) / 1e9)
            reasons.append(result.stop_reason)
    latency_ms = result.latency_median_ns / 1e6
    print(f"{runs} runs, model of {latency_ms:.1f} ms\n")
    print("| | median, s | largest, s |")
    print("|---|---|---|")
    for name, values in (("warm-up and samples", measured_s), ("whole call", whole_s)):
        print(f"| {name} | {np.median(values):.2f} | {max(values):.2f} |")
    print(f"\nReached the interval: {reasons.count('interval')} of {runs}")


if __name__ == "__main__":
    main()
