"""Commands that the permissions of files hold for, whoever runs the tests."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys

import pytest

# root reads and writes whatever it likes by these; without them it is an owner like any other.
_DROP = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


@functools.cache
def _prefix() -> tuple[str, ...]:
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None or subprocess.run([*_DROP, "true"]).returncode != 0:
        pytest.skip("root, and no setpriv that may drop capabilities")
    return tuple(_DROP)


def run_unprivileged(*arguments: object, cwd: object = None) -> subprocess.CompletedProcess[str]:
    """Run ``edgeprof`` where a read-only folder is read-only and an unreadable file unreadable."""
    command = [*_prefix(), sys.executable, "-s", "-m", "edgeprof", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=str(cwd))
