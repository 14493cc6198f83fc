"""Integers for networks: scales of activations and weights.

Owns: which range of values each layer's output takes (found by running the float network on seeded
inputs), and how ranges and biases become integers. Does not own: model formats.

Activations: asymmetric, one scale per feature map. Weights (their source quantises them):
symmetric, one scale per output channel. Biases: int32 at input scale times weight scale.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.extras import optional
from edgeprof.export.weights import WeightSource
from edgeprof.networks.layers import INPUT, Network

CALIBRATION_IMAGES = 2
CALIBRATION_SEED = 20210101
_QMIN, _QMAX = -128, 127
_SMALLEST_RANGE = 1e-6


class Scale(NamedTuple):
    """How an int8 tensor stands for real numbers: ``(q - zero_point) * scale``."""

    scale: float
    zero_point: int

    def quantise(self, values: NDArray[np.float32]) -> NDArray[np.int8]:
        """Return the nearest integers within int8."""
        levels = np.rint(values / self.scale) + self.zero_point
        clipped: NDArray[np.int8] = np.clip(levels, _QMIN, _QMAX).astype(np.int8)
        return clipped


def scale_of_range(low: float, high: float) -> Scale:
    """Return the scale that covers a range and stands for 0 exactly."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32(max(high - low, _SMALLEST_RANGE) / (_QMAX - _QMIN)))
    return Scale(scale, round(_QMIN - low / scale))


def quantise_bias(
    values: NDArray[np.float32], input_scale: float, weight_scales: NDArray[np.float32]
) -> NDArray[np.int32]:
    """Return a bias as int32 at the scale of the accumulator."""
    levels = np.rint(values / (np.float64(input_scale) * weight_scales))
    as_integers: NDArray[np.int32] = levels.astype(np.int32)
    return as_integers


def calibrate(network: Network, weights: WeightSource) -> dict[str, Scale]:
    """Return the scale of each layer's output, and that of the input under ``INPUT``.

    Runs the float network in ONNX Runtime on ``CALIBRATION_IMAGES`` standard normal images.

    Raises:
        MissingDependency: without onnx or onnxruntime.
    """
    with optional("int8 export"):
        import onnxruntime

    from edgeprof.export.onnx import INPUT_NAME, OUTPUT_NAME, serialise

    model = serialise(network, batch=CALIBRATION_IMAGES, weights=weights, keep_all=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry(
        "session.intra_op.allow_spinning", "0"
    )  # leave cores to others
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(CALIBRATION_SEED)
    images = rng.standard_normal((CALIBRATION_IMAGES, *network.input_shape), dtype=np.float32)
    names = [output.name for output in session.get_outputs()]
    values = dict(zip(names, session.run(names, {INPUT_NAME: images}), strict=True))
    *_, last = network.layers()
    values[INPUT], values[last.name] = images, values.pop(OUTPUT_NAME)
    return {name: scale_of_range(float(v.min()), float(v.max())) for name, v in values.items()}
