"""Every command explains itself, and errors leave the program as one line with exit status 1."""

import subprocess
import sys

import click
import numpy as np
import pytest
from run_cli import run
from tree import ROOT
from unprivileged import run_unprivileged

from edgeprof import get_space
from edgeprof.base.errors import EdgeprofError
from edgeprof.cli import COMMANDS, cli
from edgeprof.networks.subnet import write_subnets
from edgeprof.records.dataset_export import export_dataset
from edgeprof.records.store import ImportedRow, Store

README = ROOT / "README.md"


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


@pytest.mark.parametrize(
    "arguments",
    [
        ("sample", "--seed", "-1"),
        ("quickstart", "--seed", "-1"),
        ("train", "data.csv", "-o", "p.edgp", "--seed", "-1"),
        ("profile", "--store", "s.db", "--seed", "-1"),
        ("profile", "--store", "s.db", "--runtime", "null"),
        ("profile", "--store", "s.db", "--max-secs", "-1"),
        ("profile", "--store", "s.db", "--ci", "0"),
        ("profile", "--store", "s.db", "--cpus", "0-"),
        ("quickstart", "--max-secs", "0"),
        ("suggest", "--pool", "0"),
    ],
)
def test_values_that_make_no_sense_are_wrong_usage(arguments, tmp_path):
    result = run_edgeprof(*arguments, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert f"Invalid value for '{arguments[-2]}'" in result.stderr
    assert list(tmp_path.iterdir()) == []


READERS = [
    "dataset export FILE.db -o out.csv",
    "dataset import FILE.csv --store s.db",
    "evaluate FILE.edgp FILE.csv",
    "export FILE.jsonl -o models",
    "measure FILE.onnx",
    "predict FILE.host.npz FILE.jsonl",
    "profile --subnets FILE.jsonl --store s.db",
    "profile --boards FILE.yaml --store s.db -n 1",
    "report FILE.db -o out.html",
    "ship FILE.edgp --to c -o shipped",
    "suggest --predictor FILE.edgp",
    "train FILE.csv -o p.edgp",
    "train FILE.csv --across FILE.csv --device d -o p.edgp",
]


@pytest.mark.parametrize("command", READERS)
def test_a_file_that_is_not_there_is_a_clear_error(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*command.split())
    assert isinstance(result.exception, EdgeprofError), result.exception
    assert str(result.exception).startswith("FILE")
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []


@pytest.mark.parametrize("command", READERS)
def test_a_file_that_cannot_be_read_is_one_clear_line(command, tmp_path):
    words = command.split()
    files = {tmp_path / word for word in words if word.startswith("FILE")}
    for file in files:
        file.write_text("unread")
        file.chmod(0)
    result = run_unprivileged(*words, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("edgeprof: FILE")
    assert result.stderr.count("\n") == 1
    assert {file for file in tmp_path.iterdir() if file.name != "models"} <= files


WITHOUT_PACKAGES = """
import sys
for name in sys.argv.pop(1).split(","):
    sys.modules[name] = None
from edgeprof.cli import main
main()
"""


@pytest.mark.parametrize(
    ("packages", "arguments"),
    [
        ("scipy,sklearn", ("train", "data.csv", "-o", "p.edgp")),
        ("sklearn", ("train", "data.csv", "-o", "p.edgp")),
        ("scipy,sklearn", ("compare-predictors", "data.csv", "--counts", "5", "--jobs", "1")),
        ("onnx", ("profile", "-n", "1", "--store", "s.db")),
        ("flatbuffers", ("export", "subnets.jsonl", "--format", "tflite", "-o", "models")),
    ],
)
def test_a_missing_package_names_its_extra_and_leaves_nothing(packages, arguments, tmp_path):
    subnets = get_space("ofa-mbv3-w1.0").sample(12, np.random.default_rng(0))
    write_subnets(tmp_path / "subnets.jsonl", subnets)
    with Store(tmp_path / "data.db") as store:
        store.append_imported([ImportedRow("pi", s, 5.0 + i, "-") for i, s in enumerate(subnets)])
        export_dataset(store, tmp_path / "data.csv")
    before = set(tmp_path.iterdir())
    command = [sys.executable, "-s", "-c", WITHOUT_PACKAGES, packages, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 1
    assert "edgeprof[host" in result.stderr
    assert result.stderr.count("\n") == 1
    assert set(tmp_path.iterdir()) == before


def test_sample_is_reproducible(tmp_path):
    for name in ("a", "b"):
        result = run_edgeprof("sample", "-n", "5", "--seed", "3", "-o", name, cwd=tmp_path)
        assert result.returncode == 0
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text()
    assert run_edgeprof("sample", "-n", "5", "--seed", "3").stdout == (tmp_path / "a").read_text()
