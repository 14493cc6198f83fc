"""Limits that a subnet must keep: latency on one or several devices, MACs, parameters, bytes.

Owns: what a limit is, how its cost is computed for many codes, and the exact re-check of one
subnet. The first constraint of a search is its budget.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgeprof.accuracy.base import ACCURACY_DEVICE
from edgeprof.base.errors import SearchError
from edgeprof.networks.spaces.base import SearchSpace
from edgeprof.networks.spaces.costs import (
    FORMATS,
    PRECISIONS,
    macs_cost,
    model_bytes_cost,
    model_bytes_of,
    parameters_cost,
)
from edgeprof.networks.spaces.structure import CostFunction
from edgeprof.networks.subnet import Subnet
from edgeprof.predictors.base import IntervalPredictor, LatencyPredictor


@dataclass(frozen=True)
class Constraint:
    """An upper limit on a cost.

    Attributes:
        name: what is limited, e.g. ``"latency on rpi4"``.
        unit: of cost and limit.
        limit: the largest cost allowed.
        cost: costs of many codes; what the search runs on.
        exact_cost: the cost of one subnet at full precision, not through the codes.
    """

    name: str
    unit: str
    limit: float
    cost: CostFunction
    exact_cost: Callable[[Subnet], float]


def check_limit(limit: float, name: str) -> float:
    """Return the limit as it is.

    Raises:
        SearchError: if it is not a positive number.
    """
    if not math.isfinite(limit) or limit <= 0:
        raise SearchError(f"limit of {name} is {limit:g}, want a number above 0")
    return float(limit)


def latency_constraint(
    predictor: LatencyPredictor,
    limit_ms: float,
    space: SearchSpace,
    *,
    confidence: float | None = None,
) -> Constraint:
    """Limit the latency that a source predicts.

    Args:
        predictor: an ``.edgp``, a host model or a lookup table.
        limit_ms: the budget.
        space: the space that is searched.
        confidence: keep the budget with this probability (one-sided); the limit then holds for
            the upper bound of the prediction. Needs a predictor that knows how sure it is.

    Raises:
        SearchError: for a source of another space, or one without intervals.
    """
    name = f"latency on {predictor.device}"
    if predictor.device == ACCURACY_DEVICE:
        raise SearchError("the latency source is an accuracy model; give a latency predictor")
    if predictor.space != space.id:
        raise SearchError(
            f"latency source for {predictor.device} is of space {predictor.space}, the search is "
            f"over {space.id}"
        )
    if confidence is None:
        cost: CostFunction = predictor.predict_codes
    else:
        cost = upper_bound(predictor, confidence)
        name += f" (upper bound at {confidence:g})"

    def exact_cost(subnet: Subnet) -> float:
        if confidence is None:
            return float(predictor.predict([subnet])[0])
        return float(cost(space.encode([subnet]))[0])

    return Constraint(name, "ms", check_limit(limit_ms, name), cost, exact_cost)


def upper_bound(predictor: LatencyPredictor, confidence: float) -> CostFunction:
    """Return the function to the latency that is kept with one-sided ``confidence``.

    Raises:
        SearchError: if the predictor has no intervals or the confidence is not in (0.5, 1).
    """
    if not 0.5 < confidence < 1:
        raise SearchError(f"confidence is {confidence:g}, want more than 0.5 and less than 1")
    if not isinstance(predictor, IntervalPredictor):
        raise SearchError(
            f"latency source for {predictor.device} does not know its uncertainty; "
            f"--confidence needs a host model (.host.npz)"
        )
    # A central interval of 2c - 1 leaves 1 - c above it.
    central = 2 * confidence - 1
    return lambda codes: predictor.predict_interval(codes, central).high_ms


def macs_constraint(space: SearchSpace, limit: float) -> Constraint:
    """Limit the multiply-accumulates."""
    return Constraint(
        "MACs",
        "MACs",
        check_limit(limit, "MACs"),
        macs_cost(space),
        lambda subnet: float(space.layers(subnet).macs),
    )


def parameters_constraint(space: SearchSpace, limit: float) -> Constraint:
    """Limit the number of weights and biases."""
    return Constraint(
        "parameters",
        "parameters",
        check_limit(limit, "parameters"),
        parameters_cost(space),
        lambda subnet: float(space.layers(subnet).parameters),
    )


def model_bytes_constraint(
    space: SearchSpace, limit: float, *, precision: str = "fp32", model_format: str | None = None
) -> Constraint:
    """Limit the size of the exported model, by an upper estimate of it.

    Args:
        space: the space that is searched.
        limit: in bytes.
        precision: one of ``PRECISIONS``.
        model_format: one of ``FORMATS``  [default: the larger of them].

    Raises:
        SearchError: for an unknown precision or format.
    """
    for value, known in ((precision, PRECISIONS), (model_format or FORMATS[0], FORMATS)):
        if value not in known:
            raise SearchError(f"{value!r} is unknown, want one of {', '.join(known)}")
    formats = FORMATS if model_format is None else (model_format,)
    costs = [model_bytes_cost(space, name, precision) for name in formats]

    def exact_cost(subnet: Subnet) -> float:
        network = space.layers(subnet)
        return float(max(model_bytes_of(network, name, precision) for name in formats))

    return Constraint(
        f"model bytes at {precision}",
        "bytes",
        check_limit(limit, "model bytes"),
        lambda codes: np.max([cost(codes) for cost in costs], axis=0),
        exact_cost,
    )
