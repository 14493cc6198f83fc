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

from edgeprof.base.errors import PredictorFormatError
from edgeprof.predictors.base import LatencyPredictor
from edgeprof.predictors.compact.edgp_file import MAGIC as EDGP_MAGIC
from edgeprof.predictors.compact.predictor import CompactPredictor
from edgeprof.predictors.compact.reader import EdgpPredictor

FORMAT = "edgeprof-host"
VERSION = 1

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
    "lut": ("lut.model", "LutModel"),
    "linear": ("paper.linear", "LinearModel"),
    "paper-mlp": ("paper.mlp", "PaperMlp"),
}


class HostModel(LatencyPredictor, Protocol):
    """A predictor that can be kept in a host file.

    Attributes:
        kind: key of the table of kinds.
    """

    kind: ClassVar[str]

    def to_arrays(self) -> tuple[Meta, Arrays]:
        """Return what the model is made of: JSON values and arrays.

        A class method ``from_arrays(meta, arrays)`` makes the model of it again.
        """


def host_bytes(model: HostModel) -> bytes:
    """Return a host file's content."""
    meta, arrays = model.to_arrays()
    head = {"format": FORMAT, "version": VERSION, "kind": model.kind, "model": meta}
    buffer = io.BytesIO()
    named: Any = {"head": np.array(json.dumps(head)), **arrays}
    np.savez_compressed(buffer, **named)
    return buffer.getvalue()


def read_host_bytes(content: bytes, name: str) -> HostModel:
    """Read a host file's content; ``name`` is for messages.

    Raises:
        PredictorFormatError: if it is none, or of another version.
    """
    try:
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
    module, class_name = _KINDS[head["kind"]]
    model_class = getattr(importlib.import_module(f"edgeprof.predictors.{module}"), class_name)
    try:
        model: HostModel = model_class.from_arrays(head["model"], arrays)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise PredictorFormatError(f"{name}: is damaged: {error!r}") from error
    return model


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
