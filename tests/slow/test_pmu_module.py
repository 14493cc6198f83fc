"""The kernel module that opens the cycle counter builds against Debian's arm64 kernels."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tree import ROOT, SCRIPTS

BUILD = ROOT / "tools/virtual_board/build_module.sh"
SOURCE = SCRIPTS / "pmu_access"

pytestmark = [
    pytest.mark.board,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not SCRIPTS.is_dir(), reason="no firmware_scripts beside the tests"),
    pytest.mark.skipif(
        not all(map(shutil.which, ["aarch64-linux-gnu-gcc", "make", "apt-get", "dpkg-deb"])),
        reason="needs Debian's aarch64-linux-gnu-gcc, make and apt",
    ),
]

OPENS_COUNTER = re.compile(
    r"mrs\t(x\d+), pmuserenr_el0\n.*\torr\t\1, \1, #0x4\n.*\tmsr\tpmuserenr_el0, \1\n"
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    # Package lists and headers are kept between runs where the user says where.
    folder = os.environ.get("EDGEPROF_CACHE")
    path = Path(folder) if folder else tmp_path_factory.mktemp("cache")
    path.mkdir(parents=True, exist_ok=True)
    return path


@pytest.mark.parametrize(("suite", "kernel"), [("bookworm", "6.1."), ("bullseye", "5.10.")])
def test_the_module_builds_and_opens_the_cycle_counter_only(suite, kernel, cache, tmp_path):
    module = tmp_path / "edgeprof_pmu.ko"
    result = subprocess.run(
        ["sh", BUILD, cache, suite, "arm64", SOURCE, module], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert f"vermagic={kernel}".encode() in module.read_bytes()
    code = subprocess.run(
        ["aarch64-linux-gnu-objdump", "-d", module], capture_output=True, text=True, check=True
    ).stdout
    for register in ("pmuserenr_el0", "pmcntenset_el0", "pmcntenclr_el0", "pmcr_el0"):
        assert f"msr\t{register}" in code
    # Each write but the one that restores adds bit 2 (CR) to what was set, and nothing else; bit 0
    # (EN) would let user space write every counter.
    opens = OPENS_COUNTER.findall(code)
    assert opens
    assert code.count("msr\tpmuserenr_el0") == len(opens) + 1
    assert not list(SOURCE.glob("*.o")), "the build must not write into the source folder"
