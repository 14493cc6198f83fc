"""How long it takes to an interval of 1 % on a model of about 10 ms.

python benchmarks/time_to_interval.py [--quick]

Bar: 2 s; aim: 1 s, on a quiet model. Warm-up and sampling, as the record has them, and the whole
command; and of sampling what was spent in undisturbed samples, which is all that a quiet machine
would have asked for. How quiet this one was is printed below.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from models import save_medium

from edgeprof.measuring.harness import measure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer runs")
    runs = 5 if parser.parse_args().quick else 20
    measured_s, quiet_s, whole_s, quiet_share, reasons = [], [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        model = save_medium(Path(folder))
        for _ in range(runs):
            start = time.perf_counter()
            result = measure(model, ci_rel=0.01)
            whole_s.append(time.perf_counter() - start)
            record = result.record
            warmup_ns = record["warmup"]["wall_ns"]
            measured_s.append((warmup_ns + record["sampling_wall_ns"]) / 1e9)
            latencies_ns = np.array(record["samples"]["latency_ns"])
            is_quiet = np.array(record["samples"]["disturbed"]) == 0
            quiet_s.append((warmup_ns + latencies_ns[is_quiet].sum()) / 1e9)
            quiet_share.append(is_quiet.mean())
            reasons.append(result.stop_reason)
    latency_ms = result.latency_median_ns / 1e6
    print(f"{runs} runs, model of {latency_ms:.1f} ms\n")
    print("| | median, s | largest, s |")
    print("|---|---|---|")
    for name, values in (
        ("warm-up and samples", measured_s),
        ("warm-up and undisturbed samples", quiet_s),
        ("whole call", whole_s),
    ):
        print(f"| {name} | {np.median(values):.2f} | {max(values):.2f} |")
    print(f"\nReached the interval: {reasons.count('interval')} of {runs}")
    print(f"Undisturbed samples: {np.mean(quiet_share):.0%}")


if __name__ == "__main__":
    main()
