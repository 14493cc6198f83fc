"""tflite-runtime's interpreter, made for csrc/python/bind_tflite_runtime.cpp.

Owns: what only Python can do with these wheels, which export no C API: import the package, make an
interpreter, give it shapes, tell where its tensors lie. Inference is not run from here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgeprof.base.errors import InvalidJob, InvalidModel, RuntimeUnavailable, UnsupportedModel

_KERNEL_MODES = {
    "xnnpack": "AUTO",
    "builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "reference": "BUILTIN_REF",
}
_INSTALL = "pip install tflite-runtime 'numpy<2' (wheels exist up to Python 3.11)"


def open_package(library: str) -> str:
    """Import the package that a library belongs to; return its release.

    Raises:
        RuntimeUnavailable: the package cannot be imported here, or it is another one.
    """
    try:
        import tflite_runtime
        from tflite_runtime import interpreter  # noqa: F401  the library is opened by this
    except (ImportError, AttributeError) as error:
        raise RuntimeUnavailable(
            f"{library}: tflite-runtime cannot be imported: {error}; {_INSTALL}"
        ) from error
    imported = Path(tflite_runtime.__file__).parent
    if not imported.samefile(Path(library).parent):
        raise RuntimeUnavailable(
            f"{library}: Python imports {imported} instead; only one tflite-runtime can be used"
        )
    return str(tflite_runtime.__version__)


class TfliteModel:
    """A model in an interpreter of its own.

    Args:
        path: the model file.
        threads: of the interpreter.
        kernel_mode: ``xnnpack``, ``builtin`` or ``reference``.

    Raises:
        InvalidJob: an unknown ``kernel_mode``.
        InvalidModel, UnsupportedModel: the file is no model, or one the release cannot run.
        RuntimeUnavailable: the package was built for an older numpy.
    """

    def __init__(self, path: str, threads: int, kernel_mode: str) -> None:
        from tflite_runtime.interpreter import Interpreter, OpResolverType

        if kernel_mode not in _KERNEL_MODES:
            raise InvalidJob(
                "runtime option 'kernel_mode': expected " + ", ".join(sorted(_KERNEL_MODES))
            )
        self._path = path
        try:
            self._interpreter: Any = Interpreter(
                model_path=path,
                num_threads=threads,
                experimental_op_resolver_type=OpResolverType[_KERNEL_MODES[kernel_mode]],
            )
        except SystemError as error:  # what numpy's C interface of another release comes to
            raise RuntimeUnavailable(
                f"tflite-runtime does not work with {_numpy()}; {_INSTALL}"
            ) from error
        except (RuntimeError, ValueError) as error:
            raise self._refusal(error) from error

    def inputs(self) -> list[tuple[str, str, list[int]]]:
        """List name, type and shape of the inputs; dynamic dimensions are negative."""
        return [_describe(details) for details in self._interpreter.get_input_details()]

    def outputs(self) -> list[tuple[str, str, list[int]]]:
        """List name, type and shape of the outputs, as allocated."""
        return [
            (name, kind, [int(n) for n in details["shape"]])
            for details in self._interpreter.get_output_details()
            for name, kind, _ in [_describe(details)]
        ]

    def allocate(self, shapes: Sequence[Sequence[int]]) -> None:
        """Give the inputs their shapes and all tensors their memory."""
        for details, shape in zip(self._interpreter.get_input_details(), shapes, strict=True):
            if list(details["shape"]) != list(shape):
                self._interpreter.resize_tensor_input(details["index"], list(shape))
        try:
            self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise UnsupportedModel(
                f"{self._path}: its tensors cannot be allocated: {_one_line(error)}"
            ) from error

    def handle(self) -> int:
        """Return the address of the C++ interpreter."""
        return int(self._interpreter._native_handle())

    def input_memory(self) -> list[tuple[int, int]]:
        """List address and bytes of the inputs."""
        views = [
            self._interpreter.tensor(details["index"])()
            for details in self._interpreter.get_input_details()
        ]
        return [(int(view.__array_interface__["data"][0]), int(view.nbytes)) for view in views]

    def output_bytes(self, index: int) -> bytes:
        """Copy an output of the last inference."""
        details = self._interpreter.get_output_details()[index]
        return bytes(self._interpreter.get_tensor(details["index"]).tobytes())

    def count_delegates(self) -> int:
        """Count the parts of the graph that a delegate has taken over."""
        operators = self._interpreter._get_ops_details()
        return sum(operator["op_name"] == "DELEGATE" for operator in operators)

    def _refusal(self, error: Exception) -> InvalidModel | UnsupportedModel:
        reason = _one_line(error)
        if "op " in reason.lower() or "opcode" in reason.lower():
            return UnsupportedModel(f"{self._path}: tflite-runtime cannot prepare it: {reason}")
        return InvalidModel(
            f"{os.fspath(self._path)}: is no TFLite model, or a truncated one: {reason}"
        )


def _describe(details: dict[str, Any]) -> tuple[str, str, list[int]]:
    import numpy as np

    shape = details["shape_signature"] if len(details["shape_signature"]) else details["shape"]
    return details["name"], np.dtype(details["dtype"]).name, [int(n) for n in shape]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _numpy() -> str:
    import numpy as np

    return f"numpy {np.__version__}"
