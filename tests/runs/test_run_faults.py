"""What one board, one user or one library may do to the others: nothing."""

import asyncio
import dataclasses
import json
import signal
import subprocess
import threading
from contextlib import contextmanager

import pytest
import rack
from loopback_fleet import (
    CRASHING,
    FAST,
    SLOW_JOB,
    Watching,
    keys,
    measured,
    null_items,
    run_items,
    specs,
    wait_until,
    wrapping,
)

import edgeprof.boards.transport.ssh
import edgeprof.runs.run
from edgeprof.base.errors import BoardUnreachable
from edgeprof.boards.deploy import find_software
from edgeprof.boards.transport.ssh import SshNetwork

pytestmark = pytest.mark.skipif(rack.missing() is not None, reason=str(rack.missing()))


ALICE = '{"owner":"alice@laptop","session":"other"}\n'


@contextmanager
def held(path, text=ALICE):
    """A lock that another holds."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    holder = subprocess.Popen(["flock", "-x", str(path), "sleep", "600"])
    try:
        wait_until(lambda: subprocess.run(["flock", "-n", "-s", str(path), "true"]).returncode)
        yield
    finally:
        # The program holds the lock too: flock(1) leaves it the descriptor.
        for pid in rack.descendants(holder.pid, "sleep"):
            rack.kill(pid)
        holder.kill()
        holder.wait()


def test_a_board_on_which_everything_crashes_is_set_aside_and_its_twin_does_the_work(
    boards, store, tmp_path
):
    policy = dataclasses.replace(FAST, failed_in_a_row=3)
    items = null_items(40)
    summary = run_items(
        specs(boards),
        store,
        items,
        policy=policy,
        find=wrapping(tmp_path, CRASHING, ["b01"]),
        batch_size=10,
    )
    assert measured(store) == keys(items)
    assert not list(store.failures())
    crashing, sound = summary.boards
    assert "3 models in a row failed there" in str(crashing.error)
    assert "signal 6" in str(crashing.error)
    assert sound.error is None
    assert (summary.failed, summary.unfinished) == (0, 0)
    assert not list((boards.boards[0].home / ".edgeprof").glob("queue/*"))


def test_a_board_alone_on_which_everything_crashes_condemns_no_item(boards, store, tmp_path):
    policy = dataclasses.replace(FAST, failed_in_a_row=3)
    summary = run_items(
        specs(boards)[:1],
        store,
        null_items(20),
        policy=policy,
        find=wrapping(tmp_path, CRASHING, ["b01"]),
    )
    assert not list(store.failures())
    assert (summary.measured, summary.failed, summary.unfinished) == (0, 0, 20)
    assert summary.boards[0].error is not None


def test_a_crash_is_confirmed_by_another_board_before_it_is_final(boards, store):
    items = null_items(30)
    items[3].job["runtime_options"] = {"act": "abort"}
    summary = run_items(specs(boards), store, items, batch_size=5)
    assert measured(store) == keys(items[:3] + items[4:])
    [failure] = store.failures()
    assert failure.job_key == items[3].key
    assert sum(board.retried for board in summary.boards) == 1
    assert sorted(board.failed for board in summary.boards) == [0, 1]
    [confirming] = [board for board in summary.boards if board.failed]
    assert confirming.retried == 0


def test_a_board_that_another_measures_on_is_waited_for_and_not_touched(boards, store, monkeypatch):
    """Neither its clocks nor its disk: it is looked at, and set aside in the end."""
    monkeypatch.setattr(edgeprof.runs.run, "_GRACE_S", 0.05)
    first = boards.boards[0]
    governors = []
    watching = Watching("waiting for alice", lambda _: governors.append(first.governor))

    def find(board, facts):
        assert board.name == "b02"  # there must be work left when the waiting ends
        wait_until(lambda: any("set aside" in note for note in watching.notes))
        return find_software(board, facts)

    policy = dataclasses.replace(FAST, busy_limit_s=0.5)
    items = null_items(10)
    with held(first.home / "lock"):
        summary = run_items(
            specs(boards), store, items, policy=policy, listener=watching, find=find
        )
    assert measured(store) == keys(items)
    busy, free = summary.boards
    assert "alice@laptop measures there" in str(busy.error)
    assert free.measured == len(items)
    assert watching.notes[0].endswith("; waiting")
    assert set(governors) == {"ondemand"}
    assert not list((first.home / ".edgeprof").rglob("edgeprof-harness"))


def test_who_loses_the_board_leaves_its_state_to_who_has_it(boards, store):
    """Alice takes the board between two of our batches, and measures in the state that is set."""
    [spec, _] = specs(boards)
    first = boards.boards[0]
    alice = []

    def take(board):
        if board.measured and not alice:
            alice.append(held(first.home / "lock"))
            alice[0].__enter__()

    watching = Watching()
    watching.changed = take
    policy = dataclasses.replace(FAST, busy_limit_s=0.5)
    try:
        items = null_items(20)
        summary = run_items([spec], store, items, policy=policy, listener=watching, batch_size=5)
        assert alice
        assert "alice@laptop measures there" in str(summary.boards[0].error)
        assert summary.unfinished > 0
        assert first.governor == "performance"
        assert any("lasts as long as its lease" in note for note in watching.notes)
    finally:
        alice[0].__exit__(None, None, None)


def test_a_lock_that_names_nobody_is_another_owners(boards, store):
    policy = dataclasses.replace(FAST, busy_limit_s=0.3)
    with held(boards.boards[0].home / ".edgeprof" / "worker.lock", ""):
        summary = run_items(specs(boards)[:1], store, null_items(2), policy=policy)
    assert "another owner measures there" in str(summary.boards[0].error)


def test_objects_are_not_hashed_while_somebody_measures(boards, store):
    [spec, _] = specs(boards)
    first = boards.boards[0]
    run_items([spec], store, null_items(1))
    [program] = (first.home / ".edgeprof").rglob("edgeprof-harness")
    program.write_bytes(b"damaged")

    def objects():
        from edgeprof.boards.facts import read_facts

        async def look():
            async with SshNetwork() as network:
                transport = await network.connect(spec)
                facts = await read_facts(transport, spec)
                await transport.close()
                return facts

        return asyncio.run(look())

    idle = objects()
    with held(first.home / "lock"):
        busy = objects()
    assert (idle.objects, idle.holders) == (frozenset(), ())
    assert len(busy.objects) == 1  # by its name
    assert [json.loads(line)["owner"] for line in busy.holders] == ["alice@laptop"]


def test_a_board_that_is_long_in_coming_keeps_nobody_waiting(boards, store, monkeypatch):
    """Its software is being built, or it does not answer: the others begin, and even finish."""
    monkeypatch.setattr(edgeprof.runs.run, "_GRACE_S", 0.05)
    found, done = threading.Event(), threading.Event()

    class LateNetwork(SshNetwork):
        async def connect(self, spec):
            if spec.name == "b02":  # boards of one kind look for their software one by one
                await asyncio.to_thread(found.wait, 60)
            return await super().connect(spec)

    def find(board, facts):
        if board.name == "b02":
            assert done.wait(60), "nobody began"
        found.set()
        return find_software(board, facts)

    def look(board):
        if board.measured == 5:
            done.set()

    watching = Watching()
    watching.changed = look
    first, second = specs(boards)
    summary = run_items(
        [first, second],
        store,
        null_items(5),
        find=find,
        listener=watching,
        network=LateNetwork,
    )
    assert [board.measured for board in summary.boards] == [5, 0]
    assert [board.error for board in summary.boards] == [None, None]


def test_boards_behind_a_dead_jump_host_wait_for_it_once(boards, tmp_path, monkeypatch):
    [port] = rack._free_ports(1)
    config = tmp_path / "jump_config"
    config.write_text(
        f"Host dead\n  HostName 127.0.0.1\n  Port {port}\n"
        f"Host b0*\n  ProxyJump dead\n{boards.ssh_config.read_text()}"
    )
    tries = []
    connect = SshNetwork._connect

    async def counted(self, target):
        if target.depth:
            tries.append(target._asked.host)
            await asyncio.sleep(0.2)  # all boards are waiting by then
        return await connect(self, target)

    monkeypatch.setattr(SshNetwork, "_connect", counted)
    behind = [dataclasses.replace(spec, ssh_config=config) for spec in specs(boards)]

    async def reach():
        async with SshNetwork() as network:
            return await asyncio.gather(*map(network.connect, behind), return_exceptions=True)

    errors = asyncio.run(reach())
    assert tries == ["dead"]
    assert all(isinstance(error, BoardUnreachable) for error in errors)
    for spec, error in zip(behind, errors, strict=True):
        assert str(error).startswith(f"board {spec.name}: ")
        assert error.evidence["board"] == spec.name


def test_an_error_nobody_thought_of_costs_one_board(boards, store):
    def find(board, facts):
        if board.name == "b01":
            raise ZeroDivisionError("of a library")
        return find_software(board, facts)

    items = null_items(4)
    summary = run_items(specs(boards), store, items, find=find)
    assert measured(store) == keys(items)
    assert str(summary.boards[0].error) == "board b01: ZeroDivisionError: of a library"


def test_a_login_script_may_print(boards, store):
    """A shell that sshd starts reads its script also when no terminal is there."""
    # bash reads ~/.bashrc then; any shell does what a forced command says.
    for board in boards.boards:
        text = (board.folder / "sshd_config").read_text()
        greeting = "echo Welcome; echo; echo a=b"
        (board.folder / "sshd_config").write_text(
            f'{text}ForceCommand {greeting}; exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"\n'
        )
        board.kill_sshd()
        board.start()
    items = null_items(4)
    run_items(specs(boards), store, items)
    assert measured(store) == keys(items)


def test_ctrl_c_waits_for_every_board_to_be_restored(boards, store, monkeypatch):
    """Also for the one that takes longest: the first to be done does not end the run."""
    from edgeprof.runs.connection import BoardConnection

    restore = BoardConnection.restore

    async def slow(self):
        await asyncio.sleep(1.0 if self._spec.name == "b02" else 0.0)
        return await restore(self)

    monkeypatch.setattr(BoardConnection, "restore", slow)
    measuring = set()
    main = threading.main_thread()

    def interrupt(board):
        is_first = len(measuring) < 2
        measuring.add(board.name)
        if is_first and len(measuring) == 2:  # once: a second Ctrl-C does not wait for anybody
            signal.pthread_kill(main.ident, signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_items(
            specs(boards),
            store,
            null_items(60, **SLOW_JOB),
            listener=Watching("measuring", interrupt),
        )
    assert [board.governor for board in boards.boards] == ["ondemand", "ondemand"]


def test_packing_does_not_stop_the_loop():
    """Keep-alives of other boards are sent while one board's batch is packed."""
    from edgeprof.boards.batch import Batch, Item
    from edgeprof.boards.transport import LocalTransport

    loop_thread = threading.get_ident()
    packed_in = []

    class Watched(Batch):
        def archive(self, *arguments):
            packed_in.append(threading.get_ident())
            yield from super().archive(*arguments)

    batch = Watched("s.1", (Item("k", None, None, {}),), {})
    asyncio.run(LocalTransport().run(["cat"], stdin=batch.archive("/f", None), deadline_s=20))
    assert packed_in
    assert loop_thread not in packed_in


def test_a_file_of_this_machine_that_cannot_be_read_is_not_a_lost_connection(boards, tmp_path):
    from edgeprof.base.errors import BoardSetupError
    from edgeprof.boards.transport.base import compressed

    async def send():
        async with SshNetwork() as network:
            transport = await network.connect(specs(boards)[0])
            gone = tmp_path / "gone"
            with pytest.raises(BoardSetupError, match="gone: cannot be read: No such file"):
                await transport.put(gone, "x", deadline_s=30)
            with pytest.raises(BoardSetupError, match="gone: cannot be read: No such file"):
                await transport.run(["cat"], stdin=compressed(gone), deadline_s=30)
            completed = await transport.run(["true"], deadline_s=30)
            await transport.close()
            return completed

    assert asyncio.run(send()).status == 0


def test_a_lost_dask_scheduler_is_no_ctrl_c():
    """Dask cancels what is under way; that must not look as if the user had."""
    from concurrent.futures import Future

    from edgeprof.base.errors import ClusterUnreachable
    from edgeprof.boards.inventory import BoardSpec
    from edgeprof.boards.transport.dask import DaskTransport

    class Client:
        def get_executor(self, **_):
            return self

        def submit(self, *_):
            future = Future()
            future.cancel()
            future.set_running_or_notify_cancel()
            return future

    transport = DaskTransport(BoardSpec("b", "b"), Client())
    with pytest.raises(ClusterUnreachable, match="board b: the Dask scheduler was lost"):
        asyncio.run(transport.run(["true"], deadline_s=5))


def test_a_board_is_restored_when_a_command_of_our_own_is_still_at_work_there(
    boards, store, monkeypatch
):
    """Ctrl-C came while it was being prepared: the preparation goes on there without us."""
    from edgeprof.boards.claim import busy
    from edgeprof.runs import connection

    restore, calls = connection.restore, []

    async def busy_at_first(transport, board, facts, owner):
        calls.append(owner)
        if len(calls) < 3:
            raise busy(board, json.dumps(dataclasses.asdict(owner) | {"owner": owner.name}))
        return await restore(transport, board, facts, owner)

    monkeypatch.setattr(connection, "restore", busy_at_first)
    run_items(specs(boards)[:1], store, null_items(1))
    assert len(calls) == 3
    assert boards.boards[0].governor == "ondemand"
