"""Accuracy models: subnets in, top-1 out.

Owns: which file is read by which model. ``capacity-proxy`` is for those who have nothing yet and
is no accuracy.
"""

from __future__ import annotations

from pathlib import Path

from edgeprof.accuracy.base import Accuracies, AccuracyModel
from edgeprof.base.errors import PredictorFormatError
from edgeprof.networks.spaces.base import SearchSpace

__all__ = ["CAPACITY_PROXY", "Accuracies", "AccuracyModel", "load_accuracy"]

CAPACITY_PROXY = "capacity-proxy"


def load_accuracy(source: str | Path, space: SearchSpace) -> AccuracyModel:
    """Load an accuracy model for subnets of a space.

    Args:
        source: ``capacity-proxy``, or a file: ``.npz`` or ``.pth`` (OFA's predictor), ``.onnx``
            (OFA's 128 inputs), ``.edgp`` (made by ``edgeprof accuracy compact``), ``.host.npz``
            (made by ``edgeprof accuracy fit``).
        space: the space that is searched.

    Raises:
        PredictorFormatError: if the file is missing, broken, or for another space.
        SearchError: if the model cannot describe this space.
    """
    if str(source) == CAPACITY_PROXY:
        from edgeprof.accuracy.proxy import CapacityProxy

        return CapacityProxy(space)
    path = Path(source)
    if not path.is_file():
        raise PredictorFormatError(
            f"accuracy model {source}: no such file; give a .npz, .pth, .onnx or .edgp, "
            f"or '{CAPACITY_PROXY}'"
        )
    if path.suffix == ".edgp" or path.name.endswith(".host.npz"):
        from edgeprof.accuracy.fitted import load_fitted

        return load_fitted(path, space)
    if path.suffix == ".onnx":
        from edgeprof.accuracy.onnx_model import OnnxAccuracy

        return OnnxAccuracy(path, space)
    if path.suffix in (".npz", ".pth"):
        from edgeprof.accuracy.weights import load_ofa_mlp

        return load_ofa_mlp(path, space)
    raise PredictorFormatError(
        f"accuracy model {path}: unknown kind {path.suffix!r}; give a .npz, .pth, .onnx or .edgp"
    )
