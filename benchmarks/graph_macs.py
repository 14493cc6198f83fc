"""Multiply-accumulates of model files, as edgeprof reads them and as onnx-tool counts them.

    python -m pip install --target /tmp/onnx-tool onnx-tool tabulate
    PYTHONPATH=/tmp/onnx-tool python benchmarks/graph_macs.py model.onnx other.onnx@x=1,3,224,224

A model with open shapes has them after ``@``. The other tool counts operations of every operator
as MACs; compared are the products alone (convolutions, matrices, recurrent cells). It adds one MAC
per output where there is a bias. Operators that differ by more than that are printed with both
counts.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from edgeprof.networks import read_network
from edgeprof.networks.work import PRODUCT_KINDS


def read_argument(text: str) -> tuple[Path, dict[str, tuple[int, ...]]]:
    """Split ``model.onnx@x=1,3,224,224@y=1`` into the path and the shapes."""
    path, *shapes = text.split("@")
    pairs = (shape.rsplit("=", 1) for shape in shapes)
    return Path(path), {name: tuple(map(int, sizes.split(","))) for name, sizes in pairs}


def macs_of_tool(path: Path, shapes: dict[str, tuple[int, ...]]) -> dict[str, int]:
    """Return onnx-tool's MACs by operator."""
    import onnx_tool

    model = onnx.load(str(path), load_external_data=False)
    for tensor in model.graph.initializer:
        if tensor.external_data:  # may be missing, and any value will do
            dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
            tensor.CopyFrom(numpy_helper.from_array(np.zeros(tensor.dims, dtype), tensor.name))
    graph = onnx_tool.Model(model, {"constant_folding": True, "verbose": False}).graph
    graph.shape_infer({name: np.zeros(sizes, np.float32) for name, sizes in shapes.items()} or None)
    graph.profile()
    found: dict[str, int] = defaultdict(int)
    for node in graph.nodemap.values():
        found[node.op_type] += int(np.sum(node.macs[0] if np.ndim(node.macs) else node.macs or 0))
    return found


def macs_of_edgeprof(
    path: Path, shapes: dict[str, tuple[int, ...]]
) -> tuple[dict[str, int], dict[str, int]]:
    """Return edgeprof's MACs by operator, and the additions of biases."""
    model = onnx.load(str(path), load_external_data=False)
    biased = {
        node.output[0]
        for node in model.graph.node
        if node.op_type in ("Conv", "ConvTranspose", "Gemm") and len(node.input) > 2
    }
    macs: dict[str, int] = defaultdict(int)
    biases: dict[str, int] = defaultdict(int)
    for layer in read_network(path, shapes=shapes).work:
        if layer.kind in PRODUCT_KINDS:
            operator = layer.operator.rpartition("::")[2]
            macs[operator] += layer.macs
            biases[operator] += layer.elements_written if layer.name in biased else 0
    return macs, biases


def main() -> None:
    """Print a line for each model."""
    print(f"{'model':44} {'edgeprof':>15} {'onnx-tool':>15}  differs in")
    for text in sys.argv[1:]:
        path, shapes = read_argument(text)
        ours, biases = macs_of_edgeprof(path, shapes)
        try:
            other = macs_of_tool(path, shapes)
        except Exception as error:  # of any type: the other tool reads fewer models
            print(f"{path.stem:44.44} {sum(ours.values()):15,} {'-':>15}  {type(error).__name__}")
            continue
        differ = [
            f"{operator}: {macs:,} / {other.get(operator, 0):,}"
            for operator, macs in ours.items()
            if other.get(operator, 0) not in (macs, macs + biases[operator])
        ]
        theirs = sum(other.get(operator, 0) for operator in ours)
        print(f"{path.stem:44.44} {sum(ours.values()):15,} {theirs:15,}  {'; '.join(differ)}")


if __name__ == "__main__":
    main()
