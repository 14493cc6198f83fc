"""What a network is: a subnet of a space, or the layers of any model.

Hands the registry of spaces to ``Subnet``, which checks itself against the space that it names.
``read_network`` reads the layers of a model file.
"""

from __future__ import annotations

from edgeprof.networks.graphs import read_network
from edgeprof.networks.spaces import get_space
from edgeprof.networks.subnet import Subnet

Subnet.find_space = get_space

__all__ = ["read_network"]
