"""How accurately networks are predicted from networks, CNNs on phones and timm on a Jetson Nano.

Prints a Markdown table. Data below EDGEPROF_DATA (default ../shared/data): phones_tflite.csv.gz and
phones_layers.csv.gz (one large core, float), nano_timm.csv.gz and timm_graphs.tar.xz. Every setting
of the model is a constant of edgeprof.predictors.layers; nothing is chosen here. Each draw splits
the networks at random, or takes whole families until there are enough; the other networks (of the
other families) are predicted. Families of phones are the letters that a model's name starts with
(mobilenetv2 and mobilenetv3 are one), those of timm stand in the table.
"""

from __future__ import annotations

import argparse
import ast
import csv
import gzip
import os
import re
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeprof.networks import read_network
from edgeprof.networks.work import Kind, NetworkLayer
from edgeprof.predictors.layers.model import LayerCosts

DATA = Path(os.environ.get("EDGEPROF_DATA", "../shared/data"))
PHONES = ("iphone7", "iphonexs", "mi8se", "pixel4", "s10")
KIND_OF = {
    "CONCATENATION": Kind.MOVE,
    "MEAN": Kind.REDUCE,
    "MAX_POOL_2D": Kind.MAX_POOL,
    "AVERAGE_POOL_2D": Kind.AVG_POOL,
    "DEPTHWISE_CONV_2D": Kind.DEPTHWISE,
    "FULLY_CONNECTED": Kind.LINEAR,
}


@dataclass(frozen=True)
class Zoo:
    """Networks with their latencies on some devices."""

    families: np.ndarray[Any, Any]
    networks: list[Sequence[NetworkLayer]]
    latency_ms: dict[str, np.ndarray[Any, Any]]


def read_csv(name: str) -> Iterator[dict[str, str]]:
    with gzip.open(DATA / name, "rt", encoding="utf-8") as stream:
        yield from csv.DictReader(stream)


def phone_layer(row: dict[str, str]) -> NetworkLayer:
    """Return a layer as the authors of the phones' table recorded it."""
    recorded = ast.literal_eval(row["features"])
    numbers = {key: int(value) for key, value in recorded.items() if str(value).isdigit()}
    kernel, groups = numbers.get("Kernel", 0) or 1, numbers.get("Group", 1)
    in_channels = numbers["Input_channel"]
    out_channels = numbers.get("Filter", in_channels)
    height, out_height = numbers.get("Input_shape", 1), numbers.get("Output_shape", 1)
    operator = row["operation"]
    kind = KIND_OF.get(operator)
    if kind is None:
        kind = Kind.GROUPED if groups > 1 else Kind.POINTWISE if kernel == 1 else Kind.CONV
    if kind is Kind.DEPTHWISE:
        out_channels = groups = in_channels
    elif kind is Kind.MOVE:
        in_channels = out_channels
    elif kind is Kind.REDUCE:
        out_channels, out_height = in_channels, 1
    weights = 0
    if kind in (Kind.CONV, Kind.POINTWISE, Kind.GROUPED, Kind.DEPTHWISE, Kind.LINEAR):
        weights = kernel**2 * (in_channels // groups) * out_channels
    read, written = height**2 * in_channels, out_height**2 * out_channels
    is_windowed = kind not in (Kind.MOVE, Kind.REDUCE, Kind.LINEAR)
    operations = {Kind.REDUCE: read, Kind.MAX_POOL: kernel**2 * written}
    operations[Kind.AVG_POOL] = operations[Kind.MAX_POOL]
    return NetworkLayer(
        row["index"],
        operator,
        kind,
        macs=out_height**2 * weights,
        operations=operations.get(kind, 0),
        elements_read=read,
        elements_written=written,
        parameters=weights,
        bytes_read=4 * read,
        bytes_written=4 * written,
        weight_bytes=4 * weights,
        in_channels=in_channels,
        out_channels=out_channels,
        in_size=(1,) if kind is Kind.LINEAR else (height, height),
        out_size=(1,) if kind is Kind.LINEAR else (out_height, out_height),
        kernel=(kernel, kernel) if is_windowed else (),
        stride=(numbers.get("Stride", 1),) * 2 if is_windowed else (),
        groups=groups,
    )


def read_phones() -> Zoo:
    layers: dict[str, list[NetworkLayer]] = {}
    for row in read_csv("phones_layers.csv.gz"):
        layers.setdefault(row["model"], []).append(phone_layer(row))
    measured = {
        (row["phone"], row["model"]): float(row["mean_us"]) / 1e3
        for row in read_csv("phones_tflite.csv.gz")
        if (row["cores"], row["precision"]) == ("1large", "float")
    }
    names = sorted(layers)
    families = [re.match("[a-z]+", name).group() for name in names]  # type: ignore[union-attr]
    latency = {phone: np.array([measured[phone, name] for name in names]) for phone in PHONES}
    return Zoo(np.array(families), [layers[name] for name in names], latency)


def read_nano() -> Zoo:
    rows = list(read_csv("nano_timm.csv.gz"))
    networks: list[Sequence[NetworkLayer]] = []
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(DATA / "timm_graphs.tar.xz") as archive:
            archive.extractall(folder, filter="data")
        found = {path.stem: path for path in Path(folder).rglob("*.onnx")}
        networks = [read_network(found[row["model"]]).work for row in rows]
    latency = {
        device: np.array([float(row[f"nano_{device}_ort_ms"] or "nan") for row in rows])
        for device in ("cpu", "gpu")
    }
    return Zoo(np.array([row["family"] for row in rows]), networks, latency)


def split(zoo: Zoo, device: str, n: int, whole: bool, seed: int) -> tuple[list[int], list[int]]:
    """Return networks to learn from and to judge on; ``whole``: families stay together."""
    measured = np.flatnonzero(np.isfinite(zoo.latency_ms[device]))
    rng = np.random.default_rng([seed, 7])
    if not whole:
        order = rng.permutation(measured)
        return order[:n].tolist(), order[n:].tolist()
    learned: list[int] = []
    for family in rng.permutation(np.unique(zoo.families)):
        members = measured[zoo.families[measured] == family].tolist()
        if len(learned) + len(members) <= 1.05 * n:
            learned += members
    return learned, sorted(set(measured.tolist()) - set(learned))


def judge(zoo: Zoo, device: str, n: int, whole: bool, seed: int) -> tuple[float, float, float]:
    """Return MAPE in percent, how many of 90 % intervals hold, and the seconds of the fit."""
    learned, judged = split(zoo, device, n, whole, seed)
    latency = zoo.latency_ms[device]
    start = time.perf_counter()
    model = LayerCosts(device).fit([zoo.networks[i] for i in learned], latency[learned])
    seconds = time.perf_counter() - start
    mean, low, high = model.predict_networks([zoo.networks[i] for i in judged])
    true = latency[judged]
    holds = (low <= true) & (true <= high)
    return 100 * float(np.mean(abs(mean / true - 1))), float(np.mean(holds)), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=10, help="draws of each phone")
    parser.add_argument("--nano-draws", type=int, default=8, help="draws of the Nano")
    parser.add_argument("--only", choices=("phones", "nano"))
    options = parser.parse_args()
    cases: list[tuple[str, Zoo, tuple[str, ...], int, bool, int]] = []
    if options.only != "nano":
        zoo = read_phones()
        cases += [
            ("phones, random", zoo, PHONES, 50, False, options.draws),
            ("phones, whole families", zoo, PHONES, 50, True, options.draws),
            ("phones, random", zoo, PHONES, 20, False, options.draws),
        ]
    if options.only != "phones":
        zoo = read_nano()
        cases += [
            ("Nano CPU, whole families", zoo, ("cpu",), 50, True, options.nano_draws),
            ("Nano CPU, whole families", zoo, ("cpu",), 150, True, options.nano_draws),
            ("Nano GPU, whole families", zoo, ("gpu",), 150, True, options.nano_draws),
        ]
    print("| what | learned from | MAPE %, median | mean | range | 90 % intervals hold | fit s |")
    print("|---|---|---|---|---|---|---|")
    for what, zoo, devices, n, whole, draws in cases:
        results = [
            judge(zoo, device, n, whole, seed) for device in devices for seed in range(draws)
        ]
        mape, holds, seconds = np.array(results).T
        print(
            f"| {what} | {n} | {np.median(mape):.2f} | {mape.mean():.2f} "
            f"| {mape.min():.1f}..{mape.max():.1f} | {holds.mean():.1%} "
            f"| {np.median(seconds):.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
