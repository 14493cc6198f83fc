"""What a measurement under way looks like: rows, lines, widths; and in a real terminal."""

from __future__ import annotations

import pytest
from onnx_models import save_conv
from screen import in_terminal

from edgeprof.cli.live import LiveMeasurement, LiveRow, live_line, live_table
from edgeprof.measuring.harness import Settings
from edgeprof.measuring.progress import ModelProgress, Progress

GRADES = ("good", "usable", "poor")
SETTINGS = Settings(max_secs=10.0, ci_rel=0.01)


def progress(*latencies_ms, waits_for="interval", n=100):
    """Return the progress of models, each with an interval of 2 %."""
    return Progress(
        "measuring",
        models=tuple(
            ModelProgress(n, 1e6 * ms, (0.98e6 * ms, 1.02e6 * ms), waits_for) for ms in latencies_ms
        ),
    )


def drawn(models, settings=SETTINGS, n_launches=1):
    """Return a live measurement, what it draws, and its clock."""
    draws, now = [], [0.0]
    live = LiveMeasurement(
        models, settings, n_launches, lambda *shown: draws.append(shown), lambda: now[0]
    )
    return live, draws, now


def test_a_line_has_latency_interval_samples_time_and_what_is_waited_for():
    live, draws, now = drawn(["m.onnx"])
    listener = live.listener(0)
    listener(Progress("loading"))
    assert live_line(draws[-1][0][0], draws[-1][2], 80) == "m.onnx: loading"
    listener(progress(13.42))
    now[0] = 3.0
    listener(progress(13.42))
    rows, share, stand = draws[-1]
    assert share == pytest.approx(0.3)
    assert live_line(rows[0], stand, 80) == (
        "m.onnx: 13.4 ms +-2.0%, 100 inferences, 3 of 10 s, waits for +-1%"
    )


def test_the_line_fits_a_narrow_terminal():
    row = LiveRow("a/long/path/to/mobilenet.onnx", 13.42e6, 0.02, 1234, "+-1%")
    line = live_line(row, "3 of 10 s", 60)
    assert len(line) <= 60
    assert line.endswith("onnx: 13.4 ms +-2.0%, n 1234, 3 of 10 s, waits for +-1%")


@pytest.mark.parametrize(
    ("waits_for", "words"),
    [("samples", "inferences"), ("calm", "calm"), ("nothing", "the others"), ("interval", "+-1%")],
)
def test_what_is_waited_for_is_said_in_a_word(waits_for, words):
    live, draws, _ = drawn(["a", "b"])
    live.listener()(progress(1.0, 2.0, waits_for=waits_for))
    assert [row.waits_for for row in draws[-1][0]] == [words, words]


def test_several_models_in_turns_are_ranked_with_ratios():
    live, draws, _ = drawn(["slow.onnx", "fast.onnx"])
    live.listener()(progress(30.0, 10.0))
    heading, first, second = live_table(draws[-1][0], 80, 20)
    assert heading.split() == ["model", "ms", "ratio", "+-", "n", "waits", "for"]
    assert first.split()[:4] == ["1", "fast.onnx", "10", "1.000"]
    assert second.split()[:4] == ["2", "slow.onnx", "30", "3.000"]


def test_models_one_after_the_other_wait_for_their_turn_and_keep_what_was_found():
    live, draws, _ = drawn(["a.onnx", "b.onnx", "c.onnx"])
    live.listener(0)(progress(30.0))
    live.done(0, None)
    live.listener(1)(progress(10.0))
    rows, share, stand = draws[-1]
    assert stand.startswith("model 2 of 3")
    assert share == pytest.approx(1 / 3)
    assert [row.waits_for for row in rows] == ["failed", "+-1%", "its turn"]
    assert live_table(rows, 80, 20)[-1].split() == ["c.onnx", "its", "turn"]


def test_a_given_number_of_inferences_is_counted_and_launches_are_numbered():
    live, draws, _ = drawn(["a.onnx"], Settings(max_samples=400), n_launches=2)
    live.listener(0)(progress(1.0))
    assert draws[-1][1:] == (0.125, "launch 1 of 2, 100 of 400 inferences")


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal(columns):
    name = "a/long/path/" + "x" * 90 + ".onnx"
    rows = [
        LiveRow(name, 123.4e6, 0.123, 123456, "the others"),
        LiveRow("b\x1b[31m.onnx", 0.001e6, 0.001, 7, "inferences"),
        LiveRow("c.onnx"),
    ]
    lines = live_table(rows, columns, 20)
    assert len(lines) == 4
    assert max(map(len, lines)) <= columns
    assert "\x1b" not in "".join(lines)


def test_more_models_than_lines_are_counted():
    rows = [LiveRow(f"m{n}.onnx", 1e6 * n, 0.01, 10, "done") for n in range(1, 31)]
    lines = live_table(rows, 80, 8)
    assert len(lines) == 9
    assert lines[-1].strip() == "and 23 more"


# --- in a terminal --------------------------------------------------------------------------------


@pytest.fixture
def models(tmp_path):
    return [save_conv(tmp_path / f"m{n}.onnx", [1, 3, n, n]) for n in (128, 16)]


def measured_live(names, live, **terminal):
    """Measure in a terminal, longer where the machine is so busy that nobody could look."""
    for secs in ("1.5", "6", "20"):
        words = ("measure", *names, "--ci", "0.0001", "--max-secs", secs, "--max-drift", "99")
        found = in_terminal(*words, **terminal)
        assert found.status == 0, found.last
        if any(live(line) for lines in found.screens for line in lines):
            return found
    raise AssertionError(found.screens)


@pytest.mark.parametrize("columns", [80, 60])
def test_a_terminal_shows_a_live_table_and_then_the_same_ranked(models, columns, tmp_path):
    names = [model.name for model in models]

    def is_live(line):
        return line.startswith(" 1  m16.onnx") and line.split()[-1] not in GRADES

    found = measured_live(names, is_live, columns=columns, cwd=tmp_path)
    assert not any("waits for" in line for line in found.last)
    ranked = [line for line in found.last if line[:2].strip().isdigit()]
    assert [line.split()[1] for line in ranked] == ["m16.onnx", "m128.onnx"]
    assert all(len(line) <= columns for line in found.last)


def test_a_terminal_shows_one_line_of_one_model(models, tmp_path):
    found = measured_live([models[0].name], lambda line: "waits for" in line, cwd=tmp_path)
    live = [lines[0] for lines in found.screens if "waits for" in lines[0]]
    assert all(line.startswith("m128.onnx: ") for line in live)
    assert found.last[0].startswith("m128.onnx: ")
    assert "waits for" not in found.last[0]


def test_nothing_is_drawn_where_there_is_no_terminal(models, tmp_path):
    words = ("measure", *(model.name for model in models), "--max-secs", "1", "--ci", "0.5")
    found = in_terminal(*words, cwd=tmp_path, shell="{} 2>&1 | cat")
    assert not any("waits for" in line for lines in found.screens for line in lines)
    assert b"\x1b" not in found.sent
