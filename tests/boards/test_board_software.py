"""Which program and which library a board gets, and the line it is refused with."""

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from loopback_fleet import wait_until

import edgeprof.boards.deploy
from edgeprof.base.errors import BoardSetupError
from edgeprof.base.files import sha256_of
from edgeprof.boards.deploy import check_cores, find_software
from edgeprof.boards.elf import ElfFacts
from edgeprof.boards.facts import BoardFacts
from edgeprof.boards.inventory import BoardSpec
from edgeprof.boards.toolchain import HarnessBuild
from edgeprof.runs.settings import ProfileSettings

BOARD = BoardSpec("b", "b", runtime="null")
FACTS = BoardFacts(
    "/home/pi/.edgeprof", "armv7l", "6.1", (2, 24), 4, None, 1 << 30, frozenset(), (), (0, 1, 2, 3)
)


@pytest.fixture
def builds(tmp_path, monkeypatch):
    """Stands in for the compiler: notes what is asked for, makes a program that needs ``glibc``."""
    asked = []
    program = tmp_path / "edgeprof-harness"
    program.write_bytes(b"\x7fELF")

    def build(target, *, glibc):
        asked.append((target, glibc))
        facts = ElfFacts(
            **{
                **{field.name: None for field in dataclasses.fields(ElfFacts)},
                "machine": "armv7l",
                "glibc": build.glibc,
                "needed": (),
            }
        )
        return HarnessBuild(program, target, facts, "0" * 64, False)

    build.glibc = (2, 17)
    build.asked = asked
    monkeypatch.setattr(edgeprof.boards.deploy, "build_harness", build)
    return build


def test_a_program_is_built_for_the_boards_own_c_library(builds):
    find_software(BOARD, FACTS)
    find_software(BOARD, dataclasses.replace(FACTS, glibc=(2, 36)))
    assert builds.asked == [("armv7", "2.24"), ("armv7", None)]


@pytest.mark.parametrize("glibc", [(2, 24), None])
def test_a_program_that_the_boards_c_library_is_too_old_for_is_not_sent(builds, glibc):
    builds.glibc = (2, 34)
    with pytest.raises(BoardSetupError, match=r"board b: the board program needs glibc 2\.34"):
        find_software(BOARD, dataclasses.replace(FACTS, glibc=glibc))


@pytest.mark.usefixtures("builds")
def test_a_library_of_the_users_own_is_sent(tmp_path):
    own = tmp_path / "libtensorflowlite_c.so"
    board = dataclasses.replace(BOARD, runtime="tflite_c", library=own)
    with pytest.raises(BoardSetupError, match=r"board b: library .*: no such file"):
        find_software(board, FACTS)
    own.write_bytes(b"\x7fELF\0GLIBC_2.4\0GLIBC_2.17\0")
    software = find_software(board, FACTS)
    assert software.library is not None
    assert software.library.source == own
    own.write_bytes(b"\x7fELF\0GLIBC_2.34\0")
    with pytest.raises(BoardSetupError, match=r"needs glibc 2\.34, the board has 2\.24"):
        find_software(board, FACTS)


def test_a_build_for_one_processor_keeps_no_board_with_another_waiting(builds, monkeypatch):
    other_is_found = threading.Event()

    def slow(target, **more):
        if target == "armv7":
            assert other_is_found.wait(60)
        return builds(target, **more)

    monkeypatch.setattr(edgeprof.boards.deploy, "build_harness", slow)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(find_software, BOARD, FACTS)
        pool.submit(find_software, BOARD, dataclasses.replace(FACTS, architecture="aarch64"))
        wait_until(lambda: builds.asked)
        other_is_found.set()
        first.result()
    assert [target for target, _ in builds.asked] == ["aarch64", "armv7"]


def test_cores_that_the_board_lacks_are_one_error():
    check_cores(dataclasses.replace(BOARD, cores=(0, 3)), FACTS)
    check_cores(dataclasses.replace(BOARD, cores=(9,)), dataclasses.replace(FACTS, online=()))
    with pytest.raises(BoardSetupError, match=r"board b: no core 4-5 there, only 0-3"):
        check_cores(dataclasses.replace(BOARD, cores=(3, 4, 5)), FACTS)


@pytest.mark.parametrize(
    ("runtime", "wanted", "other"),
    [
        ("litert", "tflite", "onnx"),
        ("tflite_c", "tflite", "onnx"),
        ("onnxruntime", "onnx", "tflite"),
    ],
)
def test_a_runtime_that_cannot_read_the_models_is_refused_beforehand(runtime, wanted, other):
    board = dataclasses.replace(BOARD, runtime=runtime)
    ProfileSettings(format=wanted).check_runtime(board)
    with pytest.raises(BoardSetupError, match=f"use --format {wanted}"):
        ProfileSettings(format=other).check_runtime(board)


def test_a_folder_with_a_backslash_is_probed_as_it_is(tmp_path):
    import asyncio

    from edgeprof.boards.facts import read_facts
    from edgeprof.boards.transport import LocalTransport

    folder = tmp_path / r"a\new"
    facts = asyncio.run(
        read_facts(LocalTransport(), dataclasses.replace(BOARD, folder=str(folder)))
    )
    assert Path(facts.folder) == folder
    assert facts.online


@pytest.mark.usefixtures("builds")
def test_the_runtime_that_a_board_has_is_found_there_and_not_sent(tmp_path):
    import asyncio

    from edgeprof.boards.facts import read_facts
    from edgeprof.boards.transport import LocalTransport

    path = tmp_path / "libonnxruntime.so.1.23.2"
    path.write_bytes(b"a build of its own")
    own = dataclasses.replace(
        BOARD, runtime="onnxruntime", folder=str(tmp_path / "f"), own_library=f"{tmp_path}/libonnx*"
    )
    found = asyncio.run(read_facts(LocalTransport(), own))
    facts = dataclasses.replace(FACTS, library=found.library)
    software = find_software(own, facts)
    assert software.library is not None
    assert software.library.sha256 == sha256_of(path)
    assert software.library.path_on(facts) == str(path)
    assert software.payloads == (software.program,)
    with pytest.raises(BoardSetupError, match="name its path there as 'own_library'"):
        find_software(own, FACTS)
