"""``edgeprof quickstart`` does the whole job and says what it did."""

from __future__ import annotations

import csv
import shlex
import sys
from pathlib import Path

import pytest
from run_cli import run

from edgeprof import load_predictor
from edgeprof.cli import quickstart, steps
from edgeprof.networks.subnet import read_subnets
from edgeprof.records.store import Store

pytest.importorskip("onnxruntime")
pytest.importorskip("sklearn")

pytestmark = pytest.mark.usefixtures("token_distillation")


def test_the_quickstart_leaves_a_store_a_predictor_and_what_to_do_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quickstart, "PREDICTED_SUBNETS", 2000)
    monkeypatch.chdir(tmp_path)
    result = run("quickstart", "-n", "12", "--seed", "1", "--max-secs", "0.2", "-o", "made")
    assert result.exit_code == 0, result.output
    for text in ("cross-validated", "trivial: mean", "trivial: macs", "subnets/s", "Done in"):
        assert text in result.output
    commands = [line for line in result.stdout.splitlines() if line.startswith("$ ")]
    assert len(commands) == 8
    following = result.stdout.partition("Next, try:")[2].split("\n")
    typed = [line.strip() for line in following if line.strip()]
    assert [shlex.split(line)[-1] for line in typed][0::2] == ["doctor", "made/c"]
    subnets = read_subnets(tmp_path / "made" / "subnets.jsonl")
    with Store(tmp_path / "made" / "store.db", create=False) as store:
        measured = [measurement.subnet for measurement in store.measurements()]
    assert measured[:12] == subnets
    assert len(measured) == 12
    with (tmp_path / "made" / "data.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == len(subnets) == 12
    assert load_predictor(tmp_path / "made" / "here.edgp").predict(subnets).min() > 0
    assert len((tmp_path / "made" / "predictions.jsonl").read_text().splitlines()) == 2000


@pytest.mark.parametrize(
    ("program", "on_path", "typed"),
    [
        (".venv/bin/edgeprof", False, ".venv/bin/edgeprof"),
        ("/home/me/my env/bin/edgeprof", False, "'/home/me/my env/bin/edgeprof'"),
        (".venv/bin/edgeprof", True, "edgeprof"),
        ("lib/edgeprof/__main__.py", False, shlex.join([sys.executable, "-m", "edgeprof"])),
    ],
)
def test_commands_are_printed_as_the_user_can_type_them(
    program: str, on_path: bool, typed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ".venv" / "bin"
    folder.mkdir(parents=True)
    (folder / "edgeprof").touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(folder) if on_path else "/nowhere")
    monkeypatch.setattr(sys, "argv", [program, "quickstart"])
    assert steps.program_as_typed() == typed
