"""The host model's file, ``.host.npz``: numpy arrays and one JSON text, no pickle.

Owns: the container and its version. What stands in it is each model's own affair (``to_arrays``
and ``from_arrays``); a model's bases are files within the file, ``.edgp`` or ``.host.npz``.

Version history: 1 - first.
"""

from __future__ import annotations

import importlib
import io
import json
import zipfile
import zlib
from typing import Any, ClassVar, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.errors import PredictorFormatError
from edgeprof.predictors.base import LatencyPredictor, Origin
from edgeprof.predictors.compact.edgp_file import MAGIC as EDGP_MAGIC
from edgeprof.predictors.compact.predictor import CompactPredictor
from edgeprof.predictors.compact.reader import EdgpPredictor
from edgeprof.predictors.examples import row_hashes

FORMAT = "edgeprof-host"
VERSION = 1
_LEARNED = "learned_rows"
_MOST_INFLATED = 100
_SURELY_FINE_BYTES = 16 * 2**20

# What numpy, zipfile and json raise on bytes that are something else.
_UNREADABLE = (
    OSError,
    EOFError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)

Arrays = dict[str, "np.ndarray[Any, Any]"]
Meta = dict[str, Any]

# kind -> (module, class)
_KINDS = {
    "gp": ("gp.model", "GaussianProcess"),
    "layers": ("layers.model", "LayerCosts"),
    "hardware": ("hardware.model", "HardwareModel"),
    "stored": ("bank.stored", "StoredDevice"),
    "lut": ("lut.model", "LutModel"),
    "linear": ("paper.linear", "LinearModel"),
    "paper-mlp": ("paper.mlp", "PaperMlp"),
}


class HostModel(LatencyPredictor, Protocol):
    """A predictor that can be kept in a host file.

    Attributes:
        kind: key of the table of kinds.
        origin: where it comes from; kept with it.
    """

    kind: ClassVar[str]
    origin: Origin

    def to_arrays(self) -> tuple[Meta, Arrays]:
        """Return what the model is made of: JSON values and arrays.

        A class method ``from_arrays(meta, arrays)`` makes the model of it again.
        """


def host_bytes(model: HostModel) -> bytes:
    """Return a host file's content."""
    meta, arrays = model.to_arrays()
    head = {"format": FORMAT, "version": VERSION, "kind": model.kind, "model": meta}
    head["provenance"] = dict(model.origin.provenance)
    if model.origin.learned is not None:
        arrays[_LEARNED] = model.origin.learned
    buffer = io.BytesIO()
    named: Any = {"head": np.array(json.dumps(head)), **arrays}
    np.savez_compressed(buffer, **named)
    return buffer.getvalue()


def read_host_bytes(content: bytes, name: str) -> HostModel:
    """Read a host file's content; ``name`` is for messages.

    Raises:
        PredictorFormatError: if it is none, or of another version.
    """
    head, arrays = _unpack(content, name)
    module, class_name = _KINDS[head["kind"]]
    model_class = getattr(importlib.import_module(f"edgeprof.predictors.{module}"), class_name)
    try:
        learned = _learned(head, arrays)
        model: HostModel = model_class.from_arrays(head["model"], arrays)
        model.origin = Origin(head.get("provenance", {}), learned)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise PredictorFormatError(f"{name}: is damaged: {error!r}") from error
    return model


def read_learned(content: bytes, name: str) -> NDArray[np.uint64] | None:
    """Return ``Origin.learned`` of a host file's content without making its model."""
    return _learned(*_unpack(content, name))


def _unpack(content: bytes, name: str) -> tuple[dict[str, Any], Arrays]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as listed:
            unpacked_bytes = sum(info.file_size for info in listed.infolist())
        if unpacked_bytes > max(_MOST_INFLATED * len(content), _SURELY_FINE_BYTES):
            raise ValueError(f"{len(content)} bytes would unpack to {unpacked_bytes}")
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = dict(archive.items())
        head = json.loads(str(arrays.pop("head")))
        found = head["format"], head["version"]
    except _UNREADABLE as error:
        raise PredictorFormatError(f"{name}: is no host model: {error}") from error
    if found != (FORMAT, VERSION) or head.get("kind") not in _KINDS:
        raise PredictorFormatError(
            f"{name}: is {found[0]} version {found[1]}, kind {head.get('kind')}; "
            f"want {FORMAT} version {VERSION}: train it anew or use the edgeprof that wrote it"
        )
    return head, arrays


def _learned(head: Meta, arrays: Arrays) -> NDArray[np.uint64] | None:
    """Return ``Origin.learned``; older files have no hashes, but those of a ``gp`` its rows."""
    if _LEARNED in arrays:
        return arrays.pop(_LEARNED)
    if head["kind"] == "gp":
        return row_hashes(arrays["codes"], arrays["latency_ms"])
    learns_nothing = head["kind"] in ("hardware", "lut")  # of the device that it predicts
    return np.zeros(0, dtype=np.uint64) if learns_nothing else None


def predictor_to_bytes(predictor: LatencyPredictor) -> bytes:
    """Return a predictor as the content of a ``.edgp`` or a host file."""
    if isinstance(predictor, (CompactPredictor, EdgpPredictor)):
        return predictor.to_bytes()
    return host_bytes(cast(HostModel, predictor))


def predictor_from_bytes(content: bytes, name: str) -> LatencyPredictor:
    """Return the predictor that ``predictor_to_bytes`` wrote; ``name`` is for messages."""
    if content.startswith(EDGP_MAGIC):
        return EdgpPredictor(content, name)
    return read_host_bytes(content, name)
