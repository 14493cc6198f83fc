"""The bank's file: numpy arrays and one JSON text, no pickle.

Owns: the container, its version, and the bank that ships with the package. Half precision is
enough: a cost is known to some percent.

Version history: 1 - first.
"""

from __future__ import annotations

import io
import json
import zipfile
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from edgeprof.base.errors import PredictorFormatError
from edgeprof.predictors.bank.model import Bank, Population
from edgeprof.predictors.bank.smooth import Smooth
from edgeprof.predictors.bank.terms import TERMS, TERMS_VERSION

FORMAT = "edgeprof-bank"
VERSION = 1
SHIPPED = "bank.npz"
_UNREADABLE = (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile)


def bank_bytes(bank: Bank) -> bytes:
    """Return a bank as the content of a file; equal banks give equal bytes."""
    names = sorted(bank.populations)
    of_each = {
        name: {
            "noise": float(np.float32(population.noise)),
            "stretch": [float(np.float32(factor)) for factor in population.stretch],
        }
        for name, population in bank.populations.items()
    }
    head = {
        "format": FORMAT,
        "version": VERSION,
        "terms_version": TERMS_VERSION,
        "terms": list(TERMS),
        "names": list(bank.names),
        "populations": names,
        "of_each": of_each,
        "provenance": dict(bank.provenance),
    }
    arrays: dict[str, Any] = {"head": np.array(json.dumps(head, sort_keys=True))}
    for number, name in enumerate(names):
        found = bank.populations[name]
        lower = np.tril_indices(len(found.factor))
        arrays[f"points{number}"] = found.smooth.points.astype(np.float16)
        arrays[f"effects{number}"] = found.effects.astype(np.float16)
        arrays[f"doubt{number}"] = found.doubt.astype(np.float32)
        arrays[f"factor{number}"] = found.factor[lower].astype(np.float16)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def read_bank(content: bytes, name: str) -> Bank:
    """Read a bank's file; ``name`` is for messages.

    Raises:
        PredictorFormatError: if it is none, or of another version.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
        head = json.loads(str(arrays["head"]))
        found = head["format"], head["version"], head["terms_version"]
        if found != (FORMAT, VERSION, TERMS_VERSION) or head["terms"] != list(TERMS):
            raise PredictorFormatError(
                f"{name}: is {found[0]} version {found[1]} with terms of version {found[2]}; want "
                f"{FORMAT} version {VERSION} with terms of version {TERMS_VERSION}"
            )
        populations = {
            name: _population(arrays, number, head["of_each"][name])
            for number, name in enumerate(head["populations"])
        }
        return Bank(tuple(head["names"]), populations, head["provenance"])
    except _UNREADABLE as error:
        raise PredictorFormatError(f"{name}: is no bank of devices: {error}") from error


def _population(arrays: dict[str, Any], number: int, head: dict[str, Any]) -> Population:
    effects = arrays[f"effects{number}"].astype(np.float64)
    size = effects.shape[1]
    factor = np.zeros((size, size))
    factor[np.tril_indices(size)] = arrays[f"factor{number}"]
    without, with_probes = head["stretch"]
    return Population(
        Smooth(arrays[f"points{number}"].astype(np.float64)),
        effects,
        arrays[f"doubt{number}"].astype(np.float64),
        factor,
        float(head["noise"]),
        (float(without), float(with_probes)),
    )


def load_bank(path: Path) -> Bank:
    """Read a bank from a file.

    Raises:
        PredictorFormatError: if it is none, or cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PredictorFormatError(f"{path}: cannot be read: {error}") from error
    return read_bank(content, str(path))


@cache
def shipped_bank() -> Bank:
    """Return the bank that comes with the package."""
    content = resources.files("edgeprof.predictors.bank").joinpath(SHIPPED).read_bytes()
    return read_bank(content, SHIPPED)
