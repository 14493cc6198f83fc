"""The weights of OFA's accuracy MLP out of ``.npz`` and ``.pth`` files.

Owns: which arrays of a file make up the MLP and that they fit together.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprof.accuracy.ofa import Layer, OfaMlp
from edgeprof.base.errors import PredictorFormatError
from edgeprof.base.torch_file import read_torch_tensors
from edgeprof.networks.spaces.base import SearchSpace
from edgeprof.networks.spaces.ofa_encoding import OFA_INPUTS


def load_ofa_mlp(path: Path, space: SearchSpace) -> OfaMlp:
    """Load OFA's accuracy predictor.

    Args:
        path: ``.npz`` with ``<n>.weight`` and ``<n>.bias``, or the ``.pth`` released with OFA.
        space: the space whose subnets it will be asked about.

    Raises:
        PredictorFormatError: if the file holds no MLP from 128 inputs to one output.
        SearchError: if the space cannot be written in OFA's encoding.
    """
    tensors = read_torch_tensors(path) if path.suffix == ".pth" else _read_npz(path)
    offset = tensors.get("base_acc")
    if offset is not None and offset.size != 1:
        raise PredictorFormatError(f"{path}: base_acc has {offset.size} values, want 1")
    layers = _chain(tensors, path)
    return OfaMlp(
        layers, space, offset=0.0 if offset is None else float(offset.item()), name=path.name
    )


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except OSError as error:
        raise PredictorFormatError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (AttributeError, EOFError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise PredictorFormatError(
            f"{path}: is no .npz of plain arrays ({type(error).__name__}: {error})"
        ) from error


def _chain(tensors: Mapping[str, NDArray[Any]], path: Path) -> list[Layer]:
    """Return the fully connected layers in the file's order, checked link by link."""
    layers: list[Layer] = []
    inputs = OFA_INPUTS
    for name, array in tensors.items():
        if not name.endswith("weight"):
            continue
        bias = tensors.get(name.removesuffix("weight") + "bias")
        if array.ndim != 2 or bias is None or bias.shape != array.shape[:1]:
            raise PredictorFormatError(f"{path}: {name} is no fully connected layer with a bias")
        if array.shape[1] != inputs:
            raise PredictorFormatError(
                f"{path}: {name} takes {array.shape[1]} inputs, want {inputs}; OFA's accuracy "
                f"predictor is an MLP from {OFA_INPUTS} inputs to 1 output"
            )
        if not (np.isfinite(array).all() and np.isfinite(bias).all()):
            raise PredictorFormatError(
                f"{path}: {name} or its bias holds values that are no number"
            )
        layers.append((array.astype(np.float32), bias.astype(np.float32)))
        inputs = array.shape[0]
    if not layers or inputs != 1:
        raise PredictorFormatError(
            f"{path}: holds no MLP from {OFA_INPUTS} inputs to 1 output, the form of OFA's "
            f"accuracy predictor (found: {', '.join(list(tensors)[:6]) or 'nothing'})"
        )
    return layers
