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
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeprof.base.errors import PredictorFormatError
from edgeprof.networks.spaces import get_space
from edgeprof.networks.spaces.base import Codes, SearchSpace
from edgeprof.networks.subnet import Subnet
from edgeprof.predictors.base import LatencyPredictor, Origin, check_base
from edgeprof.predictors.features import Floats
from edgeprof.predictors.gp.model import GaussianProcess, prior_covariance


@dataclass(frozen=True)
class Pool:
    """Random subnets to choose from.

    Attributes:
        size: how many, at least as many as are to be chosen.
        seed: of the draw.
        resolutions: those drawn from; those the space samples where not given.
    """

    size: int = 2000
    seed: int = 0
    resolutions: Sequence[int] | None = None

    def draw(self, space: SearchSpace, n: int, measured: Codes) -> Codes:
        """Draw without what has been measured: a repetition teaches about the noise only.

        Raises:
            PredictorFormatError: if fewer than ``n`` are left.
        """
        rng = np.random.default_rng(self.seed)
        codes = space.encode(space.sample(self.size, rng, self.resolutions))
        known = {row.tobytes() for row in measured}
        fresh = codes[[row.tobytes() not in known for row in codes]]
        if len(fresh) < n:
            raise PredictorFormatError(
                f"pool of {self.size} subnets, {len(codes) - len(fresh)} of them measured before: "
                f"want at least the {n} to choose"
            )
        return fresh


def suggest_next(model: GaussianProcess, n: int, pool: Pool | None = None) -> list[Subnet]:
    """Return ``n`` subnets to measure on the model's device, beside those it has learned from."""
    space = get_space(model.space)
    codes = (pool or Pool()).draw(space, n, model.examples_.codes)
    covariance = model.posterior_.covariance(model.columns_of_codes(codes))
    return space.decode(codes[choose(covariance, model.posterior_.noise, n)])


def suggest_first(
    space_id: str, bases: Sequence[LatencyPredictor], n: int, pool: Pool | None = None
) -> list[Subnet]:
    """Return the first ``n`` subnets to measure on a device nothing is known of.

    Args:
        space_id: the space to measure in.
        bases: predictors of other devices that will be adapted.
        n: how many.
        pool: what to choose from.
    """
    for base in bases:
        check_base(base, space_id)
    space = get_space(space_id)
    codes = (pool or Pool()).draw(space, n, space.encode([]))
    covariance, noise = prior_covariance(space_id, codes, bases)
    return space.decode(codes[choose(covariance, noise, n)])


def left_out_subnets(predictor: LatencyPredictor) -> list[Subnet]:
    """Return the subnets whose rows contradicted the others when a predictor was trained."""
    origin: Origin = getattr(predictor, "origin", Origin())
    rows: Any = origin.provenance.get("left_out", [])
    return [Subnet.from_dict(row["subnet"]) for row in rows]


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
