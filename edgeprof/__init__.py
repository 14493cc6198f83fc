"""edgeprof: how fast will this network run on that board, and which one meets the budget?

Public names are loaded on first use, so that ``import edgeprof`` stays cheap on a board.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeprof.errors import EdgeprofError, StableError, TransientError
    from edgeprof.harness import Settings, measure
    from edgeprof.layers import Layer, Network
    from edgeprof.measurement import Measurement
    from edgeprof.predictors import load_predictor
    from edgeprof.spaces import get_space
    from edgeprof.subnet import Subnet

_HOMES = {
    "EdgeprofError": "edgeprof.errors",
    "Layer": "edgeprof.layers",
    "Measurement": "edgeprof.measurement",
    "Network": "edgeprof.layers",
    "Settings": "edgeprof.harness",
    "StableError": "edgeprof.errors",
    "Subnet": "edgeprof.subnet",
    "TransientError": "edgeprof.errors",
    "get_space": "edgeprof.spaces",
    "load_predictor": "edgeprof.predictors",
    "measure": "edgeprof.harness",
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
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'edgeprof' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
