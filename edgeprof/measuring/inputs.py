"""What models are fed: shapes and values by the names of inputs.

Owns: which of several models a shape or value is for, and values as they stand in a job. Does not
own whether they fit: ``csrc/runtimes/input_shapes.cpp`` and ``input_values.cpp`` know the model.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeprof.base.errors import InvalidJob

Shape = Sequence[int]
GivenValues = Mapping[str, Any]
"""``{"values": [...]}``, ``{"texts": [...]}`` (both with ``shape`` where it is an array) or
``{"range": [low, high]}``; see ``csrc/board/given_values_json.h``."""

MOST_VALUES = 1 << 22


@dataclass(frozen=True)
class Fed:
    """What one model is fed.

    Attributes:
        shapes: shape per input.
        inputs: values per input, or per type for all inputs of it.
    """

    shapes: Mapping[str, Shape] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)


def fed_to_each(
    models: Sequence[str | os.PathLike[str]],
    shapes: Mapping[str, Shape],
    inputs: Mapping[str, Any],
) -> list[Fed]:
    """Divide what is given among models.

    A name goes to the models that have such an input, ``MODEL:NAME`` to that model alone.

    Raises:
        InvalidJob: no model has an input of a name.
    """
    from edgeprof import _core

    paths = [os.fspath(model) for model in models]
    if not shapes and not inputs:
        return [Fed() for _ in paths]
    if len(set(paths)) == 1 and not any(_is_for(paths[0], name) for name in (*shapes, *inputs)):
        return [Fed(shapes, inputs) for _ in paths]
    known = [_core.input_names(path) for path in paths]
    _refuse_unknown(paths, known, [*shapes, *(name for name in inputs if not _is_type(name))])
    return [
        Fed(_chosen(shapes, path, names), _chosen(inputs, path, names))
        for path, names in zip(paths, known, strict=True)
    ]


def _is_for(path: str, name: str) -> bool:
    return name.startswith(f"{path}:")


def _chosen(given: Mapping[str, Any], path: str, names: Sequence[str] | None) -> dict[str, Any]:
    """Return what is for one model; a name with its path wins over the name alone."""
    plain = {
        name: value
        for name, value in given.items()
        if names is None or name in names or _is_type(name)
    }
    own = {name[len(path) + 1 :]: value for name, value in given.items() if _is_for(path, name)}
    return {**{k: v for k, v in plain.items() if not _is_for(path, k)}, **own}


def _refuse_unknown(
    paths: Sequence[str], known: Sequence[Sequence[str] | None], given: Sequence[str]
) -> None:
    if None in known:
        return  # the runtime will tell
    for name in given:
        is_known = any(
            name in (names or ())
            or (_is_for(path, name) and name[len(path) + 1 :] in (names or ()))
            for path, names in zip(paths, known, strict=True)
        )
        if not is_known:
            inputs = "; ".join(
                f"{path}: {', '.join(names or ())}"
                for path, names in dict(zip(paths, known, strict=True)).items()
            )
            raise InvalidJob(f"no model has an input {name!r}; the inputs are {inputs}")


def _is_type(name: str) -> bool:
    return name.rstrip("0123456789") in ("float", "bfloat", "int", "uint", "bool")


def values_of(given: Any) -> GivenValues:
    """Return values as they stand in a job.

    Args:
        given: a number, a text, an array or nested lists of either; a ``range`` of integers; or
            the mapping itself.

    Raises:
        InvalidJob: too many values, or none that an input could have.
    """
    import numpy as np

    if isinstance(given, Mapping):
        return {name: _numbers(items) for name, items in given.items()}
    if isinstance(given, range):
        return {"range": [given.start, given.stop - 1]}
    if isinstance(given, (bool, int, float)):
        return {"values": [_number(given)]}
    if isinstance(given, str):
        return {"texts": [given]}
    array = np.asarray(given)
    if array.size > MOST_VALUES:
        raise InvalidJob(
            f"an input of {array.size} values, {MOST_VALUES} at most; give a range instead"
        )
    shape = list(array.shape)
    if array.dtype.kind in "US":
        return {"texts": [str(text) for text in array.ravel()], "shape": shape}
    if array.dtype.kind not in "biuf":
        raise InvalidJob(f"an input of {array.dtype} values; wanted numbers or texts")
    return {"values": [_number(value) for value in array.ravel().tolist()], "shape": shape}


def _numbers(items: Any) -> Any:
    if not isinstance(items, list):
        return items
    return [_number(item) if isinstance(item, (int, float)) else item for item in items]


def _number(value: float) -> float | int | str:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        raise InvalidJob(f"a value of {value} for an input: integers have 64 bits at most")
    return value if math.isfinite(value) else str(value)


def read_array(path: Path) -> GivenValues:
    """Read the values of a file in numpy's format.

    Raises:
        InvalidJob: it cannot be read, or holds what no input has.
    """
    import numpy as np

    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InvalidJob(f"{path}: cannot be read as an array of numpy: {error}") from error
    if not isinstance(array, np.ndarray):
        raise InvalidJob(f"{path}: holds several arrays; wanted an .npy file")
    return values_of(array)
