"""How far the reported latency spreads from one process to the next, by policy.

python benchmarks/spread.py [--processes N] [--quick] [--burner] [--only-same-time]

Each value comes from a fresh process; the policies take turns in an order drawn anew each round
(seed 0). With ``--burner``, that of ``burner.py`` runs beside each, drawn anew each round and the
same for all policies of a round. Two tables:

- the same wall time for all (5 s): those that take a duration (onnxruntime_perf_test, edgeprof) are
  given it, the others are repeated until the time is over, and their results averaged;
- each policy once, at its own default length.

Policies: a plain Python loop (5 warm-ups, mean of 50 runs); the policy of LiteRT's benchmark tool
(warm-up >= 0.5 s, then mean of >= 50 runs and >= 1 s); that of onnxruntime_perf_test (1 warm-up,
mean of all runs); edgeprof (its median, default settings; refused runs are told and done again).
The first three time ``session.run`` in Python, which costs a medium model 1 to 2 % and is the same
for all three.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from burner import Burner
from models import python_session, save_medium

SEED = 0
LOADING_S = 0.3  # of the time, for what comes before the first inference


def timed_ns(session, feed) -> int:
    start = time.perf_counter_ns()
    session.run(None, feed)
    return time.perf_counter_ns() - start


def python_loop(session, feed, deadline: float) -> float:  # noqa: ARG001 - one signature for all
    for _ in range(5):
        session.run(None, feed)
    return float(np.mean([timed_ns(session, feed) for _ in range(50)]))


def litert_policy(session, feed, deadline: float) -> float:  # noqa: ARG001
    start = time.perf_counter()
    while time.perf_counter() - start < 0.5:
        session.run(None, feed)
    latencies = []
    start = time.perf_counter()
    while len(latencies) < 50 or time.perf_counter() - start < 1.0:
        latencies.append(timed_ns(session, feed))
    return float(np.mean(latencies))


def perf_test_policy(session, feed, deadline: float) -> float:
    session.run(None, feed)
    latencies = [timed_ns(session, feed)]
    while time.perf_counter() < deadline:
        latencies.append(timed_ns(session, feed))
    return float(np.mean(latencies))


IN_PYTHON: dict[str, Callable[..., float]] = {
    "Python loop": python_loop,
    "LiteRT policy": litert_policy,
    "perf_test policy": perf_test_policy,
}


def one_value_ns(policy: str, model: Path, budget_s: float) -> float:
    """In the fresh process: repeat the policy while time is left (at least once), average."""
    deadline = time.perf_counter() + budget_s
    values: list[float] = []
    if policy == "edgeprof":
        from edgeprof.measuring.harness import measure

        secs = budget_s - LOADING_S
        bounds = {"min_secs": secs, "max_secs": secs} if budget_s else {}
        values.append(measure(model, **bounds).latency_median_ns)
    else:
        session, feed = python_session(model)
        while not values or time.perf_counter() < deadline:
            values.append(IN_PYTHON[policy](session, feed, deadline))
    return float(np.mean(values))


def spread_table(
    model: Path, policies: list[str], rounds: int, budget_s: float, *, burns: bool
) -> None:
    rng = random.Random(SEED)
    values: dict[str, list[float]] = {policy: [] for policy in policies}
    seconds = dict.fromkeys(policies, 0.0)
    for number in range(rounds):
        for policy in rng.sample(policies, len(policies)):
            command = [sys.executable, __file__, "--worker", policy, str(model), str(budget_s)]
            with Burner(number) if burns else nullcontext():
                start = time.perf_counter()
                values[policy].append(in_fresh_process(command))
                seconds[policy] += (time.perf_counter() - start) / rounds
    cv = {p: float(np.std(v, ddof=1) / np.mean(v)) for p, v in values.items()}
    best = min(cv[p] for p in policies if p != "edgeprof")
    print("| policy | mean, ms | coefficient of variation | against the best other | s each |")
    print("|---|---|---|---|---|")
    for policy in policies:
        mean_ms = np.mean(values[policy]) / 1e6
        ratio = f"{cv[policy] / best:.2f} x"
        print(f"| {policy} | {mean_ms:.3f} | {cv[policy]:.2%} | {ratio} | {seconds[policy]:.1f} |")


def in_fresh_process(command: list[str]) -> float:
    while (done := subprocess.run(command, capture_output=True, text=True)).returncode:
        if "UnsteadyMeasurement" not in done.stderr:
            raise SystemExit(done.stderr)
        print("refused:", done.stderr.splitlines()[-1])
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=20, help="fresh ones per policy")
    parser.add_argument("--quick", action="store_true", help="5 processes and 2 s instead of 20, 5")
    parser.add_argument("--burner", action="store_true", help="with other work on the machine")
    parser.add_argument("--only-same-time", action="store_true", help="the first table alone")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        policy, model, budget_s = arguments.worker
        print(one_value_ns(policy, Path(model), float(budget_s)))
        return
    rounds, budget_s = (5, 2.0) if arguments.quick else (arguments.processes, 5.0)
    policies = [*IN_PYTHON, "edgeprof"]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["EDGEPROF_CACHE"] = folder
        model = save_medium(Path(folder))
        print(f"{rounds} fresh processes per policy, interleaved, seed {SEED}\n")
        print(f"The same {budget_s:g} s for each:\n")
        spread_table(model, policies, rounds, budget_s, burns=arguments.burner)
        if arguments.only_same_time:
            return
        # onnxruntime_perf_test has no length of its own worth waiting for (600 s).
        print("\nEach at its own default length:\n")
        own = ["Python loop", "LiteRT policy", "edgeprof"]
        spread_table(model, own, rounds, 0.0, burns=arguments.burner)


if __name__ == "__main__":
    main()
