"""The paper's baseline as a model: lookup tables that can be distilled, kept and judged.

Owns: what tables say of a whole space. They are not fitted to measurements, which serve to judge
them only. At resolutions without a table the sum is a straight line in the pixels through the two
nearest tables, and a note says so; a missing key stays an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from edgeprof.base.errors import PredictorFormatError
from edgeprof.networks.spaces import get_space
from edgeprof.networks.spaces.base import Codes
from edgeprof.predictors.base import Latencies, LatencyPredictor
from edgeprof.predictors.features import Floats
from edgeprof.predictors.host_file import Arrays, Meta
from edgeprof.predictors.lut.lut_file import Entry, TableSet
from edgeprof.predictors.lut.lut_keys import Grammar
from edgeprof.predictors.lut.tables import LookupTables
from edgeprof.predictors.residual_interval import ResidualInterval, nothing_known
from edgeprof.records.dataset import Dataset

_LEAST_FRACTION = 0.1  # of the nearest table's sum, where the line would go below


@dataclass(repr=False)
class LutModel(ResidualInterval):
    """Lookup tables as a model of one device.

    Attributes:
        tables: as read.
        device: name of the device that they are to predict.
        relative_errors: on the measurements they were judged on, ascending.
    """

    kind: ClassVar[str] = "lut"

    tables: LookupTables
    device: str
    relative_errors: Floats = field(default_factory=nothing_known)

    def __post_init__(self) -> None:
        self.space = self.tables.space
        self._sides = np.array(get_space(self.space).resolutions, dtype=np.float64)
        self._tabled = np.flatnonzero(np.isin(self._sides, self.tables.resolutions))
        if not len(self._tabled):
            raise PredictorFormatError(
                f"{self.tables.source}: no table for a resolution of {self.space}"
            )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know."""
        missing = np.delete(self._sides, self._tabled)
        if not len(missing):
            return ()
        listed = ", ".join(f"{side:.0f}" for side in missing)
        return (f"no tables for {listed} pixels: estimated from the nearest ones",)

    @classmethod
    def fit(cls, data: Dataset, bases: Sequence[LatencyPredictor]) -> LutModel:
        """Take the one base, lookup tables, as the model of the data's device.

        Raises:
            PredictorFormatError: if there is not exactly one, of the data's space.
        """
        tables = [base for base in bases if isinstance(base, LookupTables)]
        if len(tables) != 1 or len(bases) != 1:
            raise PredictorFormatError("lut: want one folder of lookup tables (--lut)")
        if tables[0].space != data.space:
            raise PredictorFormatError(
                f"{tables[0].source}: tables of {tables[0].space}, but the rows are of {data.space}"
            )
        return cls(tables[0], data.device)

    def predict_codes(self, codes: Codes) -> Latencies:
        """See the interface."""
        latency_ms = np.empty(len(codes))
        for index in np.unique(codes[:, -1]):
            here = codes[:, -1] == index
            latency_ms[here] = self._at(codes[here], int(index))
        return latency_ms

    def _at(self, codes: Codes, index: int) -> Latencies:
        if index in self._tabled:
            return self.tables.predict_codes(codes)
        # The last table below, or the first but one from the end: its neighbour is then above.
        last = len(self._tabled) - 2
        below = min(max(int(np.searchsorted(self._tabled, index)) - 1, 0), max(last, 0))
        low, high = self._tabled[below], self._tabled[min(below + 1, len(self._tabled) - 1)]
        low_ms, high_ms = (self._with_resolution(codes, at) for at in (low, high))
        pixels = self._sides**2
        if low == high:
            return np.asarray(low_ms * (pixels[index] / pixels[low]))
        share = (pixels[index] - pixels[low]) / (pixels[high] - pixels[low])
        line_ms = low_ms + share * (high_ms - low_ms)
        return np.asarray(np.maximum(line_ms, _LEAST_FRACTION * low_ms))

    def _with_resolution(self, codes: Codes, index: int) -> Latencies:
        moved = codes.copy()
        moved[:, -1] = index
        return self.tables.predict_codes(moved)

    def to_arrays(self) -> tuple[Meta, Arrays]:
        """See ``host_file``."""
        tables = self.tables.table_set
        meta = {
            "space": self.space,
            "device": self.device,
            "source": tables.source,
            "grammar": tables.grammar.value,
            "about": dict(tables.about),
            "tables": {
                str(resolution): {
                    key: [entry.count, entry.mean_ms, entry.std_ms] for key, entry in table.items()
                }
                for resolution, table in tables.tables.items()
            },
        }
        return meta, {"relative_errors": self.relative_errors}

    @classmethod
    def from_arrays(cls, meta: Meta, arrays: Mapping[str, Any]) -> LutModel:
        """See ``host_file``."""
        tables = {
            int(resolution): {key: Entry(*values) for key, values in table.items()}
            for resolution, table in meta["tables"].items()
        }
        read = TableSet(meta["source"], Grammar(meta["grammar"]), tables, meta["about"])
        found = LookupTables(read, space=meta["space"])
        return cls(found, meta["device"], arrays["relative_errors"])
