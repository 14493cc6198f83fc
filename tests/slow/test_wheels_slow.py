"""Wheels for boards, as `tools/release.py` builds them, installed and used on emulated boards.

The boards are Debian 12 with its Python 3.11. They reach no package index: what the wheel asks for
is fetched here, as a release for a board without a network would be. The 32-bit board takes numpy
and click from its distribution, since no wheels of these are published for it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arm_baseline import BASELINES, beyond_without_names, instructions_of
from board_table import ran_on
from virtual_board import ROOT, Board, edgeprof_command, start_board, stop_board, trained_predictor

from edgeprof.boards.board_runtimes import platform_tags
from edgeprof.boards.toolchain import target_of
from edgeprof.export import export_subnets
from edgeprof.networks.spaces import get_space
from edgeprof.networks.subnet import Subnet, write_subnets

pytestmark = [pytest.mark.board, pytest.mark.slow, pytest.mark.timeout(3600)]

RELEASE = ROOT / "tools" / "release.py"
SMALLEST = Subnet("ofa-mbv3-w1.0", ks=(3,) * 20, e=(3,) * 20, d=(2,) * 5, r=128)
BOOKWORM_GLIBC = (2, 36)


@dataclass(frozen=True)
class Wheels:
    """A kind of board: how it is made, and what it takes from its distribution."""

    machine: str
    board: tuple[str, ...]
    requirements: tuple[str, ...]
    install: str  # as the README has it


AARCH64 = Wheels(
    "aarch64",
    ("--add", "python3-pip"),
    ("numpy<2.4", "click", "onnxruntime"),
    "'edgeprof[onnx]'",
)
ARMV7L = Wheels(
    "armv7l",
    (
        *("--arch", "armhf"),
        *("--add", "python3-pip", "--add", "python3-numpy", "--add", "python3-click"),
    ),
    ("sherpa-onnx-core",),
    # Under its 64-bit kernel pip takes the extra's runtime for that of aarch64.
    "edgeprof sherpa-onnx-core",
)


@pytest.mark.parametrize("kind", [AARCH64, ARMV7L], ids=lambda kind: kind.machine)
def test_wheel_is_installed_and_measures_and_predicts(kind: Wheels, tmp_path: Path) -> None:
    pytest.importorskip("auditwheel", reason="needs edgeprof[release]")
    load = tmp_path / "load"
    release_wheels(kind, load / "wheels")
    check_baseline(kind, next((load / "wheels").glob("edgeprof-*.whl")), tmp_path)
    export_subnets([SMALLEST], load / "models", format="onnx")
    trained_predictor(load / "p.edgp")
    subnets = get_space("ofa-mbv3-w1.0").sample(5, np.random.default_rng(1))
    write_subnets(load / "s.jsonl", subnets)
    folder = tmp_path / "board"
    try:
        board = start_board(folder, *kind.board, "--lifetime", "1800")
        record = use_on_board(board, kind, load)
        ran_on(
            board,
            f"Cortex-A72, QEMU, {kind.machine} wheel",
            python=board.run("python3 -V").split()[1],
            runtime=f"{record['runtime']} {record['runtime_version']}",
            suite="slow suite",
        )
    finally:
        stop_board(folder)


def release_wheels(kind: Wheels, folder: Path) -> None:
    """Build the wheel, and fetch what it asks for on such a board."""
    made = ["--machine", kind.machine, "--python", "3.11", "-o", folder]
    subprocess.run([sys.executable, RELEASE, *made], check=True, timeout=2400)
    fetch = [sys.executable, "-m", "pip", "download", "-q", "--only-binary=:all:", "-d", folder]
    fetch += ["--python-version", "3.11", "--implementation", "cp"]
    for tag in platform_tags(kind.machine, BOOKWORM_GLIBC):
        fetch += ["--platform", tag]
    subprocess.run([*fetch, *kind.requirements], check=True, timeout=600)


def check_baseline(kind: Wheels, wheel: Path, folder: Path) -> None:
    """The extension module and the program hold no instruction that an old board lacks."""
    baseline = BASELINES[target_of(kind.machine).name]
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if archive.read(name)[:4] == b"\x7fELF"]
        assert len(names) == 2
        for name in names:
            program = Path(archive.extract(name, folder / "unpacked"))
            instructions = instructions_of(baseline.objdump, program)
            assert len(instructions) > 50_000
            assert beyond_without_names(baseline.pattern, instructions) == [], name


def use_on_board(board: Board, kind: Wheels, load: Path) -> dict[str, Any]:
    packed = load.with_suffix(".tar")
    subprocess.run(["tar", "-C", load, "-cf", packed, "."], check=True)
    board.put(packed, "/opt/load.tar")
    board.run("mkdir /opt/load && tar -C /opt/load -xf /opt/load.tar")
    board.run(
        "python3 -m pip install --quiet --break-system-packages --root-user-action=ignore "
        f"--no-index --find-links /opt/load/wheels {kind.install}",
        timeout_s=900,
    )
    measured = board.run(
        "edgeprof measure /opt/load/models/*.onnx --max-secs 10 --json", timeout_s=600
    )
    record: dict[str, Any] = json.loads(measured)
    assert record["runtime"] == "onnxruntime"
    assert record["n_samples"] > 0
    assert record["latency_median_ns"] > 0
    there = board.run("edgeprof predict /opt/load/p.edgp /opt/load/s.jsonl")
    here = edgeprof_command("predict", load / "p.edgp", load / "s.jsonl")
    assert here.returncode == 0, here.stderr
    latencies = [
        [json.loads(line)["latency_ms"] for line in text.splitlines()]
        for text in (here.stdout, there)
    ]
    assert len(latencies[0]) == 5
    np.testing.assert_allclose(latencies[1], latencies[0], rtol=1e-6)
    return record
