"""Search spaces by name.

Owns: the table of spaces. A package outside edgeprof adds its own through the entry-point group
``edgeprof.spaces`` (name: the space's id; value: a callable that returns a ``SearchSpace``).
"""

from __future__ import annotations

import importlib
from functools import cache
from importlib.metadata import entry_points
from typing import cast

from edgeprof.base.errors import InvalidSubnet
from edgeprof.networks.spaces.base import Codes, SearchSpace

__all__ = ["Codes", "SearchSpace", "get_space", "known_spaces"]

# id -> (module under edgeprof.networks.spaces, class, arguments)
_BUILT_IN: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "compofa-mbv3-elastic-w1.0": ("compofa", "CompOfa", ("1.0", "elastic")),
    "compofa-mbv3-elastic-w1.2": ("compofa", "CompOfa", ("1.2", "elastic")),
    "compofa-mbv3-w1.0": ("compofa", "CompOfa", ("1.0", "fixed")),
    "compofa-mbv3-w1.2": ("compofa", "CompOfa", ("1.2", "fixed")),
    "ofa-mbv3-w1.0": ("ofa_mbv3", "OfaMobileNetV3", ("1.0",)),
    "ofa-mbv3-w1.2": ("ofa_mbv3", "OfaMobileNetV3", ("1.2",)),
    "ofa-proxyless-w1.3": ("ofa_proxyless", "OfaProxyless", ()),
    "ofa-resnet50": ("ofa_resnet50", "OfaResNet50", ()),
}


def known_spaces() -> list[str]:
    """Return the ids of all spaces there are, sorted."""
    added = {point.name for point in entry_points(group="edgeprof.spaces")}
    return sorted({*_BUILT_IN, *added})


@cache
def get_space(space_id: str) -> SearchSpace:
    """Return a space by its id; always the same object.

    >>> from edgeprof import get_space
    >>> get_space("ofa-mbv3-w1.0").id
    'ofa-mbv3-w1.0'

    Raises:
        InvalidSubnet: if there is no such space; the message lists those there are.
    """
    if space_id in _BUILT_IN:
        module_name, class_name, arguments = _BUILT_IN[space_id]
        module = importlib.import_module(f"edgeprof.networks.spaces.{module_name}")
        return cast(SearchSpace, getattr(module, class_name)(*arguments))
    for point in entry_points(group="edgeprof.spaces"):
        if point.name == space_id:
            return cast(SearchSpace, point.load()())
    raise InvalidSubnet(f"unknown space {space_id!r}; known: {', '.join(known_spaces())}")
