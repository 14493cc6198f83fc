"""``edgeprof onboard``: from a board, or this machine, to a predictor of it and a page."""

import shlex
import sys

import pytest
import rack
from onboarding import finished_after_two_cuts
from onnx_models import save_conv
from run_cli import run

from edgeprof import _core
from edgeprof.base.errors import BoardUnreachable, EdgeprofError
from edgeprof.cli import onboard, onboard_job
from edgeprof.cli.profile import ProfileArguments
from edgeprof.cli.steps import step
from edgeprof.predictors.load import load_predictor
from edgeprof.records.store import Store
from edgeprof.runs.summary import FailureGroup, RunSummary

pytest.importorskip("onnxruntime")
pytest.importorskip("sklearn")

pytestmark = pytest.mark.usefixtures("token_distillation")
TINY = ["--suite-models", "8", "--max-secs", "0.1"]


@pytest.fixture(autouse=True)
def in_own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def planned(*words):
    """The job of a command line; nothing is run."""
    found = []
    command = onboard.click.command()(onboard.options.takes(onboard.OnboardArguments)(found.append))
    with command.make_context("onboard", [str(word) for word in words]) as context:
        command.invoke(context)
    return onboard_job.plan_job(found[0])


def test_the_first_prediction_comes_before_most_is_measured(tmp_path):
    own = save_conv(tmp_path / "own.onnx", [1, 3, 32, 32])
    words = ["--models", own, "--space", "ofa-mbv3-w1.0", "-n", "20", "-o", "made"]
    commands = [one.command for one in planned(*words).steps()]
    assert [words[0] for words in commands] == [
        *("doctor", "profile", "dataset", "train", "predict"),
        "profile",
        *("sample", "export", "profile", "dataset", "train", "evaluate"),
        *("profile", "dataset", "train", "predict") * 2,
        "report",
    ]
    measured, sizes = [words for words in commands if words[0] == "profile"], ["30", "120", "533"]
    assert [words[words.index("-n") + 1] for words in measured if "-n" in words] == sizes
    assert measured[1][1] == str(own)
    assert commands[4][-2:] == commands[-2][-2:] == ["made/networks.host.npz", str(own)]


def test_a_model_with_dynamic_inputs_is_fed_in_every_command(tmp_path):
    for name in ("a", "b"):
        save_conv(tmp_path / f"{name}.onnx", ["n", 3, "h", "w"])
    (tmp_path / "c.onnx").write_bytes(b"no model")
    [name] = _core.input_names("a.onnx")
    shapes = ["--shape", f"{name}=1,3,32,32", "--shape", f"b.onnx:{name}=1,3,64,64"]
    words = ["--models", "c.onnx", "--models", "b.onnx", "--models", "a.onnx", *shapes]
    job = planned(*words, "--input", f"{name}=0:1", "--suite-models", "8", "-o", "made")
    commands = [one.command for one in job.steps()]
    own = next(words for words in commands if words[:2] == ["profile", "c.onnx"])
    assert own[2:10] == ["b.onnx", "a.onnx", *shapes, "--input", f"{name}=0:1"]
    predicted = [words[2:] for words in commands if words[0] == "predict"]
    assert predicted == [["b.onnx", "--shape", f"{name}=1,3,64,64"]] * len(predicted)
    assert f"measure b.onnx --shape {name}=1,3,64,64 --input {name}=0:1" in job.closing_words()


@pytest.mark.slow
def test_this_machine_gets_predictors_and_a_page(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["edgeprof"])
    monkeypatch.setattr(onboard_job, "STAGES", (6,))
    result = run("onboard", *TINY, "--space", "ofa-mbv3-w1.0", "-n", "8", "-o", "made")
    assert result.exit_code == 0, (result.output, result.exception)
    made, said = tmp_path / "made", result.stdout
    ran = [line.split(" ", 2)[2] for line in said.splitlines() if line.startswith("$ ")]
    assert said.count("\n[") == len(ran) == 18
    assert [line.split()[0] for line in ran[:4]] == ["doctor", "sample", "export", "profile"]
    assert "To measure: 8 models of the suites, 8 subnets of ofa-mbv3-w1.0." in said
    assert "To send" not in said
    assert said.index("This takes about") < said.index("[2/18]")
    assert said.index("The first prediction") < said.index("A better prediction")
    assert 'latency_high_ms":' in said
    assert "expected were" in said.partition("\nDone in ")[2]
    with Store(made / "store.db", create=False) as store:
        [device] = store.devices()
        assert store.count(device) == len(list(store.measurements(device))) == 16
    assert load_predictor(made / "networks.host.npz").device == device
    assert load_predictor(made / "ofa-mbv3-w1.0.edgp").space == "ofa-mbv3-w1.0"
    assert "<html" in (made / "report.html").read_text()[:200]
    to_try = [shlex.split(line) for line in said.partition("Next, try:")[2].strip().splitlines()]
    assert [words[1] for words in to_try] == ["predict", "measure", "search"]
    for words in (to_try[0], to_try[2]):
        assert run(*words[1:]).exit_code == 0


@pytest.mark.skipif(rack.missing() is not None, reason=str(rack.missing()))
def test_a_board_cut_off_twice_is_finished_by_the_same_command(board, tmp_path):
    board.inventory(extra="")
    [target] = board.boards
    own = save_conv(tmp_path / "own.onnx", [1, 3, 64, 64])
    words = ["onboard", "b01", *TINY, "--models", str(own), "-o", "made"]

    out = finished_after_two_cuts(words, lambda: target.processes("worker"))
    assert "To measure: 8 models of the suites, 1 of yours; 8 are measured already." in out
    assert "To send: what is to be installed, and " in out
    assert out.index("This takes about") < out.index("expected were")
    assert f"made/networks.host.npz {own}" in out
    assert target.governor == "ondemand"
    with Store(tmp_path / "made" / "store.db", create=False) as store:
        measured = [one.job_key for one in store.measurements("loopback")]
    assert len(measured) == len(set(measured)) == 9
    assert load_predictor(tmp_path / "made" / "networks.host.npz").device == "loopback"
    assert (tmp_path / "made" / "report.html").stat().st_size > 1000
    assert f"measure {own} --on b01 --boards boards.yaml" in out


class FakeJob:
    """A hundred models, of which so many are measured at each look."""

    n_models = 100

    def __init__(self, *measured):
        self._measured = iter(measured)

    def n_measured(self):
        return next(self._measured)


def test_the_time_left_follows_from_what_models_took(monkeypatch):
    seconds = iter((0.0, 300.0, 301.0))
    monkeypatch.setattr(onboard.time, "monotonic", lambda: next(seconds))
    clock = onboard._Clock(FakeJob(10, 40, 40), max_secs=1.0)
    assert clock.expected == "3 min"  # 90 models of 1.5 s, and a minute for the rest
    clock.look()
    assert (clock.n_left, clock.left) == (60, "11 min")  # ten seconds each
    clock.look()  # nothing new: all of that was there before
    assert (clock.left, clock.expected) == ("11 min", "3 min")


# --- what goes wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "gone.onnx"], "gone.onnx: no such file"),
        (["--models", "none"], "none: no model in it; wanted .onnx"),
        (["--models", "notes.txt"], "notes.txt: wanted model files of one format"),
        (["--models", "dynamic.onnx"], "--shape"),
        (["--models", "dynamic.onnx", "--shape", "nobody=1"], "has no input 'nobody'"),
        (["--shape", "x=1"], "--shape and --input are for --models"),
        (["--space", "no-space"], "no-space"),
        (["pi@"], "wanted a host name"),
        (["pi@h", "--boards", "none"], "none: cannot be read: Is a directory"),
        (["-o", "notes.txt/made"], "notes.txt/made: cannot be made: Not a directory"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line_before_anything_is(tmp_path, arguments, message):
    (tmp_path / "none").mkdir()
    (tmp_path / "notes.txt").write_text("no model")
    save_conv(tmp_path / "dynamic.onnx", ["n", 3, "h", "w"])
    before = sorted(tmp_path.rglob("*"))
    result = run("onboard", *arguments)
    assert result.exit_code == 1
    assert isinstance(result.exception, EdgeprofError), result.exception
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_file_for_the_folder_is_wrong_usage(tmp_path):
    (tmp_path / "made").touch()
    result = run("onboard", "-o", "made")
    assert result.exit_code == 2
    assert "'made' is a file" in result.stderr.splitlines()[-1]


def summary(**changes):
    counts = dict.fromkeys(("measured", "failed", "found_done", "failed_before", "unfinished"), 0)
    values = {**counts, "unreached": (), "duplicates": 0, "sent_bytes": 0, "wall_s": 1.0}
    return RunSummary(**{**values, "boards": (), "failures": (), **changes})


@pytest.fixture
def ended(monkeypatch):
    """Let the next step that measures end so."""

    def end(**changes):
        monkeypatch.setattr(ProfileArguments, "measure", lambda *_: summary(**changes))
        words = ["--suite", "layers", "-n", "1", "--store", "s.db"]
        onboard._run(step("Measure", "profile", *words), 1, 1, planned())

    return end


def test_models_that_fail_are_left_out_and_the_job_goes_on(ended, capsys):
    ended(measured=3, failed=1, failures=(FailureGroup("UnsupportedModel", "no Gelu", 1),))
    assert "failed: 1 x UnsupportedModel: no Gelu" in capsys.readouterr().err


@pytest.mark.parametrize("changes", [{"unreached": ("b01",)}, {"measured": 2, "unfinished": 5}])
def test_a_board_that_is_lost_ends_the_job_with_what_goes_on(ended, changes):
    with pytest.raises(BoardUnreachable, match="not all was measured; the same command goes on"):
        ended(**changes)
