"""The cross-built board program under user-mode emulation: real models, the runtimes of boards.

A processor is emulated here and nothing else: no counters, no board's kernel. What is proven is
that the program starts, opens the runtime's library from the wheel for the board, and computes what
the host computes.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from board_table import ran
from tree import SUPPORT

from edgeprof.boards.board_runtimes import fetch_runtime
from edgeprof.boards.toolchain import build_harness
from edgeprof.export import export_subnets
from edgeprof.measuring.harness import PROGRAM
from edgeprof.measuring.runtimes import find_runtime
from edgeprof.networks.subnet import Subnet

pytestmark = [pytest.mark.board, pytest.mark.timeout(900)]

HOST_PROGRAM = PROGRAM

# A Raspberry Pi 4: what the runtimes' processor detection looks for. Without it, the host's own
# description shines through the emulator, and ONNX Runtime crashes on it.
CPUINFO = """processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid half thumb vfp edsp neon vfpv3 tls vfpv4 idiva idivt
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3
"""


@dataclass(frozen=True)
class Emulator:
    """User-mode emulation of one kind of processor."""

    target: str
    command: str
    libraries: Path
    undefined: str  # an instruction that no processor of this kind has

    @property
    def compiler(self) -> str:
        return f"{self.libraries.name}-gcc"


EMULATORS = [
    Emulator("aarch64", "qemu-aarch64-static", Path("/usr/aarch64-linux-gnu"), ".inst 0"),
    Emulator("armv7", "qemu-arm-static", Path("/usr/arm-linux-gnueabihf"), ".inst.n 0xde00"),
]
FAKE_RUNTIME = SUPPORT / "fake_tflite_c.c"


@pytest.fixture(params=EMULATORS, ids=lambda emulator: emulator.target, scope="module")
def emulator(request: pytest.FixtureRequest) -> Emulator:
    """Return an emulator that is installed here."""
    chosen: Emulator = request.param
    if shutil.which(chosen.command) is None:
        pytest.skip(f"{chosen.command} is not installed (Debian: qemu-user-static)")
    if not (chosen.libraries / "lib").is_dir():
        pytest.skip(f"no cross compiler for {chosen.target} is installed here")
    return chosen


@pytest.fixture(scope="module")
def run_on(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> list[str | Path]:
    """Return the command that runs the cross-built board program in the emulator."""
    prefix = tmp_path_factory.mktemp(f"root-{emulator.target}")
    (prefix / "lib").symlink_to(emulator.libraries / "lib")
    (prefix / "proc").mkdir()
    (prefix / "proc" / "cpuinfo").write_text(CPUINFO, encoding="utf-8")
    cpus = prefix / "sys" / "devices" / "system" / "cpu"
    cpus.mkdir(parents=True)
    for name in ("possible", "present", "online"):
        (cpus / name).write_text("0\n", encoding="utf-8")
    program = build_harness(emulator.target, toolchain="debian").path
    return [emulator.command, "-L", prefix, program]


@pytest.fixture(scope="module", params=["onnx", "tflite"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the exported smallest subnet of OFA-MobileNetV3, in each format."""
    subnet = Subnet("ofa-mbv3-w1.0", ks=(3,) * 20, e=(3,) * 20, d=(2,) * 5, r=128)
    folder = tmp_path_factory.mktemp("models")
    export_subnets([subnet], folder, format=request.param)
    return next(folder.glob(f"*.{request.param}"))


def run_job(program: list[str | Path], job: dict[str, object]) -> dict[str, Any]:
    record = any_record(program, job)
    assert "error" not in record, record["error"]
    return record


def any_record(program: list[str | Path], job: dict[str, object]) -> dict[str, Any]:
    done = subprocess.run(
        [*program, "run"],
        input=json.dumps(job) + "\n",
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    return record


def job_of(model: Path, runtime: str, library: Path, outputs: Path) -> dict[str, object]:
    return {
        "model": str(model),
        "runtime": runtime,
        "library": str(library),
        "min_samples": 1,
        "max_samples": 2,
        "min_secs": 0,
        "max_secs": 20,
        "seed": 7,
        "outputs_file": str(outputs),
    }


def test_program_starts_and_knows_its_version(run_on: list[str | Path]) -> None:
    done = subprocess.run([*run_on, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"edgeprof-harness {version('edgeprof')}"


def test_subnet_gives_the_outputs_that_it_gives_on_the_host(
    emulator: Emulator, run_on: list[str | Path], model: Path, tmp_path: Path
) -> None:
    runtime = "onnxruntime" if model.suffix == ".onnx" else "litert"
    if runtime == "litert" and emulator.target == "armv7":
        pytest.skip("no package brings LiteRT to 32-bit ARM")
    fetched = fetch_runtime(emulator.target, runtime, (2, 36))
    emulated = run_job(run_on, job_of(model, runtime, fetched.path, tmp_path / "there"))
    run_job([HOST_PROGRAM], job_of(model, runtime, find_runtime(runtime).path, tmp_path / "here"))
    there = np.fromfile(tmp_path / "there", dtype=np.float32)
    here = np.fromfile(tmp_path / "here", dtype=np.float32)
    assert there.size == here.size == 1000
    assert np.abs(here).max() > 1e-3
    np.testing.assert_allclose(there, here, atol=1e-4)
    assert emulated["summary"]["latency_median_ns"] > 0
    ran(
        f"{emulator.target}, qemu-user",
        "glibc 2.36 of Debian",
        runtime=f"{runtime} ({fetched.package})",
        counter="none there",
        suite="every CI run",
    )


@pytest.mark.parametrize("signal", [4, 11], ids=["SIGILL", "SIGSEGV"])
def test_runtime_that_dies_is_an_error_naming_library_version_and_signal(
    signal: int, emulator: Emulator, run_on: list[str | Path], tmp_path: Path
) -> None:
    act = f'asm volatile("{emulator.undefined}")' if signal == 4 else "*(volatile int*)8 = 1"
    dying = tmp_path / "dying.c"
    dying.write_text(f"int TfLiteInterpreterInvoke(void* i) {{ {act}; return i == 0; }}\n")
    library = tmp_path / "libdying.so"
    compile_it = [emulator.compiler, "-shared", "-fPIC", "-DTfLiteInterpreterInvoke=unused"]
    subprocess.run([*compile_it, FAKE_RUNTIME, "-c", "-o", tmp_path / "fake.o"], check=True)
    subprocess.run(
        [emulator.compiler, "-shared", "-fPIC", tmp_path / "fake.o", dying, "-o", library],
        check=True,
    )
    model = tmp_path / "model.tflite"
    model.write_bytes(b"T")
    job = {"model": str(model), "runtime": "tflite_c", "library": str(library)}
    error = any_record(run_on, job)["error"]
    assert error["kind"] == "HarnessCrashed"
    assert f"{library} (tflite_c 2.99.0-fake) died of signal {signal} " in error["message"]
