"""Search against plain Once-For-All evolution: accuracy at the same budgets, time, violations.

    python benchmarks/search.py [--edgp P.edgp] [--seeds 3] [--runs 1000] [--compact]

Prints Markdown. Data: the Note10 lookup tables and OFA's accuracy predictor of EDGEPROF_DATA
(default ../shared/data). Latencies are sums of table entries, not end-to-end measurements. Without
--edgp one is trained on 700 of rows 0..8499. One thread, as one core is what is promised.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import yaml

from edgeprof import load_predictor
from edgeprof.accuracy import load_accuracy
from edgeprof.accuracy.fitted import compact_accuracy
from edgeprof.networks.spaces import get_space
from edgeprof.predictors.compact.distil import distil
from edgeprof.predictors.compact.predictor import CompactPredictor
from edgeprof.predictors.gp.model import GaussianProcess
from edgeprof.records.dataset import read_dataset
from edgeprof.search import Search, SearchOptions

DATA = Path(os.environ.get("EDGEPROF_DATA", "../shared/data"))
SPACE = get_space("ofa-mbv3-w1.2")
BUDGETS_MS = (15.0, 20.0, 25.0, 30.0, 35.0)
RESOLUTIONS = (160, 176, 192, 208, 224)

# Published with Once-For-All.
POPULATION, GENERATIONS = 100, 500
PARENT_RATIO, MUTATION_RATIO, MUTATION_PROBABILITY = 0.25, 0.5, 0.1


class OfaGenes:
    """Genes as Once-For-All has them: kernel and expand per slot, depth per stage, resolution.

    Genes of slots that the depth leaves out are kept and inherited. Columns: 20 kernels, 20
    expands, 5 depths, 1 resolution, each as an index into its choices.
    """

    N_CHOICES = np.array([3] * 20 + [3] * 20 + [3] * 5 + [len(RESOLUTIONS)])

    @classmethod
    def random(cls, n, rng):
        """Draw every gene."""
        return rng.integers(0, cls.N_CHOICES, size=(n, len(cls.N_CHOICES)))

    @classmethod
    def mutate(cls, parents, rng):
        """Redraw each slot (kernel and expand together), depth and resolution at probability .1."""
        n = len(parents)
        slots = rng.random((n, 20)) < MUTATION_PROBABILITY
        others = rng.random((n, 6)) < MUTATION_PROBABILITY
        redraw = np.concatenate([slots, slots, others], axis=1)
        return np.where(redraw, cls.random(n, rng), parents)

    @staticmethod
    def cross(first, second, rng):
        """Take each gene from either parent."""
        return np.where(rng.random(first.shape) < 0.5, first, second)

    @staticmethod
    def codes(genes):
        """Return the codes of the subnets that the genes describe."""
        kept = np.arange(4)[None, None] < (genes[:, 40:45] + 2)[:, :, None]
        slots = 1 + 3 * genes[:, :20] + genes[:, 20:40]
        resolution = np.array([SPACE.resolutions.index(r) for r in RESOLUTIONS])[genes[:, 45]]
        rows = np.where(kept.reshape(len(genes), 20), slots, 0)
        return np.concatenate([rows, resolution[:, None]], axis=1).astype(np.uint8)


def until_feasible(make, parents, latency, budget_ms):
    """Draw each child anew from its parents until it keeps the budget, as OFA does."""
    children = np.empty_like(parents[0])
    waiting = np.arange(len(children))
    while len(waiting):
        drawn = make(*(rows[waiting] for rows in parents))
        kept = latency.predict_codes(OfaGenes.codes(drawn)) <= budget_ms
        children[waiting[kept]] = drawn[kept]
        waiting = waiting[~kept]
    return children


def ofa_evolution(latency, accuracy, budget_ms, seed):
    """Return the best accuracy after POPULATION x (GENERATIONS + 1) evaluations."""
    rng = np.random.default_rng(seed)
    n_parents, n_mutants = round(PARENT_RATIO * POPULATION), round(MUTATION_RATIO * POPULATION)

    def draw(rows):
        return OfaGenes.random(len(rows), rng)

    empty = np.zeros((POPULATION, len(OfaGenes.N_CHOICES)), dtype=np.int64)
    genes = until_feasible(draw, [empty], latency, budget_ms)
    scores = accuracy.predict_codes(OfaGenes.codes(genes))
    for _ in range(GENERATIONS):
        order = np.argsort(-scores, kind="stable")[:n_parents]
        parents, parent_scores = genes[order], scores[order]
        chosen = parents[rng.integers(n_parents, size=n_mutants)]
        pairs = parents[rng.integers(n_parents, size=(2, POPULATION - n_mutants))]
        children = np.concatenate(
            [
                until_feasible(lambda a: OfaGenes.mutate(a, rng), [chosen], latency, budget_ms),
                until_feasible(
                    lambda a, b: OfaGenes.cross(a, b, rng), list(pairs), latency, budget_ms
                ),
            ]
        )
        genes = np.concatenate([parents, children])
        child_scores = accuracy.predict_codes(OfaGenes.codes(children))
        scores = np.concatenate([parent_scores, child_scores])
    return float(scores.max())


def train_edgp(folder):
    data = read_dataset(
        DATA / "ofanas_2021.csv.gz", device="note10_lut_sum", rows=(0, 8500), n=700, seed=0
    )
    path = Path(folder) / "note10.edgp"
    host = GaussianProcess().fit(data)
    distil(host.predict_codes, SPACE, host.device).save(path)
    return path


def compare(tables, edgp, accuracy, n_seeds):
    print(
        "| budget ms | OFA evolution | guided, LUT | guided, .edgp | "
        "evaluations | latency by the LUT, of the .edgp's winner |"
    )
    print("|---|---|---|---|---|---|")
    sums = np.zeros(3)
    times = dict.fromkeys(("evolution", "LUT", ".edgp"), 0.0)
    seeds = range(n_seeds)
    for budget_ms in BUDGETS_MS:
        started = time.process_time()
        plain = [ofa_evolution(tables, accuracy, budget_ms, seed) for seed in seeds]
        times["evolution"] += (time.process_time() - started) / n_seeds
        found = {}
        for name, source in (("LUT", tables), (".edgp", edgp)):
            started = time.process_time()
            found[name] = [
                Search(SPACE, accuracy, source, options=SearchOptions(seed=seed)).run([budget_ms])[
                    0
                ]
                for seed in seeds
            ]
            times[name] += (time.process_time() - started) / n_seeds
        means = [
            100 * np.mean(plain),
            100 * np.mean([result.accuracy for result in found["LUT"]]),
            100 * np.mean([result.accuracy for result in found[".edgp"]]),
        ]
        sums += means
        evaluations = np.mean([r.evaluations for r in found["LUT"] + found[".edgp"]])
        by_lut = tables.predict([r.subnet for r in found[".edgp"]]).max()
        print(
            f"| {budget_ms:g} | {means[0]:.2f} | {means[1]:.2f} | {means[2]:.2f} | "
            f"{evaluations:,.0f} | {by_lut:.3f} |"
        )
    mean = sums / len(BUDGETS_MS)
    print(f"| mean | {mean[0]:.2f} | {mean[1]:.2f} | {mean[2]:.2f} | | |")
    print(
        f"\nPredicted top-1 in %, mean of {n_seeds} seeds; OFA evolution: "
        f"{POPULATION * (GENERATIONS + 1):,} evaluations per budget. Gain over it: "
        f"{mean[1] - mean[0]:+.2f} points with the LUT, {mean[2] - mean[0]:+.2f} with the .edgp. "
        f"CPU seconds for all five budgets: "
        + ", ".join(f"{name} {seconds:.1f}" for name, seconds in times.items())
        + "."
    )


def compare_compact_accuracy(tables, accuracy, folder):
    """Print what searching with the distilled accuracy model costs and saves."""
    path = Path(folder) / "accuracy.edgp"
    report = compact_accuracy(accuracy, SPACE, path)
    compact = load_accuracy(path, SPACE)
    rows = SPACE.sample_codes(20_000, np.random.default_rng(0), RESOLUTIONS)
    rates, seconds, reached = [], [], []
    for model in (accuracy, compact):
        started = time.process_time()
        model.predict_codes(rows)
        rates.append(len(rows) / (time.process_time() - started))
        started = time.process_time()
        results = Search(SPACE, model, tables).run(BUDGETS_MS)
        seconds.append(time.process_time() - started)
        codes = SPACE.encode([result.subnet for result in results])
        reached.append(100 * accuracy.predict_codes(codes).mean())  # by the original, both
    print(
        f"\nOFA's accuracy predictor made compact ({report.file_bytes:,} bytes, root mean square "
        f"difference {100 * report.rmse:.2f} points): {rates[0]:,.0f} and {rates[1]:,.0f} subnets "
        f"a second; five budgets in {seconds[0]:.1f} and {seconds[1]:.1f} CPU seconds; mean top-1 "
        f"of the winners by the original {reached[0]:.2f} and {reached[1]:.2f} %."
    )


# --- violations: checked by arithmetic of its own -------------------------------------------------

STAGES = (  # output channels, stride, squeeze-and-excitation, h-swish; width 1.2
    (32, 2, 0, 0),
    (48, 2, 1, 0),
    (96, 2, 0, 1),
    (136, 1, 1, 1),
    (192, 2, 1, 1),
)


class TableSum:
    """The plain sum of the entries of a subnet's blocks, from the YAML files; shares no code."""

    def __init__(self, folder):
        self._tables = {
            int(path.name.split("_")[0]): yaml.safe_load(path.read_text())
            for path in folder.glob("*_lookup_table.yaml")
        }

    def __call__(self, subnet):
        """Return ms of a subnet as its JSON says."""
        r = subnet["r"]
        table = self._tables[r]
        return sum(table[key]["mean"] for key in self._keys(subnet, r))

    @staticmethod
    def _keys(subnet, r):
        h, c = (r + 1) // 2, 24
        yield f"Conv-input:{r}x{r}x3-output:{h}x{h}x{c}"
        yield TableSum._block(h, c, h, c, 24, 3, 1, 0, 0)
        for stage, (channels, first_stride, se, hs) in enumerate(STAGES):
            for i in range(subnet["d"][stage]):
                stride = first_stride if i == 0 else 1
                mid = TableSum._divisible(c * subnet["e"][4 * stage + i])
                out = (h - 1) // stride + 1
                kernel = subnet["ks"][4 * stage + i]
                yield TableSum._block(h, c, out, channels, mid, kernel, stride, se, hs)
                h, c = out, channels
        yield f"Conv_1-input:{h}x{h}x{c}-output:{h}x{h}x1152"
        yield f"AvgPool2D-input:{h}x{h}x1152-output:1x1x1152"
        yield "Conv_2-input:1x1x1152-output:1x1x1536"
        yield "Logits-input:1x1x1536-output:1000"

    @staticmethod
    def _block(h, c, out, channels, mid, kernel, stride, se, hs):
        skip = int(stride == 1 and c == channels)
        return (
            f"expanded_conv-input:{h}x{h}x{c}-output:{out}x{out}x{channels}-expand:{mid}-"
            f"kernel:{kernel}-stride:{stride}-idskip:{skip}-se:{se}-hs:{hs}"
        )

    @staticmethod
    def _divisible(value):
        rounded = max(8, int(value + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * value else rounded


def small_searches(tables, edgp, accuracy, n_runs):
    """Yield (name of the source, budget, result) of many small searches, guided and evolution."""
    for seed in range(n_runs):
        name, source = (("LUT", tables), (".edgp", edgp))[seed % 2]
        budget_ms = 10.5 + 25 * (seed % 97) / 97
        options = (
            SearchOptions(method="evolution", population=10, generations=5, seed=seed)
            if seed // 2 % 2
            else SearchOptions(population=10, max_evaluations=4000, seed=seed)
        )
        (result,) = Search(SPACE, accuracy, source, options=options).run([budget_ms])
        yield name, budget_ms, result


def count_violations(tables, edgp, accuracy, n_runs):
    """Return the broken budgets and the guided runs among small searches, checked by other code.

    That is the plain sum of entries for the tables, and the reader in Python for the ``.edgp``.
    """
    sum_of_entries = TableSum(DATA / "note10_lut")
    reference = CompactPredictor(edgp.model)
    violations = n_guided = 0
    for name, budget_ms, result in small_searches(tables, edgp, accuracy, n_runs):
        found = json.loads(json.dumps(result.to_dict()))
        if name == "LUT":
            latency_ms = sum_of_entries(found["subnet"])
        else:
            latency_ms = reference.predict([result.subnet])[0]
        # The sums add the same numbers in another order, the readers round in float32.
        violations += bool(latency_ms > budget_ms * (1 + 1e-6))
        n_guided += "climbs" in found["stages"]
    return violations, n_guided


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--edgp", type=Path, help="predictor of note10_lut_sum")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--compact", action="store_true", help="also the distilled accuracy model")
    parser.add_argument("--runs", type=int, default=1000, help="small searches to check")
    arguments = parser.parse_args()
    if not (DATA / "note10_lut").is_dir():
        sys.exit(f"{DATA}: no note10_lut there; set EDGEPROF_DATA")
    tables = load_predictor(DATA / "note10_lut", space=SPACE.id)
    accuracy = load_accuracy(DATA / "ofa_acc_predictor.npz", SPACE)
    with tempfile.TemporaryDirectory() as folder:
        edgp = load_predictor(arguments.edgp or train_edgp(folder))
        if arguments.compact:
            compare_compact_accuracy(tables, accuracy, folder)
    compare(tables, edgp, accuracy, arguments.seeds)
    violations, n_guided = count_violations(tables, edgp, accuracy, arguments.runs)
    print(
        f"\nBudgets broken in {arguments.runs} small searches ({n_guided} guided, half with the "
        f"LUT, half with the .edgp; checked by code of their own): {violations}."
    )


if __name__ == "__main__":
    main()
