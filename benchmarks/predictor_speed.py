"""How long one prediction takes: the compact predictor beside what others use.

    python benchmarks/predictor_speed.py

Prints a Markdown table. One core; the best of several rounds, in turn, of the CPU time of the
thread that predicts, so that other load on the machine counts little. Ratios within one run are
what to compare. The predictor has the full size of a shipped one; its parameters are random (seed
printed), which changes no time. Needs a C and a C++ compiler; run it from the repository's root.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from threadpoolctl import threadpool_limits

from edgeprof.networks.spaces import get_space
from edgeprof.predictors.compact.distil import N_ADDITIVE, N_HIDDEN, N_INNER
from edgeprof.predictors.compact.edgp_file import CompactModel, CompactTensors, tensor_shapes
from edgeprof.predictors.compact.predictor import CompactPredictor
from edgeprof.predictors.compact.reader import EdgpPredictor
from edgeprof.predictors.lut.lut_file import Entry, TableSet
from edgeprof.predictors.lut.lut_keys import Grammar, keyed_blocks
from edgeprof.predictors.lut.tables import LookupTables
from edgeprof.predictors.ship.forms import ship
from edgeprof.runs.lut_blocks import blocks_of

SEED = 1
ROUNDS = 7
SPACE = get_space("ofa-mbv3-w1.0")
REPOSITORY = Path(__file__).parent.parent
PAPER_MS = 0.27


def full_size_predictor() -> CompactPredictor:
    rng = np.random.default_rng(SEED)
    shapes = tensor_shapes(SPACE.cardinalities, N_ADDITIVE, N_HIDDEN, N_INNER)
    tensors = CompactTensors(*(rng.normal(size=s).astype(np.float32) for s in shapes))
    return CompactPredictor(CompactModel(SPACE.id, "none", SPACE.cardinalities, 1.0, 40.0, tensors))


def paper_mlp() -> MLPRegressor:
    model = MLPRegressor(hidden_layer_sizes=(400, 400, 400), max_iter=1, random_state=SEED)
    rng = np.random.default_rng(SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(rng.integers(0, 2, (64, 128)).astype(float), rng.random(64))


def lookup_tables() -> LookupTables:
    tables = {
        resolution: {key: Entry(1, 1.0, 0.0) for key in table}
        for resolution, table in blocks_of(SPACE, SPACE.sampled_resolutions).items()
    }
    return LookupTables(TableSet("made", Grammar.OFA, tables, {"space": SPACE.id}))


def onnx_session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def native_times(folder: Path) -> dict[str, float]:
    """Time C++ and C outside Python."""
    program = folder / "predictor_speed"
    csrc = REPOSITORY / "csrc"
    subprocess.run(["cc", "-std=c99", "-O2", "-c", "p.c", "-o", "p.o"], cwd=folder, check=True)
    command = [
        "c++",
        "-std=c++17",
        "-O3",
        f"-I{csrc}",
        f"-I{folder}",
        f"{csrc}/predictor/predictor.cpp",
    ]
    command += [str(REPOSITORY / "benchmarks" / "predictor_speed.cpp"), f"{folder}/p.o"]
    subprocess.run([*command, "-o", str(program)], check=True)
    done = subprocess.run([program, folder / "p.edgp"], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def best_ns(work: dict[str, tuple[int, Callable[[], object]]]) -> dict[str, float]:
    """Time all in turn, several rounds; returns the best time per subnet in ns."""
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        for name, (n_subnets, call) in work.items():
            start = time.thread_time_ns()
            call()
            spent = (time.thread_time_ns() - start) / n_subnets
            best[name] = min(spent, best.get(name, spent))
    return best


def main() -> None:
    rng = np.random.default_rng(SEED)
    codes = SPACE.sample_codes(1_000_000, rng)
    rows = [np.ascontiguousarray(row[np.newaxis]) for row in codes[:2000]]
    some = SPACE.decode(codes[:200])
    encoded = rng.integers(0, 2, (20_000, 128)).astype(np.float64)
    mlp, tables = paper_mlp(), lookup_tables()
    table_of = {r: dict.fromkeys(t, 1.0) for r, t in blocks_of(SPACE, SPACE.resolutions).items()}
    keys = [(s.r, [entry.key for entry in keyed_blocks(SPACE.layers(s))]) for s in some]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        full_size_predictor().save(folder / "p.edgp")
        for form in ("c", "onnx"):
            ship(folder / "p.edgp", form, folder)
        reader = EdgpPredictor((folder / "p.edgp").read_bytes())
        session = onnx_session(folder / "p.onnx")
        native = native_times(folder)
    measured = best_ns(
        {
            "Python, .edgp, batch of 1,000,000": (
                len(codes),
                lambda: reader.predict_codes(codes),
            ),
            "Python, .edgp, one at a time": (
                len(rows),
                lambda: [reader.predict_codes(row) for row in rows],
            ),
            "onnxruntime, exported .onnx, batch of 100,000": (
                100_000,
                lambda: session.run(None, {"codes": codes[:100_000]}),
            ),
            "onnxruntime, exported .onnx, one at a time": (
                len(rows),
                lambda: [session.run(None, {"codes": row}) for row in rows],
            ),
            "scikit-learn MLPRegressor 128-400-400-400-1, batch of 20,000": (
                len(encoded),
                lambda: mlp.predict(encoded),
            ),
            "scikit-learn MLPRegressor, one at a time": (
                200,
                lambda: [mlp.predict(encoded[i : i + 1]) for i in range(200)],
            ),
            "LUT, plain Python sum, keys known": (
                len(keys),
                lambda: [sum(table_of[r][key] for key in listed) for r, listed in keys],
            ),
            "LUT, plain Python sum, keys from the layer list": (
                len(some),
                lambda: tables.predict(some),
            ),
        }
    )
    measured = {
        "C++, .edgp, batch of 100,000": native["cpp_batch_ns"],
        "generated C, one at a time": native["c_single_ns"],
        **measured,
        "the paper's query (as published, another machine)": PAPER_MS * 1e6,
    }
    base = measured["C++, .edgp, batch of 100,000"]
    print(f"\n{reader.memory_bytes} bytes in use by the reader; seed {SEED}; one core\n")
    print("| predictor | ns per subnet | subnets/s | times the C++ batch |")
    print("|---|---:|---:|---:|")
    for label, ns in measured.items():
        print(f"| {label} | {ns:,.0f} | {1e9 / ns:,.0f} | {ns / base:,.1f} |")


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
