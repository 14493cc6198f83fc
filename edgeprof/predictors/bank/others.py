"""What other devices teach of one: by the bank, or by one of the paper's strategies.

Owns: the names of the strategies, and where other devices come from: the shipped bank, a bank's
file, stores of a user's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgeprof.base.errors import DatasetError
from edgeprof.predictors.bank.facts import Facts
from edgeprof.predictors.bank.file import load_bank, shipped_bank
from edgeprof.predictors.bank.measured import MeasuredDevice, read_devices
from edgeprof.predictors.bank.model import Bank, DeviceCosts
from edgeprof.predictors.bank.paper import PaperNetwork, across_devices, fine_tuned, nearest
from edgeprof.predictors.bank.teaching import teach
from edgeprof.predictors.bank.terms import Floats, Terms
from edgeprof.predictors.base import LatencyInterval
from edgeprof.records.store import Store

BANK, FINE_TUNED, ACROSS = "bank", "paper-finetune", "paper-gpu"
STRATEGIES = (BANK, FINE_TUNED, ACROSS)


class KnownDevice(Protocol):
    """What is known of a device: it predicts networks."""

    @property
    def facts(self) -> Facts:
        """Of the device."""

    def mean_ms(self, terms: Terms) -> Floats:
        """Return the latency of each network in ms."""

    def predict(self, terms: Terms, confidence: float = 0.9) -> LatencyInterval:
        """Return the latency of each network in ms, with the central interval."""


@dataclass(frozen=True)
class Others:
    """Other devices, and how a device is predicted from them.

    Attributes:
        files: stores (.db), whose devices teach the bank, and at most one bank's file (.npz), which
            is taken for the shipped one.
        strategy: one of ``STRATEGIES``.
    """

    files: tuple[Path, ...] = ()
    strategy: str = BANK

    def known(self, device: str, facts: Facts, measured: MeasuredDevice | None) -> KnownDevice:
        """Return what is known of a device.

        Args:
            device: its name; what stores hold of this device teaches nothing.
            facts: of it.
            measured: what was measured of it, if anything.

        Raises:
            DatasetError, PredictorFormatError, StoreError: a file that nothing is learned from, or
                a strategy without what it needs.
        """
        if self.strategy == BANK:
            bank = read_bank_with(self.files, but=device)
            return DeviceCosts(bank, facts) if measured is None else learned_costs(bank, measured)
        if not self.files:
            raise DatasetError(
                f"{self.strategy}: learns from devices in stores alone; name some with --bank"
            )
        devices = _read_others(_stores_of(self.files), device)
        if self.strategy == ACROSS:
            return across_devices(PaperNetwork.train(devices, with_hardware=True), facts)
        if measured is None:
            raise DatasetError(
                f"{self.strategy}: needs measurements of the device; `edgeprof probe` makes some"
            )
        base = nearest(facts, devices)
        return fine_tuned(PaperNetwork.train([base], with_hardware=False), measured)


def learned_costs(bank: Bank, measured: MeasuredDevice) -> DeviceCosts:
    """Return what is known of a device that was measured."""
    costs = DeviceCosts(bank, measured.facts)
    return costs.learn(measured.terms, measured.latency_ms, measured.relative_se)


def read_bank_with(files: Sequence[Path], *, but: str = "") -> Bank:
    """Return the shipped bank, or another, after the devices of stores.

    Args:
        files: as of ``Others``.
        but: name of a device that teaches nothing: the one that is to be predicted.

    Raises:
        DatasetError: a store without devices that teach, or two banks.
        PredictorFormatError: no bank's file, or one of another version.
        StoreError: no store.
    """
    banks = [path for path in files if path.suffix == ".npz"]
    if len(banks) > 1:
        raise DatasetError(f"{banks[1]}: a second bank beside {banks[0]}; want one")
    bank = load_bank(banks[0]) if banks else shipped_bank()
    stores = [path for path in files if path not in banks]
    return teach(bank, _read_others(stores, but)) if stores else bank


def _stores_of(files: Sequence[Path]) -> Sequence[Path]:
    for path in files:
        if path.suffix == ".npz":
            raise DatasetError(f"{path}: a bank holds no measurements; want a store (.db)")
    return files


def _read_others(stores: Sequence[Path], but: str) -> list[MeasuredDevice]:
    """Return the devices of stores.

    Raises:
        DatasetError: a store has none.
    """
    found: list[MeasuredDevice] = []
    for path in stores:
        with Store(path, create=False) as store:
            devices = list(read_devices(store, but=but))
            there = ", ".join(store.devices()) or "none"
        if not devices:
            other = f" other than {but}" if but else ""
            raise DatasetError(
                f"{path}: no device{other} to learn from; want measurements of networks whose "
                f"layers are known (`edgeprof probe`); devices there: {there}"
            )
        found += devices
    return found
