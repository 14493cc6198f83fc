"""Every command explains itself, and errors leave the program as one line with exit status 1."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from edgeprof.cli import COMMANDS, cli

README = Path(__file__).parent.parent / "README.md"


def walk_commands(command, path=()):
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from walk_commands(command.get_command(context, name), (*path, name))
    else:
        yield " ".join(path), command


ALL_COMMANDS = dict(walk_commands(cli))


def run_edgeprof(*arguments, cwd=None):
    command = [sys.executable, "-P" if sys.version_info >= (3, 11) else "-s", "-m", "edgeprof"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=cwd)


@pytest.mark.parametrize("name", ALL_COMMANDS)
def test_every_command_has_help_with_an_example(name):
    text = ALL_COMMANDS[name].help
    assert text, name
    assert "Example" in text
    assert f"edgeprof {name}" in text


@pytest.mark.parametrize("name", ALL_COMMANDS)
def test_every_option_is_explained(name):
    for parameter in ALL_COMMANDS[name].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name}: {parameter.opts[0]}"


@pytest.mark.parametrize("name", ALL_COMMANDS)
def test_every_command_stands_in_the_readme(name):
    if not README.is_file():
        pytest.skip("no README beside the tests")
    assert f"edgeprof {name}" in README.read_text(encoding="utf-8")


def test_the_overview_lists_every_command_without_importing_it():
    result = run_edgeprof("--help")
    assert result.returncode == 0
    for name, (_, line) in COMMANDS.items():
        assert name in result.stdout
        assert line.split()[0] in result.stdout


def test_an_error_is_one_line_on_stderr_and_exit_status_1(tmp_path):
    result = run_edgeprof("sample", "--space", "no-such-space", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("edgeprof: unknown space 'no-such-space'; known: ")
    assert result.stderr.count("\n") == 1


def test_wrong_usage_is_exit_status_2(tmp_path):
    assert run_edgeprof("sample", "-n", "0", cwd=tmp_path).returncode == 2
    assert run_edgeprof("no-such-command", cwd=tmp_path).returncode == 2


def test_sample_is_reproducible(tmp_path):
    for name in ("a", "b"):
        result = run_edgeprof("sample", "-n", "5", "--seed", "3", "-o", name, cwd=tmp_path)
        assert result.returncode == 0
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text()
    assert run_edgeprof("sample", "-n", "5", "--seed", "3").stdout == (tmp_path / "a").read_text()
