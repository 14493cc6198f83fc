"""Subnets: one choice of depth, kernel sizes, expand ratios and resolution in a search space.

Owns: the frozen ``Subnet``, its identity and its JSON form (OFA's dict plus ``space``).
Does not own: which values are allowed or what layers follow from them. Its space says so, found
through the registry that ``edgeprof.networks`` hands in: this module imports no space.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from edgeprof.base.errors import InvalidSubnet
from edgeprof.base.files import atomic_write
from edgeprof.base.parse import ENCODING, parse_json


class Space(Protocol):
    """What a subnet asks of its search space."""

    def validate(self, subnet: Subnet) -> None:
        """Raise ``InvalidSubnet`` where the subnet is not of this space."""

    def canonical(self, subnet: Subnet) -> Mapping[str, object]:
        """Return the choices that have an effect, as JSON values."""


@dataclass(frozen=True)
class Subnet:
    """A subnet of a Once-For-All supernet, checked against its space when it is made.

    >>> from edgeprof import Subnet
    >>> Subnet("ofa-mbv3-w1.0", ks=(3,) * 20, e=(3,) * 20, d=(2,) * 5, r=128).id
    '...'

    Attributes:
        find_space: the registry: gives a space by its id, or raises ``InvalidSubnet``.
        space: id of the search space, e.g. ``"ofa-mbv3-w1.0"``.
        ks: depthwise kernel size per slot (20 for ``ofa-mbv3``; empty where a space has none).
        e: expand ratio per slot; slots beyond a stage's depth are kept but have no effect.
        d: depth per stage.
        r: input resolution in pixels (square).
        w: index of the width multiplier per group (``ofa-resnet50`` only, else empty).

    Raises:
        InvalidSubnet: if the values are not of the space.
    """

    find_space: ClassVar[Callable[[str], Space]]
    space: str
    ks: tuple[int, ...]
    e: tuple[float, ...]
    d: tuple[int, ...]
    r: int
    w: tuple[int, ...] = field(default=())

    def __post_init__(self) -> None:
        for name in ("ks", "e", "d", "w"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        Subnet.find_space(self.space).validate(self)

    @property
    def id(self) -> str:
        """Stable 16-digit id of the network that results: equal for equal layer lists.

        Kernel and expand values of slots that the depth leaves out do not enter it.
        """
        canonical = json.dumps(Subnet.find_space(self.space).canonical(self), separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, object]:
        """Return OFA's dict plus ``space``; ``w`` only where the space has widths."""
        out: dict[str, object] = {
            "space": self.space,
            "ks": list(self.ks),
            "e": list(self.e),
            "d": list(self.d),
            "r": self.r,
        }
        if self.w:
            out["w"] = list(self.w)
        return out

    def to_json(self) -> str:
        """Return ``to_dict`` on one line."""
        return json.dumps(self.to_dict(), separators=(",", ":"))

    @classmethod
    def from_dict(cls, value: Mapping[str, object], *, space: str | None = None) -> Subnet:
        """Read OFA's dict; ``r`` may be a number or OFA's list of one.

        Args:
            value: ``{"ks": [...], "e": [...], "d": [...], "r": 224}``, further fields ignored.
            space: the space to assume where the dict names none.

        Raises:
            InvalidSubnet: on a missing field, a wrong type or a value outside the space.
        """
        space_id = value.get("space", space)
        if not isinstance(space_id, str):
            raise InvalidSubnet("subnet names no space: add the field 'space'")
        resolution = value.get("r")
        if isinstance(resolution, list) and len(resolution) == 1:
            resolution = resolution[0]
        if isinstance(resolution, float) and resolution.is_integer():
            resolution = int(resolution)
        if isinstance(resolution, bool) or not isinstance(resolution, int):
            raise InvalidSubnet(
                f"subnet field 'r' is {resolution!r}, want one integer in pixels", field="r"
            )
        return cls(
            space=space_id,
            ks=_integers(value, "ks") if value.get("ks") is not None else (),
            e=_numbers(value, "e"),
            d=_integers(value, "d"),
            r=resolution,
            w=_integers(value, "w") if value.get("w") is not None else (),
        )

    @classmethod
    def from_json(cls, text: str, *, space: str | None = None) -> Subnet:
        """Read one JSON object; see ``from_dict``."""
        try:
            value = parse_json(text)
        except ValueError as error:
            raise InvalidSubnet(f"subnet is no JSON: {error}") from error
        if not isinstance(value, dict):
            raise InvalidSubnet(f"subnet is a JSON {type(value).__name__}, want an object")
        return cls.from_dict(value, space=space)


def _numbers(value: Mapping[str, object], name: str) -> tuple[float, ...]:
    items = value.get(name)
    if not isinstance(items, (list, tuple)):
        raise InvalidSubnet(
            f"subnet field {name!r} is {items!r}, want a list of numbers", field=name
        )
    for item in items:
        if isinstance(item, bool) or not isinstance(item, (int, float)):
            raise InvalidSubnet(f"subnet field {name!r} holds {item!r}, want numbers", field=name)
    # A ratio of 4.0 is written as 4, so that equal subnets have equal JSON.
    return tuple(int(item) if float(item).is_integer() else float(item) for item in items)


def _integers(value: Mapping[str, object], name: str) -> tuple[int, ...]:
    items = _numbers(value, name)
    for item in items:
        if not isinstance(item, int):
            raise InvalidSubnet(f"subnet field {name!r} holds {item!r}, want integers", field=name)
    return tuple(int(item) for item in items)


def read_subnets(path: Path, *, space: str | None = None) -> list[Subnet]:
    """Read subnets from a JSON-lines file, one object a line (blank lines are passed over).

    Raises:
        InvalidSubnet: naming file and line.
    """
    try:
        text = path.read_text(encoding=ENCODING)
    except OSError as error:
        raise InvalidSubnet(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidSubnet(f"{path}: is no UTF-8 text, want one JSON object a line") from error
    return list(_parse_lines(text, path, space))


def _parse_lines(text: str, path: Path, space: str | None) -> Iterator[Subnet]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            yield Subnet.from_json(line, space=space)
        except InvalidSubnet as error:
            raise InvalidSubnet(f"{path}:{number}: {error}") from error


def write_subnets(path: Path, subnets: Iterable[Subnet]) -> None:
    """Write subnets as JSON lines; the file appears whole or not at all."""
    with atomic_write(path) as stream:
        for subnet in subnets:
            stream.write(subnet.to_json() + "\n")
