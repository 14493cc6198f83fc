"""``edgeprof onboard`` against an emulated board that is cut off twice: a predictor and a page."""

from __future__ import annotations

from pathlib import Path

import pytest
from onboarding import finished_after_two_cuts
from onnx_models import save_conv
from virtual_board import start_board, stop_board

from edgeprof.predictors.load import load_predictor
from edgeprof.records.store import Store

pytestmark = [pytest.mark.board, pytest.mark.slow, pytest.mark.timeout(3600)]


def test_an_emulated_board_is_finished_by_the_same_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEPROF_TOOLCHAIN", "debian")
    own = save_conv(tmp_path / "own.onnx", [1, 3, 32, 32])
    folder = tmp_path / "board"
    try:
        board = start_board(folder, "--lifetime", "3000")
        words = ["onboard", board.name, "--ssh-config", folder / "ssh_config"]
        words += ["--suite-models", 8, "--max-secs", 0.1, "--models", own, "-o", "made"]
        out = finished_after_two_cuts(
            words, lambda: board.run("pgrep -f '[e]dgeprof-harness worker'", check=False), 900
        )
    finally:
        stop_board(folder)
    assert "expected were" in out.partition("\nDone in ")[2]
    with Store(tmp_path / "made" / "store.db", create=False) as store:
        [device] = store.devices()
        measured = [one.job_key for one in store.measurements(device)]
    assert len(measured) == len(set(measured)) == 9
    assert load_predictor(tmp_path / "made" / "networks.host.npz").device == device
    assert (tmp_path / "made" / "report.html").stat().st_size > 1000
