"""Networks whose latencies the others contradict, found before costs are learned for good.

Owns: the search for them. Limits and robust weights are those of ``gp.contradictions``, on
logarithms of latencies: what the others say of a network is its prediction with it left out, by the
costs as they are linearised around what all networks say.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeprof.predictors.gp.contradictions import (
    FIRST_SPREAD,
    LEAST_RATIO,
    LEAST_ROWS,
    LEAST_SPREAD,
    LIMIT,
    MOST_SHARE,
    ROUNDS,
    SETTLED,
    TO_DEVIATION,
    WEIGHT_SCALE,
    Contradicted,
    nothing_contradicted,
)
from edgeprof.predictors.layers.learning import Posterior, prior_of
from edgeprof.predictors.layers.quantities import Floats, LayerTable


def find_contradicted(
    posterior: Posterior, table: LayerTable, latency_ms: Floats, relative_se: Floats
) -> Contradicted:
    """Return the networks that the others contradict, with what these say of them.

    Args:
        posterior: learned from some or all of them.
        table: the networks' layers.
        latency_ms: (n_networks,).
        relative_se: (n_networks,), standard errors relative to the latencies; 0 if not known.
    """
    n = len(latency_ms)
    if n < LEAST_ROWS:
        return nothing_contradicted()
    covariance, target = prior_of(posterior, table, latency_ms)
    missed, is_far = _missed(covariance, target, relative_se)
    positions = np.flatnonzero(is_far)
    if len(positions) > MOST_SHARE * n:
        return nothing_contradicted()
    return Contradicted(positions, (latency_ms / np.exp(missed))[positions])


def _missed(covariance: Floats, target: Floats, errors: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return each row's logarithm less what the others say, and which rows are far off."""
    spread, weights = FIRST_SPREAD, np.ones(len(target))
    for _ in range(ROUNDS):
        noise = spread**2 / weights + errors**2
        precision = np.linalg.inv(covariance + np.diag(noise))
        alone = 1 / np.diag(precision)
        missed: Floats = precision @ target * alone
        unsure = np.maximum(alone - noise, 0) + errors**2
        spread = max(TO_DEVIATION * float(np.median(np.abs(missed))), LEAST_SPREAD)
        deviations = np.sqrt(unsure + spread**2)
        before = weights
        weights = 1 / (1 + np.square(missed / (WEIGHT_SCALE * deviations)))
        if np.abs(weights - before).max() < SETTLED:
            break
    return missed, np.abs(missed) > np.maximum(LIMIT * deviations, np.log(LEAST_RATIO))
