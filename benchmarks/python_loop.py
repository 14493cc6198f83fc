"""The harness against ``InferenceSession.run`` timed in Python: same model, one thread, same core.

python benchmarks/python_loop.py [--quick]

Blocks of both in turns, the order drawn anew each time (seed 0). Both run inside this very process:
``session.run`` between two ``perf_counter_ns``, and the harness through the extension module, which
lets the interpreter's lock go. Then the same with a second Python thread that computes all the
time: tails are what differs.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from models import python_session, save_medium, save_tiny

from edgeprof.measuring.harness import Settings, measure


def python_block_ns(session, feed, n: int) -> list[int]:
    latencies = []
    for _ in range(n):
        start = time.perf_counter_ns()
        session.run(None, feed)
        latencies.append(time.perf_counter_ns() - start)
    return latencies


def harness_block_ns(model: Path, n: int, cpus: tuple[int, ...]) -> list[int]:
    settings = Settings(
        cpus=cpus, min_samples=n, max_samples=n, min_secs=0, ci_rel=1e-6, max_secs=60
    )
    return measure(model, settings, in_process=True).latency_ns.tolist()


def both_ns(model: Path, blocks: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    session, feed = python_session(model)
    python_block_ns(session, feed, 20)
    cpus = (min(os.sched_getaffinity(0)),)
    rng = random.Random(0)
    ours: list[int] = []
    theirs: list[int] = []
    # This thread alone is pinned; the busy one may run elsewhere, as it would in an application.
    os.sched_setaffinity(0, cpus)
    for _ in range(blocks):
        for is_ours in rng.sample([True, False], 2):
            if is_ours:
                ours += harness_block_ns(model, n, cpus)
            else:
                theirs += python_block_ns(session, feed, n)
    return np.array(ours), np.array(theirs)


def keep_busy(stop: threading.Event) -> None:
    while not stop.is_set():
        sum(range(1000))


def row(name: str, ours: np.ndarray, theirs: np.ndarray) -> str:
    medians = np.median(ours) / 1e3, np.median(theirs) / 1e3
    tails = np.quantile(ours, 0.99) / 1e3, np.quantile(theirs, 0.99) / 1e3
    return (
        f"| {name} | {medians[0]:.1f} | {medians[1]:.1f} | {medians[1] - medians[0]:+.1f}"
        f" ({medians[1] / medians[0] - 1:+.1%}) | {tails[0]:.1f} | {tails[1]:.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer blocks")
    blocks = 5 if parser.parse_args().quick else 30
    allowed = os.sched_getaffinity(0)
    print(f"Python {sys.version.split()[0]}, {blocks} blocks each, seed 0; all times in us\n")
    print("| model | harness median | session.run median | difference | harness p99 | run p99 |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        cases = ((save_tiny(Path(name)), 1000), (save_medium(Path(name)), 20))
        for model, n in cases:
            print(row(model.stem, *both_ns(model, blocks, n)))
        os.sched_setaffinity(0, allowed)
        stop = threading.Event()
        thread = threading.Thread(target=keep_busy, args=(stop,))
        thread.start()
        try:
            for model, n in cases:
                n_busy = max(n // 10, 10)  # each run waits for the lock
                print(row(f"{model.stem}, busy thread", *both_ns(model, blocks, n_busy)))
        finally:
            stop.set()
            thread.join()


if __name__ == "__main__":
    main()
