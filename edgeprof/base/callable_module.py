"""A package that can be called: ``edgeprof.search(...)`` beside ``edgeprof.search.Search``.

The import system sets a sub-package as an attribute of its parent, so a function of that name
would come and go with the first import. The package itself does what the function does instead.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


def make_callable(module: str, function: Callable[..., Any]) -> None:
    """Let a module do what a function does when it is called."""

    class CallableModule(ModuleType):
        __signature__ = inspect.signature(function)

        def __call__(self, *arguments: Any, **named: Any) -> Any:
            return function(*arguments, **named)

    CallableModule.__call__.__doc__ = function.__doc__
    sys.modules[module].__class__ = CallableModule
