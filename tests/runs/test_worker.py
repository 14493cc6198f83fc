"""The board program's queue seen from outside: locks, who holds them, and attempts that overlap."""

import io
import json
import os
import shutil
import signal
import subprocess
import tarfile

import pytest
from loopback_fleet import wait_until

from edgeprof.boards.session import _SUBMIT
from edgeprof.measuring.harness import PROGRAM

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="no flock (util-linux)")


def arguments(folder, session="mine."):
    return ["--folder", folder, "--lock", folder / "lock", "--owner", "me", "--session", session]


def harness(*words):
    return subprocess.run(
        [PROGRAM, *map(str, words)], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def hold(tmp_path):
    """Holds a lock with this text in it, from another process."""
    held = []

    def start(name, text):
        path = tmp_path / name
        path.write_text(text)
        held.append(subprocess.Popen(["flock", "-x", "--no-fork", path, "sleep", "600"]))
        wait_until(lambda: subprocess.run(["flock", "-n", "-s", path, "true"]).returncode)
        return held[-1]

    yield start
    for process in held:
        process.kill()
        process.wait()


def test_a_command_is_run_while_nobody_can_measure(tmp_path):
    script = f"flock -n {tmp_path}/lock true || echo locked; cat {tmp_path}/lock; exit 7"
    done = harness("hold", *arguments(tmp_path), "--", "sh", "-c", script)
    assert done.returncode == 7
    first, holder = done.stdout.splitlines()
    assert first == "locked"
    assert json.loads(holder)["owner"] == "me"
    assert subprocess.run(["flock", "-n", tmp_path / "lock", "true"]).returncode == 0


def test_what_a_command_leaves_running_does_not_hold_the_board(tmp_path):
    done = harness(
        "hold", *arguments(tmp_path), "--", "sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"
    )
    try:
        assert subprocess.run(["flock", "-n", tmp_path / "lock", "true"]).returncode == 0
    finally:
        os.kill(int(done.stdout), signal.SIGKILL)


@pytest.mark.parametrize("lock", ["lock", "worker.lock"])
def test_a_command_is_not_run_while_somebody_measures(tmp_path, hold, lock):
    hold(lock, '{"owner":"alice","session":"other"}\n')
    done = harness("hold", *arguments(tmp_path), "--", "touch", tmp_path / "touched")
    assert done.returncode == 75
    assert json.loads(done.stdout)["owner"] == "alice"
    assert not (tmp_path / "touched").exists()


def test_a_worker_finds_a_lock_without_a_name_busy(tmp_path, hold):
    """Its holder has it and has not written yet who he is."""
    hold("worker.lock", "")
    done = harness("worker", "--detach", *arguments(tmp_path))
    assert (done.returncode, done.stderr) == (75, "")
    assert json.loads(done.stdout) == {}


def test_only_the_process_that_holds_the_lock_is_stopped(tmp_path, hold):
    bystander = subprocess.Popen(["sleep", "600"])
    try:
        holder = hold("worker.lock", json.dumps({"session": "mine.", "pid": bystander.pid}))
        command = [PROGRAM, "wait", "--folder", tmp_path, "--session", "mine.", "--stop"]
        with subprocess.Popen(command) as waiting:
            # The holder writes its name late; until then nobody is stopped.
            with pytest.raises(subprocess.TimeoutExpired):
                waiting.wait(0.3)
            assert bystander.poll() is None
            (tmp_path / "worker.lock").write_text(
                json.dumps({"session": "mine.", "pid": holder.pid})
            )
            assert waiting.wait(60) == 0
        assert holder.wait(60) == -signal.SIGTERM
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_an_attempt_that_lingers_does_not_spoil_the_next(tmp_path):
    """Its connection was lost while it unpacked, and the controller submitted the batch again."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        sums = ""
        for name, content in (("jobs.jsonl", os.urandom(100_000)), ("links", b"")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
            (tmp_path / name).write_bytes(content)
            sums += subprocess.check_output(["sha256sum", name], cwd=tmp_path, text=True)
        info = tarfile.TarInfo("SHA256SUMS")
        info.size = len(sums)
        tar.addfile(info, io.BytesIO(sums.encode()))
    content = archive.getvalue()

    def submit():
        words = [tmp_path, "/bin/true", tmp_path / "lock", "me", "mine.", "mine.1"]
        attempt = subprocess.Popen(
            ["/bin/sh", "-c", _SUBMIT, "edgeprof", *words], stdin=subprocess.PIPE
        )
        attempt.stdin.write(content[:70_000])
        attempt.stdin.flush()
        return attempt

    def unpacking(count):
        return len(list((tmp_path / "incoming").glob("*"))) == count

    lingering = submit()
    wait_until(lambda: unpacking(1))
    second = submit()
    wait_until(lambda: unpacking(2))
    lingering.communicate()  # its end of input: it fails, and clears up
    assert lingering.returncode != 0
    second.communicate(content[70_000:])
    assert second.returncode == 0
    assert (tmp_path / "queue/mine.1/jobs.jsonl").stat().st_size == 100_000
    assert not list((tmp_path / "incoming").iterdir())
