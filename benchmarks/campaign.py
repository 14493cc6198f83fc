"""Do the numbers of a campaign hold on a machine that wanders?

python benchmarks/campaign.py [--only ROW] [--quick] [--models FOLDER] [--program HARNESS]

Prints a table per row, each with its bar ("must") and its aim. ``--only`` runs one of them; each
takes five to eight minutes, a fifth of it with ``--quick``. Policies take turns in an order drawn
anew each time (seed 0); the burner is that of ``burner.py``.

    ratios      spread of 24 subnets' ratios between repeats, against contiguous passes
    burner      the same beside the burner, and the spread of milliseconds at reference speed
    bias        a subnet in turns against the same subnet alone, both on a calm machine
    coverage    do 95 % intervals of a model against itself, under two names, hold 1?
    difference  is 2 % more work found in 60 s beside the burner?
    share       how much of the wall time is in timed inferences?
    store       how large is a store of 1,000 subnets, how long does its export take?
"""

from __future__ import annotations

import argparse
import math
import os
import random
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from burner import Burner
from campaign_runs import Campaign, Models, contiguous_passes, export_models, run_campaign
from models import save_conv_net

from edgeprof.measuring.estimate import ItemEstimate, ratio_half_width
from edgeprof.measuring.harness import PROGRAM
from edgeprof.networks.spaces import get_space
from edgeprof.records.dataset_export import export_dataset
from edgeprof.records.store import Store

SEED = 0
SECONDS_EACH = 1.5
N_BESIDE = 5
"""Models that take turns with one, where it is compared with itself alone."""

SAME_SPEED = 0.02
"""A machine whose speed (log) changed by less was calm."""


@dataclass(frozen=True)
class Options:
    """Where models are kept, which program runs, and whether it is to be short."""

    folder: Path
    program: Path
    is_quick: bool

    def models(self, count: int, resolution: int | None = None) -> Models:
        """Subnets of the space."""
        return export_models(self.folder / f"subnets-{resolution}", count, resolution)

    def campaign(self, models: Models, seconds: float, seed: int = 0, **fields: object) -> Campaign:
        """Run one."""
        return run_campaign(models, seconds, seed=seed, program=self.program, **fields)


def row(what: str, value: str, must: str, aim: str) -> None:
    print(f"| {what} | **{value}** | {must} | {aim} |", flush=True)


def spread_of_ratios(repeats: list[np.ndarray]) -> float:
    """Mean over models of the spread between repeats, common level taken out."""
    values = np.array([repeat - repeat.mean() for repeat in repeats])
    return float(values.std(axis=0, ddof=1).mean())


def compare_policies(options: Options, burner: Callable[[int], AbstractContextManager[object]]):
    """Return log ms per repeat of both policies, in turns."""
    models = options.models(8 if options.is_quick else 24)
    names = list(models)
    rng = random.Random(SEED)
    found: dict[str, list[np.ndarray]] = {"contiguous": [], "campaign": []}
    for repeat in range(3 if options.is_quick else 5):
        for policy in rng.sample(list(found), 2):
            with burner(repeat):
                if policy == "contiguous":
                    found[policy].append(contiguous_passes(models, SECONDS_EACH))
                else:
                    done = options.campaign(models, SECONDS_EACH * len(models), repeat)
                    found[policy].append(done.log_latency(names))
    return found


def ratios(options: Options) -> None:
    found = compare_policies(options, lambda _: nullcontext())
    passes, turns = (spread_of_ratios(found[name]) for name in ("contiguous", "campaign"))
    row("spread of ratios, contiguous passes", f"{passes:.2%}", "", "")
    row("spread of ratios, campaign", f"{turns:.2%}", f"{passes / 5:.2%}", f"{passes / 10:.2%}")


def burner(options: Options) -> None:
    found = compare_policies(options, Burner)
    passes, turns = (spread_of_ratios(found[name]) for name in ("contiguous", "campaign"))
    level = float(np.array(found["campaign"]).std(axis=0, ddof=1).mean())
    row("spread of ratios beside the burner, contiguous passes", f"{passes:.2%}", "", "")
    row("spread of ratios beside the burner, campaign", f"{turns:.2%}", "2 %", ".8 %")
    row("spread of ms at reference speed beside the burner", f"{level:.2%}", "3 %", "1 %")


def bias(options: Options) -> None:
    """Each subnet alone, in turns with others, and alone again, within seconds.

    Calm stretches only: it counts where it was as fast alone after as before.
    """
    models = options.models(6 if options.is_quick else 24)
    rng = random.Random(SEED)
    tries = [name for _ in range(1 if options.is_quick else 2) for name in models]
    found = []
    for name in rng.sample(tries, len(tries)):
        others = rng.sample([other for other in models if other != name], N_BESIDE)
        group = {chosen: models[chosen] for chosen in [name, *others]}
        before = log_alone(options, models, name)
        seconds = SECONDS_EACH / 2 * len(group)
        together = log_median(options.campaign(group, seconds, processes=1), name)
        after = log_alone(options, models, name)
        if abs(after - before) < SAME_SPEED:
            found.append(together - (before + after) / 2)
    calm = f"{len(found)} of {len(tries)} times"
    error = np.std(found, ddof=1) / math.sqrt(len(found))
    row(f"bias in turns against alone, mean, {calm}", f"{np.mean(found):+.2%}", "1.5 %", ".5 %")
    row("its standard error", f"{error:.2%}", "", "")


def log_alone(options: Options, models: Models, name: str) -> float:
    """Log ns of a model that nothing takes turns with."""
    alone = {name: models[name]}
    done = options.campaign(alone, SECONDS_EACH / 2, processes=1, references=False)
    return log_median(done, name)


def log_median(done: Campaign, name: str) -> float:
    """Log ns as timed, at whatever speed the machine had."""
    return math.log(np.median(done.records[name]["samples"]["latency_ns"]))


def coverage(options: Options) -> None:
    """Small models, each under three names, so that a campaign gives many pairs."""
    models = options.models(12, resolution=128)
    named = {f"{name}-{k}": path for name, path in models.items() for k in range(3)}
    pairs = {
        (f"{name}-{one}", f"{name}-{other}")
        for name in models
        for one, other in combinations(range(3), 2)
    }
    for title, around in (("as it is", lambda _: nullcontext()), ("burner", Burner)):
        held: list[bool] = []
        widths: list[float] = []
        for repeat in range(2 if options.is_quick else 7):
            with around(repeat):
                found = options.campaign(named, 20.0, repeat).estimate()
            for one, other in sorted(pairs):
                held_one, half = holds_one(found.items[one], found.items[other])
                held.append(held_one)
                widths.append(half)
        title = f"95 % intervals hold, {len(held)} pairs, {title}"
        row(title, f"{np.mean(held):.1%}", "92 to 98 %", "94 to 96 %")
        row("their half width", f"{np.median(widths):.2%}", "", "")


def holds_one(one: ItemEstimate, other: ItemEstimate) -> tuple[bool, float]:
    """Whether the interval of a ratio holds 1, and its half width."""
    half = ratio_half_width(one, other)
    return abs(math.log(one.latency_ns / other.latency_ns)) <= half, half


def difference(options: Options) -> None:
    """One and the same layer 50 and 51 times: 2 % more multiplications of one kind.

    Six processes of 10 s: two models in three processes cannot tell luck from difference.
    """
    models = {
        f"layers{n}": save_conv_net(options.folder / f"layers{n}.onnx", 16, 48, n) for n in (50, 51)
    }
    found, widths = 0, []
    runs = 2 if options.is_quick else 7
    for run in range(runs):
        with Burner(run):
            items = options.campaign(models, 60.0, run, processes=6).estimate().items
        less, more = items["layers50"], items["layers51"]
        holds, half = holds_one(more, less)
        found += not holds and more.latency_ns > less.latency_ns
        widths.append(half)
    row(
        f"2 % more work found beside the burner, {runs} runs", f"{found / runs:.0%}", "95 %", "99 %"
    )
    row("half width of the ratio's interval", f"{np.median(widths):.2%}", "", "")


def share(options: Options) -> None:
    models = options.models(12 if options.is_quick else 48)
    done = options.campaign(models, SECONDS_EACH * len(models), 0)
    timed_s = sum(sum(r["samples"]["latency_ns"]) for r in done.records.values()) / 1e9
    row("share of wall time in timed inferences", f"{timed_s / done.wall_s:.0%}", "45 %", "60 %")


def store(options: Options) -> None:
    """The records of a campaign of 24 subnets, under the names of 1,000."""
    models = options.models(24)
    done = options.campaign(models, SECONDS_EACH * len(models), 0)
    own = [record for name, record in done.records.items() if name in models]
    others = {name: record for name, record in done.records.items() if name not in models}
    subnets = get_space("ofa-mbv3-w1.0").sample(1000, np.random.default_rng(2))
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "run.db") as opened:
        for n, subnet in enumerate(subnets):
            batch = f"batch{n // len(own)}"
            marked = in_campaign(own[n % len(own)], batch)
            opened.append(marked, job_key=str(n), device="here", subnet=subnet)
            if n % len(own) == 0:
                for name, record in others.items():
                    key = f"{name}@{batch}"
                    opened.append(in_campaign(record, batch), job_key=key, device="here")
        size = sum(path.stat().st_size for path in Path(folder).glob("run.db*"))
        start = time.perf_counter()
        export_dataset(opened, Path(folder) / "data.csv", include_poor=True)
        seconds = time.perf_counter() - start
    row("raw store of 1,000 subnets", f"{size / 1e6:.0f} MB", "100 MB", "")
    row("its export", f"{seconds:.1f} s", "10 s", "")


def in_campaign(record, batch: str) -> dict:
    return {**record, "campaign": {**record["campaign"], "id": batch}}


ROWS = {f.__name__: f for f in (ratios, burner, bias, coverage, difference, share, store)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=ROWS, action="append", help="this row; may be repeated")
    parser.add_argument("--quick", action="store_true", help="fewer models and repeats")
    parser.add_argument("--models", type=Path, help="folder that keeps the exported models")
    parser.add_argument("--program", type=Path, default=PROGRAM, help="the board program")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.models or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        options = Options(folder, arguments.program, arguments.quick)
        print("| | found | must | aim |\n|---|---|---|---|")
        for name in arguments.only or ROWS:
            ROWS[name](options)


if __name__ == "__main__":
    main()
