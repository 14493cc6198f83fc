"""Networks of others, predicted from the suites alone, on the machine that this runs on.

    python benchmarks/here.py WORK MODEL...
    python benchmarks/here.py /tmp/here zoo 'zoo/det.onnx@x=1,3,640,640'

The suites of layers and of networks are measured in one campaign and a predictor is trained on
them. Then the models are predicted, and measured in another campaign. MODEL is an ONNX file, with
the shapes of its inputs after ``@`` where it leaves some open, or a folder: all ONNX files in it
whose first dimensions alone are open. What is in the store WORK/here.db is not measured again.

Milliseconds hold at the machine's reference speed, which all its campaigns tell together. Where the
second campaign moves it, all suite models move by one factor; errors are given as predicted before
it, and with that factor.

``--share 10`` takes every tenth model of the suites: a look at whether all of it works, no result.
It takes about 20 minutes with all of them, and wants a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from edgeprof.base.errors import EdgeprofError
from edgeprof.networks import read_network
from edgeprof.networks.layers import Network
from edgeprof.networks.suites import SUITES, suite_models
from edgeprof.predictors.layers.model import LayerCosts
from edgeprof.predictors.layers.training import train_networks
from edgeprof.records.dataset_export import export_dataset
from edgeprof.records.evidence import DeviceEvidence
from edgeprof.records.network_rows import read_network_rows
from edgeprof.records.store import Store
from edgeprof.runs.files import FileWorkload
from edgeprof.runs.settings import ProfileSettings
from edgeprof.runs.start import measure_here
from edgeprof.runs.suites import SuiteWorkload
from edgeprof.runs.view import shown, summary_lines
from edgeprof.runs.workload import Workload

DEVICE = "here"


def main() -> None:
    """Measure the suites, predict the models, measure the models, compare."""
    arguments = _arguments()
    settings = ProfileSettings(
        threads=arguments.threads, cpus=tuple(arguments.cpus), max_secs=arguments.secs
    )
    arguments.work.mkdir(parents=True, exist_ok=True)
    networks = dict(_readable(_fixed(arguments.models, arguments.work / "fixed")))
    with Store(arguments.work / "here.db") as store:
        model = _learned(store, arguments.work, settings, arguments.share)
        predicted = np.array(model.predict_networks(list(networks.values())))
        before = _latencies_ms(store)
        settings = replace(settings, max_secs=5 * arguments.secs)
        _measure(FileWorkload(list(networks), store, settings))
        measured = _latencies_ms(store)
    of_suites = [path for path in before if path.parent == arguments.work / "suites"]
    level = np.median([measured[path][0] / before[path][0] for path in of_suites])
    print("as predicted before:")
    _compare(list(networks), predicted, measured)
    print(f"with the reference speed of both campaigns, x {level:.3f}:")
    _compare(list(networks), level * predicted, measured)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("work", type=Path, help="folder of the store and of the models")
    parser.add_argument("models", nargs="+", metavar="MODEL", help="ONNX files and folders of them")
    parser.add_argument("--share", type=int, default=1, help="take every so manieth suite model")
    parser.add_argument("--secs", type=float, default=1.5, help="seconds for each suite model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cpus", type=int, nargs="*", default=[])
    return parser.parse_args()


def _fixed(texts: Sequence[str], folder: Path) -> Iterator[Path]:
    """Yield the models, those with open shapes as copies in which they are fixed."""
    folder.mkdir(exist_ok=True)
    for text in texts:
        name, *given = text.split("@")
        shapes = {
            key: [int(size) for size in sizes.split(",")]
            for key, sizes in (shape.rsplit("=", 1) for shape in given)
        }
        found = sorted(Path(name).rglob("*.onnx")) if Path(name).is_dir() else [Path(name)]
        for path in found:
            model = onnx.load(str(path))
            if _fix(model, shapes):
                copy = folder / f"{path.parent.name}-{path.name}"
                onnx.save(model, str(copy))
                yield copy
            else:
                print(f"{path}: its inputs are open; give their shapes: {path}@NAME=1,3,224,224")


def _fix(model: onnx.ModelProto, shapes: dict[str, list[int]]) -> bool:
    """Fix the inputs' shapes; tell whether all of them are known now."""
    constants = {tensor.name for tensor in model.graph.initializer}
    for value in model.graph.input:
        dims = value.type.tensor_type.shape.dim
        sizes = shapes.get(value.name, [])
        for index, dim in enumerate(dims):
            if value.name in constants or dim.dim_value > 0:
                continue
            if not sizes and index > 0:
                return False
            dim.dim_value = sizes[index] if sizes else 1
    return True


def _readable(paths: Iterator[Path]) -> Iterator[tuple[Path, Network]]:
    for path in paths:
        try:
            yield path, read_network(path)
        except EdgeprofError as error:  # noqa: PERF203 - each model has its own
            print(f"left out: {error}")


def _learned(store: Store, work: Path, settings: ProfileSettings, share: int) -> LayerCosts:
    """Measure the suites and learn from them."""
    models = [model for suite in SUITES for model in suite_models(suite)][::share]
    suites = work / "suites"
    _measure(SuiteWorkload(models, store, settings, suites))
    export_dataset(store, work / "here.csv", device=DEVICE)
    _keep_rows_of(suites, work / "here.csv")
    rows = read_network_rows(work / "here.csv", device=DEVICE)
    done = train_networks(rows, work / "here.host.npz")
    if done.cross_validated is not None:
        print(f"{len(rows)} suite models, cross-validated MAPE {done.cross_validated.mape:.1%}")
    return done.model


def _keep_rows_of(folder: Path, table: Path) -> None:
    """Remove the rows of other models: an earlier run may have measured what is to be predicted."""
    with table.open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if Path(row["model"]).parent == folder]
    with table.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _measure(workload: Workload[Path]) -> None:
    with shown() as listener:
        summary = measure_here(workload, DEVICE, listener=listener)
    print("\n".join(summary_lines(summary)))


def _latencies_ms(store: Store) -> dict[Path, tuple[float, float]]:
    """Return latency and relative standard error of each model that was measured."""
    evidence = DeviceEvidence.read(store, DEVICE)
    found = {}
    for measurement in store.measurements(DEVICE):
        of_model = evidence.of(measurement)
        path = Path(measurement.record["model"]["path"])
        found[path] = of_model.latency_ns / 1e6, of_model.se_rel
    return found


def _compare(
    paths: Sequence[Path], predicted: np.ndarray, measured: dict[Path, tuple[float, float]]
) -> None:
    """Print a line for each model, and the error over all."""
    heads = f"{'measured':>10} {'+-':>6} {'predicted':>10} {'90 % interval':>21} {'error':>8}"
    print(f"{'model':40} {heads}")
    errors, held = [], []
    for path, (mean, low, high) in zip(paths, predicted.T, strict=True):
        if path not in measured:
            print(f"{path.stem:40.40} failed")
            continue
        latency_ms, se_rel = measured[path]
        errors.append(mean / latency_ms - 1)
        held.append(low <= latency_ms <= high)
        interval = f"{low:.4g} .. {high:.4g}"
        mark = "" if held[-1] else "  outside"
        print(
            f"{path.stem:40.40} {latency_ms:10.4g} {1.96 * se_rel:6.1%} {mean:10.4g} "
            f"{interval:>21} {errors[-1]:+8.1%}{mark}"
        )
    size = np.abs(errors)
    print(
        f"{len(errors)} networks: MAPE {size.mean():.1%}, median {np.median(size):.1%}, largest "
        f"{size.max():.1%}; {sum(held)} within their intervals"
    )


if __name__ == "__main__":
    main()
