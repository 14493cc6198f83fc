"""`edgeprof harness`: the board program."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import click

from edgeprof.cli import options
from edgeprof.cli.groups import Group


@dataclass(frozen=True)
class BuildArguments:
    """What ``edgeprof harness build`` is asked for."""

    target: str = options.option(
        "--target", required=True, help="aarch64, armv7, x86_64 or native (this machine's)."
    )
    glibc: str | None = options.option(
        "--glibc",
        help="Oldest glibc it must run with  [default: 2.27 with zig, else the compiler's own]",
    )
    toolchain: str | None = options.option(
        "--toolchain",
        help="zig (from PyPI), debian (its cross compilers), host (this machine's), or a CMake "
        "toolchain file  [default: $EDGEPROF_TOOLCHAIN, else zig]",
    )
    output: Path = options.output_folder(
        default=Path(), show_default=False, help="Folder for edgeprof-harness  [default: here]"
    )
    as_json: bool = options.as_json()


@click.group(cls=Group)
def harness() -> None:
    """The board program, edgeprof-harness: build it for a board or for this machine."""


@harness.command()
@options.takes(BuildArguments)
def build(arguments: BuildArguments) -> None:
    """Cross-compile the board program and check what came out.

    The first build for a target takes minutes (zig compiles its C++ library), a later one of the
    same sources none: built programs are kept.

    \b
    Example:
      edgeprof harness build --target aarch64 -o boards
      edgeprof harness build --target armv7 --toolchain debian
    """
    from edgeprof.base.units import format_bytes
    from edgeprof.boards.elf import format_version
    from edgeprof.boards.toolchain import build_harness, place_program

    built = build_harness(arguments.target, glibc=arguments.glibc, toolchain=arguments.toolchain)
    path = place_program(built, arguments.output)
    needs = format_version(built.facts.glibc) if built.facts.glibc else None
    if arguments.as_json:
        result = {
            "path": str(path),
            "target": built.target,
            "machine": built.facts.machine,
            "glibc_needed": needs,
            "libraries_needed": list(built.facts.needed),
            "program_bytes": built.facts.file_bytes,
            "stripped_bytes": built.facts.stripped_bytes,
            "sha256": built.sha256,
            "was_cached": built.was_cached,
        }
        click.echo(json.dumps(result))
        return
    click.echo(
        f"{path}: {built.facts.machine}, needs glibc {needs or '(none)'}, "
        f"{format_bytes(built.facts.file_bytes)}"
    )
