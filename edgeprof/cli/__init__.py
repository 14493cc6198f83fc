"""The command line: parse, one library call, print.

Owns: the table of commands and how errors leave the program (one line on stderr, exit 1; wrong
usage exits 2). Each command lives in the module named in ``COMMANDS`` and is imported only when
it is called: a Raspberry Pi should not wait for scikit-learn to print a help page.
"""

from __future__ import annotations

import importlib
import os
import sys

import click

from edgeprof.base.errors import EdgeprofError
from edgeprof.base.text import printable

# command -> (module under edgeprof.cli, one line for the overview)
COMMANDS: dict[str, tuple[str, str]] = {
    "compare-predictors": ("evaluate", "Compare all models at several sample counts."),
    "suggest": ("suggest", "Choose the subnets worth measuring next."),
    "train": ("train", "Fit a latency predictor to measurements."),
    "evaluate": ("evaluate", "Compare predictions with measurements."),
    "adapt": ("train", "Move predictors of other devices to a new one with a few measurements."),
    "accuracy": ("accuracy", "Make accuracy models for the search."),
    "boards": ("boards", "The boards of boards.yaml: list, check, set up, restore, clean."),
    "compare": ("compare", "Compare two models, or one under two settings."),
    "dataset": ("dataset", "Rows for learning: out of a store, and into one."),
    "export": ("export", "Write the model files of subnets."),
    "doctor": ("doctor", "Say what would spoil a measurement here, and the remedy."),
    "lut": ("lut", "Lookup tables: build, predict, convert."),
    "measure": ("measure", "Time model files on this machine."),
    "predict": ("predict", "Predict the latency of subnets."),
    "profile": ("profile", "Sample, export and measure in bulk; resumes by itself."),
    "quickstart": ("quickstart", "The whole job on this machine, step by step."),
    "harness": ("harness", "The board program: build it for a board or for this machine."),
    "ship": ("ship", "Write a predictor as C source or as an ONNX model."),
    "report": ("report", "Write an HTML page about stores, predictors and searches."),
    "sample": ("subnets", "Draw random subnets of a search space."),
    "search": ("search", "Find the most accurate subnets within latency budgets."),
}


class _LazyGroup(click.Group):
    """A group whose commands are imported when they are called, not when they are listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        cmd_name: str,
    ) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"edgeprof.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List all commands from the table, without importing their modules."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="edgeprof")
def cli() -> None:
    """Measure neural networks on small computers, predict their latency, search under a budget.

    Start with `edgeprof quickstart`; every command has its own --help with an example.
    """


def main() -> None:
    """Run the command line; an EdgeprofError becomes one line on stderr and exit status 1."""
    try:
        cli(standalone_mode=True)
    except EdgeprofError as error:
        click.echo(f"edgeprof: {printable(str(error), keep=chr(10))}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        # The reader (head, less) has gone; a second failure at shutdown would print a trace.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
