"""A stand-in for tflite_runtime.interpreter (see fake_tflite_runtime.c).

The model file's bytes: "T" loads; "Tc" crashes when it runs; "Tn" behaves as a release does that
was built for another numpy; anything else is refused.
"""

from __future__ import annotations

import ctypes
import enum
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

OpResolverType = enum.Enum("OpResolverType", "AUTO BUILTIN_WITHOUT_DEFAULT_DELEGATES BUILTIN_REF")


class _Memory(ctypes.Structure):
    _fields_ = (("in_", ctypes.c_float * 16), ("out", ctypes.c_float * 16), ("kind", ctypes.c_char))


class Interpreter:
    def __init__(
        self, model_path: str, num_threads: int, experimental_op_resolver_type: OpResolverType
    ) -> None:
        content = Path(model_path).read_bytes()
        if not content.startswith(b"T"):
            raise ValueError("Model provided has model identifier 'odel', should be 'TFL3'\n")
        if content == b"Tn":
            raise SystemError("<built-in method> returned a result with an exception set")
        if content == b"To":
            raise ValueError("Didn't find op for builtin opcode 'CONV_2D' version '99'.")
        self._threads = num_threads
        self._has_delegate = experimental_op_resolver_type is OpResolverType.AUTO
        self._memory = _Memory(kind=content[1:2] or b"T")

    def get_input_details(self) -> list[dict[str, Any]]:
        shape = np.array([1, 16])
        return [
            {"name": "x", "index": 0, "shape": shape, "shape_signature": shape, "dtype": np.float32}
        ]

    def get_output_details(self) -> list[dict[str, Any]]:
        return [{**self.get_input_details()[0], "name": "y", "index": 1}]

    def allocate_tensors(self) -> None: ...

    def tensor(self, index: int) -> Callable[[], Any]:
        return lambda: np.ctypeslib.as_array((self._memory.in_, self._memory.out)[index])

    def get_tensor(self, index: int) -> Any:
        return self.tensor(index)().copy()

    def _get_ops_details(self) -> list[dict[str, str]]:
        return [{"op_name": "MUL"}, *([{"op_name": "DELEGATE"}] if self._has_delegate else [])]

    def _native_handle(self) -> int:
        return ctypes.addressof(self._memory)
