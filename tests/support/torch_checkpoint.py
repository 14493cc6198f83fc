"""Writes PyTorch checkpoints opcode by opcode, so that tests need no PyTorch.

The layouts are those of ``torch.save``: a zip archive, or the older stream of pickles.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile

import numpy as np

_STORAGES = {"<f4": "FloatStorage", "<f8": "DoubleStorage", "<f2": "HalfStorage"}


def zip_checkpoint(tensors: dict[str, np.ndarray], *, prefix: bytes = b"") -> bytes:
    """Return the bytes of a zip checkpoint; ``prefix`` is put before the state dict's opcodes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(
            "archive/data.pkl", state_dict_pickle(tensors, legacy=False, prefix=prefix)
        )
        for key, array in enumerate(tensors.values()):
            archive.writestr(f"archive/data/{key}", array.tobytes())
        archive.writestr("archive/version", "3\n")
    return stream.getvalue()


def legacy_checkpoint(tensors: dict[str, np.ndarray]) -> bytes:
    """Return the bytes of a checkpoint as written before PyTorch 1.6."""
    parts = [
        pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2),
        pickle.dumps(1001, protocol=2),
        pickle.dumps({"little_endian": True, "protocol_version": 1001}, protocol=2),
        state_dict_pickle(tensors, legacy=True),
        pickle.dumps([str(key) for key in range(len(tensors))], protocol=2),
    ]
    parts += [struct.pack("<q", array.size) + array.tobytes() for array in tensors.values()]
    return b"".join(parts)


def state_dict_pickle(
    tensors: dict[str, np.ndarray], *, legacy: bool, prefix: bytes = b""
) -> bytes:
    """Return the pickle of an OrderedDict of tensors, as torch writes it."""
    items = b"".join(
        _text(name) + _tensor(str(key), array, legacy=legacy)
        for key, (name, array) in enumerate(tensors.items())
    )
    ordered_dict = _global("collections", "OrderedDict") + b")R"
    return b"\x80\x02" + prefix + ordered_dict + b"(" + items + b"u" + _metadata() + b"."


def _metadata() -> bytes:
    """Return opcodes that set the attribute ``_metadata``, as ``state_dict()`` leaves one."""
    versions = pickle.dumps({"": {"version": 1}, "0": {"version": 1}}, protocol=2)[2:-1]
    return (
        b"}"
        + _text("_metadata")
        + _global("collections", "OrderedDict")
        + b")R"
        + b"("
        + (_text("") + versions + b"u" + b"s" + b"b")
    )


def rebuilt(*, strides: tuple[int, ...] = (1,), offset: int = 0, state: bytes = b"") -> bytes:
    """Return a checkpoint of one tensor of two elements, named ``t``, and what follows it.

    Args:
        strides: of the tensor.
        offset: of the tensor.
        state: opcodes run with the tensor on top of the stack.
    """
    array = np.arange(2, dtype=np.float32)
    tensor = _tensor("0", array, legacy=False, strides=strides, offset=offset) + state
    ordered_dict = _global("collections", "OrderedDict") + b")R"
    data = b"\x80\x02" + ordered_dict + _text("t") + tensor + b"s."
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/data/0", array.tobytes())
    return stream.getvalue()


def build(**attributes: object) -> bytes:
    """Return opcodes that set attributes of what is on top of the stack, by its ``__dict__``."""
    return pickle.dumps(attributes, protocol=2)[2:-1] + b"b"


def build_slots(**attributes: object) -> bytes:
    """Return opcodes that set attributes of what is on top of the stack by ``setattr``."""
    return pickle.dumps((None, attributes), protocol=2)[2:-1] + b"b"


def named(module: str, name: str, state: bytes) -> bytes:
    """Return opcodes that name something, run ``state`` with it on the stack, and drop it."""
    return _global(module, name) + state + b"0"


def call(module: str, name: str, argument: str) -> bytes:
    """Return opcodes that call any function with one text, and drop what it returns."""
    return _global(module, name) + _text(argument) + b"\x85R0"


def _tensor(
    key: str,
    array: np.ndarray,
    *,
    legacy: bool,
    strides: tuple[int, ...] | None = None,
    offset: int = 0,
) -> bytes:
    storage = (
        b"("
        + _text("storage")
        + _global("torch", _STORAGES[array.dtype.str])
        + _text(key)
        + _text("cpu")
        + _integer(array.size)
        + (b"N" if legacy else b"")
        + b"tQ"
    )
    steps = [stride // array.itemsize for stride in array.strides] if strides is None else strides
    sizes = b"".join(b"(" + b"".join(map(_integer, v)) + b"t" for v in (array.shape, steps))
    requires_grad, hooks = b"\x89", _global("collections", "OrderedDict") + b")R"
    arguments = b"(" + storage + _integer(offset) + sizes + requires_grad + hooks + b"t"
    return _global("torch._utils", "_rebuild_tensor_v2") + arguments + b"R"


def _global(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def _integer(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)
