"""Searching in one call, from files or from loaded models.

Owns: ``edgeprof.search``. Does not own: how a search goes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgeprof.accuracy import AccuracyModel, load_accuracy
from edgeprof.networks.spaces import get_space
from edgeprof.predictors.base import LatencyPredictor
from edgeprof.search.engine import Search
from edgeprof.search.front import search_front
from edgeprof.search.results import SearchResult
from edgeprof.search.sources import load_latency

FilePath = str | os.PathLike[str]


def search(
    latency: FilePath | LatencyPredictor,
    accuracy: FilePath | AccuracyModel,
    budgets_ms: float | Sequence[float] = (),
    *,
    space: str | None = None,
    **how: Any,
) -> list[SearchResult]:
    """Find the most accurate subnets within latency budgets, as ``edgeprof search`` does.

    >>> import edgeprof
    >>> from edgeprof.search import SearchOptions
    >>> quick = SearchOptions(population=10, generations=5)
    >>> [best] = edgeprof.search("pi4.edgp", "capacity-proxy", 20.0, options=quick)
    >>> best.latency_ms <= 20.0
    True

    Args:
        latency: a predictor or its file, or a folder of lookup tables.
        accuracy: an accuracy model, its file, or ``"capacity-proxy"``.
        budgets_ms: the budgets in milliseconds; the whole Pareto front if there are none.
        space: id of the space, where the latency source does not name one.
        **how: ``limits``, ``confidence``, ``resolutions``, ``options``; see ``Search``.

    Returns:
        One result per budget, or the front, fastest first.

    Raises:
        InfeasibleBudget: no subnet meets a budget; names the smallest latency there is.
        PredictorFormatError: a file that holds no such model.
        SearchError: models or options that do not go together.
    """
    plan = _search_of(latency, accuracy, space, **how)
    budgets = [budgets_ms] if isinstance(budgets_ms, (int, float)) else list(budgets_ms)
    return plan.run(budgets) if budgets else search_front(plan)


def _search_of(
    latency: FilePath | LatencyPredictor,
    accuracy: FilePath | AccuracyModel,
    space: str | None,
    **how: Any,
) -> Search:
    if isinstance(latency, (str, os.PathLike)):
        latency = load_latency(Path(latency), space)
    searched = get_space(latency.space)
    if isinstance(accuracy, (str, os.PathLike)):
        accuracy = load_accuracy(os.fspath(accuracy), searched)
    return Search(searched, accuracy, latency, **how)
