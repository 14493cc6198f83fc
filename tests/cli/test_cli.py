"""Every command explains itself, and errors leave the program as one line with exit status 1."""

import os
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from run_cli import run
from tree import ROOT
from unprivileged import run_unprivileged

from edgeprof import get_space
from edgeprof.base.errors import EdgeprofError, OutputError
from edgeprof.base.files import cache_folder
from edgeprof.cli import COMMANDS, SECTIONS, cli
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
def test_the_examples_of_the_help_stand_on_lines_of_their_own(name):
    result = run(*name.split(), "--help")
    assert result.exit_code == 0
    assert "\\b" not in result.output
    listed = [line.strip() for line in ALL_COMMANDS[name].help.split("Example")[1].splitlines()]
    examples = [line for line in listed if line.startswith("edgeprof ")]
    shown = {line.strip() for line in result.output.splitlines()}
    assert examples
    assert set(examples) <= shown


def test_the_overview_is_in_sections():
    lines = run("--help").output.splitlines()
    titles = [line for line in lines if line.endswith(":") and not line.startswith((" ", "Usage"))]
    assert titles == ["Options:", *(f"{title}:" for title in SECTIONS)]


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
def test_values_that_make_no_sense_are_wrong_usage(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
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
        ("sklearn", ("train", "data.csv", "--model", "paper-mlp", "-o", "p.edgp")),
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
    alone = {**os.environ, "EDGEPROF_LOCK": str(tmp_path.with_suffix(".lock"))}  # waits for none
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=alone)
    assert result.returncode == 1
    assert "edgeprof[host" in result.stderr
    assert result.stderr.count("\n") == 1
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("measure", "m.onnx", "--export-csv", "no/a.csv"),
        ("measure", "m.onnx", "--trace", "no/a.json"),
        ("gate", "b.json", "m.onnx", "--summary", "no/a.md"),
        ("train", "rows.csv", "-o", "no/a.edgp"),
        ("search", "--latency", "a.edgp", "--accuracy", "capacity-proxy", "--csv", "no/a.csv"),
        ("report", "a.db", "-o", "no/a.html"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_what_could_not_be_written_is_told_before_any_work(arguments):
    result = run(*arguments)
    assert isinstance(result.exception, OutputError)
    assert str(result.exception).endswith(f"{arguments[-1]}: cannot be written: no folder no")


def test_an_error_of_the_system_names_the_file_once(tmp_path):
    missing = tmp_path / "rows.csv"
    result = run("evaluate", ROOT / "tests/data/version_0.1/gp.edgp", missing)
    assert str(result.exception) == f"{missing}: cannot be read: No such file or directory"


def test_sample_is_reproducible(tmp_path):
    for name in ("a", "b"):
        result = run_edgeprof("sample", "-n", "5", "--seed", "3", "-o", name, cwd=tmp_path)
        assert result.returncode == 0
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text()
    assert run_edgeprof("sample", "-n", "5", "--seed", "3").stdout == (tmp_path / "a").read_text()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("arguments", [("--help",), ("sample", "-n", "3"), ("sample", "--help")])
def test_a_full_disk_behind_standard_output_is_one_line(arguments):
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        command = [sys.executable, "-s", "-m", "edgeprof", *arguments]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1
    assert result.stderr == (
        "edgeprof: standard output cannot be written: No space left on device\n"
    )


def test_a_name_that_is_no_utf8_is_refused_with_the_reason_or_printed_as_it_is(tmp_path):
    odd = b"mod\xe8le"
    (tmp_path / os.fsdecode(odd + b".onnx")).write_bytes(b"")
    command = [sys.executable, "-s", "-m", "edgeprof"]
    refused = subprocess.run(
        [*command, "measure", odd + b".onnx", "--runtime", "onnxruntime"],
        capture_output=True,
        cwd=tmp_path,
    )
    assert refused.returncode == 1
    assert b"the name is no UTF-8 text" in refused.stderr
    assert refused.stderr.count(b"\n") == 1
    (tmp_path / "s.jsonl").write_bytes(b"")
    printed = subprocess.run(
        [*command, "export", "s.jsonl", "-o", odd], capture_output=True, cwd=tmp_path
    )
    assert printed.returncode == 0
    assert printed.stdout.startswith(odd + b": 0 models")


@pytest.mark.parametrize(
    "arguments",
    [
        ("measure", "m.onnx", "--shape", "x=1,3", "--shape", "x=1,4"),
        ("measure", "m.onnx", "--option", "a=1", "--option", "a=2"),
        ("measure", "m.onnx", "--option", 'a={"b": 1, "b": 2}'),
        ("compare", "m.onnx", "--a", "threads=1", "--a", "threads=2"),
        ("dataset", "export", "s.db", "-o", "o.csv", "--where", "a=1", "--where", "a=2"),
    ],
)
def test_a_setting_given_twice_is_wrong_usage(arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert f"Invalid value for '{arguments[-2]}'" in result.output


def test_without_a_home_the_cache_must_be_named(monkeypatch, tmp_path):
    for name in ("HOME", "XDG_CACHE_HOME", "EDGEPROF_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", _no_home)
    with pytest.raises(OutputError, match="set EDGEPROF_CACHE"):
        cache_folder()
    monkeypatch.setenv("EDGEPROF_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path


def _no_home():
    raise RuntimeError("Could not determine home directory.")
