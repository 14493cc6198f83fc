"""What every latency predictor can do.

Owns: the interface between predictors and those who use them (command line, search, report), and
which predictors can serve as bases of others.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.errors import PredictorFormatError, UnsupportedModel
from edgeprof.networks import read_network
from edgeprof.networks.layers import Network
from edgeprof.networks.spaces import get_space
from edgeprof.networks.spaces.base import Codes
from edgeprof.networks.subnet import Subnet

NetworkLike: TypeAlias = "Subnet | Network | str | os.PathLike[str]"
Networks: TypeAlias = "NetworkLike | Sequence[NetworkLike]"
"""One or several: subnets, layer lists, and paths of ONNX or TFLite files."""

Latencies = NDArray[np.float64]
"""Latencies in milliseconds, shape (n_subnets,)."""


@runtime_checkable
class LatencyPredictor(Protocol):
    """Predicts the latency of subnets of one space on one device.

    Attributes:
        space: id of the space.
        device: name of the device, as in the dataset it was trained on.
    """

    @property
    def space(self) -> str:
        """Id of the space."""

    @property
    def device(self) -> str:
        """Name of the device."""

    def predict(self, subnets: Networks) -> Latencies:
        """Return the latency of each subnet in ms."""

    def predict_codes(self, codes: Codes) -> Latencies:
        """Return the latency of each row of codes (see ``SearchSpace.encode``) in ms."""


class LatencyInterval(NamedTuple):
    """Predictions with a central interval, each of shape (n_subnets,), in ms."""

    mean_ms: Latencies
    low_ms: Latencies
    high_ms: Latencies


@runtime_checkable
class IntervalPredictor(LatencyPredictor, Protocol):
    """A predictor that knows how sure it is."""

    def predict_interval(self, codes: Codes, confidence: float = 0.9) -> LatencyInterval:
        """Return the mean and the central interval that holds a measurement with ``confidence``."""


@dataclass(frozen=True)
class Origin:
    """Where a predictor comes from.

    Attributes:
        provenance: hash of the dataset, n, metrics and the like.
        learned: uint64 hashes of the rows that it was trained on (``Examples.hashes``), those left
            out as contradicted among them; None where its files do not say.
    """

    provenance: Mapping[str, object] = field(default_factory=dict)
    learned: NDArray[np.uint64] | None = field(default_factory=lambda: np.zeros(0, dtype=np.uint64))


def described(predictor: Any) -> str:
    """Return a predictor in one line: its class, device and space, as far as they are known."""
    facts = [f"{n}={getattr(predictor, n)!r}" for n in ("device", "space") if hasattr(predictor, n)]
    return f"{type(predictor).__name__}({', '.join(facts)})"


def each_of(networks: Networks) -> list[NetworkLike]:
    """Return one or several networks as a list."""
    if isinstance(networks, (Subnet, Network, str, os.PathLike)):
        return [networks]
    return list(networks)


def as_network(item: NetworkLike) -> Network:
    """Return the layer list of a subnet or of a model file.

    Raises:
        InvalidModel, UnsupportedModel: the file cannot be read.
    """
    if isinstance(item, Network):
        return item
    if isinstance(item, Subnet):
        return get_space(item.space).layers(item)
    return read_network(os.fspath(item))


class PredictsCodes(ABC):
    """What predicts rows of codes predicts subnets.

    Attributes:
        space: id of the space.
        origin: where it comes from.
    """

    space: str
    origin: Origin = Origin()

    @abstractmethod
    def predict_codes(self, codes: Codes) -> Latencies:
        """Return the value of each row of codes."""

    def predict(self, subnets: Networks) -> Latencies:
        """Return the value of each subnet; host models of layers take other networks too.

        Args:
            subnets: one or several subnets, layer lists, or paths of model files.

        Raises:
            UnsupportedModel: this predictor knows the subnets of its space only.
        """
        listed = each_of(subnets)
        known = [item for item in listed if isinstance(item, Subnet)]
        if len(known) == len(listed):
            return self.predict_codes(get_space(self.space).encode(known))
        of_networks = getattr(self, "predict_networks", None)
        if of_networks is None:
            raise UnsupportedModel(
                f"{self!r}: predicts subnets of {self.space} only; other networks need the "
                ".host.npz of a gp, or layer costs"
            )
        mean_ms: Latencies = of_networks([as_network(item) for item in listed]).mean_ms
        return mean_ms

    def __repr__(self) -> str:
        return described(self)


def is_of_any_space(predictor: object) -> bool:
    """Tell whether a predictor learns from networks of any kind; its space is only a choice then.

    Such a predictor has ``is_of_any_space`` and ``predict_networks``.
    """
    return bool(getattr(predictor, "is_of_any_space", False))


def check_base(base: LatencyPredictor, space_id: str, name: str | None = None) -> None:
    """Raise unless the codes of one space mean the same choices in the other.

    A supernet at another width has the same choices: its predictions order subnets alike.
    ``name`` is for the message.

    Raises:
        PredictorFormatError: naming both spaces.
    """
    if base.space == space_id:
        return
    if not base.space:
        raise PredictorFormatError(
            f"{name or f'base predictor of {base.device}'}: predicts networks of any space, and is "
            f"no base; want a predictor of {space_id}"
        )
    ours, theirs = get_space(space_id), get_space(base.space)
    same = (
        ours.cardinalities == theirs.cardinalities
        and ours.resolutions == theirs.resolutions
        and getattr(ours, "stages", None) == getattr(theirs, "stages", None)
    )
    if not same:
        raise PredictorFormatError(
            f"{name or 'base predictor'} of {base.device}: is of space {base.space}, whose choices "
            f"differ from {space_id}'s; want a base of {space_id} or of the same supernet at "
            "another width"
        )
