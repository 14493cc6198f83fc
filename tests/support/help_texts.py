"""What --help prints of every command, one after the other.

A program of its own: click keeps the help option of a command from the first time it is asked for,
and other tests ask for it in other ways.
"""

from __future__ import annotations

from collections.abc import Iterator

import click
from click.testing import CliRunner

from edgeprof.cli import cli


def all_commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from all_commands(command.get_command(context, name), (*path, name))


def main() -> None:
    texts = []
    for path in all_commands(cli):
        words = [*path, "--help"]
        result = CliRunner().invoke(cli, words, prog_name="edgeprof", terminal_width=80)
        assert result.exit_code == 0, path
        texts.append(f"$ {' '.join(('edgeprof', *words))}\n{result.stdout}")
    print("\n".join(texts), end="")


if __name__ == "__main__":
    main()
