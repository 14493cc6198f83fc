"""Run a command of edgeprof in this process."""

from __future__ import annotations

from click.testing import CliRunner, Result

from edgeprof.cli import cli


def run(*arguments: object) -> Result:
    """Run ``edgeprof ARGUMENTS``; an error of edgeprof is left in ``result.exception``."""
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])
