"""The TFLite file: tensors, buffers and operators in the schema's form, made into bytes.

Owns: what every model of this format has. Which operators a network becomes is in ``tflite.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.extras import optional
from edgeprof.export.quantize import Scale

with optional("TFLite export"):
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

SCHEMA_VERSION = 3
_FILE_IDENTIFIER = b"TFL3"
_BUFFER_ALIGNMENT = 16
_TENSOR_TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "int8": schema.TensorType.INT8,
    "int32": schema.TensorType.INT32,
}
# Version of an operator that reads int8; readers refuse what is newer than they know.
_INT8_VERSIONS = {
    schema.BuiltinOperator.ADD: 2,
    schema.BuiltinOperator.AVERAGE_POOL_2D: 2,
    schema.BuiltinOperator.CONV_2D: 3,
    schema.BuiltinOperator.DEPTHWISE_CONV_2D: 3,
    schema.BuiltinOperator.FULLY_CONNECTED: 4,
    schema.BuiltinOperator.MAX_POOL_2D: 2,
    schema.BuiltinOperator.MEAN: 2,
    schema.BuiltinOperator.MUL: 2,
    schema.BuiltinOperator.PAD: 2,
    schema.BuiltinOperator.RELU: 2,
    schema.BuiltinOperator.RELU6: 2,
}


class _AlignedBuffer(schema.BufferT):  # type: ignore[misc]
    """A buffer at a multiple of 16 bytes; the generated code aligns bytes to 1 only."""

    def Pack(self, builder: Any) -> Any:  # noqa: N802 - overrides generated code
        if self.data is None:
            return super().Pack(builder)
        builder.StartVector(1, len(self.data), _BUFFER_ALIGNMENT)
        head = builder.Head() - len(self.data)
        builder.head = head
        builder.Bytes[head : head + len(self.data)] = self.data
        vector = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, vector)
        return schema.BufferEnd(builder)


class TfliteFile:
    """A model while it is made.

    Args:
        name: of the graph.
        is_int8: its operators read int8.
    """

    def __init__(self, name: str, *, is_int8: bool) -> None:
        self.index: dict[str, int] = {}  # name of a tensor -> its number
        self._name = name
        self._is_int8 = is_int8
        self._buffers = [_AlignedBuffer()]  # by convention buffer 0 is empty
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._codes: dict[tuple[int, int], int] = {}

    def add_tensor(
        self, name: str, dims: list[int], dtype: str, buffer: int = 0, quantization: Any = None
    ) -> int:
        """Add a tensor; buffer 0 is for values that are computed."""
        self.index[name] = len(self._tensors)
        self._tensors.append(
            schema.TensorT(
                shape=dims,
                type=_TENSOR_TYPES[dtype],
                buffer=buffer,
                name=name,
                quantization=quantization,
                hasRank=True,
            )
        )
        return self.index[name]

    def add_constant(self, name: str, values: NDArray[Any], quantization: Any = None) -> int:
        """Add a constant tensor, or return the one of that name."""
        if name in self.index:
            return self.index[name]
        self._buffers.append(_AlignedBuffer(data=np.ascontiguousarray(values).tobytes()))
        return self.add_tensor(
            name, list(values.shape), str(values.dtype), len(self._buffers) - 1, quantization
        )

    def add_operator(self, code: int, inputs: list[int], output: int, options: Any = None) -> None:
        """Add an operator of the schema's ``BuiltinOperator``."""
        version = _INT8_VERSIONS.get(code, 1) if self._is_int8 else 1
        index = self._codes.setdefault((code, version), len(self._codes))
        operator = schema.OperatorT(opcodeIndex=index, inputs=inputs, outputs=[output])
        if options is not None:
            operator.builtinOptions = options
            kind = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
        self._operators.append(operator)

    def serialise(self, inputs: list[str], outputs: list[str]) -> bytes:
        """Return the bytes of the model."""
        subgraph = schema.SubGraphT(
            tensors=self._tensors,
            inputs=[self.index[name] for name in inputs],
            outputs=[self.index[name] for name in outputs],
            operators=self._operators,
            name=self._name,
        )
        model = schema.ModelT(
            version=SCHEMA_VERSION,
            operatorCodes=[_operator_code(*code) for code in self._codes],
            subgraphs=[subgraph],
            description="made by edgeprof",
            buffers=self._buffers,
        )
        n_bytes = sum(len(buffer.data or b"") for buffer in self._buffers)
        builder = flatbuffers.Builder(n_bytes + (1 << 16))
        builder.Finish(model.Pack(builder), file_identifier=_FILE_IDENTIFIER)
        return bytes(builder.Output())


def _operator_code(code: int, version: int) -> Any:
    # Readers from before 2020 look at the deprecated field only, which holds up to 127.
    return schema.OperatorCodeT(
        deprecatedBuiltinCode=min(code, 127), builtinCode=code, version=version
    )


def per_tensor(scale: Scale) -> Any:
    """Return the quantization of a tensor with one scale."""
    return schema.QuantizationParametersT(scale=[scale.scale], zeroPoint=[scale.zero_point])


def per_channel(scales: NDArray[np.float32], axis: int) -> Any:
    """Return the quantization of a tensor with a scale per channel, along an axis."""
    return schema.QuantizationParametersT(
        scale=scales, zeroPoint=np.zeros(len(scales), dtype=np.int64), quantizedDimension=axis
    )
