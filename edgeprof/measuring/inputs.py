"""What models are fed: shapes and values by the names of inputs.

Owns: which of several models a shape or value is for, and values as they stand in a job. Does not
own whether they fit: ``csrc/runtimes/input_shapes.cpp`` and ``input_values.cpp`` know the model.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeprof.base.errors import InvalidJob
from edgeprof.measuring.runtimes import FORMAT_OF_SUFFIX

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

    A name goes to the models that have such an input, ``MODEL:NAME`` to that model alone. MODEL is
    its path, or as much of the path's end as no other model has: its file name, most times.

    Raises:
        InvalidJob: no model has an input of a name, or MODEL is none of the models or several.
    """
    from edgeprof import _core

    paths = [os.fspath(model) for model in models]
    if not shapes and not inputs:
        return [Fed() for _ in paths]
    if len(set(paths)) == 1 and not any(":" in name for name in (*shapes, *inputs)):
        return [Fed(shapes, inputs) for _ in paths]
    known = {path: _core.input_names(path) for path in paths}
    of_shapes = _divided(shapes, known)
    of_inputs = _divided(inputs, known, is_by_type=_is_type)
    return [Fed(of_shapes[path], of_inputs[path]) for path in paths]


def _divided(
    given: Mapping[str, Any],
    known: Mapping[str, Sequence[str] | None],
    is_by_type: Callable[[str], bool] = lambda _: False,
) -> dict[str, dict[str, Any]]:
    """Return what is for each model by its path; what is for it alone wins over what is for all."""

    def takes(path: str, name: str) -> bool:
        names = known[path]  # None: it cannot be read, and the runtime will tell
        return names is None or name in names or is_by_type(name)

    for_all: dict[str, dict[str, Any]] = {path: {} for path in known}
    for_one: dict[str, dict[str, Any]] = {path: {} for path in known}
    for given_name, value in given.items():
        addressed, name = _addressed(given_name, known)
        takers = [path for path in addressed or known if takes(path, name)]
        if not takers:
            inputs = "; ".join(f"{path}: {', '.join(known[path] or ())}" for path in known)
            raise InvalidJob(f"no model has an input {given_name!r}; the inputs are {inputs}")
        for path in takers:
            own = (for_one if addressed else for_all)[path]
            if name in own:
                raise InvalidJob(f"{given_name!r}: input {name!r} of {path} is given twice")
            own[name] = value
    return {path: {**for_all[path], **for_one[path]} for path in known}


def _addressed(given: str, known: Mapping[str, Sequence[str] | None]) -> tuple[list[str], str]:
    """Take ``MODEL:NAME`` apart: paths of the model, and the name; of a name alone, no path.

    Raises:
        InvalidJob: MODEL is none of the models or several.
    """
    if any(given in (names or ()) for names in known.values()):
        return [], given  # names of inputs may hold colons themselves
    models = ", ".join(known)
    for colon in (at for at, letter in enumerate(given) if letter == ":"):
        said, name = os.path.normpath(given[:colon]), given[colon + 1 :]
        exact = [path for path in known if os.path.normpath(path) == said]
        alike = exact or [path for path in known if _ends_with(path, said)]
        if len(alike) > 1 and not exact:
            raise InvalidJob(
                f"{given!r}: {said} may be {' or '.join(alike)}; write more of the path"
            )
        if alike:
            return alike, name
        if Path(said).suffix.lower() in FORMAT_OF_SUFFIX:
            raise InvalidJob(f"{given!r}: no model is called {said}; the models are {models}")
    return [], given


def _ends_with(path: str, said: str) -> bool:
    last = Path(said).parts
    return Path(os.path.normpath(path)).parts[-len(last) :] == last


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
