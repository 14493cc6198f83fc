"""How often does the gate call an unchanged model slower, and how often does it find a slow-down?

python benchmarks/gate.py [--runs N] [--seconds S] [--no-burner] [--references]

Each run measures a model against itself, and against the same model with 5 % more layers, beside
the burner of ``burner.py``. Wanted: at most 1 false alarm in 200, and 95 % of the slow-downs found
in 60 s. ``--references`` takes the baseline's model away, so that the reference models link the
two. 200 runs of 60 s take seven hours.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from contextlib import nullcontext
from pathlib import Path

from burner import Burner
from models import save_conv_net

from edgeprof.runs.gate import Decision, gate, make_baseline

LAYERS, MORE_LAYERS = 40, 42


def wilson(found: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share."""
    z = 1.96
    middle = (found + z * z / 2) / (n + z * z)
    half = z * (found * (n - found) / n + z * z / 4) ** 0.5 / (n + z * z)
    return middle - half, middle + half


def row(what: str, found: int, n: int, wanted: str) -> None:
    low, high = wilson(found, n)
    print(f"| {what} | {found} of {n} | {low:.1%} to {high:.1%} | {wanted} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20, help="of each kind")
    parser.add_argument("--seconds", type=float, default=60.0, help="of a run")
    parser.add_argument("--no-burner", action="store_true", help="leave the machine as it is")
    parser.add_argument("--references", action="store_true", help="without the baseline's model")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before = save_conv_net(folder / "before.onnx", 16, 48, LAYERS)
        same = save_conv_net(folder / "same.onnx", 16, 48, LAYERS)
        slower = save_conv_net(folder / "slower.onnx", 16, 48, MORE_LAYERS)
        file = folder / "baseline.json"
        make_baseline(file, before, seconds=arguments.seconds)
        if arguments.references:
            before.unlink()

        def decide(model: Path, seed: int) -> Decision:
            with nullcontext() if arguments.no_burner else Burner(seed):
                return gate(file, model, seconds=arguments.seconds)

        alarms = found = unclear = 0
        for run in range(arguments.runs):
            first, second = decide(same, 2 * run), decide(slower, 2 * run + 1)
            alarms += first.is_slower
            found += second.is_slower
            unclear += first.is_unclear + second.is_unclear
    print("| | found | 95 % interval | wanted |\n|---|---|---|---|")
    row("false alarms", alarms, arguments.runs, "0.5 % at most")
    row("slow-downs of 5 % found", found, arguments.runs, "95 % at least")
    row("too busy to tell", unclear, 2 * arguments.runs, "")


if __name__ == "__main__":
    main()
