"""How objects show themselves: tables for notebooks, and data frames where pandas is there.

Owns: the two forms. Does not own what stands in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from edgeprof.base.extras import optional


def html_table(title: str, facts: Iterable[tuple[str, object]]) -> str:
    """Return an HTML table of two columns under a title; every text is escaped."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th>"
        f"<td style='text-align:left'>{escape(str(value))}</td></tr>"
        for name, value in facts
    )
    return f"<table><caption>{escape(title)}</caption>{rows}</table>"


def data_frame(columns: Mapping[str, Any]) -> Any:
    """Return a pandas data frame of columns of one length.

    Raises:
        MissingDependency: pandas is not installed.
    """
    with optional("a data frame"):
        import pandas as pd
    return pd.DataFrame(dict(columns))
