"""ONNX models that compute in int8: quantise-dequantise (QDQ) pairs around the float operators.

Owns: where the pairs stand. Does not own: the operators (``onnx.py``), scales (``quantize.py``).

The runtime fuses the pairs with the operators between them; where it has no integer kernel (ONNX
Runtime: HardSwish) it computes in float between two pairs. A ReLU or ReLU6 is part of the operator
before it: no pair stands between.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.files import write_whole
from edgeprof.export.onnx import (
    INPUT_NAME,
    OUTPUT_NAME,
    Graph,
    external_tensor,
    tensor_of,
)
from edgeprof.export.quantize import calibrate, quantise_bias
from edgeprof.export.weights import MadeWeights, WeightFile, WeightSource, bias_of, weight_of
from edgeprof.networks.layers import INPUT, Block, Layer, Network, activations_after, as_network


def export_network(
    network: Network | Block,
    path: Path,
    *,
    batch: int = 1,
    weights: WeightSource | None = None,
    weight_file: WeightFile | None = None,
) -> None:
    """Write a network, or a single block, as an ONNX model with QDQ pairs.

    Input and output are float32. Arguments as of ``onnx.export_network``; the shared file, if
    any, holds int8 weights. Biases and scales differ from subnet to subnet and stand in the model.

    Raises:
        OutputError: if the file cannot be written.
    """
    network = as_network(network)
    if weights is None:
        weights = MadeWeights([network]) if weight_file is None else weight_file.weights
    graph = _QuantisedGraph(network, batch, weights, weight_file)
    write_whole(path, graph.model().SerializeToString(deterministic=True))


class _QuantisedGraph(Graph):
    """A graph whose feature maps and weights pass through QDQ pairs."""

    def __init__(
        self, network: Network, batch: int, weights: WeightSource, weight_file: WeightFile | None
    ) -> None:
        super().__init__(network, batch)
        self._weights = weights
        self._weight_file = weight_file
        self._scales = calibrate(network, weights)
        self._fused = activations_after(list(network.layers()))
        self._add_pair(INPUT, INPUT_NAME, self.read(INPUT))

    def output_of(self, layer: Layer) -> str:
        """Return the tensor that a layer's operator writes; the model's output is a pair's."""
        return layer.name

    def read(self, name: str) -> str:
        """Return a layer's output behind its pair; where its activation follows, there is none."""
        return name if name in self._fused else f"{name}.dq"

    def after(self, layer: Layer) -> None:
        """Put a pair behind a layer, unless its activation follows."""
        if layer.name not in self._fused:
            is_last = layer is self._layers[-1]
            target = OUTPUT_NAME if is_last else self.read(layer.name)
            self._add_pair(layer.name, layer.name, target)

    def flatten(self, layer: Layer) -> str:
        """Add a flattening of the input and a pair behind it, at the same scale."""
        flat = super().flatten(layer)
        self._scales[flat] = self._scales[layer.inputs[0]]
        self._add_pair(flat, flat, self.read(flat))
        return self.read(flat)

    def parameters(self, layer: Layer) -> list[str]:
        """Add int8 weights and an int32 bias, each behind a dequantisation."""
        constant = weight_of(layer)
        weights = self._weights.quantised(constant)
        weight_scale = self._add(f"{constant.name}.scale", weights.scales)
        zero_points = np.zeros(len(weights.scales), dtype=np.int8)
        if self._weight_file is None:
            self._add(constant.name, weights.levels)
        else:
            self.initializers.append(external_tensor(constant, self._weight_file))
        names = [
            self._dequantise(
                constant.name, weight_scale, self._add(f"{constant.name}.zero", zero_points)
            )
        ]
        if layer.bias:
            names.append(self._bias(layer, weights.scales))
        return names

    def _bias(self, layer: Layer, weight_scales: NDArray[Any]) -> str:
        constant = bias_of(layer)
        input_scale = self._scales[layer.inputs[0]].scale
        values = quantise_bias(self._weights.values(constant), input_scale, weight_scales)
        scales = (np.float64(input_scale) * weight_scales).astype(np.float32)
        self._add(constant.name, values)
        return self._dequantise(constant.name, self._add(f"{constant.name}.scale", scales))

    def _add(self, name: str, values: NDArray[Any]) -> str:
        self.initializers.append(tensor_of(name, values))
        return name

    def _add_pair(self, layer_name: str, source: str, target: str) -> None:
        """Add quantisation and dequantisation of a layer's output.

        As uint8: ONNX Runtime has its fast kernels on x86-64 for uint8 by int8, and turns int8 into
        it only where a feature map has one reader.
        """
        scale, zero_point = self._scales[layer_name]
        parameters = [
            self._add(f"{layer_name}.scale", np.array(scale, dtype=np.float32)),
            self._add(f"{layer_name}.zero", np.array(zero_point + 128, dtype=np.uint8)),
        ]
        self.add_node("QuantizeLinear", [source, *parameters], f"{layer_name}.q")
        self.add_node("DequantizeLinear", [f"{layer_name}.q", *parameters], target)

    def _dequantise(self, name: str, *parameters: str) -> str:
        """Add the dequantisation of a constant, per output channel."""
        out = f"{name}.dq"
        self.add_node("DequantizeLinear", [name, *parameters], out, axis=0)
        return out
