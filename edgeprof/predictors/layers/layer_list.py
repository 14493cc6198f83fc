"""Lists of layers as boards and generated C take them.

Owns: the JSON that ``edgeprof-harness predict --network`` reads. It names kinds and says what each
layer asks of a machine, and holds for the costs of any device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeprof.networks.work import NetworkLayer
from edgeprof.predictors.layers.quantities import (
    KERNEL_WEIGHT,
    QUANTITIES,
    LayerTable,
)

VERSION = 1
SIZES = ("rows", "sums", "columns", "products", "kernel", "stride")
"""What a layer's position is made of: the layer as ``products`` products of matrices, each of
``rows`` x ``sums`` times ``sums`` x ``columns``, and the mean kernel and stride."""

POSITION_FACTORS = np.array([1.0, 1.0, 1.0, 1.0, KERNEL_WEIGHT, 1.0])
"""A position is these times the logarithms of the sizes."""

_DIGITS = 9


def layer_list(name: str, layers: Sequence[NetworkLayer]) -> dict[str, Any]:
    """Return a network's list for JSON; equal layers are one with a count."""
    table = LayerTable.of([layers])
    sizes = np.exp(table.position / POSITION_FACTORS)
    count = dict(zip(table.layer.tolist(), table.uses.tolist(), strict=True))
    return {
        "version": VERSION,
        "name": name,
        "layers": [
            {
                "kind": table.kinds[table.kind[at]],
                "count": int(count[at]),
                **_numbers(QUANTITIES, table.quantities[at].tolist()),
                **_numbers(SIZES, sizes[at].tolist()),
            }
            for at in range(len(table.kind))
        ],
    }


def _numbers(names: Sequence[str], values: Sequence[float]) -> dict[str, int | float]:
    rounded = (round(value, _DIGITS) for value in values)
    return {
        name: int(value) if value.is_integer() else value
        for name, value in zip(names, rounded, strict=True)
    }
