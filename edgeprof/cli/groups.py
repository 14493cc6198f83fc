"""Groups of commands: sections in the overview, help with typing errors, habits of the field.

Owns: how a command is found by what was typed. Does not own: which commands there are.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence

import click

Sections = Mapping[str, Mapping[str, "tuple[str, str]"]]
"""Section of the overview -> command -> (module under edgeprof.cli, one line)."""

CONTEXT = {
    "help_option_names": ["-h", "--help"],
    # Tools of TensorFlow write --num_threads.
    "token_normalize_func": lambda token: token.replace("_", "-"),
}

_NOT_NEEDED = {
    **dict.fromkeys(
        ("--warmup", "--warmup-runs", "-w"),
        "edgeprof warms up by itself, until the latency is steady: leave it out",
    ),
    **dict.fromkeys(
        ("--iterations", "--runs"), "give --num-runs N for so many inferences, or --max-secs"
    ),
}
"""Options of other tools that have no counterpart here, and what to do instead."""


class Group(click.Group):
    """A group that says which command may have been meant, and what foreign options stand for."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is a usage error that names those like it."""
        known = self.list_commands(ctx)
        name = args[0].replace("_", "-")
        if name not in known and not name.startswith("-"):
            ctx.fail(_unknown(args[0], known))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; foreign options are explained."""
        try:
            return super().invoke(ctx)
        except click.NoSuchOption as error:
            if hint := _NOT_NEEDED.get(error.option_name):
                raise click.UsageError(
                    f"No such option: {error.option_name}; {hint}.", error.ctx
                ) from None
            raise


def _unknown(name: str, known: Sequence[str]) -> str:
    import difflib

    like = difflib.get_close_matches(name.lower(), known, n=3)
    if not like:
        return f"No such command '{name}'."
    return f"No such command '{name}'. Did you mean {' or '.join(like)}?"


class SectionedGroup(Group):
    """A group whose commands are imported when they are called, not when they are listed."""

    def __init__(self, *arguments: object, sections: Sections, **attributes: object) -> None:
        super().__init__(*arguments, **attributes)  # type: ignore[arg-type] # click checks them
        self.sections = sections
        self._modules = {
            name: module for section in sections.values() for name, (module, _) in section.items()
        }

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names, in order."""
        return sorted(self._modules)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        cmd_name: str,
    ) -> click.Command | None:
        """Import a command."""
        name = cmd_name.replace("_", "-")
        if name not in self._modules:
            return None
        module = importlib.import_module(f"edgeprof.cli.{self._modules[name]}")
        command: click.Command = getattr(module, name.replace("-", "_"))
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        """List the commands by section, without importing their modules."""
        width = max(map(len, self._modules))
        for title, commands in self.sections.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(name.ljust(width), line) for name, (_, line) in commands.items()]
                )
