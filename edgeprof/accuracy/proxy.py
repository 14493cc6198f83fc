"""A stand-in for those who have no accuracy model yet: the bigger, the better.

It is monotone in the MACs and says nothing about accuracy. Its values are no percentages; every
output names it as a proxy.
"""

from __future__ import annotations

import numpy as np

from edgeprof.accuracy.base import Accuracies
from edgeprof.networks.spaces.base import Codes, SearchSpace
from edgeprof.networks.spaces.costs import macs_cost


class CapacityProxy:
    """The natural logarithm of a subnet's MACs."""

    name = "capacity-proxy (log MACs, not an accuracy)"
    is_proxy = True

    def __init__(self, space: SearchSpace) -> None:
        self.resolutions = space.resolutions
        self._macs = macs_cost(space)

    def predict_codes(self, codes: Codes) -> Accuracies:
        """Return log MACs of each row."""
        return np.log(self._macs(codes))
