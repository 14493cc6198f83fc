"""How a measurement goes is told while it runs, and changes nothing in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from onnx_models import save_conv

import edgeprof
from edgeprof.measuring.harness import Settings, measure_interleaved
from edgeprof.measuring.progress import Progress, ProgressFile

T = TypeVar("T")
LONG = Settings(ci_rel=1e-6, max_drift=99)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_conv(tmp_path / "m.onnx", [1, 3, 64, 64])


def told_by(measure: Callable[..., T]) -> tuple[T, list[Progress]]:
    """Measure, longer where the machine is so busy that nobody could look; return what was told."""
    for secs in (1.5, 6.0, 20.0):
        told: list[Progress] = []
        result = measure(replace(LONG, max_secs=secs), told.append)
        if sampling := [progress for progress in told if progress.phase == "measuring"]:
            return result, sampling
    raise AssertionError(told)


def test_a_measurement_tells_how_far_it_is(model: Path) -> None:
    result, sampling = told_by(
        lambda settings, tell: edgeprof.measure(model, settings, on_progress=tell)
    )
    counts = [progress.models[0].n_samples for progress in sampling]
    assert counts == sorted(counts)
    assert 0 < counts[-1] <= result.n_samples
    last = sampling[-1].models[0]
    assert last.latency_ns > 0
    assert last.waits_for in ("samples", "calm", "interval", "nothing")


def test_models_in_turns_are_told_of_together(model: Path) -> None:
    _, sampling = told_by(lambda settings, tell: measure_interleaved([(model, settings)] * 2, tell))
    assert {len(one.models) for one in sampling} == {2}


def test_the_record_knows_nothing_of_who_looked(model: Path) -> None:
    quick = Settings(ci_rel=0.5, max_secs=0.5)
    seen = edgeprof.measure(model, quick, on_progress=lambda _: None).record
    unseen = edgeprof.measure(model, quick).record
    assert seen["settings"] == unseen["settings"]
    assert "progress" not in json.dumps(seen)


def test_a_file_that_is_written_anew_is_read_anew_and_a_torn_one_is_passed_over() -> None:
    with ProgressFile() as file:
        path = Path(file.path)
        assert file.read() is None
        path.write_text('{"phase": "loading", "model": 1}')
        assert file.read() == Progress("loading", 1)
        path.write_text('{"phase": "measuring", "mod')
        assert file.read() is None
        one = {"n_samples": 3, "latency_ns": 5.0, "waits_for": "samples"}
        path.write_text(json.dumps({"phase": "measuring", "models": [one]}))
        found = file.read()
        assert found is not None
        assert found.models[0].interval_ns is None
    assert not path.exists()
