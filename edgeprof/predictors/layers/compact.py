"""Layer costs without intervals: what an ``.edgp`` file of them predicts, and searches run on.

Owns: predicting from the tables. Blocks are summed once, so that subnets that share them are
predicted by the thousand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from edgeprof.networks.layers import Block, Network
from edgeprof.networks.spaces import get_space
from edgeprof.networks.spaces.base import Codes
from edgeprof.predictors.base import (
    Latencies,
    Networks,
    Origin,
    PredictsCodes,
    as_network,
    each_of,
)
from edgeprof.predictors.layers.costs import Costs
from edgeprof.predictors.layers.quantities import Floats, LayerTable
from edgeprof.predictors.layers.tables import CostTables
from edgeprof.predictors.layers.tables_file import (
    LayerCostsFile,
    decode_layer_costs,
    encode_layer_costs,
)


class BlockSums:
    """Latencies of networks from sums over their blocks, each worked out once."""

    def __init__(self, tables: CostTables) -> None:
        self._tables = tables
        self._of_block: dict[Block, Floats] = {}

    def latencies(self, networks: Sequence[Network]) -> Latencies:
        """Return the latency of each network in ms."""
        blocks = [[placed.block for placed in network.blocks] for network in networks]
        new = list({block for row in blocks for block in row if block not in self._of_block})
        if new:
            table = LayerTable.of([block.work for block in new])
            sums = table.total(self._tables.summands(table))
            self._of_block.update(zip(new, sums, strict=True))
        return self._tables.latencies(
            np.array([np.sum([self._of_block[block] for block in row], axis=0) for row in blocks])
        )


class CompactLayerCosts(PredictsCodes):
    """The layer costs of an ``.edgp`` file.

    Attributes:
        content: the file's.
        space: id of the space of the subnets that it predicts; it knows those of any space.
        device: name of the device.
        learned: see ``Origin``.
    """

    is_of_any_space: ClassVar[bool] = True

    def __init__(self, data: bytes, source: str = "layer costs") -> None:
        """Read the bytes of a file.

        Raises:
            PredictorFormatError: naming ``source`` and what is wrong with it.
        """
        self._data = data
        self.content = decode_layer_costs(data, source)
        self.space, self.device = self.content.space, self.content.device
        self.learned: NDArray[np.uint64] | None = None
        self._sums = BlockSums(self.content.tables)

    @classmethod
    def of(
        cls, costs: Costs, device: str, space: str, provenance: Mapping[str, object]
    ) -> CompactLayerCosts:
        """Make the compact form of learned costs."""
        content = LayerCostsFile(CostTables.of(costs), device, space, provenance)
        return cls(encode_layer_costs(content))

    def to_bytes(self) -> bytes:
        """Return the bytes of the file."""
        return self._data

    @property
    def provenance(self) -> Mapping[str, object]:
        """Where it comes from."""
        return self.content.provenance

    @property
    def origin(self) -> Origin:  # type: ignore[override]  # read when asked for
        """Where it comes from, and what it learned from."""
        return Origin(self.provenance, self.learned)

    def predict(self, subnets: Networks) -> Latencies:
        """Return the latency of each subnet, of whatever space, or model file in ms."""
        return self.predict_networks([as_network(item) for item in each_of(subnets)])

    def predict_networks(self, networks: Sequence[Network]) -> Latencies:
        """Return the latency of each network in ms."""
        return self._sums.latencies(networks)

    def predict_codes(self, codes: Codes) -> Latencies:
        """Return the latency of each row of codes of ``space`` in ms."""
        space = get_space(self.space)
        return self.predict_networks([space.layers(subnet) for subnet in space.decode(codes)])
