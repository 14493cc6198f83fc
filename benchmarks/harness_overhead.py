"""The harness' own cost per inference: the empty backend, everything around it included.

python benchmarks/harness_overhead.py [--quick]

Two numbers, both divided by the inferences timed. Loop: wall time of the measuring loops (clock
reads, call of the backend, storing, evidence of disturbance). Whole: everything from the first
sample to the last, with looks at the result, canary and conditions. Bar of the whole: 80 ns; aim:
40 ns. Settings are the defaults, so that what is measured is what users get.
"""

from __future__ import annotations

import argparse
import statistics

from edgeprof.measuring.harness import measure


def cost_ns(clock: str) -> tuple[float, float]:
    record = measure("", runtime="null", clock=clock).record
    n = record["summary"]["n_samples"]
    return record["sampling_wall_ns"] / n, record["sampling_span_ns"] / n


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    repeats = 5 if parser.parse_args().quick else 21
    best = measure("", runtime="null", max_samples=1000).record["clock"]["kind"]
    print(f"{repeats} processes per clock, interleaved, 100000 inferences each\n")
    print("| clock | loop, median | loop, least | whole, median | whole, least |")
    print("|---|---|---|---|---|")
    clocks = dict.fromkeys([best, "clock_monotonic_raw"])
    costs: dict[str, list[tuple[float, float]]] = {clock: [] for clock in clocks}
    for _ in range(repeats):
        for clock in clocks:
            costs[clock].append(cost_ns(clock))
    for clock, pairs in costs.items():
        cells = [
            f"{value:.1f} ns"
            for values in zip(*pairs, strict=True)
            for value in (statistics.median(values), min(values))
        ]
        print(f"| {clock} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
