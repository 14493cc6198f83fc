"""What is expected of a machine before anything is measured on it.

Owns: the expected unit costs, relative to one multiply-accumulate of a large convolution, and how
far devices depart from them. They are orders of magnitude, from how machines work (a value moved
costs some arithmetic operations, a call costs microseconds), not fitted to any table; the variances
say how little they are trusted.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from edgeprof.predictors.layers.quantities import QUANTITIES, Floats, base_of

_UNIT_COSTS = {
    "macs": 1.0,
    "operations": 4.0,
    "read": 8.0,
    "written": 8.0,
    "patches": 2.0,
    "weights": 4.0,
    "layers": 2e4,
    "groups": 2e4,
}
_MACS_OF_KIND = {"depthwise": 3.0, "grouped": 1.5, "matmul": 1.5, "recurrent": 2.0}
_GROUPS_OF_KIND = {"depthwise": 1e3, "matmul": 1e3}

QUANTITY_SCALES = np.array([2.0 if name == "layers" else 1.0 for name in QUANTITIES])
"""How far a quantity's cost is free: the cost of a call differs most, from cores to GPUs."""


class Expected(NamedTuple):
    """A variance of logarithms: where it is expected, and how far the data may move it.

    Attributes:
        variance: the expected one.
        deviation: standard deviation of its logarithm.
    """

    variance: float
    deviation: float = 0.5


LEVEL_VARIANCE = 9.0
"""Of the logarithm of a device's speed: next to nothing is known."""

DOUBT_VARIANCE = 1.0
"""Of the logarithm of the cost of layers whose numbers are a guess."""

EXPECTED = {
    "quantities": Expected(1.0),  # a quantity's unit cost, in all kinds alike
    "bases": Expected(0.5),  # one quantity's unit cost in one kind, operators aside
    "kinds": Expected(0.3),  # a kind's costs, all quantities alike
    "terms": Expected(0.5),  # one quantity's unit cost in one kind
    "wide": Expected(0.1),  # what varies slowly with a layer's shape
    "narrow": Expected(0.05),  # what varies faster
    "alike": Expected(4e-3, 1.0),  # what networks of one architecture share beside their layers
    "own": Expected(1e-3, 1.5),  # what is particular to one layer
    "noise": Expected(3e-4),  # of a measurement
}
LENGTHS = {"wide": 2.5, "narrow": 1.0}


def expected_log_costs(kind: str) -> Floats:
    """Return the expected logarithms of a kind's unit costs: (n_quantities,)."""
    costs, base = dict(_UNIT_COSTS), base_of(kind)
    costs["macs"] = _MACS_OF_KIND.get(base, costs["macs"])
    costs["groups"] = _GROUPS_OF_KIND.get(base, costs["groups"])
    return np.array([math.log(costs[name]) for name in QUANTITIES])
