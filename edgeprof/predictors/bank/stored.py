"""A device of the bank from a store: it predicts any network from all that was measured there.

Owns: ``StoredDevice`` and its name, ``lab.db:rpi5``. Does not own: which measurements count
(``measured``), nor the model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgeprof.base.errors import DatasetError
from edgeprof.networks.layers import Block, Network
from edgeprof.networks.spaces import get_space
from edgeprof.networks.spaces.base import Codes
from edgeprof.predictors.bank.facts import Facts
from edgeprof.predictors.bank.file import shipped_bank
from edgeprof.predictors.bank.measured import Measured, read_measured
from edgeprof.predictors.bank.model import DeviceCosts
from edgeprof.predictors.bank.terms import Floats, Terms
from edgeprof.predictors.base import (
    Latencies,
    LatencyInterval,
    Networks,
    Origin,
    PredictsCodes,
    as_network,
    each_of,
)
from edgeprof.records.store import Store

_NAME = re.compile(r"(.+\.db):(.+)")


def parse_stored(text: str) -> tuple[Path, str] | None:
    """Take ``lab.db:rpi5`` apart: the store and the device; ``None`` where it is something else."""
    found = _NAME.fullmatch(text)
    return None if found is None or Path(text).exists() else (Path(found[1]), found[2])


class StoredDevice(PredictsCodes):
    """Latencies of any network on one device, by the bank and by what a store holds of it.

    Attributes:
        device: its name.
        space: id of the space of the subnets that it predicts; ``""`` where none is set.
        costs: what is known of it.
        n_networks: how many measured networks that rests on.
        measured_spaces: ids of the spaces that subnets among them are of.
    """

    origin = Origin(learned=None)

    def __init__(self, device: str, facts: Facts, measured: Measured, space: str = "") -> None:
        self.device, self.space = device, space
        self.costs = device_costs(facts, measured)
        self.n_networks = len(measured.networks)
        self.measured_spaces = measured.spaces
        self._amounts: dict[Block, Floats] = {}

    @property
    def setting(self) -> str:
        """How it is set for inference, in words."""
        threads = self.costs.facts.threads
        return f"{self.costs.facts.runtime}, {threads} thread{'s' * (threads > 1)}"

    def predict(self, subnets: Networks) -> Latencies:
        """Return the latency of each subnet, network or model file in ms."""
        return self.predict_networks([as_network(item) for item in each_of(subnets)]).mean_ms

    def predict_networks(
        self, networks: Sequence[Network], confidence: float = 0.9
    ) -> LatencyInterval:
        """Return the latency of each network in ms, with the central interval."""
        return self.costs.predict(self._terms(networks), confidence)

    def predict_codes(self, codes: Codes) -> Latencies:
        """Return the latency of each row of codes of ``space`` in ms."""
        return self.predict_interval(codes).mean_ms

    def predict_interval(self, codes: Codes, confidence: float = 0.9) -> LatencyInterval:
        """Return the latency of each row of codes of ``space``, with an interval."""
        space = get_space(self.space)
        networks = [space.layers(subnet) for subnet in space.decode(codes)]
        return self.predict_networks(networks, confidence)

    def _terms(self, networks: Sequence[Network]) -> Terms:
        """Return networks as the bank sees them; blocks are summed up once."""
        blocks = [[placed.block for placed in network.blocks] for network in networks]
        new = list({block for row in blocks for block in row if block not in self._amounts})
        if new:
            amounts = Terms.of([block.work for block in new]).amounts
            self._amounts.update(zip(new, amounts, strict=True))
        return Terms.from_amounts(
            np.array([np.sum([self._amounts[block] for block in row], axis=0) for row in blocks])
        )


def device_costs(facts: Facts, measured: Measured | None) -> DeviceCosts:
    """Return what is known of a device from its facts and from what was measured of it."""
    costs = DeviceCosts(shipped_bank(), facts)
    if measured is None or not measured.networks:
        return costs
    terms = Terms.of([network.work for network in measured.networks])
    return costs.learn(terms, measured.latency_ms, measured.relative_se)


def load_stored(
    path: Path, device: str, *, space: str | None = None, where: Mapping[str, str] | None = None
) -> StoredDevice:
    """Learn a device from all that a store holds of it.

    Args:
        path: the store.
        device: name of the device there.
        space: id of the space of the subnets to predict; any, and none is set, if ``None``.
        where: see ``read_measured``.

    Raises:
        DatasetError: the store holds nothing of the device that can be learned from.
        MixedMachineState: it was measured under several runtimes, threads and the like.
        StoreError: no such store.
    """
    with Store(path, create=False) as store:
        measured = read_measured(store, device, where)
        there = store.devices()
    if measured is None:
        chosen = ", ".join(f"{name}={value}" for name, value in (where or {}).items())
        raise DatasetError(
            f"{path}: no measurement of device {device}{f' with {chosen}' if chosen else ''}; "
            f"devices there: {', '.join(there) or 'none'}; `edgeprof probe --store {path}` adds one"
        )
    if measured.facts is None:
        raise DatasetError(
            f"{path}: only imported rows of {device}, which do not say what the device is; measure "
            "one model there"
        )
    if not measured.networks:
        raise DatasetError(
            f"{path}: of no measurement of {device} the layers are known, and the model files are "
            f"not where they were; `edgeprof probe --store {path}` measures models that are"
        )
    return StoredDevice(device, measured.facts, measured, space or "")
