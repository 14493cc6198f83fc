"""edgeprof: how fast will this network run on that board, and which one meets the budget?

Public names are loaded on first use, so that ``import edgeprof`` stays cheap on a board.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeprof.base.errors import EdgeprofError, StableError, TransientError
    from edgeprof.measuring.harness import Settings, measure
    from edgeprof.measuring.measurement import Measurement
    from edgeprof.networks import read_network
    from edgeprof.networks.layers import Layer, Network
    from edgeprof.networks.spaces import get_space
    from edgeprof.networks.subnet import Subnet
    from edgeprof.predictors import load_predictor

_HOMES = {
    "EdgeprofError": "edgeprof.base.errors",
    "Layer": "edgeprof.networks.layers",
    "Measurement": "edgeprof.measuring.measurement",
    "Network": "edgeprof.networks.layers",
    "Settings": "edgeprof.measuring.harness",
    "StableError": "edgeprof.base.errors",
    "Subnet": "edgeprof.networks.subnet",
    "TransientError": "edgeprof.base.errors",
    "get_space": "edgeprof.networks.spaces",
    "load_predictor": "edgeprof.predictors",
    "measure": "edgeprof.measuring.harness",
    "read_network": "edgeprof.networks",
}

__all__ = [
    "EdgeprofError",
    "Layer",
    "Measurement",
    "Network",
    "Settings",
    "StableError",
    "Subnet",
    "TransientError",
    "get_space",
    "load_predictor",
    "measure",
    "read_network",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'edgeprof' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
