"""Other work on the machine, drawn from a seed, so that two policies can meet the same kind of it.

python benchmarks/burner.py [--seed N] [--seconds S]

Stretches of .5 to 10 s of work take turns with rests of the same kind. A stretch is on one core or
on all of them, and is bound by arithmetic (small matrix products) or by memory (copies beyond
every cache). ``with Burner(seed):`` burns for as long as the block runs.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

SHORTEST_S, LONGEST_S = 0.5, 10.0
MATRIX_SIZE = 192
COPIED_BYTES = 64 * 2**20


class Stretch(NamedTuple):
    """Some seconds in which the cores do one kind of work, or none where ``cores`` is empty."""

    seconds: float
    cores: tuple[int, ...]
    is_memory: bool


def stretches(seed: int, cores: Sequence[int]) -> Iterator[Stretch]:
    """Yield what a seed stands for, without end."""
    rng = random.Random(seed)
    while True:
        chosen = tuple(cores) if rng.random() < 0.5 else (rng.choice(cores),)
        yield Stretch(rng.uniform(SHORTEST_S, LONGEST_S), chosen, rng.random() < 0.5)
        yield Stretch(rng.uniform(SHORTEST_S, LONGEST_S), (), False)


class Burner:
    """A context manager: one burning process per core while the block runs.

    Args:
        seed: of the stretches.
        cores: those that may burn; all that this process may use by default.
    """

    def __init__(self, seed: int = 0, cores: Sequence[int] | None = None) -> None:
        self._seed = seed
        self._cores = sorted(os.sched_getaffinity(0)) if cores is None else list(cores)
        self._workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Burner:
        start_s = time.monotonic() + 0.5  # all workers are up by then
        names = ",".join(map(str, self._cores))
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        for core in self._cores:
            what = [str(self._seed), names, str(core), str(start_s), str(os.getpid())]
            command = [sys.executable, __file__, "--worker", *what]
            self._workers.append(subprocess.Popen(command, env=environment))
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.kill()
            worker.wait()


def _work(seed: int, cores: Sequence[int], core: int, start_s: float, parent: int) -> None:
    """Do one core's part of the stretches until the parent has gone."""
    import numpy as np

    os.sched_setaffinity(0, {core})
    matrix = np.random.default_rng(seed).standard_normal((MATRIX_SIZE, MATRIX_SIZE))
    source = np.ones(COPIED_BYTES // 8)
    target = np.empty_like(source)
    end_s = start_s
    for stretch in stretches(seed, cores):
        end_s += stretch.seconds
        while (left_s := end_s - time.monotonic()) > 0:
            if os.getppid() != parent:
                return
            if core not in stretch.cores:
                time.sleep(min(left_s, 0.05))
            elif stretch.is_memory:
                np.copyto(target, source)
            else:
                np.dot(matrix, matrix)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to burn")
    parser.add_argument("--worker", nargs=5, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        seed, cores, core, start_s, parent = arguments.worker
        _work(int(seed), [int(c) for c in cores.split(",")], int(core), float(start_s), int(parent))
        return
    with Burner(arguments.seed):
        time.sleep(arguments.seconds)


if __name__ == "__main__":
    main()
