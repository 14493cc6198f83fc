"""Commands in the README, the docs and the help texts exist and parse as they stand there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from run_cli import run
from tree import ROOT

from edgeprof.cli import cli

TEXTS = sorted([*ROOT.glob("README.md"), *ROOT.glob("docs/*.md")])
# An indented line, as typed at a prompt or not; not a line of output that begins with a name.
EXAMPLE = re.compile(r"^ {4,}(?:\$ )?(?:\.venv/bin/)?edgeprof (?=\S)(.*)$", re.MULTILINE)
MENTION = re.compile(r"`edgeprof ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?[^`]*`")

pytestmark = pytest.mark.skipif(not TEXTS, reason="no README beside the tests")


def examples() -> dict[str, list[str]]:
    texts = {path.name: path.read_text(encoding="utf-8") for path in TEXTS}
    for name in cli.list_commands(click.Context(cli)):
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        texts[name] = command.help or ""
        for name_below, below in getattr(command, "commands", {}).items():
            texts[f"{name} {name_below}"] = below.help or ""
    found = {}
    for source, text in texts.items():
        pattern = EXAMPLE if source.endswith(".md") else re.compile(r"^ *edgeprof (.*)$", re.M)
        for line in pattern.findall(text):
            words = shlex.split(line, comments=True)
            # What a shell does with the output is not the command's.
            cut = next((i for i, word in enumerate(words) if word in (">", "|", "&&")), None)
            found[f"{source}: {line.strip()}"] = words[:cut]
    return found


EXAMPLES = examples()


def parse(words: list[str]) -> None:
    """Parse as if it were called, and call nothing."""
    command: click.Command | None = cli
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *words = words
        command = command.get_command(click.Context(command), name)
        assert command is not None, name
    assert command is not None
    command.make_context(command.name, list(words))


def test_there_are_examples() -> None:
    assert len([name for name in EXAMPLES if name.startswith(("README.md", "first.md"))]) > 20
    assert len(EXAMPLES) > 60


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_parses(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # `doctor --root` wants its folder to be there
    parse(EXAMPLES[example])


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_a_command_that_is_mentioned_exists(path: Path) -> None:
    for name, below_name in MENTION.findall(path.read_text(encoding="utf-8")):
        command = cli.get_command(click.Context(cli), name)
        assert command is not None, name
        if isinstance(command, click.Group) and below_name:
            assert below_name in command.commands, f"{name} {below_name}"


def test_cheap_examples_of_the_readme_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    chosen = {
        example: words
        for example, words in EXAMPLES.items()
        if example.startswith(("README.md", "first.md")) and words[0] in ("sample", "doctor")
    }
    assert len(chosen) >= 4
    for example, words in chosen.items():
        words = ["1000" if word == "50000" else word for word in words]
        folder = tmp_path / "edgeprof-quickstart"
        folder.mkdir(exist_ok=True)
        result = run(*words)
        # The doctor says by 1 that this machine is not fit to measure on.
        assert result.exit_code in ((0, 1) if words[0] == "doctor" else (0,)), example
        assert not isinstance(result.exception, Exception), example
