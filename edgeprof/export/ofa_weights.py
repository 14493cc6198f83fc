"""Trained weights of an OFA-MobileNetV3 supernet for its subnets.

Owns: which tensors of OFA's checkpoint a layer reads, the centre crops and transforms of kernels,
and the folding of batch normalisation. Does not own: file formats of tensors
(``edgeprof.base.torch_file``).

The statistics of batch normalisation are those of the supernet. OFA re-calibrates them on images
for each subnet; without that the accuracy is below the published one. Such models are for timing
with real numbers, and a start for a re-calibration elsewhere.

Source: ``dynamic_op.py`` and ``dynamic_layers.py`` of mit-han-lab/once-for-all.
"""

from __future__ import annotations

import re
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.errors import InvalidModel
from edgeprof.base.files import sha256_of
from edgeprof.export.weights import Constant, QuantisedWeights, quantise_per_channel

_BATCH_NORM_EPSILON = 1e-5
_BLOCKS_PER_STAGE = 4
_KERNELS = (7, 5, 3)  # each is made from the one before it

_LAYERS = {
    "stem.conv": "first_conv",
    "first.depthwise": "blocks.0.conv.depth_conv",
    "first.project": "blocks.0.conv.point_linear",
    "final_expand.conv": "final_expand_layer",
    "feature_mix.conv": "feature_mix_layer",
    "classifier.linear": "classifier.linear",
}
_LAYERS_OF_BLOCK = {
    "expand": "inverted_bottleneck",
    "depthwise": "depth_conv",
    "se_reduce": "depth_conv.se.fc.reduce",
    "se_expand": "depth_conv.se.fc.expand",
    "project": "point_linear",
}
_BLOCK_NAME = re.compile(r"stage(\d+)\.block(\d+)\.(\w+)")


class OfaWeights:
    """Weights out of a checkpoint, ``.pth`` or ``.npz`` with OFA's names.

    Args:
        path: the checkpoint; nothing in it is executed.

    Attributes:
        id: names the file's content.

    Raises:
        InvalidModel: if it is no checkpoint of an OFA-MobileNetV3 supernet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tensors = {_plain_name(name): value for name, value in _read(path).items()}
        if "first_conv.conv.weight" not in self._tensors:
            raise InvalidModel(f"{path}: has no first_conv.conv.weight, want OFA's MobileNetV3")
        self.id = f"ofa-{sha256_of(path)[:8]}"

    def values(self, constant: Constant) -> NDArray[np.float32]:
        """Return the values of a constant, batch normalisation folded.

        Raises:
            InvalidModel: if the checkpoint has no such tensor, or a smaller one.
        """
        layer, _, role = constant.name.rpartition(".")
        name = self._ofa_name(layer)
        values = (
            self._weight(name, constant.shape)
            if role == "weight"
            else self._bias(name, constant.shape[0])
        )
        return np.ascontiguousarray(values, dtype=np.float32)

    def quantised(self, constant: Constant) -> QuantisedWeights:
        """Return weights as int8 with a scale per output channel."""
        return quantise_per_channel(self.values(constant))

    def _ofa_name(self, layer: str) -> str:
        if layer in _LAYERS:
            return _LAYERS[layer]
        match = _BLOCK_NAME.fullmatch(layer)
        if match is None or match[3] not in _LAYERS_OF_BLOCK:
            raise InvalidModel(f"{self._path}: OFA's MobileNetV3 has no layer {layer}")
        block = (int(match[1]) - 1) * _BLOCKS_PER_STAGE + int(match[2])
        return f"blocks.{block}.conv.{_LAYERS_OF_BLOCK[match[3]]}"

    def _tensor(self, name: str) -> NDArray[Any]:
        if name not in self._tensors:
            raise InvalidModel(f"{self._path}: has no tensor {name}")
        return self._tensors[name]

    def _weight(self, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
        is_bare = f"{name}.weight" in self._tensors  # a linear layer, squeeze-and-excitation
        full = self._tensor(f"{name}.weight" if is_bare else f"{name}.conv.weight")
        weight = full[tuple(slice(size) for size in shape[:2])]
        if weight.ndim == 4 and weight.shape[2] > shape[2]:
            weight = self._smaller_kernel(f"{name}.conv", weight, shape[2])
        if weight.shape != shape:
            raise InvalidModel(
                f"{self._path}: {name} has the shape {full.shape}, want {shape} or larger"
            )
        scale = self._batch_norm(name, shape[0])
        if scale is not None:
            weight = weight * scale[0].reshape(-1, *(1,) * (len(shape) - 1))
        return weight

    def _smaller_kernel(self, name: str, weight: NDArray[Any], kernel: int) -> NDArray[Any]:
        """Crop to the centre and transform, from size to size."""
        for larger, smaller in pairwise(_KERNELS):
            if weight.shape[2] != larger or larger == kernel:
                continue
            margin = (larger - smaller) // 2
            centre = weight[..., margin:-margin, margin:-margin]
            flat = centre.reshape(-1, smaller**2)
            transform = self._tensor(f"{name}.{larger}to{smaller}_matrix")
            weight = (flat @ transform.T).reshape(centre.shape)
        return weight

    def _bias(self, name: str, channels: int) -> NDArray[Any]:
        folded = self._batch_norm(name, channels)
        return self._tensor(f"{name}.bias")[:channels] if folded is None else folded[1]

    def _batch_norm(self, name: str, channels: int) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """Return factor and offset per channel, or None where the layer has no normalisation."""
        if f"{name}.bn.weight" not in self._tensors:
            return None
        gamma, beta, mean, variance = (
            self._tensor(f"{name}.bn.{part}")[:channels].astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gamma / np.sqrt(variance + _BATCH_NORM_EPSILON)
        return scale, beta - mean * scale


def _plain_name(name: str) -> str:
    """Return a tensor's name without the doubled parts of elastic layers."""
    name = name.replace(".mobile_inverted_conv.", ".conv.")
    name = name.replace(".bn.bn.", ".bn.").replace(".linear.linear.", ".linear.")
    # conv.conv.weight and conv.conv.7to5_matrix belong to one elastic convolution.
    name = name.replace(".conv.conv.weight", ".conv.weight")
    return re.sub(r"\.conv\.conv\.(\dto\d_matrix)$", r".conv.\1", name)


def _read(path: Path) -> dict[str, NDArray[Any]]:
    if path.suffix != ".npz":
        from edgeprof.base.torch_file import read_torch_tensors

        return read_torch_tensors(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except OSError as error:
        raise InvalidModel(f"{path}: cannot be read: {error.strerror or error}") from error
    except (EOFError, TypeError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise InvalidModel(f"{path}: is no .npz of plain arrays: {error}") from error
