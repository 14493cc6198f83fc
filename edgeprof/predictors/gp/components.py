"""The terms of the covariance: which there are, and how large each is expected to be.

Owns: the model's structure and its priors. Values are learned as they are, not as logarithms: a
network's latency is a sum over its layers, and sums stay sums.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from edgeprof.predictors.features import QUANTITIES
from edgeprof.predictors.gp.feature_map import Groups
from edgeprof.predictors.gp.kernels import Component

# Quantities between which the cost may curve: large networks use caches and cores otherwise.
_CURVED = (
    "pointwise_macs",
    "depthwise_macs",
    "dense_macs",
    "linear_macs",
    "vector_macs",
    "conv_elements_read",
)

# Expected log variance of each component, of values relative to their mean: near what 700
# samples of measured GPUs fit to, with and without a base (no test rows).
_EXPECTED = {
    "work": -4.5,
    "levels": -8.0,
    "layers": -3.1,
    "blocks": -8.8,
    "curvature": -6.3,
    "launch": -5.5,
    "bases": -1.2,
    "noise": -8.3,
}


def components_of(groups: Groups, n_bases: int) -> tuple[Component, ...]:
    """Return the terms of the covariance for these columns; the noise is the last."""
    totals = groups.columns["totals"].start
    curved = tuple(totals + QUANTITIES.index(name) for name in _CURVED)

    def term(
        name: str, form: Any, columns: Iterable[int] = (), tail: int | None = None
    ) -> Component:
        return Component(name, form, tuple(columns), tail, _EXPECTED[name])

    def group(name: str) -> range:
        part = groups.columns[name]
        return range(part.start, part.stop)

    terms = [
        term("work", "linear", group("totals")),
        term("levels", "linear", group("levels")),
        term("layers", "linear", group("layers"), groups.tails["layers"]),
        term("blocks", "linear", group("blocks"), groups.tails["blocks"]),
        term("curvature", "smooth", curved),
        term("launch", "constant"),
    ]
    if n_bases:
        terms.append(term("bases", "linear", range(groups.width, groups.width + n_bases)))
    return (*terms, term("noise", "noise"))
