"""Every command of the README, of CONTRIBUTING and of the docs: run, or marked why not.

In the folder of a page lie small files of the names that its commands read; the commands run one
after the other, for less long than they would. Those that are not run stand in
``documented_fates.py`` with their reason.
"""

from __future__ import annotations

import importlib.metadata
import re
import shlex
import subprocess
from itertools import chain
from pathlib import Path
from unittest.mock import patch

import click
import pytest
from click.testing import CliRunner
from documented import PAGES, PYTHON_BLOCK, blocks_of, commands_of, lines_to_type, mentions_of
from documented_fates import NOT_RUN, TESTED
from documented_files import FILES, python_names
from tree import ROOT

from edgeprof.base.errors import EdgeprofError, TransientError
from edgeprof.cli import cli
from edgeprof.measuring.harness import PROGRAM

pytestmark = pytest.mark.skipif(not PAGES, reason="no README beside the tests")

COMMANDS = {path.name: commands_of(path) for path in PAGES}
ALL = list(chain.from_iterable(COMMANDS.values()))
MENTIONS = list(chain.from_iterable(map(mentions_of, PAGES)))

SHORTER = {
    "measure": ["--max-secs", "0.1", "--ci", "0.5"],
    "compare": ["--max-secs", "3", "--ci", "0.5", "--max-drift", "100"],
    "gate": ["--seconds", "0.5"],
    "sample": ["-n", "8"],
    "suggest": ["--pool", "100"],
    "train": ["-n", "8"],
    "profile": ["-n", "8", "--max-secs", "0.05"],
    "dataset": ["--include-poor"],
    "search": ["--max-evaluations", "100"],
}
"""Options behind those of the docs: what is run is the command, not how long it measures."""

MAY_FIND = ("doctor", "gate")
"""Exit with 1 where they find something, as they may on the machine that runs this."""


def fate(command):
    """Return why a command is not run here; None for one that is."""
    for pattern, reason in (TESTED | NOT_RUN).items():
        if re.fullmatch(pattern, command.text, re.DOTALL):
            return reason
    return None


# --- run ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("token_distillation")
@pytest.mark.parametrize("page", [page for page, commands in COMMANDS.items() if commands])
def test_the_commands_of_a_page_run_one_after_the_other(page, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("sklearn")
    for name, make in FILES.get(page, {}).items():
        make(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for command in COMMANDS[page]:
        if fate(command) is None:
            run_here(command)


def run_here(command):
    program, *arguments = command.words
    if program == PYTHON_BLOCK:
        exec(compile(arguments[0], str(command), "exec"), python_names(command.page))
    elif program == "edgeprof-harness":
        with Path(command.source).open() as source:
            subprocess.run([PROGRAM, *arguments], stdin=source, check=True, capture_output=True)
    else:
        assert program == "edgeprof", f"{command}: run it, or say in documented_fates.py why not"
        run_edgeprof(command, arguments)


def run_edgeprof(command, arguments):
    words = list(chain.from_iterable(map(expanded, arguments)))
    result = CliRunner().invoke(cli, [*words, *SHORTER.get(words[0], [])])
    if command.fails:
        assert isinstance(result.exception, EdgeprofError), f"{command}\n{result.output}"
        return
    if words[0] == "compare" and isinstance(result.exception, TransientError):
        return  # a machine too busy for six rounds: it ran, and said so
    assert not isinstance(result.exception, Exception), f"{command}\n{result.exception!r}"
    allowed = (0, 1) if words[0] in MAY_FIND else (0,)
    assert result.exit_code in allowed, f"{command}\n{result.output}"
    if command.output:
        Path(command.output).write_text(result.stdout, encoding="utf-8")


def expanded(word):
    """Return what a shell makes of a word; of many files two are enough."""
    if "*" not in word:
        return [word]
    found = sorted(map(str, Path().glob(word)))[:2]
    assert found, word
    return found


def test_what_is_not_run_is_tested_elsewhere_or_has_a_reason():
    texts = [command.text for command in ALL]
    for pattern in chain(TESTED, NOT_RUN):
        assert any(re.fullmatch(pattern, text, re.DOTALL) for text in texts), f"{pattern}: of none"
    for where in TESTED.values():
        path, _, name = where.partition("::")
        wanted = f"def {name}(" if path.endswith(".py") else name
        assert wanted in (ROOT / path).read_text(encoding="utf-8"), where
    assert len([command for command in ALL if fate(command) is None]) > 50


def test_what_is_indented_is_a_command():
    for path in PAGES:
        for block in blocks_of(path.read_text(encoding="utf-8")):
            assert block.language or list(lines_to_type(block)), f"{path.name}:{block.line}"


# --- there are such programs, options and values -------------------------------------------------


def command_and_rest(words):
    """Return the command that words name, and what follows."""
    command = cli
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *words = words
        found = command.get_command(click.Context(command), name)
        assert found is not None, name
        command = found
    return command, list(words)


def parse(words):
    """Parse as if it were called, and call nothing; other commands have made the folders."""
    command, rest = command_and_rest(words)
    with patch.object(Path, "is_dir", return_value=True):
        command.make_context(command.name, rest)


def check_options(command, words):
    """Of a command in a sentence only the names of options are known to be meant as they stand."""
    known = set(chain.from_iterable((*p.opts, *p.secondary_opts) for p in command.params))
    known |= {"--help", "--version"}
    for word in words:
        assert not word.startswith("-") or word.partition("=")[0] in known, word


def check_script(path, words):
    script = ROOT / path
    assert script.is_file(), path
    beside = [script, *script.parent.glob(f"*{script.suffix}")]
    text = "\n".join(file.read_text(encoding="utf-8") for file in beside)
    for word in words:
        assert not re.match(r"--\w", word) or word.partition("=")[0] in text, word


def check_requirements(words):
    extras = set(importlib.metadata.metadata("edgeprof").get_all("Provides-Extra"))
    for word in words:
        if found := re.fullmatch(r"(?:\.|edgeprof)\[(.+)\]", word):
            assert set(found.group(1).split(",")) <= extras, word


def check(command, *, whole):
    program, *words = command.words
    if program == "sudo":
        program, *words = words
    if program in ("python", "python3") and words[0].endswith(".py"):
        program, *words = words
    if program == "edgeprof" and whole:
        parse(words)
    elif program == "edgeprof":
        check_options(*command_and_rest(words))
    elif program == "edgeprof-harness":
        main = (ROOT / "csrc" / "board" / "main.cpp").read_text(encoding="utf-8")
        assert f'command == "{words[0]}"' in main
    elif program == "pip":
        check_requirements(words)
    elif "/" in program and program != "build-cpp/edgeprof_tests":
        check_script(program, words)


@pytest.mark.parametrize("command", ALL, ids=str)
def test_a_command_parses_as_it_stands(command, monkeypatch):
    monkeypatch.chdir(ROOT)  # `doctor --root` wants its folder to be there
    check(command, whole=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_what_sentences_name_is_there(page):
    for command in mentions_of(page):
        check(command, whole=False)


# --- examples of the help texts -------------------------------------------------------------------


def help_examples():
    for name in cli.list_commands(click.Context(cli)):
        command = cli.get_command(click.Context(cli), name)
        below = getattr(command, "commands", {})
        for text in (command.help, *(found.help for found in below.values())):
            for line in re.findall(r"^ *edgeprof (.*)$", text or "", re.MULTILINE):
                words = shlex.split(line, comments=True)
                cut = next((i for i, word in enumerate(words) if word in (">", "|", "&&")), None)
                yield line.strip(), words[:cut]


HELP_EXAMPLES = dict(help_examples())


@pytest.mark.parametrize("example", HELP_EXAMPLES)
def test_an_example_of_a_help_text_parses(example, monkeypatch):
    monkeypatch.chdir(ROOT)
    parse(HELP_EXAMPLES[example])


def test_there_are_examples():
    assert len(HELP_EXAMPLES) > 40
    assert len(ALL) > 100
