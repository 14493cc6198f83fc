"""An accuracy model as an ONNX file with OFA's 128 inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgeprof.accuracy.base import Accuracies
from edgeprof.base.errors import PredictorFormatError
from edgeprof.base.extras import optional
from edgeprof.networks.spaces.base import Codes, SearchSpace
from edgeprof.networks.spaces.ofa_encoding import OFA_INPUTS, OfaEncoding


class OnnxAccuracy:
    """Runs an ONNX model from float32 (n, 128) to one number per row.

    Raises:
        PredictorFormatError: if the file is no such model.
        MissingDependency: without onnxruntime.
    """

    is_proxy = False

    def __init__(self, path: Path, space: SearchSpace) -> None:
        with optional(f"{path}: an ONNX accuracy model"):
            import onnxruntime

        self.name = path.name
        self._path = path
        self._encode = OfaEncoding(space)
        self.resolutions = self._encode.resolutions
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # batches are small; threads cost more than they give
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime raises classes of its own, without a common base
            reason = str(error).splitlines()[0]
            raise PredictorFormatError(f"{path}: onnxruntime cannot load it: {reason}") from error
        inputs = self._session.get_inputs()
        shape = inputs[0].shape if len(inputs) == 1 else None
        if shape is None or len(shape) != 2 or shape[1] != OFA_INPUTS:
            raise PredictorFormatError(
                f"{path}: takes {[item.shape for item in inputs]}, want one input of shape "
                f"[n, {OFA_INPUTS}] (OFA's encoding)"
            )
        self._input = inputs[0].name
        self._batch = shape[0] if isinstance(shape[0], int) else None
        self._check_output()

    def _check_output(self) -> None:
        probe = np.zeros((self._batch or 2, OFA_INPUTS), dtype=np.float32)
        try:
            out = self._session.run(None, {self._input: probe})[0]
        except Exception as error:  # see above
            reason = str(error).splitlines()[0]
            raise PredictorFormatError(f"{self._path}: does not run: {reason}") from error
        if np.asarray(out).size != len(probe):
            raise PredictorFormatError(
                f"{self._path}: gives shape {np.asarray(out).shape} for {len(probe)} rows, "
                f"want one number per row"
            )

    def predict_codes(self, codes: Codes) -> Accuracies:
        """See ``AccuracyModel``; a model of fixed batch is run in batches, the last one padded."""
        inputs = self._encode(codes)
        size = self._batch or max(len(inputs), 1)
        values = np.empty(len(inputs), dtype=np.float64)
        for start in range(0, len(inputs), size):
            part = inputs[start : start + size]
            padded = np.zeros((size, OFA_INPUTS), dtype=np.float32)
            padded[: len(part)] = part
            out = np.asarray(self._session.run(None, {self._input: padded})[0]).reshape(-1)
            values[start : start + len(part)] = out[: len(part)]
        return values
