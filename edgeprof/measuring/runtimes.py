"""Inference runtimes of this machine: where their libraries lie.

Owns: the order of search (what the caller names, an environment variable, an installed Python
package, the system's folders) and which package brings which runtime. Does not open a library: a
build for another processor dies at that, so only the harness does, in a process of its own.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgeprof.base.errors import RuntimeUnavailable


@dataclass(frozen=True)
class _Source:
    """Where one runtime may be found: a package's folder (module, folder inside), file patterns."""

    variable: str
    modules: tuple[tuple[str, str], ...]
    patterns: tuple[str, ...]
    suffixes: tuple[str, ...]
    remedy: str


_SOURCES = {
    "onnxruntime": _Source(
        variable="EDGEPROF_ONNXRUNTIME",
        modules=(("onnxruntime", "capi"), ("sherpa_onnx", "lib")),
        patterns=("libonnxruntime.so*", "libonnxruntime*.dylib"),
        suffixes=(".onnx", ".ort"),
        remedy="pip install 'edgeprof[onnx]'",
    ),
    "litert": _Source(
        variable="EDGEPROF_LITERT",
        modules=(("ai_edge_litert", "."),),
        patterns=("libLiteRt.so*", "libLiteRt.dylib", "libLiteRtRuntimeCApi.so*"),
        suffixes=(".tflite",),
        remedy="pip install 'edgeprof[tflite]'",
    ),
    "tflite_c": _Source(
        variable="EDGEPROF_TFLITE_C",
        modules=(),
        patterns=("libtensorflowlite_c.so*", "libtensorflowlite_c.dylib"),
        suffixes=(".tflite",),
        remedy="build or install libtensorflowlite_c.so",
    ),
    # Driven through Python: the library is the package's own extension module.
    "tflite_runtime": _Source(
        variable="EDGEPROF_TFLITE_RUNTIME",
        modules=(("tflite_runtime", "."),),
        patterns=("_pywrap_tensorflow_interpreter_wrapper*.so",),
        suffixes=(".tflite",),
        remedy="pip install tflite-runtime 'numpy<2' (wheels exist up to Python 3.11)",
    ),
}

_SYSTEM_FOLDERS = (
    "/usr/local/lib",
    f"/usr/lib/{sysconfig.get_config_var('MULTIARCH')}",
    "/usr/lib64",
    "/usr/lib",
)

RUNTIMES = tuple(_SOURCES)
"""Names of all runtimes, as jobs and options have them."""

PYTHON_RUNTIMES = ("tflite_runtime",)
"""Those that only Python can open: the harness program cannot, nor can a board without Python."""


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
    source = _source_of(runtime)
    if library is not None:
        return _named(runtime, Path(library), "option")
    if named := os.environ.get(source.variable):
        return _named(runtime, Path(named), f"environment variable {source.variable}")
    for found_by, folder in _folders(source):
        for path in _matches(folder, source.patterns):
            return RuntimeLibrary(runtime, path, found_by)
    raise RuntimeUnavailable(
        f"no library of the runtime {runtime!r} found on this machine; {source.remedy},"
        f" or name it with --library or {source.variable}",
        runtime=runtime,
    )


def runtime_of(model: str | os.PathLike[str]) -> str:
    """Return the runtime for a model file by its ending; for ``.tflite`` the one that is installed.

    Unknown endings are taken for ONNX: the runtime says what it thinks of the contents.
    """
    suffix = Path(model).suffix.lower()
    names = [name for name, source in _SOURCES.items() if suffix in source.suffixes]
    for name in names:
        try:
            find_runtime(name)
        except RuntimeUnavailable:
            continue
        return name
    return names[0] if names else RUNTIMES[0]


def _source_of(runtime: str) -> _Source:
    if runtime not in _SOURCES:
        known = ", ".join(RUNTIMES)
        raise RuntimeUnavailable(f"unknown runtime {runtime!r}; known: {known}", runtime=runtime)
    return _SOURCES[runtime]


def _named(runtime: str, path: Path, found_by: str) -> RuntimeLibrary:
    if not path.is_file():
        raise RuntimeUnavailable(
            f"{path}: no such library of the runtime {runtime!r} (from {found_by})", runtime=runtime
        )
    return RuntimeLibrary(runtime, path, found_by)


def _folders(source: _Source) -> Iterator[tuple[str, Path]]:
    for module, folder in source.modules:
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
