"""What a fleet run costs beyond measuring, and what it survives. Prints a Markdown table.

python benchmarks/fleet.py [--only NAME]...     (about five minutes; as root or any user with sshd)

Boards are OpenSSH servers on loopback, each with a home of its own. The kill run and the run on
fifty boards use the empty backend, so that they measure edgeprof and not a network.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

SUPPORT = Path(__file__).parent.parent / "tests" / "support"
sys.path.insert(0, str(SUPPORT))

import kill_run as kill_runs  # noqa: E402
import rack  # noqa: E402 - found by the line above
from loopback_fleet import controller, null_items, run_items  # noqa: E402
from proxy import Proxy  # noqa: E402

from edgeprof.boards.inventory import read_inventory  # noqa: E402
from edgeprof.networks.spaces import get_space  # noqa: E402
from edgeprof.records.store import Store  # noqa: E402
from edgeprof.runs.context import RunOptions  # noqa: E402
from edgeprof.runs.queue import RetryPolicy  # noqa: E402
from edgeprof.runs.settings import ProfileSettings  # noqa: E402
from edgeprof.runs.start import measure_on  # noqa: E402
from edgeprof.runs.subnets import SubnetWorkload  # noqa: E402

BATCH = 50


def overhead_per_item(folder: Path) -> tuple[str, str]:
    """Wall time of batches of 50 on one board, less what its harness spent on measuring.

    The board's own measuring time is warm-up and samples, by its records. What its program does
    beside them (a process for each model, hashing, the machine's state, fsync) is overhead, and is
    told apart from the controller's and the network's.
    """
    with rack.Rack(folder, 1) as loopback, Store(folder / "run.db") as store:
        [board] = read_inventory(loopback.inventory()).boards
        run_items([board], store, null_items(1), prepare=False)  # deploys
        before_s = _measuring_s(store)
        n = 6 * BATCH
        clock = _BoardClock(loopback.boards[0])
        summary = run_items(
            [board], store, null_items(n + 1), prepare=False, batch_size=BATCH, listener=clock
        )
        [progress] = summary.boards
        # A run's beginning and end are no matter of the batches: connecting, leaving.
        all_ms = 1000 * (progress.busy_s - (_measuring_s(store) - before_s)) / n
        controller_ms = 1000 * (progress.busy_s - clock.working_s) / n
    result = f"{all_ms:.1f} ms (at most 20), of which {controller_ms:.1f} ms outside the board"
    return "overhead per item beyond warm-up and samples, batches of 50", result


def _measuring_s(store: Store) -> float:
    """How long harnesses warmed up and took samples, for all records of a store."""
    records = [measurement.record for measurement in store.measurements()]
    return sum(r["warmup"]["wall_ns"] + r["sampling_wall_ns"] for r in records) / 1e9


class _BoardClock:
    """Adds up how long the board's program was at work, by its own files."""

    def __init__(self, board: rack.LoopbackBoard) -> None:
        self._board = board
        self._seen: set[str] = set()
        self.working_s = 0.0

    def changed(self, _board: object) -> None:
        for records in self._board.home.glob(".edgeprof/queue/*/records.jsonl"):
            lock = self._board.home / ".edgeprof" / "worker.lock"
            held = subprocess.run(["flock", "-n", str(lock), "true"], check=False).returncode
            if held == 0 and records.parent.name not in self._seen:
                self._seen.add(records.parent.name)
                # The worker writes its lock when it begins, the last record when it ends.
                self.working_s += records.stat().st_mtime - lock.stat().st_mtime

    def note(self, text: str) -> None:
        print(text, file=sys.stderr)


def bytes_per_subnet(folder: Path) -> tuple[str, str]:
    """What the network carries to a board for each further subnet, with shared weights."""
    space = get_space("ofa-mbv3-w1.0")
    subnets = space.sample(16, np.random.default_rng(0))
    settings = ProfileSettings(max_secs=0.01)
    # One attempt: no item is to be sent again because this machine disturbed it.
    options = RunOptions(prepare=False, policy=RetryPolicy(attempts=1))
    sent = []
    with rack.Rack(folder, 1) as loopback, Proxy(loopback.boards[0].port) as proxy:
        loopback.connect_through(loopback.boards[0], proxy.port)
        boards = read_inventory(loopback.inventory(extra="")).boards
        with Store(folder / "run.db") as store:
            for part in (subnets[:4], subnets):
                workload = SubnetWorkload(part, store, settings, folder / "models")
                summary = measure_on(workload, boards, options=options)
                assert not summary.unfinished, summary
                sent.append(proxy.sent_bytes)
    kib = (sent[1] - sent[0]) / 12 / 1024
    return "sent per further subnet (ONNX, shared weights)", f"{kib:.1f} KiB (at most 64)"


def kill_run(folder: Path) -> tuple[str, str]:
    """8 boards, 400 models: controller, program, sshd or network struck every few seconds."""
    report, count = kill_runs.survive_400_models(folder, seed=1), 400
    with Store(folder / "run.db") as store:
        keys = [measurement.job_key for measurement in store.measurements()]
    lost = count - len(set(keys))
    said = ", ".join(f"{number} x {name}" for name, number in sorted(report.kills.items()))
    result = (
        f"{len(keys)} records, {lost} lost, {len(keys) - len(set(keys))} duplicated, "
        f"{len(report.unrestored)} boards not restored, {report.wall_s:.0f} s"
    )
    return f"8 boards, 400 models, kills: {said}", result


def fifty_boards(folder: Path) -> tuple[str, str]:
    """50 boards, 1000 items of the empty backend, one controller."""
    with rack.Rack(folder, 50) as loopback:
        with controller(loopback, folder, 1000, prepare=False, batch_size=10) as process:
            out, err = process.communicate()
        refused = sum("drop connection" in board.log() for board in loopback.boards)
    if process.returncode != 0:
        raise SystemExit(err.decode())
    summary = json.loads(out)
    mib = summary["peak_rss_bytes"] / 2**20
    result = (
        f"{summary['measured']} records, controller {mib:.0f} MiB (below 300 MB), "
        f"{refused} refused connections, {summary['wall_s']:.0f} s"
    )
    return "50 boards, 1000 items of the empty backend", result


CASES: dict[str, Callable[[Path], tuple[str, str]]] = {
    "overhead": overhead_per_item,
    "bytes": bytes_per_subnet,
    "kills": kill_run,
    "fifty": fifty_boards,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=CASES, help="run this case")
    chosen = parser.parse_args().only or list(CASES)
    if (reason := rack.missing()) is not None:
        raise SystemExit(reason)
    print("| what | result |\n|---|---|")
    for name in chosen:
        with tempfile.TemporaryDirectory() as folder:
            what, result = CASES[name](Path(folder))
        print(f"| {what} | {result} |", flush=True)


if __name__ == "__main__":
    main()
