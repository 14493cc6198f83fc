"""The command line: parse, one library call, print.

Owns: the table of commands and how errors leave the program (one line on stderr, exit 1; wrong
usage exits 2). Each command lives in the module named in ``COMMANDS`` and is imported only when
it is called: a Raspberry Pi should not wait for scikit-learn to print a help page.
"""

from __future__ import annotations

import errno
import io
import os
import sys

import click

from edgeprof.base.errors import EdgeprofError
from edgeprof.base.text import printable
from edgeprof.cli.groups import CONTEXT, SectionedGroup

# section of the overview -> command -> (module under edgeprof.cli, one line)
SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Start here": {
        "quickstart": ("quickstart", "The whole job on this machine, step by step."),
        "onboard": ("onboard", "A board, or this machine: from nothing to a predictor of it."),
        "doctor": ("doctor", "Say what would spoil a measurement here, and the remedy."),
    },
    "Measure": {
        "sample": ("subnets", "Draw random subnets of a search space."),
        "export": ("export", "Write the model files of subnets."),
        "measure": ("measure", "Time model files on this machine."),
        "compare": ("compare", "Compare two models, or one under two settings."),
        "probe": ("probe", "Measure the few small models that tell most about a board."),
        "advise": ("advise", "Find the fastest runtime, form and threads for a network."),
        "gate": ("gate", "Fail when a model has become slower than its baseline."),
        "profile": ("profile", "Sample, export and measure in bulk; resumes by itself."),
        "lut": ("lut", "Lookup tables: build, predict, convert."),
    },
    "Boards": {
        "boards": ("boards", "The boards of boards.yaml: add, check, set up, restore ..."),
        "harness": ("harness", "The board program: build it for a board or for this machine."),
    },
    "Predict": {
        "train": ("train", "Fit a latency predictor to measurements."),
        "adapt": ("train", "Move predictors of other devices to a new one, with few samples."),
        "evaluate": ("evaluate", "Compare predictions with measurements."),
        "compare-predictors": ("evaluate", "Compare all models at several sample counts."),
        "predict": ("predict", "Predict the latency of subnets."),
        "suggest": ("suggest", "Choose the subnets worth measuring next."),
        "ship": ("ship", "Write a predictor as C source or as an ONNX model."),
    },
    "Search": {
        "search": ("search", "Find the most accurate subnets within latency budgets."),
        "accuracy": ("accuracy", "Make accuracy models for the search."),
    },
    "Data": {
        "dataset": ("dataset", "Rows for learning: out of a store, and into one."),
        "report": ("report", "Write an HTML page about stores, predictors and searches."),
    },
}
COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}

_REFUSALS_TO_PRINT = (errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG)


@click.group(cls=SectionedGroup, sections=SECTIONS, context_settings=CONTEXT)
@click.version_option(package_name="edgeprof")
def cli() -> None:
    """Measure neural networks on small computers, predict their latency, search under a budget.

    Start with `edgeprof quickstart`; every command has its own --help with an example.
    """


def main() -> None:
    """Run the command line; an EdgeprofError becomes one line on stderr and exit status 1."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # names of files may be any bytes
    try:
        try:
            cli(standalone_mode=True)
        finally:
            sys.stdout.flush()
    except EdgeprofError as error:
        click.echo(f"edgeprof: {printable(str(error), keep=chr(10))}", err=True)
        sys.exit(1)
    except OSError as error:
        if error.errno not in _REFUSALS_TO_PRINT or error.filename is not None:
            raise
        # A second failure at shutdown would print a trace.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno != errno.EPIPE:  # the reader (head, less) has gone: it knows
            click.echo(f"edgeprof: standard output cannot be written: {error.strerror}", err=True)
        sys.exit(1)
