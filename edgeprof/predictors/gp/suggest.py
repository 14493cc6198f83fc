"""Which subnets to measure next.

Owns: greedy choice of a batch by posterior variance: always the subnet whose measurement takes
most variance off the whole pool, given those chosen before. No latency is needed to choose, so a
whole batch is chosen at once.

Rejected: the subnet that one knows least about. That is the largest network there is, or an odd
one, and teaches less about the others: 5 and 10 samples chosen so were a third worse on one GPU
and no better on another.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeprof.base.errors import PredictorFormatError
from edgeprof.networks.spaces import get_space
from edgeprof.networks.spaces.base import Codes
from edgeprof.networks.subnet import Subnet
from edgeprof.predictors.base import LatencyPredictor
from edgeprof.predictors.base_models import check_base
from edgeprof.predictors.features import Floats
from edgeprof.predictors.gp.model import GaussianProcess, prior_covariance

POOL_SIZE = 2000


def suggest_next(
    model: GaussianProcess,
    n: int,
    *,
    seed: int = 0,
    pool_size: int = POOL_SIZE,
    resolutions: Sequence[int] | None = None,
) -> list[Subnet]:
    """Return subnets to measure on the model's own device, beside those it has learned from.

    Args:
        model: the model of the device.
        n: how many.
        seed: of the pool.
        pool_size: random subnets to choose from, at least ``n``.
        resolutions: of the pool; those the space samples where not given.
    """
    space = get_space(model.space)
    codes = _pool(model.space, n, seed, pool_size, resolutions, measured=model.data.codes)
    covariance, noise = model.posterior_covariance(codes)
    return space.decode(codes[choose(covariance, noise, n)])


def suggest_first(
    space_id: str,
    bases: Sequence[LatencyPredictor],
    n: int,
    *,
    seed: int = 0,
    pool_size: int = POOL_SIZE,
    resolutions: Sequence[int] | None = None,
) -> list[Subnet]:
    """Return the first subnets to measure on a device nothing is known of.

    Args:
        space_id: the space to measure in.
        bases: predictors of other devices that will be adapted.
        n: how many.
        seed: of the pool.
        pool_size: random subnets to choose from, at least ``n``.
        resolutions: of the pool; those the space samples where not given.
    """
    for base in bases:
        check_base(base, space_id)
    codes = _pool(space_id, n, seed, pool_size, resolutions)
    covariance, noise = prior_covariance(space_id, codes, bases)
    return get_space(space_id).decode(codes[choose(covariance, noise, n)])


def choose(covariance: Floats, noise: float, n: int) -> list[int]:
    """Return the rows of a pool to measure, in the order they were chosen.

    Args:
        covariance: of the pool's latencies, (n_pool, n_pool); is changed.
        noise: variance of a measurement.
        n: how many rows, at most as many as there are.
    """
    chosen: list[int] = []
    for _ in range(n):
        variance = np.diag(covariance) + noise
        taken_off = (covariance**2).sum(axis=0) / variance
        taken_off[chosen] = -1.0
        best = int(np.argmax(taken_off))
        chosen.append(best)
        column = covariance[:, best].copy()
        covariance -= np.outer(column, column / variance[best])
    return chosen


def _pool(
    space_id: str,
    n: int,
    seed: int,
    pool_size: int,
    resolutions: Sequence[int] | None,
    measured: Codes | None = None,
) -> Codes:
    """Draw the pool, without what has been measured: a repetition teaches about the noise only."""
    space = get_space(space_id)
    codes = space.encode(space.sample(pool_size, np.random.default_rng(seed), resolutions))
    known = set() if measured is None else {row.tobytes() for row in measured}
    fresh = codes[[row.tobytes() not in known for row in codes]]
    if len(fresh) < n:
        raise PredictorFormatError(
            f"pool of {pool_size} subnets, {len(codes) - len(fresh)} of them measured before: want "
            f"at least the {n} to choose"
        )
    return fresh
