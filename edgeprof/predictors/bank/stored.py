"""A device of the bank from a store: it predicts any network from all that was measured there.

Owns: ``StoredDevice`` and its name, ``lab.db:rpi5``. Does not own: which measurements count
(``measured``), nor the model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from edgeprof.base.errors import DatasetError, PredictorFormatError
from edgeprof.networks.layers import Block, Network
from edgeprof.networks.spaces import get_space
from edgeprof.networks.spaces.base import Codes
from edgeprof.predictors.bank.facts import Facts
from edgeprof.predictors.bank.file import bank_bytes, read_bank, shipped_bank
from edgeprof.predictors.bank.measured import Measured, MeasuredDevice, read_measured
from edgeprof.predictors.bank.model import Bank, DeviceCosts
from edgeprof.predictors.bank.others import KnownDevice, Others, learned_costs
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
from edgeprof.predictors.compact.slot_tables import SlotTables
from edgeprof.predictors.examples import NetworkExamples
from edgeprof.predictors.host_file import Arrays, Meta
from edgeprof.records.store import Store

_NAME = re.compile(r"(.+\.db):(.+)")


def parse_stored(text: str) -> tuple[Path, str] | None:
    """Take ``lab.db:rpi5`` apart: the store and the device; ``None`` where it is something else."""
    found = _NAME.fullmatch(text)
    return None if found is None or Path(text).exists() else (Path(found[1]), found[2])


class StoredDevice(PredictsCodes):
    """Latencies of any network on one device, by what other devices teach and a store holds of it.

    Args:
        measured: what the store holds.
        costs: what is known of the device.
        spaces: ids of the spaces that subnets among the measured networks are of.
        space: id of the space of the subnets that it predicts; ``""`` where none is set.

    Attributes:
        device: its name.
        n_networks: how many measured networks its latencies rest on.
    """

    kind: ClassVar[str] = "stored"
    is_of_any_space: ClassVar[bool] = True
    origin = Origin(learned=None)

    def __init__(
        self,
        measured: MeasuredDevice,
        costs: KnownDevice,
        spaces: Sequence[str] = (),
        space: str = "",
    ) -> None:
        self.device, self.space = measured.name, space
        self.measured, self.costs, self.measured_spaces = measured, costs, tuple(spaces)
        self.n_networks = len(measured.terms)
        self._amounts: dict[Block, Floats] = {}
        self._of_codes: dict[str, SlotTables] = {}

    def __getstate__(self) -> dict[str, object]:
        """Travel to another process without tables, which are made anew."""
        return {**self.__dict__, "_of_codes": {}}

    @property
    def setting(self) -> str:
        """How it is set for inference, in words."""
        threads = self.costs.facts.threads
        return f"{self.costs.facts.runtime}, {threads} thread{'s' * (threads > 1)}"

    def predict(self, subnets: Networks) -> Latencies:
        """Return the latency of each subnet, network or model file in ms."""
        networks = [as_network(item) for item in each_of(subnets)]
        return self.costs.mean_ms(Terms.from_amounts(self._sums(networks)))

    def predict_networks(
        self, networks: Sequence[Network], confidence: float = 0.9
    ) -> LatencyInterval:
        """Return the latency of each network in ms, with the central interval."""
        return self.costs.predict(Terms.from_amounts(self._sums(networks)), confidence)

    def predict_codes(self, codes: Codes) -> Latencies:
        """Return the latency of each row of codes of ``space`` in ms."""
        return self.costs.mean_ms(self._terms(codes))

    def predict_interval(self, codes: Codes, confidence: float = 0.9) -> LatencyInterval:
        """Return the latency of each row of codes of ``space``, with an interval."""
        return self.costs.predict(self._terms(codes), confidence)

    def _terms(self, codes: Codes) -> Terms:
        if self.space not in self._of_codes:
            space = get_space(self.space)
            self._of_codes[self.space] = SlotTables(
                space,
                lambda codes: self._sums([space.layers(subnet) for subnet in space.decode(codes)]),
            )
        return Terms.from_amounts(self._of_codes[self.space](codes))

    def _sums(self, networks: Sequence[Network]) -> Floats:
        """Return the amounts of networks, (n, n_terms); blocks are summed up once."""
        blocks = [[placed.block for placed in network.blocks] for network in networks]
        new = list({block for row in blocks for block in row if block not in self._amounts})
        if new:
            amounts = Terms.of([block.work for block in new]).amounts
            self._amounts.update(zip(new, amounts, strict=True))
        return np.array([np.sum([self._amounts[block] for block in row], axis=0) for row in blocks])

    def to_arrays(self) -> tuple[Meta, Arrays]:
        """See ``host_file``: what was measured, and what the bank has of its runtime.

        Raises:
            PredictorFormatError: another strategy than the bank predicts it.
        """
        if not isinstance(self.costs, DeviceCosts):
            raise PredictorFormatError(f"{self.device}: only what the bank predicts can be kept")
        bank, facts = self.costs.bank, self.costs.facts
        its_kind = {
            name: population
            for name, population in bank.populations.items()
            if name.partition("@")[0] in ("", facts.runtime)
        }
        own = Bank(bank.names, its_kind, bank.provenance)
        meta = {
            "device": self.device,
            "space": self.space,
            "spaces": list(self.measured_spaces),
            "facts": asdict(facts),
        }
        return meta, {
            "bank": np.frombuffer(bank_bytes(own), dtype=np.uint8),
            "amounts": self.measured.terms.amounts,
            "latency_ms": self.measured.latency_ms,
            "relative_se": self.measured.relative_se,
        }

    @classmethod
    def from_arrays(cls, meta: Meta, arrays: Mapping[str, Any]) -> StoredDevice:
        """See ``host_file``."""
        device, facts = str(meta["device"]), meta["facts"]
        cores = tuple((str(name), float(ghz), int(n)) for name, ghz, n in facts["cores"])
        bank = read_bank(arrays["bank"].tobytes(), f"bank of {device} within a host model")
        measured = MeasuredDevice(
            device,
            Facts(**{**facts, "cores": cores}),
            Terms.from_amounts(arrays["amounts"]),
            arrays["latency_ms"],
            arrays["relative_se"],
        )
        return cls(measured, learned_costs(bank, measured), meta["spaces"], meta["space"])


def device_costs(facts: Facts, measured: Measured | None, bank: Bank | None = None) -> DeviceCosts:
    """Return what is known of a device from its facts and from what was measured of it.

    Args:
        facts: of the device.
        measured: of it.
        bank: of other devices; the shipped one if ``None``.
    """
    bank = bank or shipped_bank()
    if measured is None or not measured.networks:
        return DeviceCosts(bank, facts)
    return learned_costs(bank, measured.on("", facts))


def load_stored(
    path: Path,
    device: str,
    *,
    space: str | None = None,
    where: Mapping[str, str] | None = None,
    others: Others | None = None,
) -> StoredDevice:
    """Learn a device from all that a store holds of it.

    Args:
        path: the store.
        device: name of the device there.
        space: id of the space of the subnets to predict; any, and none is set, if ``None``.
        where: see ``read_measured``.
        others: what other devices teach; the shipped bank alone if ``None``.

    Raises:
        DatasetError: the store holds nothing of the device that can be learned from.
        MixedMachineState: it was measured under several runtimes, threads and the like.
        StoreError: no such store.
    """
    held, measured = _read_measured(path, device, where or {})
    costs = (others or Others()).known(device, measured.facts, measured)
    stored = StoredDevice(measured, costs, held.spaces, space or "")
    learned = NetworkExamples(held.networks, held.latency_ms, held.relative_se)
    stored.origin = Origin(learned=learned.hashes)
    return stored


def _read_measured(
    path: Path, device: str, where: Mapping[str, str]
) -> tuple[Measured, MeasuredDevice]:
    """Return what a store holds of a device, and that as what is learned from."""
    with Store(path, create=False) as store:
        measured = read_measured(store, device, where)
        there = store.devices()
    if measured is None:
        chosen = ", ".join(f"{name}={value}" for name, value in where.items())
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
    return measured, measured.on(device, measured.facts)
