"""Share of wall time that bulk measurement spends inside inferences, timed or to warm up.

python benchmarks/utilisation.py [--quick]

200 random subnets (seed 0), exported before, measured one after the other through the program:
processes, loading, hashing, bookkeeping and records are the rest, and all the time of measurements
that were refused as unsteady. Bar: 70 %; aim: 85 %.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from edgeprof.export import export_subnets
from edgeprof.measuring.harness import Settings, make_job, run_jobs
from edgeprof.networks.spaces import get_space


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="20 subnets")
    n = 20 if parser.parse_args().quick else 200
    subnets = get_space("ofa-mbv3-w1.0").sample(n, np.random.default_rng(0))
    timed_ns = warmup_ns = load_ns = n_refused = 0
    medians_ms = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        entries = export_subnets(subnets, folder)
        jobs = [make_job(folder / entry.file, Settings()) for entry in entries]
        start = time.perf_counter()
        for record in run_jobs(jobs):
            if record.get("error", {}).get("kind") == "UnsteadyMeasurement":
                n_refused += 1  # all of its time counts as lost
                continue
            timed_ns += sum(record["samples"]["latency_ns"])
            warmup_ns += record["warmup"]["timed_ns"] + record["first_inference_ns"]
            load_ns += record["load_ns"]
            medians_ms.append(record["summary"]["latency_median_ns"] / 1e6)
        wall_s = time.perf_counter() - start
    print(f"{n} subnets, median latency {np.median(medians_ms):.1f} ms, {wall_s:.1f} s\n")
    print("| | share of wall time |")
    print("|---|---|")
    print(f"| timed inferences | {timed_ns / 1e9 / wall_s:.1%} |")
    print(f"| first inference and warm-up | {warmup_ns / 1e9 / wall_s:.1%} |")
    print(f"| both | {(timed_ns + warmup_ns) / 1e9 / wall_s:.1%} |")
    print(f"| loading models | {load_ns / 1e9 / wall_s:.1%} |")
    rate = n / wall_s
    print(f"\n{rate:.2f} subnets/s; refused as unsteady: {n_refused}")


if __name__ == "__main__":
    main()
