"""What a terminal shows: typing errors, the field's habits, the ranked table, Ctrl-C, colours."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from onnx_models import save_conv
from run_cli import run
from screen import in_terminal
from tree import ROOT

from edgeprof.cli.evaluate import print_metrics
from edgeprof.cli.ranking import RankedModel, to_csv, to_json, to_markdown, to_text
from edgeprof.cli.say import wrapped

SNAPSHOTS = ROOT / "tests" / "data" / "help.txt"
QUICK = ("--ci", "0.5", "--max-secs", "1")
START = "from edgeprof.cli import main; main()"
RERUN = "EDGEPROF_UPDATE_SNAPSHOTS=1 pytest tests/cli/test_terminal.py -k help"


@pytest.fixture(scope="module")
def all_help():
    program = ROOT / "tests" / "support" / "help_texts.py"
    return subprocess.run(
        [sys.executable, program], check=True, capture_output=True, text=True
    ).stdout


def test_the_help_texts_are_those_that_were_reviewed(all_help):
    if os.environ.get("EDGEPROF_UPDATE_SNAPSHOTS"):
        SNAPSHOTS.write_text(all_help, encoding="utf-8")
    assert all_help == SNAPSHOTS.read_text(encoding="utf-8"), f"read the change, then: {RERUN}"


def test_no_line_of_help_is_wider_than_a_terminal(all_help):
    examples = re.compile(r"^ +edgeprof ")
    wide = [line for line in all_help.splitlines() if len(line) > 80]
    assert [line for line in wide if not examples.match(line) and not line.startswith("$")] == []


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["measur"], "measure"),
        (["profil"], "profile"),
        (["board", "list"], "boards"),
        (["boards", "lst"], "list"),
        (["measure", "m.onnx", "--thread", "2"], "--threads"),
    ],
)
def test_a_typing_error_names_what_may_have_been_meant(words, meant):
    result = run(*words)
    assert result.exit_code == 2
    assert meant in result.stderr.splitlines()[-1]


def test_a_word_like_nothing_is_no_suggestion():
    assert run("xyzzy").stderr.splitlines()[-1] == "Error: No such command 'xyzzy'."


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("edgeprof mea", "measure"),
        ("edgeprof boards rest", "restore"),
        ("edgeprof measure --thr", "--threads"),
        ("edgeprof measure --runtime tfl", "tflite_c"),
    ],
)
def test_a_shell_completes_what_is_typed(typed, offered):
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.argv[:] = ['edgeprof']\n{START}"],
        env={**os.environ, "_EDGEPROF_COMPLETE": "bash_complete", **words},
        capture_output=True,
        text=True,
    )
    assert f"plain,{offered}" in done.stdout.splitlines(), done.stderr


@pytest.mark.parametrize("option", ["--warmup", "--warmup_runs", "-w"])
def test_an_option_that_is_not_needed_says_so(option):
    result = run("measure", "m.onnx", option, "5")
    assert result.exit_code == 2
    assert "warms up by itself" in result.stderr


@pytest.fixture
def models(tmp_path):
    return [save_conv(tmp_path / f"m{n}.onnx", [1, 3, n, n]) for n in (128, 16)]


@pytest.mark.parametrize("runs", ["-n", "--num-runs", "--num_runs"])
def test_the_habits_of_the_field_are_accepted(models, runs):
    arguments = (models[1], "--num_threads", "1", runs, "25", "--json")
    result = json.loads(run("measure", *arguments).stdout)
    assert result["n_samples"] == 25
    assert result["settings"]["threads"] == 1


def test_several_models_end_in_a_ranked_table_with_ratios(models, tmp_path):
    files = {form: tmp_path / f"ranking.{form}" for form in ("markdown", "csv", "json")}
    options = [word for form, path in files.items() for word in (f"--export-{form}", str(path))]
    result = run("measure", *models, "--max-secs", "3", "--ci", "0.3", *options)
    assert result.exit_code == 0, result.output
    heading, first, second = result.stdout.splitlines()[-3:]
    assert heading.split()[:3] == ["model", "ms", "ratio"]
    assert first.split()[0] == "1"
    assert first.split()[1].endswith("m16.onnx")
    assert second.split()[1].endswith("m128.onnx")
    assert max(map(len, (heading, first, second))) <= 80
    rows = json.loads(files["json"].read_text())
    assert [row["rank"] for row in rows] == [1, 2]
    assert rows[0]["ratio"] == 1.0
    assert rows[1]["ratio"] > 2
    assert rows[1]["ratio_low"] <= rows[1]["ratio"] <= rows[1]["ratio_high"]
    read = list(csv.DictReader(files["csv"].read_text().splitlines()))
    assert [row["model"] for row in read] == [str(model) for model in reversed(models)]
    assert files["markdown"].read_text().count("\n") == 4


def test_models_that_did_not_run_in_turns_have_no_interval(models):
    text = run("measure", *models, "--no-interleave", *QUICK).stdout
    assert " - " in text.splitlines()[-1]
    assert re.search(r"\d\.\d{3} - \d", text.splitlines()[-1]) is None


def test_several_models_are_told_briefly_and_each_warning_once(models):
    short = run("measure", *models, "--max-secs", "0.3", "--threads", "64", "--max-drift", "99")
    lines = short.stdout.splitlines()
    assert sum("64 threads on" in line for line in lines) == 1
    assert not any("-v shows" in line for line in lines if not line.startswith("  (-v"))
    grades = [line for line in lines if re.match(r"  (good|usable|poor): ", line)]
    assert len(grades) == 2
    assert not any("peak memory" in line for line in lines)
    long = run("measure", *models, "--max-secs", "0.3", "--max-drift", "99", "-v").stdout
    assert long.count("first inference") == 2
    assert "-v shows" not in long


@pytest.mark.parametrize(("columns", "kendall"), [(60, False), (80, True)])
def test_metrics_fit_the_terminal(columns, kendall, monkeypatch, capsys):
    monkeypatch.setattr("edgeprof.cli.evaluate.columns", lambda: columns)
    metrics = SimpleNamespace(
        mae_ms=123.4,
        rmse_ms=123.4,
        mape=1.0,
        within_5pct=1.0,
        within_10pct=1.0,
        spearman=-0.5,
        kendall_tau=-0.5,
    )
    print_metrics({"cross-validated": metrics, "b": metrics})
    lines = capsys.readouterr().out.splitlines()
    assert {len(line) for line in lines} <= set(range(columns + 1))
    assert len({len(line) for line in lines}) == 1
    assert ("Kendall" in lines[0]) is kendall


@pytest.mark.parametrize("width", [40, 60])
def test_sentences_are_broken_between_words_and_tables_are_not(width):
    line = "    warning: " + "one word and another " * 6
    parts = wrapped(line, width)
    assert len(parts) > 2
    assert all(len(part) <= width for part in parts)
    assert parts[0].startswith("    warning")
    assert all(part.startswith("      ") for part in parts[1:])
    table = "a" * 30 + "    " + "b" * 60
    assert wrapped(table, width) == [table]


def test_names_do_not_break_the_table():
    row = RankedModel(1, "a|b\n" + "x" * 60 + ".onnx", 1.0, 0.9, 1.1, 1.0, None, None, "good")
    assert max(map(len, to_text([row]).splitlines())) <= 80
    assert len(to_text([row]).splitlines()) == 2
    assert to_markdown([row]).count("\n") == 3
    assert "a\\|b" in to_markdown([row])
    assert next(csv.DictReader(io.StringIO(to_csv([row]))))["model"] == row.model
    assert json.loads(to_json([row]))[0]["ratio_low"] is None


# --- Ctrl-C and colours: of the program, in a process of its own ---------------------------------


def started(*arguments, **environment):
    command = [sys.executable, "-P" if sys.version_info >= (3, 11) else "-s", "-m", "edgeprof"]
    return subprocess.Popen(
        [*command, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **environment},
    )


def session_of(leader):
    """Return the processes of a session."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(ProcessLookupError):
            if os.getsid(int(folder.name)) == leader:
                found.append(int(folder.name))
    return found


def wait_for_child(process):
    """Wait until the harness has forked the process that measures, and that is sampling.

    Returns the harness and its child.
    """
    for _ in range(600):
        assert process.poll() is None, process.communicate()
        found = session_of(process.pid)
        if len(found) >= 3:
            time.sleep(2.0)
            return [pid for pid in found if pid != process.pid]
        time.sleep(0.1)
    raise AssertionError("nothing was started")


LONG = ("--num-runs", "1000000", "--max-secs", "500", "--max-drift", "99")


def test_a_first_interrupt_shows_what_there_is(models):
    process = started("measure", *models, *LONG)
    wait_for_child(process)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "showing what there is" in err
    assert "ended by: interrupted" in out
    assert out.splitlines()[-1].split()[1].endswith("m128.onnx")


def test_a_second_interrupt_ends_at_once(models):
    process = started("measure", models[0], *LONG)
    harness = wait_for_child(process)
    for pid in harness:  # so that the first one cannot end it
        os.kill(pid, signal.SIGSTOP)
    try:
        process.send_signal(signal.SIGINT)
        told = iter(process.stderr.readline, "")
        assert any("Ctrl-C again ends at once" in line for line in told)
        process.send_signal(signal.SIGINT)
        time.sleep(1.0)
        for pid in harness:
            with suppress(ProcessLookupError):  # the kernel ends those whose parent has gone
                os.kill(pid, signal.SIGCONT)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 1, err
        assert out == ""
        assert "Traceback" not in err
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def test_no_colour_where_none_is_wanted(tmp_path):
    """A progress bar on a terminal: with NO_COLOR it moves the cursor, and colours nothing."""
    code = (
        "import sys, time\n"
        "from edgeprof.cli.progress_bar import progress_bar\n"
        "with progress_bar('Working', 3) as advance:\n"
        "    for _ in range(3): time.sleep(0.1); advance()\n"
    )
    shown = {}
    for name, environment in {"plain": {"NO_COLOR": "1"}, "coloured": {}}.items():
        clean = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TERM", "COLORTERM")}
        leader, follower = os.openpty()
        subprocess.run(
            [sys.executable, "-c", code],
            stderr=follower,
            check=True,
            env={**clean, "TERM": "xterm-256color", **environment},
            cwd=tmp_path,
        )
        os.close(follower)
        shown[name] = read_all(leader)
    colours = re.compile(rb"\x1b\[(?:[0-9;]*;)?(?:3[0-8]|9[0-7])[0-9;]*m")
    assert colours.search(shown["coloured"])
    assert not colours.search(shown["plain"])


def read_all(descriptor):
    """Read what a terminal was sent; its end is an error."""
    found = b""
    try:
        while part := os.read(descriptor, 4096):
            found += part
    except OSError:
        pass
    os.close(descriptor)
    return found


SAID_BESIDE_A_BAR = """
import time
from edgeprof.cli.progress_bar import progress_bar, time_bar
from edgeprof.cli.say import say
with progress_bar('Working', 2) as advance:
    say('the first result'); advance(); say('the second result'); advance()
with time_bar('Measuring', 60):
    say('the third result')
    time.sleep(1)  # for the bar to be drawn
print('the end')
"""


def test_what_is_said_beside_a_bar_stays_and_the_bar_goes(tmp_path):
    (tmp_path / "program.py").write_text(SAID_BESIDE_A_BAR)
    found = in_terminal(cwd=tmp_path, shell=f"{sys.executable} program.py; : {{}}")
    words = ("first", "second", "third")
    assert [line for line in found.last if line] == [f"the {n} result" for n in words] + ["the end"]
    shown = [line for lines in found.screens for line in lines]
    assert any(line.startswith("Working") and "/2" in line for line in shown)
    assert any("at most about 60 s" in line for line in shown)
