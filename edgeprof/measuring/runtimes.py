"""Inference runtimes: one table of them, and where their libraries lie on this machine.

Owns: everything that is known of a runtime beforehand, so that a new one is a new entry of the
table (and a backend in ``csrc/runtimes/``); and the order of search for its library (what the
caller names, an environment variable, an installed Python package, the system's folders). Does not
open a library: a build for another processor dies at that, so only the harness does, in a process
of its own.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgeprof.base.errors import RuntimeUnavailable
from edgeprof.base.extras import install_with

FORMAT_OF_SUFFIX = {".onnx": "onnx", ".ort": "onnx", ".tflite": "tflite", ".lite": "tflite"}
FORMATS = tuple(dict.fromkeys(FORMAT_OF_SUFFIX.values()))
"""Formats of model files."""


@dataclass(frozen=True)
class Wheel:
    """A package on the index that holds a runtime's library for boards.

    Attributes:
        name: of the package.
        library: pattern of the library's path in it.
        floors: (glibc, requirement): the newest releases that run with that glibc, by the
            libraries' symbols and not by the wheels' tags, which promise more than they hold.
        targets: the processors, as ``boards.toolchain.TARGETS`` names them.
    """

    name: str
    library: str
    floors: tuple[tuple[tuple[int, ...], str], ...]
    targets: tuple[str, ...]


@dataclass(frozen=True)
class Runtime:
    """What is known of a runtime.

    Attributes:
        formats: the formats of model files that it reads.
        variable: the environment variable that names its library; ``""`` if it has no library.
        modules: (module, folder inside): Python packages that hold the library.
        patterns: names of the library.
        remedy: how to get it onto this machine.
        wheels: where to fetch the library from for boards.
        takes_signature: its option ``signature`` chooses among those of a file.
        needs_python: only Python can open it: the harness program cannot, nor can a board.
    """

    formats: tuple[str, ...]
    variable: str = ""
    modules: tuple[tuple[str, str], ...] = ()
    patterns: tuple[str, ...] = ()
    remedy: str = ""
    wheels: tuple[Wheel, ...] = ()
    needs_python: bool = False
    takes_signature: bool = False


NULL = "null"
"""The runtime of the harness itself, which opens no model: for tests of what is around it."""

TABLE = {
    "onnxruntime": Runtime(
        formats=("onnx",),
        variable="EDGEPROF_ONNXRUNTIME",
        modules=(("onnxruntime", "capi"), ("sherpa_onnx", "lib")),
        patterns=("libonnxruntime.so*", "libonnxruntime*.dylib"),
        remedy=install_with("onnxruntime"),
        wheels=(
            Wheel(
                name="onnxruntime",
                library=r"onnxruntime/capi/libonnxruntime\.so\.[\d.]+",
                floors=(((2, 28), ">=1.29"), ((2, 27), ">=1.19,<1.29")),
                targets=("aarch64", "x86_64"),
            ),
            Wheel(
                name="sherpa-onnx-core",
                library=r"sherpa_onnx/lib/libonnxruntime\.so",
                floors=(((2, 35), ""),),
                targets=("armv7",),
            ),
        ),
    ),
    "litert": Runtime(
        formats=("tflite",),
        takes_signature=True,
        variable="EDGEPROF_LITERT",
        modules=(("ai_edge_litert", "."),),
        patterns=("libLiteRt.so*", "libLiteRt.dylib", "libLiteRtRuntimeCApi.so*"),
        remedy=install_with("ai_edge_litert"),
        wheels=(
            Wheel(
                name="ai-edge-litert",
                library=r"ai_edge_litert/libLiteRt(RuntimeCApi)?\.so",
                floors=(((2, 34), ">=2.1"), ((2, 30), "==1.4.0")),
                targets=("aarch64", "x86_64"),
            ),
        ),
    ),
    "tflite_c": Runtime(
        formats=("tflite",),
        variable="EDGEPROF_TFLITE_C",
        patterns=("libtensorflowlite_c.so*", "libtensorflowlite_c.dylib"),
        remedy="build or install libtensorflowlite_c.so",
    ),
    "tflite_runtime": Runtime(
        formats=("tflite",),
        variable="EDGEPROF_TFLITE_RUNTIME",
        modules=(("tflite_runtime", "."),),
        patterns=("_pywrap_tensorflow_interpreter_wrapper*.so",),  # the package's own extension
        remedy="pip install tflite-runtime 'numpy<2' (wheels exist up to Python 3.11)",
        needs_python=True,
    ),
    NULL: Runtime(formats=FORMATS),
}
"""By name, as jobs and options have it; the first that reads a format is its default."""

RUNTIMES = tuple(name for name in TABLE if name != NULL)
"""Those that a user may choose."""

PYTHON_RUNTIMES = tuple(name for name in RUNTIMES if TABLE[name].needs_python)
BOARD_RUNTIMES = tuple(name for name in TABLE if name not in PYTHON_RUNTIMES)
"""Those that the board program can open."""

_SYSTEM_FOLDERS = (
    "/usr/local/lib",
    f"/usr/lib/{sysconfig.get_config_var('MULTIARCH')}",
    "/usr/lib64",
    "/usr/lib",
)


@dataclass(frozen=True)
class RuntimeLibrary:
    """A runtime's library on this machine.

    Attributes:
        runtime: name of the runtime, one of ``RUNTIMES``.
        path: the shared library.
        found_by: what led to it: ``"option"``, the environment variable, the package, or
            ``"system"``.
    """

    runtime: str
    path: Path
    found_by: str


def find_runtime(runtime: str, library: str | os.PathLike[str] | None = None) -> RuntimeLibrary:
    """Find the library of a runtime.

    Args:
        runtime: one of ``RUNTIMES``.
        library: path given by the user; nothing else is looked at then.

    Raises:
        RuntimeUnavailable: no such library; the message names what to install.
    """
    entry = entry_of(runtime)
    if library is not None:
        return _named(runtime, Path(library), "option")
    if named := os.environ.get(entry.variable):
        return _named(runtime, Path(named), f"environment variable {entry.variable}")
    for found_by, folder in _folders(entry):
        for path in _matches(folder, entry.patterns):
            return RuntimeLibrary(runtime, path, found_by)
    raise RuntimeUnavailable(
        f"no library of the runtime {runtime!r} found on this machine; {entry.remedy},"
        f" or name it with --library or {entry.variable}",
        runtime=runtime,
    )


def find_library(
    runtime: str, library: str | os.PathLike[str] | None = None
) -> RuntimeLibrary | None:
    """Find the library of a runtime as ``find_runtime`` does; ``None`` if it has none."""
    return find_runtime(runtime, library) if entry_of(runtime).variable else None


def default_runtime(model_format: str) -> str:
    """Return the runtime that reads a format where none is named."""
    return _readers(model_format)[0]


def runtime_of(model: str | os.PathLike[str]) -> str:
    """Return the runtime for a model file by its ending, the first that is installed here.

    Unknown endings are taken for ONNX: the runtime says what it thinks of the contents.
    """
    names = _readers(FORMAT_OF_SUFFIX.get(Path(model).suffix.lower(), "onnx"))
    for name in names:
        with suppress(RuntimeUnavailable):
            return find_runtime(name).runtime
    return names[0]


def entry_of(runtime: str) -> Runtime:
    """Return what is known of a runtime.

    Raises:
        RuntimeUnavailable: there is none of this name.
    """
    if runtime not in TABLE:
        known = ", ".join(RUNTIMES)
        raise RuntimeUnavailable(f"unknown runtime {runtime!r}; known: {known}", runtime=runtime)
    return TABLE[runtime]


def _readers(model_format: str) -> list[str]:
    return [name for name in RUNTIMES if model_format in TABLE[name].formats]


def _named(runtime: str, path: Path, found_by: str) -> RuntimeLibrary:
    if not path.is_file():
        raise RuntimeUnavailable(
            f"{path}: no such library of the runtime {runtime!r} (from {found_by})", runtime=runtime
        )
    return RuntimeLibrary(runtime, path, found_by)


def _folders(entry: Runtime) -> Iterator[tuple[str, Path]]:
    for module, folder in entry.modules:
        # Finding is not importing: the package's own copy of the runtime is never loaded.
        spec = importlib.util.find_spec(module)
        for root in (spec.submodule_search_locations or []) if spec else []:
            yield f"package {module}", Path(root) / folder
    for folder in (*os.environ.get("LD_LIBRARY_PATH", "").split(":"), *_SYSTEM_FOLDERS):
        if folder:
            yield "system", Path(folder)


def _matches(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    for pattern in patterns:
        if found := sorted(folder.glob(pattern), key=_version_key, reverse=True):
            return found
    return []


def _version_key(path: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", path.name))
