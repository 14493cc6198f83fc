"""The report: one HTML page about stores, predictors and searches.

Owns: the public names. The package itself can be called: ``edgeprof.report("store.db")``.
"""

from __future__ import annotations

from edgeprof.base.callable_module import make_callable
from edgeprof.report.functions import load_for_report, report
from edgeprof.report.page import render_page
from edgeprof.report.serve import report_server
from edgeprof.report.write import Contents, Report, write_report

__all__ = [
    "Contents",
    "Report",
    "load_for_report",
    "render_page",
    "report",
    "report_server",
    "write_report",
]

make_callable(__name__, report)
