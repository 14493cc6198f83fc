"""Tensors out of a PyTorch checkpoint, without PyTorch and without running what it holds.

Owns: the two file formats of ``torch.save`` (zip since 1.6, and the older stream of pickles). A
pickle may name any Python function; this reader knows six names, all of which it maps to its own
code, and refuses every other one.

Source: ``torch/serialization.py`` and ``torch/_utils.py`` of PyTorch.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprof.errors import PredictorFormatError

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_DTYPES = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
}
_MAX_ELEMENTS = 1 << 28


class _Refused(Exception):
    """The file names something that is no part of a tensor."""


@dataclass(frozen=True)
class _Storage:
    """A storage named in the pickle; its bytes stand elsewhere in the file."""

    key: str
    dtype: np.dtype[Any]
    elements: int


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage; offset and strides count elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _StateDict(dict[str, object]):
    """Stands for ``OrderedDict``; keeps what pickle sets beside the items out of the way."""

    def __setstate__(self, state: object) -> None:
        """Drop attributes such as ``_metadata``."""


def _rebuild_tensor(
    storage: object, offset: object, shape: object, strides: object, *_: object
) -> _Tensor:
    if not isinstance(storage, _Storage) or not isinstance(offset, int):
        raise _Refused("a tensor without a storage")
    return _Tensor(storage, offset, _sizes(shape), _sizes(strides))


def _sizes(value: object) -> tuple[int, ...]:
    if not isinstance(value, tuple) or not all(isinstance(n, int) and n >= 0 for n in value):
        raise _Refused(f"a tensor of shape {value!r}")
    return value


def _rebuild_parameter(tensor: object, *_: object) -> object:
    return tensor


def _make_state_dict(*items: object) -> _StateDict:
    if items:
        raise _Refused("an OrderedDict with arguments")
    return _StateDict()


_KNOWN: dict[tuple[str, str], Callable[..., object]] = {
    ("collections", "OrderedDict"): _make_state_dict,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
}


class _TensorUnpickler(pickle.Unpickler):
    """Builds dicts and tensor views; refuses every other name."""

    def find_class(self, module: str, name: str) -> Any:
        """Return own code for the known names; storages become their dtype."""
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        known = _KNOWN.get((module, name))
        if known is None:
            raise _Refused(f"it names {module}.{name}, which is no part of a tensor")
        return known

    def persistent_load(self, pid: Any) -> _Storage:
        """Return the storage that a persistent id names."""
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
            raise _Refused("it refers to something that is no storage")
        _, dtype, key, _, elements = pid[:5]
        if not isinstance(dtype, np.dtype) or not isinstance(elements, int):
            raise _Refused("it refers to a storage of unknown type")
        if not 0 <= elements <= _MAX_ELEMENTS:
            raise _Refused(f"a storage of {elements} elements")
        return _Storage(str(key), dtype, elements)


def read_torch_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """Read the named tensors of a checkpoint (a state dict, or one under ``state_dict``).

    Returns:
        Arrays by name, in the file's order.

    Raises:
        PredictorFormatError: if the file is no checkpoint, is cut short, or holds more than
            tensors. Nothing in it is executed in any case.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PredictorFormatError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        if zipfile.is_zipfile(io.BytesIO(content)):
            return _named(*_read_zip(content))
        return _named(*_read_legacy(content))
    except _Refused as error:
        raise PredictorFormatError(
            f"{path}: not read, as {error}; save the plain state dict: "
            f"torch.save(model.state_dict(), path)"
        ) from error
    except (
        # What pickle and zipfile raise on broken input; the opcodes reach most built-in errors.
        ArithmeticError,
        AttributeError,
        EOFError,
        LookupError,
        MemoryError,
        NotImplementedError,
        RuntimeError,
        TypeError,
        ValueError,
        pickle.UnpicklingError,
        zipfile.BadZipFile,
    ) as error:
        raise PredictorFormatError(
            f"{path}: is no complete PyTorch checkpoint ({type(error).__name__}: {error})"
        ) from error


def _read_zip(content: bytes) -> tuple[object, Mapping[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError(f"{len(pickles)} entries named data.pkl")
        root = pickles[0].removesuffix("data.pkl")
        value = _TensorUnpickler(io.BytesIO(archive.read(pickles[0]))).load()
        folder = f"{root}data/"
        return value, {
            name.removeprefix(folder): archive.read(name)
            for name in archive.namelist()
            if name.startswith(folder)
        }


def _read_legacy(content: bytes) -> tuple[object, Mapping[str, bytes]]:
    stream = io.BytesIO(content)
    if _TensorUnpickler(stream).load() != _LEGACY_MAGIC:
        raise ValueError("no checkpoint: the first number is not PyTorch's")
    if _TensorUnpickler(stream).load() != _LEGACY_PROTOCOL:
        raise ValueError("a checkpoint of an unknown protocol")
    _TensorUnpickler(stream).load()  # sizes of types on the writing machine: little-endian, all
    unpickler = _TensorUnpickler(stream)
    value = unpickler.load()
    keys = _TensorUnpickler(stream).load()
    item_sizes = {tensor.storage.key: tensor.storage.dtype.itemsize for tensor in _tensors(value)}
    storages = {}
    for key in keys:
        elements = int.from_bytes(stream.read(8), "little")
        if elements > _MAX_ELEMENTS:
            raise ValueError(f"a storage of {elements} elements")
        storages[str(key)] = stream.read(elements * item_sizes[str(key)])
    return value, storages


def _state_dict(value: object) -> dict[str, object]:
    if isinstance(value, dict) and isinstance(value.get("state_dict"), dict):
        value = value["state_dict"]
    if not isinstance(value, dict):
        raise _Refused(f"it holds a {type(value).__name__}, want a state dict")
    return value


def _tensors(value: object) -> list[_Tensor]:
    return [item for item in _state_dict(value).values() if isinstance(item, _Tensor)]


def _named(value: object, storages: Mapping[str, bytes]) -> dict[str, NDArray[Any]]:
    return {
        str(name): _as_array(item, storages[item.storage.key])
        for name, item in _state_dict(value).items()
        if isinstance(item, _Tensor)
    }


def _as_array(tensor: _Tensor, content: bytes) -> NDArray[Any]:
    """Return a copy of the view; every element it reaches must lie in the storage."""
    dtype = tensor.storage.dtype
    flat = np.frombuffer(content, dtype=dtype)
    if len(tensor.shape) != len(tensor.strides) or tensor.offset < 0:
        raise ValueError("a tensor whose shape and strides disagree")
    if 0 in tensor.shape:
        return np.zeros(tensor.shape, dtype=dtype)
    steps = zip(tensor.shape, tensor.strides, strict=True)
    if prod(tensor.shape) > _MAX_ELEMENTS:
        raise ValueError(f"a tensor of shape {tensor.shape}")
    last = tensor.offset + sum((n - 1) * stride for n, stride in steps)
    if last >= len(flat):
        raise ValueError(f"a tensor reaches element {last} of a storage of {len(flat)}")
    byte_strides = tuple(stride * dtype.itemsize for stride in tensor.strides)
    view = np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.shape, byte_strides)
    return np.array(view)
