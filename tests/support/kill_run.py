"""A run over loopback boards while something is killed again and again, until all is measured.

Used by the tests and by ``benchmarks/fleet.py``.
"""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import rack
from loopback_fleet import SLOW_JOB, controller, records_on
from proxy import Proxy

KINDS = ("controller", "program", "sshd", "network")
_AIM_S = 20.0


@dataclass(frozen=True)
class KillReport:
    """How a run went.

    Attributes:
        kills: that struck, by kind.
        unrestored: boards whose clocks are not as they were.
        working: boards on which a worker still runs.
    """

    kills: Counter[str]
    unrestored: list[str]
    working: list[str]
    wall_s: float


def survive(
    folder: Path,
    n_boards: int,
    count: int,
    kinds: Iterable[str],
    *,
    dice: random.Random,
    pause: Callable[[rack.Rack], object],
    **options: object,
) -> KillReport:
    """Start the controller again and again until it says that all is done.

    Args:
        folder: of the rack, the models and the store ``run.db``.
        count: items.
        kinds: what to kill, one after the other, each until it struck; nothing more when they
            are used up.
        dice: chooses the boards.
        pause: waits until it is time for the next.
        options: of the controller.
    """
    kills, order = Counter[str](), iter(kinds)
    start_s = time.monotonic()
    with rack.Rack(folder, n_boards) as loopback, ExitStack() as proxies:
        network = [proxies.enter_context(Proxy(board.port)) for board in loopback.boards]
        for board, proxy in zip(loopback.boards, network, strict=True):
            loopback.connect_through(board, proxy.port)
        status, kind = None, next(order, None)
        while status != 0:
            with controller(loopback, folder, count, **options) as process:
                while process.poll() is None and kind is not None:
                    pause(loopback)
                    if _strike(kind, dice, loopback, network, process):
                        kills[kind] += 1
                        kind = next(order, None)
                _, err = process.communicate()
                status = process.returncode
            assert status in (0, -9), err.decode()
        return KillReport(
            kills,
            [board.name for board in loopback.boards if board.governor != "ondemand"],
            [board.name for board in loopback.boards if board.processes("worker")],
            time.monotonic() - start_s,
        )


def survive_400_models(folder: Path, seed: int) -> KillReport:
    """The long form: 8 boards, items of three seconds, something struck every few of them."""
    dice = random.Random(seed)
    return survive(
        folder,
        8,
        400,
        iter(lambda: dice.choice(KINDS), None),
        dice=dice,
        pause=lambda _: time.sleep(dice.uniform(2.0, 5.0)),
        job={**SLOW_JOB, "min_secs": 3.0, "max_secs": 3.2},
        n_models=40,
        batch_size=10,
        policy={"board_failures": 50},
    )


def after_progress(n_records: int) -> Callable[[rack.Rack], None]:
    """Return a pause until so many more records were made, however long that takes."""

    def pause(loopback: rack.Rack) -> None:
        end_s = time.monotonic() + _AIM_S
        seen, made = None, 0
        while made < n_records and time.monotonic() < end_s:
            now = sum(map(records_on, loopback.boards))
            made += max(0, now - seen) if seen is not None else 0
            seen = now
            time.sleep(0.05)

    return pause


def _strike(
    kind: str,
    dice: random.Random,
    loopback: rack.Rack,
    network: list[Proxy],
    process: subprocess.Popen[bytes],
) -> bool:
    """Kill one thing of this kind, as soon as there is one; returns whether there was."""
    end_s = time.monotonic() + _AIM_S
    while process.poll() is None and time.monotonic() < end_s:
        index = dice.randrange(len(network))
        board = loopback.boards[index]
        if kind == "controller":
            process.kill()
            return True
        if kind == "network":
            if network[index].cut():
                return True
        elif kind == "program":
            if pids := board.processes("edgeprof-harness"):
                for pid in pids:
                    rack.kill(pid)
                return True
        elif board.kill_sshd():
            board.start()
            return True
        else:
            board.start()
        time.sleep(0.02)
    return False
