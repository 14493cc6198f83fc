"""Boards as they come: what is wrong with one is one clear line, and the others go on."""

import dataclasses
import json
import re
import subprocess
from contextlib import ExitStack

import pytest
import rack
from loopback_fleet import (
    SLOW_JOB,
    controller,
    keys,
    measured,
    null_items,
    run_items,
    specs,
    wait_until,
)

from edgeprof.base.files import sha256_of
from edgeprof.boards.inventory import read_inventory
from edgeprof.records.store import Store
from edgeprof.runs.view import summary_lines

pytestmark = pytest.mark.skipif(rack.missing() is not None, reason=str(rack.missing()))


def restart_with_another_key(board):
    """As after a new installation."""
    for name in ("host_key", "host_key.pub"):
        (board.folder / name).unlink()
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(board.folder / "host_key")],
        check=True,
    )
    board.kill_sshd()
    board.start()


def test_each_odd_board_is_one_clear_line_and_the_sound_one_does_everything(tmp_path, store):
    library = tmp_path / "libtoo_new.so"
    library.write_bytes(b"\x7fELF\0GLIBC_2.4\0GLIBC_9.99\0")
    with rack.Rack(tmp_path, 7) as loopback:
        unreachable, reinstalled, refusing, foreign, _, _, _ = loopback.boards
        unreachable.kill_sshd()
        restart_with_another_key(reinstalled)
        refusing.refuse_keys()
        foreign.answer_with("uname", "sparc64")
        chosen = specs(loopback)
        chosen[4] = dataclasses.replace(chosen[4], runtime="onnxruntime", library=library)
        chosen[5] = dataclasses.replace(chosen[5], runtime="tflite_c", library=tmp_path / "none.so")
        items = null_items(6)
        summary = run_items(chosen, store, items)
    assert measured(store) == keys(items)
    wanted = (
        "Connection refused",
        "host key of .* is not the one in",
        "refused every key",
        "sparc64",
        r"needs glibc 9\.99, the board has 2\.\d+; build it on an older system",
        "none.so: no such file",
    )
    for progress, message in zip(summary.boards, wanted, strict=False):
        line = str(progress.error)
        assert re.search(message, line), line
        assert line.startswith(f"board {progress.name}: ")
        assert "\n" not in line
    assert summary.boards[-1].error is None
    assert summary.boards[-1].measured == len(items)


def test_what_is_sent_lies_by_its_content_once_and_again_where_it_is_damaged(board, store):
    [spec] = specs(board)
    objects = board.boards[0].home / ".edgeprof" / "objects"
    first = run_items([spec], store, null_items(1))
    [program] = objects.rglob("edgeprof-harness")
    assert program.parent.name == sha256_of(program)
    size, written = program.stat().st_size, program.stat().st_mtime_ns
    second = run_items([spec], store, null_items(2))
    assert program.stat().st_mtime_ns == written
    assert second.sent_bytes < first.sent_bytes / 10
    program.write_bytes(b"#!/bin/sh\nexit 0\n" + bytes(size - 17))
    run_items([spec], store, null_items(3))
    assert sha256_of(program) == program.parent.name
    assert measured(store) == keys(null_items(3))


NASTY = "a b;$(touch pwned)`id`'\"\\\n-x*"


def test_nasty_names_are_only_names(board, store, tmp_path):
    [target] = board.boards
    inventory = board.inventory()
    word = NASTY.replace("\n", "")  # the inventory refuses characters that cannot be printed
    folder, name = json.dumps(f"{tmp_path}/-f {word}"), json.dumps(f"-b {word}")
    inventory.write_text(
        f'ssh_config: ssh_config\nboards:\n  {name}: {{host: b01, tags: [{name}], runtime: "null", '
        f"lock: ~/lock, folder: {folder}, environment: {{NASTY: {json.dumps(NASTY)}}}}}\n"
    )
    chosen = read_inventory(inventory)
    assert not chosen.problems
    models = [tmp_path / f"{prefix}{NASTY}.onnx" for prefix in ("-", " ", "$x")]
    items = null_items(len(models))
    for model in models:
        model.write_bytes(b"no model")
    items = [
        dataclasses.replace(item, key=f"{item.key} {NASTY}", model=model)
        for item, model in zip(items, models, strict=True)
    ]
    summary = run_items(chosen.boards, store, items)
    assert measured(store) == sorted(keys(items))
    assert [found.record["model"]["path"] for found in store.measurements()] == [
        model.name for model in models
    ]
    assert summary.boards[0].error is None
    assert list((tmp_path / f"-f {word}").glob("objects/*/edgeprof-harness"))
    assert not [path for path in tmp_path.rglob("*pwned") if path.name == "pwned"]
    assert target.governor == "ondemand"


def test_two_users_take_turns_on_one_board_and_both_finish(board, tmp_path):
    [target] = board.boards
    inventory = board.inventory()
    other = tmp_path / "others.yaml"
    # Another account's folder; the lock is the same for all accounts.
    other.write_text(inventory.read_text().replace("~/lock", "~/lock, folder: ~/other"))
    options = {
        "job": SLOW_JOB,
        "batch_size": 4,
        "policy": {"busy_limit_s": 300.0, "busy_look_s": 0.5},
    }
    with ExitStack() as stack:
        processes = []
        for name, boards in (("mine", inventory), ("theirs", other)):
            (tmp_path / name).mkdir()
            begun = controller(board, tmp_path / name, 12, inventory=boards, **options)
            processes.append(stack.enter_context(begun))
        wait_until(lambda: target.governor == "performance")
        outputs = [process.communicate(timeout=240) for process in processes]
    for name, (out, err) in zip(("mine", "theirs"), outputs, strict=True):
        summary = json.loads(out)
        assert (summary["measured"], summary["failed"], summary["unfinished"]) == (12, 0, 0), err
        with Store(tmp_path / name / "run.db") as store:
            assert measured(store) == keys(null_items(12))
    assert any(b"measures there" in err for _, err in outputs)  # else they did not meet
    assert target.governor == "ondemand"


def test_the_closing_lines_group_failures_and_name_boards_that_were_set_aside(tmp_path, store):
    with rack.Rack(tmp_path, 2) as loopback:
        loopback.boards[0].kill_sshd()
        items = null_items(5)
        for item in items[1:4]:
            item.job["threads"] = -1
        summary = run_items(specs(loopback), store, items)
    lines = summary_lines(summary)
    assert lines[0].startswith("b01: 0 measured, 0 failed; set aside: board b01: ")
    assert lines[1].startswith("b02: 2 measured, 3 failed")
    assert lines[2].startswith("failed: 3 x InvalidJob: ")
    assert lines[3].startswith("2 measured, 3 failed; ")
    assert len(lines) == 4
