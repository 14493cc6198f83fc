"""The report: one HTML page about stores, predictors and searches.

Owns: the public names. The package itself can be called: ``edgeprof.report("store.db")``.
"""

from __future__ import annotations

from edgeprof.base.callable_module import make_callable
from edgeprof.report.functions import report
from edgeprof.report.write import Report, write_report

__all__ = ["Report", "report", "write_report"]

make_callable(__name__, report)
