"""The harness' own cost per inference: the empty backend, everything around it included.

python benchmarks/harness_overhead.py [--quick]

Cost = wall time of the measuring loop (clock reads, loop, call of the backend, storing, evidence
and bookkeeping between stretches) divided by the inferences timed. Bar: 100 ns; aim: 40 ns.
"""

from __future__ import annotations

import argparse
import statistics

from edgeprof.harness import Settings, measure


def cost_ns(clock: str, n: int) -> float:
    settings = Settings(
        runtime="null", clock=clock, min_samples=n, max_samples=n, min_secs=0, ci_rel=1e-6
    )
    record = measure("", settings).record
    return record["sampling_wall_ns"] / record["summary"]["n_samples"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    repeats = 5 if parser.parse_args().quick else 21
    best = measure("", runtime="null", max_samples=1000).record["clock"]["kind"]
    print(f"{repeats} processes per clock, interleaved, 100000 inferences each\n")
    print("| clock | own cost per inference, median | least |")
    print("|---|---|---|")
    clocks = dict.fromkeys([best, "clock_monotonic_raw"])
    costs: dict[str, list[float]] = {clock: [] for clock in clocks}
    for _ in range(repeats):
        for clock in clocks:
            costs[clock].append(cost_ns(clock, 100_000))
    for clock, values in costs.items():
        print(f"| {clock} | {statistics.median(values):.1f} ns | {min(values):.1f} ns |")


if __name__ == "__main__":
    main()
