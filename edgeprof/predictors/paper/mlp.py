"""The paper's networks: the MLP on the 128-D encoding, its re-trained last layer, hardware inputs.

Owns: the models ``paper-mlp``, ``paper-finetune`` and ``paper-gpu`` (arXiv 2101.00732): 128 (or
131) inputs, three hidden layers of 400 with ReLU, stochastic gradient descent in batches of 32.

Departs from the original where it was wrong: hardware inputs are scaled, the epoch is chosen by a
validation split instead of taking the last batch, and errors go by their right names. Latencies
are standardised for the fit. A resolution between two of the paper's eight is encoded by both, in
proportion (160 + 4 pixels: 3/4 and 1/4).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np

from edgeprof.base.errors import DatasetError, PredictorFormatError
from edgeprof.base.extras import optional
from edgeprof.networks.spaces import get_space
from edgeprof.networks.spaces.base import Codes
from edgeprof.networks.spaces.ofa_encoding import OfaEncoding
from edgeprof.predictors.base import Latencies, LatencyPredictor, check_base
from edgeprof.predictors.features import Floats
from edgeprof.predictors.hardware.devices import Device, other_hardware, space_of
from edgeprof.predictors.host_file import Arrays, Meta
from edgeprof.predictors.residual_interval import ResidualInterval, nothing_known
from edgeprof.records.dataset import Dataset

_HIDDEN = (400, 400, 400)
_BATCH = 32
MAX_EPOCHS = 200
_PATIENCE = 15
_RIDGE = 1.0
_FIRST_RESOLUTION, _RESOLUTION_STEP, _N_RESOLUTIONS = 112, 16, 8

Layers = tuple[tuple[Floats, Floats], ...]
"""Weights (inputs, outputs) and biases of each layer."""


@dataclass(repr=False)
class PaperMlp(ResidualInterval):
    """A multilayer perceptron on one-hot choices, with further inputs that are the same per device.

    Attributes:
        space: id of the search space.
        device: name of the device.
        layers: of the network, the last without activation.
        offset_ms, unit_ms: what the network's output is in.
        hardware: further inputs, scaled (``paper-gpu``); empty else.
    """

    kind: ClassVar[str] = "paper-mlp"

    space: str
    device: str
    layers: Layers
    offset_ms: float
    unit_ms: float
    hardware: tuple[float, ...] = ()
    relative_errors: Floats = field(default_factory=nothing_known)

    @classmethod
    def fit(cls, data: Dataset, *, seed: int = 0, max_epochs: int = MAX_EPOCHS) -> PaperMlp:
        """Train from scratch on one device."""
        inputs = _encode(data.space, data.codes, ())
        layers, offset_ms, unit_ms = fit_layers(inputs, data.latency_ms, seed, max_epochs)
        return cls(data.space, data.device, layers, offset_ms, unit_ms)

    @classmethod
    def fit_across(
        cls,
        measured: Sequence[tuple[Device, Dataset]],
        target: Device,
        *,
        space: str | None = None,
        seed: int = 0,
        max_epochs: int = MAX_EPOCHS,
    ) -> PaperMlp:
        """Train on other devices with their hardware as inputs; predict ``target``.

        Raises:
            DatasetError: if there is no other hardware, or if the rows are of several spaces or
                batches, for which the paper's inputs have no place.
        """
        others = other_hardware(measured, target)
        found = space_of(others, target)
        if space not in (None, found):
            raise DatasetError(f"paper-gpu: rows of {found}, but {space} is to be predicted")
        batches = sorted({device.batch for device in (target, *(device for device, _ in others))})
        if len(batches) > 1:
            listed = ", ".join(f"{batch:g}" for batch in batches)
            raise DatasetError(
                f"paper-gpu: batches {listed}, but none of its 131 inputs is the batch; want one"
            )
        inputs = np.concatenate(
            [_encode(data.space, data.codes, device.scaled_inputs()) for device, data in others]
        )
        latency_ms = np.concatenate([data.latency_ms for _, data in others])
        layers, offset_ms, unit_ms = fit_layers(inputs, latency_ms, seed, max_epochs)
        return cls(found, target.name, layers, offset_ms, unit_ms, target.scaled_inputs())

    def fine_tuned(self, data: Dataset) -> PaperMlp:
        """Return this network with its last layer fitted anew (ridge regression) to other data."""
        check_base(self, data.space)
        hidden = hidden_values(self.layers, _encode(data.space, data.codes, self.hardware))
        last = fit_last(hidden, data.latency_ms)
        return replace(
            self,
            space=data.space,
            device=data.device,
            layers=(*self.layers[:-1], last.layer),
            offset_ms=last.offset,
            unit_ms=last.unit,
            relative_errors=nothing_known(),
        )

    def predict_codes(self, codes: Codes) -> Latencies:
        """See the interface."""
        hidden = hidden_values(self.layers, _encode(self.space, codes, self.hardware))
        weights, bias = self.layers[-1]
        latency_ms: Latencies = (hidden @ weights + bias)[:, 0] * self.unit_ms + self.offset_ms
        return latency_ms

    def to_arrays(self) -> tuple[Meta, Arrays]:
        """See ``host_file``."""
        meta = {
            "space": self.space,
            "device": self.device,
            "offset_ms": self.offset_ms,
            "unit_ms": self.unit_ms,
            "hardware": list(self.hardware),
            "n_layers": len(self.layers),
        }
        arrays: Arrays = {"relative_errors": self.relative_errors}
        for index, (weights, bias) in enumerate(self.layers):
            arrays[f"weights{index}"] = weights.astype(np.float32)
            arrays[f"bias{index}"] = bias.astype(np.float32)
        return meta, arrays

    @classmethod
    def from_arrays(cls, meta: Meta, arrays: Mapping[str, Any]) -> PaperMlp:
        """See ``host_file``."""
        layers = tuple(
            (
                arrays[f"weights{index}"].astype(np.float64),
                arrays[f"bias{index}"].astype(np.float64),
            )
            for index in range(meta["n_layers"])
        )
        hardware = tuple(float(value) for value in meta["hardware"])
        scale = float(meta["offset_ms"]), float(meta["unit_ms"])
        return cls(
            meta["space"], meta["device"], layers, *scale, hardware, arrays["relative_errors"]
        )


def fit_fine_tuned(data: Dataset, bases: Sequence[LatencyPredictor]) -> PaperMlp:
    """Return the one base, a ``paper-mlp``, with its last layer fitted to the data.

    Raises:
        PredictorFormatError: if there is not exactly one such base.
    """
    networks = [base for base in bases if isinstance(base, PaperMlp)]
    if len(networks) != 1 or len(bases) != 1:
        found = ", ".join(type(base).__name__ for base in bases) or "none"
        raise PredictorFormatError(
            f"paper-finetune: want one base, the .host.npz of a paper-mlp; found {found}"
        )
    return networks[0].fine_tuned(data)


def _encode(space_id: str, codes: Codes, hardware: tuple[float, ...]) -> Floats:
    space = get_space(space_id)
    one_hot = OfaEncoding(space)(codes).astype(np.float64)
    # The paper's 8 inputs stand for every 16 pixels: others lie between two of them.
    steps = (np.array(space.resolutions)[codes[:, -1]] - _FIRST_RESOLUTION) / _RESOLUTION_STEP
    distance = np.abs(steps[:, np.newaxis] - np.arange(_N_RESOLUTIONS))
    one_hot[:, -_N_RESOLUTIONS:] = np.maximum(1 - distance, 0)
    return np.concatenate([one_hot, np.tile(hardware, (len(codes), 1))], axis=1)


def hidden_values(layers: Layers, inputs: Floats) -> Floats:
    """Return what the last layer sees: float64 (n, 400)."""
    values = inputs
    for weights, bias in layers[:-1]:
        values = np.maximum(values @ weights + bias, 0.0)
    return values


class LastLayer(NamedTuple):
    """The last layer of a network, and what its output is in.

    Attributes:
        layer: weights (400, 1) and bias.
        offset, unit: the values are ``offset + unit * output``.
        left_out: how far each value is from what the others make of it.
    """

    layer: tuple[Floats, Floats]
    offset: float
    unit: float
    left_out: Floats


def fit_last(hidden: Floats, values: Floats) -> LastLayer:
    """Fit the last layer to values, by ridge regression."""
    offset, unit = float(values.mean()), float(values.std()) or 1.0
    centre = hidden.mean(axis=0)
    centred = hidden - centre
    gram = centred.T @ centred + _RIDGE * np.eye(hidden.shape[1])
    solved = np.linalg.solve(gram, centred.T)
    weights = (solved @ ((values - offset) / unit))[:, np.newaxis]
    missed = values - offset - unit * (centred @ weights)[:, 0]
    leverage = 1 / len(values) + (centred * solved.T).sum(axis=1)
    left_out: Floats = missed / np.maximum(1 - leverage, 1e-9)
    return LastLayer((weights, -centre @ weights), offset, unit, left_out)


def fit_layers(
    inputs: Floats, values: Floats, seed: int, max_epochs: int
) -> tuple[Layers, float, float]:
    """Train the network of the paper; returns its layers, and offset and unit of its output."""
    with optional("training"):
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPRegressor

    offset, unit = float(values.mean()), float(values.std()) or 1.0
    network = MLPRegressor(
        hidden_layer_sizes=_HIDDEN,
        activation="relu",
        solver="sgd",
        batch_size=min(_BATCH, len(inputs)),
        learning_rate_init=0.01,
        max_iter=max_epochs,
        early_stopping=len(inputs) >= 10 * _BATCH,
        n_iter_no_change=_PATIENCE,
        random_state=seed,
    )
    with warnings.catch_warnings():
        # The number of epochs is part of the recipe: reaching it is no failure.
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(inputs, (values - offset) / unit)
    layers = tuple(zip(network.coefs_, network.intercepts_, strict=True))
    return layers, offset, unit
