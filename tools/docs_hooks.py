"""The generated pages of the documentation site, as hooks of MkDocs.

Owns: the reference of commands, of the Python names and of the store's tables, all from the code.
"""

from __future__ import annotations

from collections.abc import Iterator

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import edgeprof
from edgeprof.cli import SECTIONS, cli
from edgeprof.cli.groups import CONTEXT
from edgeprof.records.store_file import TABLES

MEANING = {
    "id": "order of appending",
    "job_key": "what was measured, where and how: the same key is the same item",
    "created_utc": "when, ISO 8601",
    "device": "name of the device",
    "space": "search space of the subnet; empty for other models",
    "subnet": "the subnet as JSON; empty for other models",
    "model_kind": "format, precision and batch, as in `onnx-fp32-b1`",
    "model_sha256": "of the model file; with `+` that of its weights",
    "runtime": "name of the runtime",
    "runtime_version": "what its library says",
    "threads": "of the runtime",
    "latency_median_ns": "nanoseconds",
    "ci_low_ns": "lower end of its interval",
    "ci_high_ns": "upper end",
    "n_samples": "timed inferences",
    "record": "the record as JSON, see [the record](../record.md)",
    "kind": "name of the error",
    "message": "its text",
    "latency_ms": "milliseconds, as imported",
    "source": "file that it was imported from",
}
"""What the columns of the store hold."""


def commands_page() -> str:
    """Every command with its help, by section."""
    lines = ["# Commands", ""]
    for title, names in SECTIONS.items():
        lines += [f"## {title}", ""]
        for name in names:
            command = cli.get_command(click.Context(cli), name)
            assert command is not None
            for path, found in below(command, (name,)):
                lines += ["### " + " ".join(("edgeprof", *path)), "", *command_lines(found, path)]
    return "\n".join(lines) + "\n"


def below(
    command: click.Command, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """A command, or the commands of a group."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    for name, found in command.commands.items():
        yield from below(found, (*path, name))


def command_lines(command: click.Command, path: tuple[str, ...]) -> Iterator[str]:
    """The usage, what it does, examples and a table of options."""
    context = click.Context(command, info_name=" ".join(("edgeprof", *path)), **CONTEXT)
    text = (command.help or "").replace("\b", "")
    for part in text.split("\n\n"):
        first, _, rest = part.strip().partition("\n")
        if first.strip() in ("Example:", "Examples:"):
            examples = "\n".join(line.strip() for line in rest.splitlines())
            yield from ("```sh", examples, "```", "")
        else:
            yield from (escaped(part.strip()), "")
    usage = command.collect_usage_pieces(context)
    yield from (f"`{' '.join((context.command_path, *usage))}`", "")
    yield from ("| option | meaning | default |", "|---|---|---|")
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
            extra = parameter.get_help_extra(context)
            default = extra.get("default", "")
            yield f"| {names} | {escaped(parameter.help or '')} | {escaped(str(default))} |"
    yield ""


def escaped(text: str) -> str:
    """Text as one cell of a table, and as no HTML."""
    for sign, written in {"|": "\\|", "<": "&lt;", "*": "\\*", "\n": " "}.items():
        text = text.replace(sign, written)
    return text


def python_page() -> str:
    """The public names, functions first; their text comes from the docstrings."""
    homes = {name: home_of(name) for name in edgeprof.__all__ if name != "__version__"}
    order = sorted(homes, key=lambda name: (name[0].isupper(), name))
    lines = [
        "# Python",
        "",
        "All of these are names of `edgeprof`; they are loaded on first use.",
        "",
    ]
    return "\n".join([*lines, *(f"::: {homes[name]}\n" for name in order)])


def home_of(name: str) -> str:
    """The dotted path of a public name."""
    if name in edgeprof._HOMES:
        return f"{getattr(edgeprof, name).__module__}.{name}"
    return f"edgeprof.{name}.functions.{name}"


def store_page() -> str:
    """The tables of the store."""
    lines = [
        "# The store",
        "",
        "A SQLite file, version 1. Rows are appended, never changed or deleted.",
        "",
    ]
    for table, columns in TABLES.items():
        lines += [f"## {table}", "", "| column | type | what |", "|---|---|---|"]
        lines += [f"| `{name}` | {kind} | {MEANING[name]} |" for name, kind in columns.items()]
        lines.append("")
    return "\n".join(lines)


PAGES = {"commands": commands_page, "python": python_page, "store": store_page}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for name, write in PAGES.items():
        files.append(File.generated(config, f"reference/{name}.md", content=write()))
    return files
