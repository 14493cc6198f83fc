"""Latency as a sum of table entries: Once-For-All's lookup table.

Owns: ``LookupTables``. A missing key is an error that names it, never 0. Sums know nothing of what
blocks do to one another (caches, fusion across blocks), and each entry holds the cost of one call.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.errors import InvalidSubnet, LookupTableError, UnsupportedModel
from edgeprof.networks.spaces import get_space, known_spaces
from edgeprof.networks.spaces.base import Codes, SearchSpace
from edgeprof.networks.spaces.staged import StagedSpace
from edgeprof.networks.subnet import Subnet
from edgeprof.predictors.base import Latencies, NetworkLike, Networks, described, each_of
from edgeprof.predictors.compact.predictor import check_codes
from edgeprof.predictors.lut.lut_file import Entry, Table, TableSet, read_tables
from edgeprof.predictors.lut.lut_keys import keyed_blocks


class LookupTables:
    """Lookup tables of one space on one device, as a predictor.

    Attributes:
        space: id of the space.
        device: name of the device.
        resolutions: those there are tables for, in pixels, ascending.
        table_set: the tables as read.
    """

    def __init__(self, tables: TableSet, *, space: str | None = None) -> None:
        """Take tables as read.

        Args:
            tables: the tables.
            space: id of their space; by ``lut.json``, or the space all of whose keys they hold,
                where not given.

        Raises:
            LookupTableError: if no known space fits.
        """
        self.table_set = tables
        self.space = space or str(tables.about.get("space") or _fitting_space(tables))
        self.device = str(tables.about.get("device") or Path(tables.source).stem)
        self.source = tables.source
        self.resolutions = tuple(sorted(tables.tables))
        self._costs: dict[int, NDArray[np.float64]] = {}

    def entry(self, resolution: int, key: str) -> Entry:
        """Return an entry.

        Raises:
            LookupTableError: naming what is not there.
        """
        try:
            return self._table(resolution)[key]
        except KeyError:
            raise LookupTableError(
                f"{self.source}, {resolution} pixels: no entry {key!r}; time the block "
                "(edgeprof lut build) or choose subnets that the tables cover"
            ) from None

    def _table(self, resolution: int) -> Table:
        if resolution not in self.table_set.tables:
            raise LookupTableError(
                f"{self.source}: no table for {resolution} pixels, there are "
                f"{', '.join(map(str, self.resolutions))}"
            )
        return self.table_set.tables[resolution]

    def __repr__(self) -> str:
        return described(self)

    def predict(self, subnets: Networks) -> Latencies:
        """Return the sum of each subnet's entries in ms.

        Raises:
            InvalidSubnet: if a subnet is of another space.
            LookupTableError: naming the key, or the resolution, that is not there.
        """
        return np.array([self._predict_one(item) for item in each_of(subnets)], dtype=np.float64)

    def _predict_one(self, subnet: NetworkLike) -> float:
        if not isinstance(subnet, Subnet):
            raise UnsupportedModel(f"{self.source}: lookup tables predict subnets only")
        if subnet.space != self.space:
            raise InvalidSubnet(f"subnet is of space {subnet.space}, want {self.space}")
        entries = keyed_blocks(get_space(self.space).layers(subnet), self.table_set.grammar)
        return sum(self.entry(subnet.r, entry.key).mean_ms for entry in entries)

    def predict_codes(self, codes: Codes) -> Latencies:
        """Return the sum for each row of codes in ms; for staged spaces by a table per slot.

        Raises:
            LookupTableError: naming the key, or the resolution, that is not there.
        """
        space = get_space(self.space)
        codes = check_codes(codes, space.cardinalities)
        if not isinstance(space, StagedSpace):
            return self.predict(space.decode(codes))
        latency_ms = np.empty(len(codes))
        slots = np.arange(space.n_slots)
        for index in np.unique(codes[:, -1]):
            here = codes[:, -1] == index
            costs = self._slot_costs(space, int(index))
            latency_ms[here] = costs[slots, codes[here, :-1]].sum(axis=1) + costs[-1, 0]
        missing = np.flatnonzero(np.isnan(latency_ms))
        if len(missing):
            self.predict(space.decode(codes[missing[:1]]))  # raises and names the key
            raise LookupTableError(f"{self.source}: lacks an entry of space {self.space}")
        return latency_ms

    def _slot_costs(self, space: StagedSpace, resolution_index: int) -> NDArray[np.float64]:
        """Return ms per (slot, code), NaN where unknown; the last row holds the fixed blocks."""
        if resolution_index not in self._costs:
            resolution = space.resolutions[resolution_index]
            table = self._table(resolution)
            costs = np.full((space.n_slots + 1, 256), np.nan)
            costs[:-1, 0] = 0
            for row in representative_codes(space, resolution_index):
                self._fill(costs, space, row, table)
            self._costs[resolution_index] = costs
        return self._costs[resolution_index]

    def _fill(
        self,
        costs: NDArray[np.float64],
        space: StagedSpace,
        row: NDArray[np.uint8],
        table: Table,
    ) -> None:
        """Enter the costs of one subnet's blocks: its kept slots in order, and the fixed ones."""
        network = space.layers(space.decode(row[np.newaxis])[0])
        entries = keyed_blocks(network, self.table_set.grammar)
        stage_of = {id(placed.block): placed.stage for placed in network.blocks}
        kept = iter(np.flatnonzero(row[:-1]))
        fixed = 0.0
        for key, blocks in entries:
            cost = table[key].mean_ms if key in table else np.nan
            if 1 <= stage_of[id(blocks[-1])] <= len(space.stages):
                slot = next(kept)
                costs[slot, row[slot]] = cost
            else:
                fixed += cost
        costs[-1, 0] = fixed


def representative_codes(space: SearchSpace, resolution_index: int) -> Codes:
    """Return few codes among which every code of every column occurs."""
    rows = []
    groups = space.choice_groups
    base = np.zeros(len(space.cardinalities), dtype=np.uint8)
    base[-1] = resolution_index
    for group in groups:
        base[group.columns] = [allowed[0] for allowed in group.variants[0]]
    for group in groups:
        for variant in group.variants:
            for turn in range(max(len(allowed) for allowed in variant)):
                row = base.copy()
                row[group.columns] = [allowed[turn % len(allowed)] for allowed in variant]
                rows.append(row)
    return np.unique(np.array(rows), axis=0)


def load_tables(path: Path, space: str | None = None) -> LookupTables:
    """Read a folder of lookup tables, or a single one, as a predictor; see ``LookupTables``."""
    return LookupTables(read_tables(path), space=space)


def _fitting_space(tables: TableSet) -> str:
    """Return the largest known space whose blocks the tables hold."""
    fitting = [
        space
        for space in map(get_space, known_spaces())
        if isinstance(space, StagedSpace) and _holds(tables, space)
    ]
    if not fitting:
        raise LookupTableError(
            f"{tables.source}: the keys fit no known space ({', '.join(known_spaces())}); "
            "say which with --space"
        )
    # CompOFA's blocks are among those of OFA: the space with most choices is the one meant.
    return max(fitting, key=_n_variants).id


def _n_variants(space: SearchSpace) -> int:
    return sum(
        len(allowed)
        for group in space.choice_groups
        for variant in group.variants
        for allowed in variant
    )


def _holds(tables: TableSet, space: StagedSpace) -> bool:
    resolution = next((r for r in sorted(tables.tables) if r in space.resolutions), None)
    if resolution is None:
        return False
    rows = representative_codes(space, space.resolutions.index(resolution))
    try:
        return all(
            entry.key in tables.tables[resolution]
            for subnet in space.decode(rows)
            for entry in keyed_blocks(space.layers(subnet), tables.grammar)
        )
    except LookupTableError:
        return False
