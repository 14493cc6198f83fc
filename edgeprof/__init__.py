"""edgeprof: how fast will this network run on that board, and which one meets the budget?

The functions are those behind the commands: ``measure``, ``compare``, ``profile``, ``train``,
``predict``, ``search``, ``report``, ``doctor``. Names are loaded on first use, so that
``import edgeprof`` stays cheap on a board.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeprof.base.errors import EdgeprofError, StableError, TransientError
    from edgeprof.boards.doctor import Diagnosis, doctor
    from edgeprof.measuring.compare import Comparison, compare
    from edgeprof.measuring.harness import Settings, measure
    from edgeprof.measuring.measurement import Measurement
    from edgeprof.networks import read_network
    from edgeprof.networks.layers import Layer, Network
    from edgeprof.networks.spaces import get_space
    from edgeprof.networks.subnet import Subnet
    from edgeprof.predictors import load_predictor
    from edgeprof.predictors.estimator import LatencyRegressor
    from edgeprof.predictors.functions import predict, train
    from edgeprof.records.dataset import Dataset, read_dataset
    from edgeprof.records.store import Store
    from edgeprof.report.functions import report
    from edgeprof.runs.functions import profile
    from edgeprof.search.functions import search

    __version__: str

_HOMES = {
    "Comparison": "edgeprof.measuring.compare",
    "Dataset": "edgeprof.records.dataset",
    "Diagnosis": "edgeprof.boards.doctor",
    "EdgeprofError": "edgeprof.base.errors",
    "LatencyRegressor": "edgeprof.predictors.estimator",
    "Layer": "edgeprof.networks.layers",
    "Measurement": "edgeprof.measuring.measurement",
    "Network": "edgeprof.networks.layers",
    "Settings": "edgeprof.measuring.harness",
    "StableError": "edgeprof.base.errors",
    "Store": "edgeprof.records.store",
    "Subnet": "edgeprof.networks.subnet",
    "TransientError": "edgeprof.base.errors",
    "compare": "edgeprof.measuring.compare",
    "doctor": "edgeprof.boards.doctor",
    "get_space": "edgeprof.networks.spaces",
    "load_predictor": "edgeprof.predictors",
    "measure": "edgeprof.measuring.harness",
    "predict": "edgeprof.predictors.functions",
    "profile": "edgeprof.runs.functions",
    "read_dataset": "edgeprof.records.dataset",
    "read_network": "edgeprof.networks",
    "train": "edgeprof.predictors.functions",
}
_CALLABLE_PACKAGES = ("report", "search")

__all__ = [
    "Comparison",
    "Dataset",
    "Diagnosis",
    "EdgeprofError",
    "LatencyRegressor",
    "Layer",
    "Measurement",
    "Network",
    "Settings",
    "StableError",
    "Store",
    "Subnet",
    "TransientError",
    "__version__",
    "compare",
    "doctor",
    "get_space",
    "load_predictor",
    "measure",
    "predict",
    "profile",
    "read_dataset",
    "read_network",
    "report",
    "search",
    "train",
]


def __getattr__(name: str) -> object:
    if name in _CALLABLE_PACKAGES:
        return importlib.import_module(f"edgeprof.{name}")
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("edgeprof")
    if name not in _HOMES:
        raise AttributeError(f"module 'edgeprof' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
