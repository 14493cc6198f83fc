"""Packages that come with an extra: one guard, which names the extra where one is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edgeprof.base.errors import MissingDependency


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Import in this block what ``pip install 'edgeprof[name]'`` brings.

    Raises:
        MissingDependency: naming the package that is not there, and the extra.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"this needs {error.name}: pip install 'edgeprof[{name}]'", module=error.name
        ) from error
