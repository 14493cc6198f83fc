"""A second process burns the measured core half of the time: what is reported then.

python benchmarks/disturbed.py [--quick]

Quiet and disturbed runs take turns, on the same core. The burner computes for 25 ms and sleeps for
25 ms, so that a model of 10 ms meets it in most inferences. Bar: within 3 %; aim: within 1 %; a
refusal with its reason would do as well.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from models import python_session, save_medium

from edgeprof.base.errors import EdgeprofError
from edgeprof.measuring.harness import measure

_HALF_PERIOD_S = 0.025


def burn() -> None:
    while True:
        end = time.perf_counter() + _HALF_PERIOD_S
        while time.perf_counter() < end:
            pass
        time.sleep(_HALF_PERIOD_S)


def loop_mean_ns(model: Path) -> float:
    session, feed = python_session(model)
    for _ in range(5):
        session.run(None, feed)
    start = time.perf_counter_ns()
    for _ in range(100):
        session.run(None, feed)
    return (time.perf_counter_ns() - start) / 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--burn", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.burn:
        burn()
    rounds = 2 if arguments.quick else 10
    cpu = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpu})  # the burner and the harness inherit it
    ours: dict[bool, list[float]] = {False: [], True: []}
    loop: dict[bool, list[float]] = {False: [], True: []}
    refusals: list[str] = []
    bases: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        model = save_medium(Path(folder))
        for _ in range(rounds):
            for is_disturbed in (False, True):
                burner = None
                if is_disturbed:
                    burner = subprocess.Popen([sys.executable, __file__, "--burn"])
                    time.sleep(0.3)
                try:
                    result = measure(model, cpus=[cpu], max_secs=5)
                    ours[is_disturbed].append(result.latency_median_ns)
                    if is_disturbed:
                        bases.append(result.record["summary"]["basis"])
                    loop[is_disturbed].append(loop_mean_ns(model))
                except EdgeprofError as error:
                    refusals.append(str(error))
                finally:
                    if burner is not None:
                        burner.kill()
                        burner.wait()
    print(f"{rounds} rounds, quiet and disturbed in turns on core {cpu}\n")
    print("| | quiet, ms | disturbed, ms | change |")
    print("|---|---|---|---|")
    for name, values in (("edgeprof", ours), ("mean of a Python loop", loop)):
        quiet, disturbed = (float(np.median(values[key])) / 1e6 for key in (False, True))
        print(f"| {name} | {quiet:.3f} | {disturbed:.3f} | {disturbed / quiet - 1:+.1%} |")
    print(f"\nDisturbed summaries are over: {', '.join(sorted(set(bases)))}")
    print(f"Refused: {len(refusals)}{': ' + refusals[0] if refusals else ''}")


if __name__ == "__main__":
    main()
