"""What holds for every test, and what the fleet's tests run on."""

import os
import signal
import tempfile
from functools import partial

import pytest
import rack

from edgeprof.predictors.compact.distil import distil
from edgeprof.records.store import Store

# Test processes side by side would wait for one another's runs on this machine.
os.environ.setdefault("EDGEPROF_LOCK", f"{tempfile.gettempdir()}/edgeprof-tests-{os.getpid()}.lock")

# A shell's background job ignores Ctrl-C, and so would all that is started here.
signal.signal(signal.SIGINT, signal.default_int_handler)


# Longest first: of processes side by side, none is left alone with a long file at the end.
LONG_FILES = (
    "test_virtual_board",
    "test_run",
    "test_documented_commands",
    "test_search",
    "test_advice",
    "test_gate",
    "test_profile_here",
    "test_train",
    "test_lut",
    "test_run_faults",
    "test_cli_onboard",
    "test_report",
    "test_small_accuracy",
    "test_cli_measure",
    "test_inputs",
    "test_firmware_scripts",
    "test_measure",
    "test_space_coverage",
    "test_cli",
    "test_export_formats",
    "test_run_odd_boards",
    "test_verdict",
    "test_probes",
    "test_cli_quickstart",
    "test_terminal",
    "test_protocol",
    "test_public_api",
    "test_firmware_interrupted",
    "test_executors",
    "test_estimate",
)


def pytest_configure(config):
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False  # files are handed out in the order below


def pytest_collection_modifyitems(items):
    place = {name: index for index, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))


DISTIL = "edgeprof.predictors.train.distil"


@pytest.fixture(scope="module")
def quick_distillation():
    """Train students on fewer subnets: good enough where they are not judged closely."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DISTIL, partial(distil, n_unlabelled=8000))
        yield


@pytest.fixture
def token_distillation(monkeypatch):
    """Train students on few subnets, where nobody asks how good they are."""
    monkeypatch.setattr(DISTIL, partial(distil, n_unlabelled=800))


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
