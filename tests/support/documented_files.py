"""The files that the commands of the docs read, small and made up."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
from made_networks import measured
from onnx_models import save_conv
from run_cli import run
from stand_in_models import AdditiveLatency
from stored_records import fill_store, make_record
from synthetic_device import PHONE, SyntheticDevice, write_dataset
from tree import BOARDS, DATA, TESTS

from edgeprof.export.onnx import export_network
from edgeprof.measuring.machine import machine_state
from edgeprof.networks.spaces import get_space
from edgeprof.networks.spaces.base import SearchSpace
from edgeprof.networks.subnet import write_subnets
from edgeprof.networks.suites.as_layers import network_of
from edgeprof.networks.suites.mobile import mobilenet_v1
from edgeprof.predictors.compact.distil import distil
from edgeprof.predictors.compact.predictor import CompactPredictor
from edgeprof.predictors.layers.model import LayerCosts
from edgeprof.predictors.lut.lut_file import Entry, TableSet, write_tables
from edgeprof.predictors.lut.lut_keys import Grammar
from edgeprof.predictors.save import save_host, save_predictor
from edgeprof.records.store import Store
from edgeprof.runs.lut_blocks import blocks_of

SPACE = get_space("ofa-mbv3-w1.0")
WIDE = get_space("ofa-mbv3-w1.2")

Make = Callable[[Path], object]


def model(size: int | str) -> Make:
    """A model of one convolution on a square input, whose size may be open."""
    return lambda path: save_conv(path, [1, 3, size, size])


def gaussian_process(path: Path) -> None:
    """A predictor with its host model."""
    for suffix in (".edgp", ".host.npz"):
        shutil.copy(DATA / "version_0.1" / f"gp{suffix}", path.with_name(f"{path.stem}{suffix}"))


def compact(space=SPACE) -> Make:
    """A compact predictor of a device that is called as the file is: 3 to 14 ms."""

    def make(path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        save_predictor(path, student(space, path.stem), None)

    return make


@cache
def student(space: SearchSpace, device: str) -> CompactPredictor:
    """Several pages speak of one of the same name."""
    latency = AdditiveLatency(space, device)
    return distil(latency.predict_codes, space, device, n_unlabelled=800)


def layer_costs(path: Path) -> None:
    """A host model of layer costs."""
    networks, latency_ms = measured(25, seed=0)
    save_host(path, LayerCosts("pi4").fit(networks, latency_ms / 4))


def accuracy(path: Path) -> None:
    """Weights as OFA's accuracy predictor has them, which give 70 to 90 %."""
    rng = np.random.default_rng(0)
    first = rng.normal(size=(8, 128)).astype(np.float32)
    second = (rng.random((1, 8)) * 0.003).astype(np.float32)
    biases = np.zeros(8, np.float32), np.full(1, 0.7, np.float32)
    named = {"0.weight": first, "0.bias": biases[0], "2.weight": second, "2.bias": biases[1]}
    np.savez(path, **named)


def accuracies(path: Path) -> None:
    """Accuracies of a few subnets."""
    lines = ["space,resolution,ks,e,d,top1"]
    for number, subnet in enumerate(SPACE.sample(12, np.random.default_rng(3))):
        lists = ",".join(f'"{list(values)}"' for values in (subnet.ks, subnet.e, subnet.d))
        lines.append(f"{SPACE.id},{subnet.r},{lists},{0.7 + 0.01 * number}")
    path.write_text("\n".join(lines), encoding="utf-8")


def store(device: str) -> Make:
    """Measurements of a hundred subnets."""
    subnets = SPACE.sample(100, np.random.default_rng(1))
    return lambda path: fill_store(path, [AdditiveLatency(SPACE, device)], subnets)


def lab(*devices: str) -> Make:
    """A store with four networks that were measured on each of some Raspberry Pis."""

    def make(path: Path) -> None:
        state = machine_state(BOARDS / "rpi4b")
        rng = np.random.default_rng(0)
        with Store(path) as opened:
            for (slower, device), width in product(enumerate(devices), (0.25, 0.5, 0.75, 1.0)):
                network = network_of(mobilenet_v1(width, 128))
                record = make_record((1 + 0.1 * slower) * (0.5 + network.macs / 4e7), rng)
                record["model"]["sha256"] = f"{int(100 * width):064x}"
                record["machine"], record["settings"]["threads"] = state, 4
                opened.append_network(record["model"]["sha256"], network)
                key = f"{device}-{width}"
                opened.append(record, job_key=key, device=device, model_kind="onnx")

    return make


def facts(path: Path) -> None:
    """What the doctor prints of a captured board."""
    result = run("doctor", "--root", BOARDS / "rpi4b", "--json")
    path.write_text(result.stdout, encoding="utf-8")


def probes(path: Path) -> None:
    """Rows of two models that were measured on a board."""
    lines = ["device,model,latency_ms"]
    for width, latency_ms in ((0.25, 4.0), (0.5, 9.0)):
        file = path.with_name(f"probe-{width}.onnx")
        export_network(network_of(mobilenet_v1(width, 128)), file)
        lines.append(f"rpi4,{file.name},{latency_ms}")
    path.write_text("\n".join(lines), encoding="utf-8")


def rows(*devices: str, count: int) -> Make:
    """Rows of subnets."""

    def make(path: Path) -> None:
        parts = [
            replace(PHONE, name=name, launch_us=5.0 + number).measure(SPACE, count, seed=number)
            for number, name in enumerate(devices)
        ]
        write_dataset(path, *parts)

    return make


GPUS = {"small": (100, 25), "middle": (200, 40), "large": (400, 100), "new-gpu": (300, 60)}


def sheet(path: Path) -> None:
    """Data sheets of GPUs."""
    lines = ["device,cores,clock_mhz,ram_gb,bandwidth_gb_per_s"]
    lines += [f"{name},{cores},1500,8,{bandwidth}" for name, (cores, bandwidth) in GPUS.items()]
    path.write_text("\n".join(lines), encoding="utf-8")


def gpu_rows(path: Path) -> None:
    """Rows of all of them but the new one."""
    measured_ones = [
        SyntheticDevice(name, 750.0 * cores, 175.0 * bandwidth, 3.0, 0.2).measure(SPACE, 40, seed=n)
        for n, (name, (cores, bandwidth)) in enumerate(GPUS.items())
        if name != "new-gpu"
    ]
    write_dataset(path, *measured_ones)


def mixed(path: Path) -> None:
    """Rows of model files and of subnets on one device."""
    names = ("device", "model", "space", "resolution", "ks", "e", "d", "latency_ms")
    data = replace(PHONE, name="pi4").measure(SPACE, 6, seed=0)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, names)
        writer.writeheader()
        for size in range(16, 66, 5):
            file = save_conv(path.with_name(f"net{size}.onnx"), [1, 3, size, size])
            latency_ms = 0.02 + size**2 / 4e4
            writer.writerow({"device": "pi4", "model": file.name, "latency_ms": latency_ms})
        for subnet, latency_ms in zip(data.subnets, data.latency_ms, strict=True):
            row = {"device": "pi4", "space": SPACE.id, "resolution": subnet.r}
            row |= {name: json.dumps(getattr(subnet, name)) for name in ("ks", "e", "d")}
            writer.writerow({**row, "latency_ms": latency_ms})


def subnets_of(space=SPACE) -> Make:
    """A file of a few subnets, of resolutions that the tables below have."""
    chosen = space.sample(5, np.random.default_rng(2), [160, 224])
    return lambda path: write_subnets(path, chosen)


def tables(space=SPACE, resolutions=(160, 224)) -> Make:
    """A folder of lookup tables in which no block takes less than half a millisecond."""

    def make(path: Path) -> None:
        made = {
            resolution: {
                key: Entry(9, 0.5 + 1e-8 * sum(block.macs for block in blocks), 0.1)
                for key, blocks in table.items()
            }
            for resolution, table in blocks_of(space, resolutions).items()
        }
        about = {"space": space.id, "device": path.name}
        write_tables(TableSet(path.name, Grammar.OFA, made, about), path, Grammar.OFA)

    return make


def proxyless_table(path: Path) -> None:
    """A table in ProxylessNAS's form."""
    path.write_text(
        "Conv-input:224x224x3-output:112x112x40: {count: 7, mean: 1.5, var: 0.25}\n"
        "expanded_conv-input:7x7x192-output:7x7x320-expand:6-kernel:5-stride:1-idskip:0: "
        "{count: 7, mean: 1.5, var: 0.25}\n"
        "Logits-input:7x7x1280-output:1000: {count: 7, mean: 0.5, var: 0}\n",
        encoding="utf-8",
    )


def front(path: Path) -> None:
    """What a search found, with the predictor beside it."""
    accuracy(path.with_name("acc.npz"))
    sources = ["--latency", path.with_name("here.edgp"), "--accuracy", path.with_name("acc.npz")]
    done = run("search", *sources, "--budget-ms", "8,10", "--seed", "0", "-o", path)
    assert done.exit_code == 0, done.output


ANY_MODEL = model(32)

FILES: dict[str, dict[str, Make]] = {
    "README.md": {
        "a.onnx": ANY_MODEL,
        "b.onnx": model(48),
        "here.db": store("here"),
        "pi4.edgp": gaussian_process,
        "acc.npz": accuracy,
    },
    "bank.md": {
        "lab.db": lab("rpi4", "rpi5"),
        "rack.db": lab("rpi4", "rpi5"),
        "model.onnx": model(224),
        "acc.npz": accuracy,
        "rpi4.json": facts,
        "new.json": facts,
        "probes.csv": probes,
        "nano.csv": rows("nano", count=40),
    },
    "first.md": {"edgeprof-quickstart/here.edgp": compact()},
    "gate.md": {"model.onnx": ANY_MODEL},
    "machine.md": {"tests": lambda path: path.symlink_to(TESTS)},
    "measurement.md": dict.fromkeys(("model.onnx", "subnet.onnx", "small.onnx"), ANY_MODEL)
    | {"large.onnx": model(64)},
    "my_rack.md": {"rack.db": store("rpi4"), "next.jsonl": subnets_of()},
    "my_search.md": {
        "edgeprof-quickstart/here.edgp": compact(),
        "edgeprof-quickstart/store.db": store("here"),
        "measured.csv": accuracies,
    },
    "networks.md": {"det.onnx": model("size"), "model.onnx": model("size")},
    "predictors.md": {
        "rack.csv": rows("pi4", "pi5", count=40),
        "nano.csv": rows("nano", count=200),
        "lab.db": lab("pi4"),
        "gpus.csv": gpu_rows,
        "devices.csv": sheet,
        "mixed.csv": mixed,
        "detector.onnx": model(224),
        "subnets.jsonl": subnets_of(),
        "ti.edgp": gaussian_process,
        "pi4-lut": tables(),
        "note10_lut": tables(),
        "mobile_trim.yaml": proxyless_table,
    },
    "report.md": {
        "store.db": store("here"),
        "here.edgp": compact(),
        "here_lut": tables(SPACE, tuple(SPACE.sampled_resolutions)),
        "front.json": front,
    },
    "search.md": {
        "note10.edgp": compact(WIDE),
        "note10_lut": tables(WIDE, tuple(WIDE.sampled_resolutions)),
        "here_lut": tables(SPACE, tuple(SPACE.sampled_resolutions)),
        "here.edgp": compact(),
        "pi4.edgp": compact(),
        "pi4.host.npz": layer_costs,
        "lab.db": lab("rpi5"),
        "store.db": store("here"),
        "ofa_acc_predictor.npz": accuracy,
        "acc.npz": accuracy,
    },
}
"""What is there before the first command of a page: name -> how it is made."""


def python_names(page: str) -> dict[str, object]:
    """Return the variables that a page's Python takes for granted."""
    if page != "predictors.md":
        return {}
    networks, latency_ms = measured(25, seed=0)
    some = SPACE.sample(3, np.random.default_rng(0))
    return {
        "networks": networks[:20],
        "latency_ms": latency_ms[:20],
        "others": networks[20:],
        "network": networks[20],
        "subnets": some,
        "codes": SPACE.encode(some),
    }
