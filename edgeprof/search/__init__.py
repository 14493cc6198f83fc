"""Latency-constrained search: the best subnet within limits, and the Pareto front.

Owns: the public names. ``Search(space, accuracy, latency).run([20.0])`` is the whole call; from
files it is that of the package itself: ``edgeprof.search("pi4.edgp", "acc.npz", 20.0)``.
"""

from __future__ import annotations

from edgeprof.base.callable_module import make_callable
from edgeprof.search.constraints import (
    Constraint,
    latency_constraint,
    macs_constraint,
    model_bytes_constraint,
    parameters_constraint,
)
from edgeprof.search.engine import Search
from edgeprof.search.front import search_front
from edgeprof.search.functions import search
from edgeprof.search.options import SearchOptions
from edgeprof.search.results import (
    SearchResult,
    to_csv,
    to_json,
    to_ofa_lines,
    to_subnet_lines,
    to_table,
)
from edgeprof.search.verify import Measure, measure_through, search_verified

__all__ = [
    "Constraint",
    "Measure",
    "Search",
    "SearchOptions",
    "SearchResult",
    "latency_constraint",
    "macs_constraint",
    "measure_through",
    "model_bytes_constraint",
    "parameters_constraint",
    "search",
    "search_front",
    "search_verified",
    "to_csv",
    "to_json",
    "to_ofa_lines",
    "to_subnet_lines",
    "to_table",
]

make_callable(__name__, search)
