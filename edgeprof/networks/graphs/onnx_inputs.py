"""The shapes of an ONNX model's inputs: as the file states, as asked for, or proposed.

Owns: open dimensions, their names, and the search for sizes that work.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from edgeprof.base.errors import InvalidModel
from edgeprof.networks.graphs.graph import Graph

Shape = tuple[int, ...]
_Open = tuple[int | str, ...]
"""Sizes of an input: an open one by its name, unique where it has none."""

_IMAGES = (224, 256, 320, 640, 512, 48, 32, 28, 96, 112, 299, 384)
_SEQUENCES = (128, 64, 16, 1, 512, 1280, 16000)
_PROPOSALS = 40


def input_shapes(
    path: Path,
    graph: Any,
    given: Mapping[str, Shape],
    batch: int | None,
    read: Callable[[Mapping[str, Shape], bool], Graph],
) -> Graph:
    """Read a graph with shapes that leave nothing open.

    Args:
        path: of the model, for messages.
        graph: the model's graph.
        given: shapes by name of input.
        batch: leading dimension, where it is open or 1.
        read: reads the graph with these shapes, strictly or not.

    Raises:
        InvalidModel: a name or shape that does not fit, or one that is missing; the message
            proposes one, tried before.
    """
    constants = {tensor.name for tensor in graph.initializer}
    stated = {
        value.name: _stated(value)
        for value in graph.input
        if value.name not in constants and not value.type.HasField("map_type")
    }
    for name, shape in given.items():
        _check(path, name, shape, stated)
    fixed = _fix(stated, given, batch)
    if all(sizes is not None and _is_static(sizes) for sizes in fixed.values()):
        return read({n: _sizes(sizes) for n, sizes in fixed.items()}, bool(given or batch))
    raise InvalidModel(_dynamic(path, fixed, read))


def _stated(value: Any) -> _Open | None:
    kind = value.type
    for field in ("optional_type", "sequence_type"):
        if kind.HasField(field):
            kind = getattr(kind, field).elem_type
    if not kind.tensor_type.HasField("shape"):
        return None
    return tuple(
        dim.dim_value
        if dim.HasField("dim_value") and dim.dim_value > 0
        else dim.dim_param.strip("?") or f"{value.name}.{index}"
        for index, dim in enumerate(kind.tensor_type.shape.dim)
    )


def _check(path: Path, name: str, shape: Shape, stated: Mapping[str, _Open | None]) -> None:
    if name not in stated:
        raise InvalidModel(
            f"{path}: has no input {name!r} to give a shape; its inputs are {', '.join(stated)}"
        )
    sizes = stated[name]
    if sizes is not None and (
        len(sizes) != len(shape)
        or any(isinstance(a, int) and a not in (b, 1) for a, b in zip(sizes, shape, strict=True))
    ):
        raise InvalidModel(f"{path}: input {name!r} is {_text(sizes)}, got {_text(shape)}")


def _fix(
    stated: Mapping[str, _Open | None], given: Mapping[str, Shape], batch: int | None
) -> dict[str, _Open | None]:
    """Put in the sizes that are asked for; a dimension of the same name has them everywhere."""
    named: dict[int | str, int] = {}
    for name, shape in given.items():
        named.update(zip(stated[name] or (), shape, strict=False))
    fixed: dict[str, _Open | None] = {}
    for name, sizes in stated.items():
        if name in given:
            fixed[name] = given[name]
        elif sizes is None:
            fixed[name] = None
        else:
            fixed[name] = tuple(named.get(s, s) if isinstance(s, str) else s for s in sizes)
        now = fixed[name]
        if batch and now and (now[0] == 1 or isinstance(now[0], str)):
            fixed[name] = (batch, *now[1:])
    return fixed


def _is_static(sizes: _Open) -> bool:
    return all(isinstance(size, int) for size in sizes)


def _sizes(sizes: _Open | None) -> Shape:
    return tuple(int(size) for size in sizes or ())


def _text(sizes: _Open) -> str:
    return ",".join(str(size) for size in sizes)


def _dynamic(
    path: Path,
    fixed: Mapping[str, _Open | None],
    read: Callable[[Mapping[str, Shape], bool], Graph],
) -> str:
    is_open = [name for name, sizes in fixed.items() if sizes is None or not _is_static(sizes)]
    described = ", ".join(
        f"{name!r} ({'of unknown rank' if fixed[name] is None else _text(fixed[name] or ())})"
        for name in is_open
    )
    message = f"{path}: the shape of input {described} is open; "
    for proposal in islice(_proposals(fixed), _PROPOSALS):
        try:
            graph = read(proposal, True)
        except InvalidModel:
            continue
        written = (graph.tensor(name) for node in graph.nodes for name in node.outputs[:1])
        if all(tensor.elements for tensor in written):
            options = " ".join(
                f"--shape {shlex.quote(f'{name}={_text(proposal[name])}')}" for name in is_open
            )
            return f"{message}for example {options}"
    return f"{message}give it with --shape NAME=1,2,3"


def _proposals(fixed: Mapping[str, _Open | None]) -> Iterator[dict[str, Shape]]:
    """Yield shapes that such inputs often have, the usual first."""
    for image in _IMAGES:
        for length in _SEQUENCES[: 2 if image != _IMAGES[0] else None]:
            for channels in (3, 1):
                named: dict[str, int] = {}
                yield {
                    name: (
                        (1, channels, image, image)
                        if sizes is None
                        else _filled(sizes, named, channels, image, length)
                    )
                    for name, sizes in fixed.items()
                }


def _filled(sizes: _Open, named: dict[str, int], channels: int, image: int, length: int) -> Shape:
    is_image = len(sizes) in (4, 5)
    filled: list[int] = []
    for index, size in enumerate(sizes):
        if isinstance(size, int):
            filled.append(size)
            continue
        is_channels = is_image and (index == 1 and sizes[-1] != 3 and sizes[-1] != 1)
        is_batch = index == 0 or (index == 1 and len(sizes) == 3 and isinstance(sizes[2], int))
        usual = 1 if is_batch else channels if is_channels else image if is_image else length
        filled.append(named.setdefault(size, usual))
    return tuple(filled)
