"""What holds for every test, and what the fleet's tests run on."""

import os
import signal
import tempfile

import pytest
import rack

from edgeprof.records.store import Store

# Test processes side by side would wait for one another's runs on this machine.
os.environ.setdefault("EDGEPROF_LOCK", f"{tempfile.gettempdir()}/edgeprof-tests-{os.getpid()}.lock")

# A shell's background job ignores Ctrl-C, and so would all that is started here.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def boards(tmp_path):
    """Two boards on loopback."""
    with rack.Rack(tmp_path, 2) as loopback:
        yield loopback


@pytest.fixture
def board(tmp_path):
    """A rack of one board on loopback."""
    with rack.Rack(tmp_path, 1) as loopback:
        yield loopback


@pytest.fixture
def store(tmp_path):
    """An empty store."""
    with Store(tmp_path / "run.db") as opened:
        yield opened
