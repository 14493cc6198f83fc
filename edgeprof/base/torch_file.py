"""Tensors out of a PyTorch checkpoint, without PyTorch and without running what it holds.

Owns: the two file formats of ``torch.save`` (zip since 1.6, and the older stream of pickles). A
pickle may name any Python function; this reader knows the few names that tensors need, gives the
pickle an immutable record in the place of each, and refuses every other name.

Source: ``torch/serialization.py`` and ``torch/_utils.py`` of PyTorch.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.errors import PredictorFormatError
from edgeprof.base.pickle_bounds import check_pickle

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_DTYPES: dict[str, np.dtype[Any]] = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
}
_MAX_ELEMENTS = 1 << 28
_MOST_COPIES = 8  # of the file's bytes in the tensors, which may share a storage


class _Refused(Exception):
    """The file names something that is no part of a tensor."""


# A pickle may set attributes of whatever it has hold of (opcode BUILD), and change lists and dicts
# after they were looked at. So all it gets hold of is immutable: named tuples without a __dict__,
# never a function, a class or a dtype.


class _Storage(NamedTuple):
    """A storage named in the pickle; its bytes stand elsewhere in the file."""

    key: str
    dtype: str
    elements: int


class _Tensor(NamedTuple):
    """A view of a storage; offset and strides count elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _StateDict(dict[str, object]):
    """Stands for ``OrderedDict``."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        """Drop what PyTorch sets beside the items, such as ``_metadata``."""


class _Name(NamedTuple):
    """A name of PyTorch's that a checkpoint of tensors needs; called where it is a function."""

    module: str
    name: str

    def __call__(self, *arguments: object) -> object:
        """Return what the function of this name would, as this module's own record."""
        if self.name == "OrderedDict" and not arguments:
            return _StateDict()
        if self.name in ("_rebuild_tensor", "_rebuild_tensor_v2") and len(arguments) >= 4:
            return _tensor(*arguments[:4])
        if self.name == "_rebuild_parameter" and arguments and isinstance(arguments[0], _Tensor):
            return arguments[0]
        raise _Refused(f"it calls {self.module}.{self.name} with other arguments than a tensor's")


def _tensor(storage: object, offset: object, shape: object, strides: object) -> _Tensor:
    if not isinstance(storage, _Storage):
        raise _Refused("a tensor without a storage")
    (start,) = _sizes((offset,))
    return _Tensor(storage, start, _sizes(shape), _sizes(strides))


def _sizes(value: object) -> tuple[int, ...]:
    if not isinstance(value, tuple) or not all(type(n) is int and n >= 0 for n in value):
        raise _Refused(f"a tensor of offset, shape or strides {value!r:.80}")
    return value


_KNOWN = frozenset(
    {
        _Name("collections", "OrderedDict"),
        _Name("torch._utils", "_rebuild_tensor"),
        _Name("torch._utils", "_rebuild_tensor_v2"),
        _Name("torch._utils", "_rebuild_parameter"),
        *(_Name("torch", name) for name in _DTYPES),
    }
)


class _TensorUnpickler(pickle.Unpickler):
    """Builds dicts and tensor views; refuses every other name."""

    def find_class(self, module: str, name: str) -> _Name:
        """Return the name itself if it is known."""
        found = _Name(module, name)
        if found not in _KNOWN:
            raise _Refused(f"it names {module}.{name}, which is no part of a tensor")
        return found

    def persistent_load(self, pid: Any) -> _Storage:
        """Return the storage that a persistent id names."""
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
            raise _Refused("it refers to something that is no storage")
        _, kind, key, _, elements = pid[:5]
        if not isinstance(kind, _Name) or kind.name not in _DTYPES or type(elements) is not int:
            raise _Refused("it refers to a storage of unknown type")
        if not 0 <= elements <= _MAX_ELEMENTS:
            raise _Refused(f"a storage of {elements} elements")
        return _Storage(str(key), kind.name, elements)


def _load(stream: io.BytesIO) -> object:
    """Read the next pickle, once it is known to need no more than its size allows."""
    start = stream.tell()
    check_pickle(stream)
    stream.seek(start)
    return _TensorUnpickler(stream).load()


# What pickle and zipfile raise on broken input; the opcodes reach most built-in errors.
_BROKEN = (
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
)


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
            return _named(*_read_zip(content), most_bytes=_MOST_COPIES * len(content))
        return _named(*_read_legacy(content), most_bytes=_MOST_COPIES * len(content))
    except _Refused as error:
        raise PredictorFormatError(
            f"{path}: not read, as {error}; save the plain state dict: "
            f"torch.save(model.state_dict(), path)"
        ) from error
    except _BROKEN as error:
        reason = " ".join(str(error).split())
        raise PredictorFormatError(
            f"{path}: is no complete PyTorch checkpoint ({type(error).__name__}: {reason})"
        ) from error


def _read_zip(content: bytes) -> tuple[object, Mapping[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("compressed entries, which PyTorch never writes")
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError(f"{len(pickles)} entries named data.pkl")
        root = pickles[0].removesuffix("data.pkl")
        if sum(entry.file_size for entry in archive.infolist()) > len(content):
            raise ValueError("entries that are larger than the file")
        value = _load(io.BytesIO(archive.read(pickles[0])))
        folder = f"{root}data/"
        return value, {
            name.removeprefix(folder): archive.read(name)
            for name in archive.namelist()
            if name.startswith(folder)
        }


def _read_legacy(content: bytes) -> tuple[object, Mapping[str, bytes]]:
    stream = io.BytesIO(content)
    if _load(stream) != _LEGACY_MAGIC:
        raise ValueError("no checkpoint: the first number is not PyTorch's")
    if _load(stream) != _LEGACY_PROTOCOL:
        raise ValueError("a checkpoint of an unknown protocol")
    _load(stream)  # sizes of types on the writing machine: little-endian, all
    value = _load(stream)
    keys: Any = _load(stream)
    item_sizes = {
        tensor.storage.key: _DTYPES[tensor.storage.dtype].itemsize for tensor in _tensors(value)
    }
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


def _named(
    value: object, storages: Mapping[str, bytes], *, most_bytes: int
) -> dict[str, NDArray[Any]]:
    n_bytes = sum(prod(t.shape) * _DTYPES[t.storage.dtype].itemsize for t in _tensors(value))
    if n_bytes > most_bytes:
        raise ValueError(f"tensors of {n_bytes} bytes, far more than the file has")
    return {
        str(name): _as_array(item, storages[item.storage.key])
        for name, item in _state_dict(value).items()
        if isinstance(item, _Tensor)
    }


def _as_array(tensor: _Tensor, content: bytes) -> NDArray[Any]:
    """Return a copy of the view; every element it reaches must lie in the storage."""
    dtype = _DTYPES[tensor.storage.dtype]
    if len(tensor.shape) != len(tensor.strides):
        raise ValueError("a tensor whose shape and strides disagree")
    if min((tensor.offset, *tensor.shape, *tensor.strides)) < 0:
        raise ValueError("a tensor of negative offset, shape or strides")
    if 0 in tensor.shape:
        return np.zeros(tensor.shape, dtype=dtype)
    steps = zip(tensor.shape, tensor.strides, strict=True)
    last = tensor.offset + sum((n - 1) * stride for n, stride in steps)
    elements = len(content) // dtype.itemsize
    if last >= elements:
        raise ValueError(f"a tensor reaches element {last} of a storage of {elements}")
    byte_strides = [stride * dtype.itemsize for stride in tensor.strides]
    # numpy checks the bounds of such a view once more.
    view = np.ndarray(tensor.shape, dtype, content, tensor.offset * dtype.itemsize, byte_strides)
    return np.array(view)
