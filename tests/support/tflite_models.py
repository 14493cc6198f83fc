"""Small TFLite models for tests, written with the schema's object API."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema


def tensor(name, shape, signature=None, buffer=0, kind="FLOAT32"):
    made = schema.TensorT()
    made.name, made.shape, made.buffer = name.encode(), list(shape), buffer
    made.type = getattr(schema.TensorType, kind)
    made.hasRank = True
    if signature is not None:
        made.shapeSignature = list(signature)
    return made


def operator(code, inputs, outputs, options=None, **fields):
    """Return an operator of the code at an index, with options of a class and their fields."""
    made = schema.OperatorT()
    made.opcodeIndex, made.inputs, made.outputs = code, list(inputs), list(outputs)
    if options:
        made.builtinOptions = getattr(schema, f"{options}T")()
        made.builtinOptionsType = getattr(schema.BuiltinOptions, options)
        for name, value in fields.items():
            setattr(made.builtinOptions, name, value)
    return made


def subgraph(tensors, operators, inputs, outputs, name="main"):
    made = schema.SubGraphT()
    made.tensors, made.operators, made.name = tensors, operators, name.encode()
    made.inputs, made.outputs = list(inputs), list(outputs)
    return made


def signature(key, index, inputs=None):
    """Make a signature of a subgraph; ``inputs``: numbers of tensors by name."""
    made = schema.SignatureDefT()
    made.signatureKey, made.subgraphIndex = key.encode(), index
    made.inputs, made.outputs = [], []
    for name, number in (inputs or {}).items():
        made.inputs.append(schema.TensorMapT())
        made.inputs[-1].name, made.inputs[-1].tensorIndex = name.encode(), number
    return made


def write_tflite(path, subgraphs, codes, signatures=(), buffers=()):
    """Save a model; codes name builtin operators, in lower case custom ones."""
    model = schema.ModelT()
    model.version, model.description = 3, b"test"
    model.subgraphs, model.signatureDefs = list(subgraphs), list(signatures)
    model.operatorCodes = [_code(name) for name in codes]
    model.buffers = [schema.BufferT()]
    for values in buffers:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        model.buffers.append(buffer)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def _code(name):
    made = schema.OperatorCodeT()
    made.version = 1
    is_custom = not name.isupper()
    made.builtinCode = (
        schema.BuiltinOperator.CUSTOM if is_custom else getattr(schema.BuiltinOperator, name)
    )
    made.deprecatedBuiltinCode = min(made.builtinCode, 127)
    if is_custom:
        made.customCode = name.encode()
    return made
