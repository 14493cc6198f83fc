"""Optional packages: which extra brings which, and the one error where a package is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edgeprof.base.errors import MissingDependency

EXTRA_OF = {
    "ai_edge_litert": "tflite",
    "asyncssh": "host",
    "cmake": "cross",
    "distributed": "dask",
    "elftools": "cross",
    "flatbuffers": "host",
    "matplotlib": "host",
    "ninja": "cross",
    "onnx": "host",
    "onnxruntime": "onnx",
    "pandas": "notebook",
    "pyarrow": "parquet",
    "scipy": "host",  # scikit-learn requires it
    "sklearn": "host",
    "yaml": "host",
    "ziglang": "cross",
}
"""Importable package, or program of a package -> the extra of edgeprof that installs it."""


def install_with(package: str) -> str:
    """Return the command that installs a package with its extra."""
    return f"pip install 'edgeprof[{EXTRA_OF.get(package.partition('.')[0], 'all')}]'"


def missing(package: str, purpose: str) -> MissingDependency:
    """Return the error that says what needs a package, and how to install it."""
    return MissingDependency(
        f"{purpose} needs {package}; run: {install_with(package)}", module=package
    )


@contextmanager
def optional(purpose: str) -> Iterator[None]:
    """Import optional packages in this block.

    Args:
        purpose: what needs them, as the start of a sentence: ``"reading ONNX models"``.

    Raises:
        MissingDependency: naming the package that is not installed, and its extra.
    """
    try:
        yield
    except ImportError as error:
        raise missing(error.name or str(error), purpose) from error
