"""``edgeprof onboard`` in a process of its own, cut off twice and called once more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence

from loopback_fleet import wait_until


def started(words: Sequence[object]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, "-P" if sys.version_info >= (3, 11) else "-s"),
            *("-m", "edgeprof", *map(str, words)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def finished_after_two_cuts(
    words: Sequence[object], is_measuring: Callable[[], object], deadline_s: float = 240.0
) -> str:
    """Kill the command while the board measures, interrupt it where the user's own models begin,
    and let it finish; returns what it printed.
    """
    with started(words) as process:
        wait_until(is_measuring, deadline_s)
        process.kill()
    assert process.returncode == -signal.SIGKILL

    with started(words) as process:
        assert process.stdout is not None
        assert any("Measure your models" in line for line in process.stdout)
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate()
    assert process.returncode == 1, (rest, said)

    with started(words) as process:
        out, err = process.communicate()
    assert process.returncode == 0, (out, err)
    return out
