"""TFLite models from layer lists, without TensorFlow.

Owns: how each operator of the layer list becomes TFLite operators, float32 or fully quantised
int8. Not the file (``tflite_file.py``), values (``weights.py``), scales (``quantize.py``).

Feature maps are NHWC. ReLU and ReLU6 are fused into the operator before them, as TensorFlow's
converter does. TFLite pads "same" or not at all; where that is not ``k // 2`` on each side (stride
2 on an even size) an explicit PAD stands before the operator, so that both formats compute the
same. Weights stand in the model.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgeprof.base.errors import UnsupportedModel
from edgeprof.base.extras import optional
from edgeprof.base.files import write_whole
from edgeprof.export.quantize import (
    Scale,
    calibrate,
    quantise_bias,
    scale_of_range,
)
from edgeprof.export.tflite_file import TfliteFile, per_channel, per_tensor
from edgeprof.export.weights import MadeWeights, WeightSource, bias_of, weight_of
from edgeprof.networks.layers import (
    INPUT,
    POOLS,
    Block,
    Layer,
    Network,
    Op,
    Shape,
    activations_after,
    as_network,
)

with optional("TFLite export"):
    from ai_edge_litert import schema_py_generated as schema

_FUSED = {
    Op.RELU: schema.ActivationFunctionType.RELU,
    Op.RELU6: schema.ActivationFunctionType.RELU6,
}


def export_network(
    network: Network | Block,
    path: Path,
    *,
    batch: int = 1,
    precision: str = "fp32",
    weights: WeightSource | None = None,
) -> None:
    """Write a network, or a single block, as a TFLite model.

    Args:
        network: the layer list.
        path: file to write; it appears whole or not at all.
        batch: images per inference, fixed in the model.
        precision: ``"fp32"``, or ``"int8"`` for integers from input to output.
        weights: values of the constants; made for this network where not given.

    Raises:
        OutputError: if the file cannot be written.
    """
    network = as_network(network)
    weights = weights or MadeWeights([network])
    scales = calibrate(network, weights) if precision == "int8" else None
    content = _Graph(network, batch, weights, scales).serialise()
    write_whole(path, content)


class _Graph:
    """Turns the layers of a network into operators, one after the other.

    Args:
        network: the layer list.
        batch: images per inference.
        weights: values of the constants.
        scales: of each layer's output for int8; none for float32.
    """

    def __init__(
        self,
        network: Network,
        batch: int,
        weights: WeightSource,
        scales: dict[str, Scale] | None,
    ) -> None:
        self._network = network
        self._batch = batch
        self._weights = weights
        self._scales = scales and _with_kept_scales(network, scales)
        self._layers = {layer.name: layer for layer in network.layers()}
        self._fused_by = activations_after(list(network.layers()))
        self._file = TfliteFile(network.name, is_int8=scales is not None)

    def serialise(self) -> bytes:
        """Return the bytes of the model."""
        self._add_feature_map(INPUT, self._network.input_shape)
        for layer in self._layers.values():
            if layer.name not in self._fused_by.values():
                _EMIT[layer.op](self, layer)
        return self._file.serialise([INPUT], [list(self._layers)[-1]])

    def _add_feature_map(self, name: str, shape: Shape, scale: Scale | None = None) -> int:
        """Add a tensor for activations; int8 at its calibrated scale, or at the one given."""
        channels, height, width = shape
        is_features = name in self._layers and self._layers[name].op is Op.LINEAR
        dims = [self._batch, channels] if is_features else [self._batch, height, width, channels]
        if self._scales is None:
            return self._file.add_tensor(name, dims, "float32")
        quantization = per_tensor(scale or self._scales[name])
        return self._file.add_tensor(name, dims, "int8", quantization=quantization)

    def _add_scalar(self, name: str, value: float) -> int:
        """Add a positive constant that several operators share."""
        values = np.array(value, dtype=np.float32)
        if self._scales is None:
            return self._file.add_constant(name, values)
        scale = scale_of_range(0.0, value)
        return self._file.add_constant(name, scale.quantise(values), per_tensor(scale))

    def _emit(self, layer: Layer, code: int, inputs: list[int], options: Any = None) -> None:
        """Add the operator that computes a layer, with its fused activation."""
        activation = self._fused_by.get(layer.name)
        if activation is not None:
            options.fusedActivationFunction = _FUSED[self._layers[activation].op]
        output = self._add_feature_map(activation or layer.name, layer.out_shape)
        self._file.add_operator(code, inputs, output, options)

    def _inputs(self, layer: Layer) -> list[int]:
        return [self._file.index[name] for name in layer.inputs]

    def _window_input(self, layer: Layer) -> tuple[int, int]:
        """Return the input of a convolution or a pool, padded if need be, and TFLite's padding."""
        source = self._inputs(layer)[0]
        if layer.padding == 0:
            return source, schema.Padding.SAME if layer.overhang else schema.Padding.VALID
        if _same_is_symmetric(layer):
            return source, schema.Padding.SAME
        before = self._layers.get(layer.inputs[0])
        if layer.op is Op.MAX_POOL and (before is None or before.op not in _FUSED):
            raise UnsupportedModel(
                f"{layer.name}: TFLite pads a maximum pool with 0, wrong for negative inputs"
            )
        channels, height, width = layer.in_shape
        pad = layer.padding
        margin = np.array([[0, 0], [pad, pad], [pad, pad], [0, 0]], dtype=np.int32)
        name = f"{layer.name}.pad"
        padded = self._add_feature_map(
            name,
            Shape(channels, height + 2 * pad, width + 2 * pad),
            self._scales[layer.inputs[0]] if self._scales else None,
        )
        paddings = self._file.add_constant(f"paddings{pad}", margin)
        code = schema.BuiltinOperator.PAD
        self._file.add_operator(code, [source, paddings], padded, schema.PadOptionsT())
        return padded, schema.Padding.VALID

    def _parameters(self, layer: Layer, axes: tuple[int, ...], channel_axis: int) -> list[int]:
        """Add weights, transposed by ``axes``, and bias (zeros where the layer has none)."""
        constant, channels = weight_of(layer), layer.out_shape.channels
        bias_constant = bias_of(layer)
        bias = self._weights.values(bias_constant) if layer.bias else np.zeros(channels, np.float32)
        if self._scales is None:
            values = self._weights.values(constant).transpose(axes)
            return [
                self._file.add_constant(constant.name, values),
                self._file.add_constant(bias_constant.name, bias),
            ]
        quantised = self._weights.quantised(constant)
        input_scale = self._scales[layer.inputs[0]].scale
        bias_scales = (np.float64(input_scale) * quantised.scales).astype(np.float32)
        return [
            self._file.add_constant(
                constant.name,
                quantised.levels.transpose(axes),
                per_channel(quantised.scales, channel_axis),
            ),
            self._file.add_constant(
                bias_constant.name,
                quantise_bias(bias, input_scale, quantised.scales),
                per_channel(bias_scales, 0),
            ),
        ]

    def _conv(self, layer: Layer) -> None:
        source, padding = self._window_input(layer)
        options = schema.Conv2DOptionsT(padding=padding, strideW=layer.stride, strideH=layer.stride)
        parameters = self._parameters(layer, (0, 2, 3, 1), 0)
        self._emit(layer, schema.BuiltinOperator.CONV_2D, [source, *parameters], options)

    def _depthwise_conv(self, layer: Layer) -> None:
        source, padding = self._window_input(layer)
        options = schema.DepthwiseConv2DOptionsT(
            padding=padding, strideW=layer.stride, strideH=layer.stride, depthMultiplier=1
        )
        parameters = self._parameters(layer, (1, 2, 3, 0), 3)
        self._emit(layer, schema.BuiltinOperator.DEPTHWISE_CONV_2D, [source, *parameters], options)

    def _linear(self, layer: Layer) -> None:
        parameters = self._parameters(layer, (0, 1), 0)
        inputs = [*self._inputs(layer), *parameters]
        options = schema.FullyConnectedOptionsT()
        self._emit(layer, schema.BuiltinOperator.FULLY_CONNECTED, inputs, options)

    def _add(self, layer: Layer) -> None:
        options = schema.AddOptionsT(potScaleInt16=False)
        self._emit(layer, schema.BuiltinOperator.ADD, self._inputs(layer), options)

    def _scale(self, layer: Layer) -> None:
        self._emit(layer, schema.BuiltinOperator.MUL, self._inputs(layer), schema.MulOptionsT())

    def _global_avg_pool(self, layer: Layer) -> None:
        axes = self._file.add_constant("spatial_axes", np.array([1, 2], dtype=np.int32))
        options = schema.ReducerOptionsT(keepDims=True)
        self._emit(layer, schema.BuiltinOperator.MEAN, [*self._inputs(layer), axes], options)

    def _pool(self, layer: Layer) -> None:
        source, padding = self._window_input(layer)
        options = schema.Pool2DOptionsT(
            padding=padding,
            strideW=layer.stride,
            strideH=layer.stride,
            filterWidth=layer.kernel,
            filterHeight=layer.kernel,
        )
        code = (
            schema.BuiltinOperator.MAX_POOL_2D
            if layer.op is Op.MAX_POOL
            else schema.BuiltinOperator.AVERAGE_POOL_2D
        )
        self._emit(layer, code, [source], options)

    def _activation(self, layer: Layer) -> None:
        """Add a ReLU or ReLU6 that stands alone."""
        code = schema.BuiltinOperator.RELU if layer.op is Op.RELU else schema.BuiltinOperator.RELU6
        self._emit(layer, code, self._inputs(layer))

    def _h_swish(self, layer: Layer) -> None:
        options = schema.HardSwishOptionsT()
        self._emit(layer, schema.BuiltinOperator.HARD_SWISH, self._inputs(layer), options)

    def _h_sigmoid(self, layer: Layer) -> None:
        """Add relu6(x + 3) / 6; TFLite has no operator for it."""
        shifted = self._add_feature_map(
            f"{layer.name}.shifted", layer.out_shape, scale_of_range(0.0, 6.0)
        )
        options = schema.AddOptionsT(
            fusedActivationFunction=schema.ActivationFunctionType.RELU6, potScaleInt16=False
        )
        code = schema.BuiltinOperator.ADD
        inputs = [*self._inputs(layer), self._add_scalar("three", 3.0)]
        self._file.add_operator(code, inputs, shifted, options)
        inputs = [shifted, self._add_scalar("sixth", 1 / 6)]
        self._emit(layer, schema.BuiltinOperator.MUL, inputs, schema.MulOptionsT())


def _with_kept_scales(network: Network, scales: dict[str, Scale]) -> dict[str, Scale]:
    """Return the scales with those of pools set to their input's, as TFLite demands."""
    kept = dict(scales)
    for layer in network.layers():
        if layer.op in POOLS:
            kept[layer.name] = kept[layer.inputs[0]]
    return kept


def _same_is_symmetric(layer: Layer) -> bool:
    """Whether TFLite's "same" pads ``layer.padding`` on each side, on both axes."""
    _, *sizes = layer.in_shape
    return all(
        max((-(-size // layer.stride) - 1) * layer.stride + layer.kernel - size, 0)
        == 2 * layer.padding
        for size in sizes
    )


_EMIT: dict[Op, Callable[[_Graph, Layer], None]] = {
    Op.CONV: _Graph._conv,
    Op.DEPTHWISE_CONV: _Graph._depthwise_conv,
    Op.LINEAR: _Graph._linear,
    Op.ADD: _Graph._add,
    Op.SCALE: _Graph._scale,
    Op.GLOBAL_AVG_POOL: _Graph._global_avg_pool,
    Op.AVG_POOL: _Graph._pool,
    Op.MAX_POOL: _Graph._pool,
    Op.RELU: _Graph._activation,
    Op.RELU6: _Graph._activation,
    Op.H_SWISH: _Graph._h_swish,
    Op.H_SIGMOID: _Graph._h_sigmoid,
}
