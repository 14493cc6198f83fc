"""A Dask cluster of real processes on loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import rack

_DEADLINE_S = 60.0


@contextmanager
def scheduler(folder: Path, **environment: str) -> Iterator[str]:
    """Run a scheduler, with its log in the folder; gives its address."""
    with scheduler_process(folder, **environment) as (_, address):
        yield address


@contextmanager
def scheduler_process(
    folder: Path, **environment: str
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run a scheduler as ``scheduler`` does; gives its process, too."""
    path = folder / "scheduler.json"
    arguments = ("--port", "0", "--host", "127.0.0.1", "--no-dashboard", "--no-show")
    command = ("scheduler", *arguments, "--scheduler-file", str(path))
    with _process(folder, *command, **environment) as process:
        end_s = time.monotonic() + _DEADLINE_S
        while not path.exists() or not path.read_text():
            assert time.monotonic() < end_s, (folder / "dask.log").read_text()
            time.sleep(0.1)
        yield process, json.loads(path.read_text())["address"]


def worker(
    address: str, boards: Sequence[rack.LoopbackBoard], folder: Path
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """Run a worker that offers these boards."""
    offered = " ".join(f"{board.name}=1" for board in boards)
    arguments = ("--nthreads", "4", "--no-nanny", "--no-dashboard", "--resources", offered)
    return _process(folder, "worker", address, *arguments)


@contextmanager
def _process(
    folder: Path, *arguments: str, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "dask.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments],
            cwd=folder,
            env={**os.environ, **environment},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
