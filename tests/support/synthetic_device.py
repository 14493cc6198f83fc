"""Devices that exist on paper: a roofline per layer, launch costs and noise."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from edgeprof.networks.layers import Block, Network, Op
from edgeprof.networks.spaces.base import SearchSpace
from edgeprof.predictors.lut.lut_file import Entry, TableSet
from edgeprof.predictors.lut.lut_keys import Grammar
from edgeprof.predictors.lut.tables import LookupTables
from edgeprof.records.dataset import Dataset
from edgeprof.runs.lut_blocks import blocks_of


@dataclass(frozen=True)
class SyntheticDevice:
    """A device whose layers take the longer of arithmetic and memory traffic, plus a launch.

    Attributes:
        name: of the device.
        macs_per_us, elements_per_us: its rates.
        launch_us: per layer.
        depthwise_efficiency: share of the arithmetic rate that depthwise convolutions reach.
        noise: relative standard deviation of a measurement.
    """

    name: str
    macs_per_us: float
    elements_per_us: float
    launch_us: float
    depthwise_efficiency: float
    noise: float = 0.005

    def latency_ms(self, network: Network) -> float:
        return sum(us for placed in network.blocks for us in _layers_us(self, placed.block)) / 1000

    def measure(self, space: SearchSpace, n: int, seed: int) -> Dataset:
        rng = np.random.default_rng(seed)
        subnets = space.sample(n, rng)
        exact = np.array([self.latency_ms(space.layers(subnet)) for subnet in subnets])
        return Dataset(
            space=space.id,
            device=self.name,
            subnets=tuple(subnets),
            codes=space.encode(subnets),
            latency_ms=exact * (1 + self.noise * rng.standard_normal(n)),
            rows=np.arange(n),
            source=f"synthetic {self.name}",
        )


@cache
def _layers_us(device: SyntheticDevice, block: Block) -> tuple[float, ...]:
    """Return what each layer of a block takes; the subnets of a space share their blocks."""
    found = []
    for layer in block.layers:
        depthwise = layer.op is Op.DEPTHWISE_CONV
        rate = device.macs_per_us * (device.depthwise_efficiency if depthwise else 1.0)
        traffic = layer.elements_read + layer.elements_written + layer.parameters
        found.append(max(layer.macs / rate, traffic / device.elements_per_us) + device.launch_us)
    return tuple(found)


PHONE = SyntheticDevice("phone", 8_000.0, 2_000.0, 5.0, 0.3)
SERVER = SyntheticDevice("server", 200_000.0, 10_000.0, 10.0, 0.1)


def write_dataset(path: Path, *datasets: Dataset) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["device", "space", "row", "resolution", "ks", "e", "d", "latency_ms"])
        for data in datasets:
            for subnet, row, latency_ms in zip(
                data.subnets, data.rows, data.latency_ms, strict=True
            ):
                lists = [json.dumps(values) for values in (subnet.ks, subnet.e, subnet.d)]
                writer.writerow([data.device, data.space, row, subnet.r, *lists, latency_ms])
    return path


def synthetic_tables(space: SearchSpace, resolutions: tuple[int, ...] = (160, 224)) -> LookupTables:
    """Lookup tables with a cost per block that grows with its work."""
    tables = {
        resolution: {
            key: Entry(1, 1e-9 * sum(block.macs for block in blocks) + 0.01, 0.0)
            for key, blocks in table.items()
        }
        for resolution, table in blocks_of(space, resolutions).items()
    }
    return LookupTables(TableSet("synthetic tables", Grammar.OFA, tables, {"space": space.id}))
