"""Write the layers of ncnn's benchmark networks as a table, from the graphs in ncnn's repository.

    python benchmarks/ncnn_layers.py NCNN/benchmark/models benchmarks/data/ncnn_layers.csv

The graphs (``*.param``, BSD-3-Clause) say operators and shapes; nothing else of them is kept. Equal
layers of one network stand in one row. Int8 variants have the shapes of the float ones.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterator
from math import ceil, prod
from pathlib import Path

Fields = dict[int, list[float]]
Shape = tuple[int, int, int]  # channels, height, width
COLUMNS = (
    "network", "operator", "kind", "macs", "operations", "read", "written", "weights",
    "in_channels", "out_channels", "height", "width", "out_height", "out_width", "kernel",
    "stride", "groups", "uses",
)  # fmt: skip
INPUTS = {"squeezenet": 227, "alexnet": 227, "blazeface": 128, "vision_transformer": 384,
          "FastestDet": 352, "yolo-fastestv2": 352, "mobilenetv2_yolov3": 352}  # fmt: skip
KINDS = {
    "ReLU": "activation", "GELU": "smooth_activation", "HardSigmoid": "smooth_activation",
    "HardSwish": "smooth_activation", "Sigmoid": "smooth_activation", "Swish": "smooth_activation",
    "Softmax": "softmax", "LayerNorm": "normalization", "LRN": "normalization",
    "BatchNorm": "elementwise", "Reduction": "reduce", "Interp": "resize", "Concat": "move",
    "Permute": "move", "Crop": "move", "Slice": "move", "Padding": "move", "ShuffleChannel": "move",
    "PriorBox": "move", "DetectionOutput": "sort", "YoloDetectionOutput": "sort",
    "Yolov3DetectionOutput": "sort",
}  # fmt: skip
FREE = {"Split", "Input", "MemoryData", "Noop", "Reshape", "Flatten"}


def fields_of(words: list[str]) -> Fields:
    """Return the parameters of one line; -23300 - n is the list of number n."""
    found = {}
    for word in words:
        name, _, value = word.partition("=")
        numbers = [float(part) for part in value.split(",")]
        at = int(name)
        found[-23300 - at if at <= -23300 else at] = numbers[1:] if at <= -23300 else numbers
    return found


def shapes_given(fields: Fields) -> list[Shape]:
    """Return the shapes of the outputs that the line itself says (dimensions, w, h, c each)."""
    numbers = [int(number) for number in fields.get(30, [])]
    found = []
    for dims, w, h, c in zip(*[iter(numbers)] * 4, strict=True):
        found.append((w, 1, 1) if dims == 1 else (1, h, w) if dims == 2 else (c, h, w))
    return found


class Graph:
    """One graph: shapes by name of the tensor, and the layers."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self.shapes: dict[str, Shape] = {}
        self.layers: list[tuple[str, tuple[object, ...]]] = []
        for line in path.read_text(encoding="utf-8").splitlines()[2:]:
            operator, _, n_in, n_out, *words = line.split()
            names, rest = words[: int(n_in) + int(n_out)], words[int(n_in) + int(n_out) :]
            self.read(operator, names[: int(n_in)], names[int(n_in) :], fields_of(rest))

    def read(self, op: str, ins: list[str], outs: list[str], fields: Fields) -> None:
        """Read one line."""
        given = [self.shapes[name] for name in ins]
        found = shapes_given(fields) or self.inferred(op, given, fields, len(outs))
        self.shapes.update(zip(outs, found, strict=True))
        if op not in FREE:
            self.layers += rows_of(op, given, found, fields)

    def inferred(self, op: str, given: list[Shape], fields: Fields, n_outs: int) -> list[Shape]:
        """Return the shapes of the outputs where the line does not say them."""

        def field(at: int, default: int = 0) -> int:
            return int(fields[at][0]) if at in fields else default

        if op == "Input":
            size = INPUTS.get(self.name, 224)
            return [(3, size, size)]
        if op == "MemoryData":
            return [(1, field(1, 1), field(0))]
        first = given[0]
        channels, height, width = first
        if op in ("Convolution", "ConvolutionDepthWise"):
            size = out_size(height, field(1), field(3, 1), 2 * field(4), field(2, 1))
            return [(field(0), size, size)]
        if op == "Pooling":
            if field(4):
                return [(channels, 1, 1)]
            size = out_size(height, field(1), field(2, 1), 2 * field(3), 1, up=field(5) == 0)
            return [(channels, size, size)]
        if op in ("InnerProduct", "Gemm"):
            return [(field(0), 1, 1)] if op == "InnerProduct" else [(1, height, field(8))]
        if op == "Slice":
            return [(channels // n_outs, height, width)] * n_outs
        if op == "Concat" and self.name == "vision_transformer":
            return [(1, sum(shape[1] for shape in given), width)]
        if op == "Concat":
            return [(sum(shape[0] for shape in given), height, width)]
        if op == "Interp":
            return [(channels, int(height * fields[1][0]), int(width * fields[2][0]))]
        if op == "Padding":
            grow_y, grow_x = field(0) + field(1), field(2) + field(3)
            return [(channels + field(7) + field(8), height + grow_y, width + grow_x)]
        if op == "Reshape":
            return [(1, channels, height * width)]
        if op == "Permute" and channels == 1:
            return [(1, width, height)]
        if op == "Crop":
            return [(1, 1, width)]
        return [first] * n_outs


def out_size(size: int, kernel: int, stride: int, pad: int, dilation: int, up: bool = False) -> int:
    if pad < 0:  # "same"
        return ceil(size / stride)
    span = size + pad - dilation * (kernel - 1) - 1
    return (ceil(span / stride) if up else span // stride) + 1


def rows_of(
    op: str, given: list[Shape], found: list[Shape], fields: Fields
) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Yield what a layer asks: (operator, columns from ``kind`` to ``groups``)."""
    inputs, output = given or found, found[0]
    first = inputs[0]
    read, written = sum(map(prod, inputs)), sum(map(prod, found))

    def field(at: int, default: int = 0) -> int:
        return int(fields[at][0]) if at in fields else default

    def row(
        kind: str,
        macs: int,
        operations: int,
        weights: int,
        window: int = 0,
        stride: int = 1,
        groups: int = 1,
        channels: tuple[int, int] = (first[0], output[0]),
        sizes: tuple[int, ...] = (*first[1:], *output[1:]),
    ) -> tuple[str, tuple[object, ...]]:
        numbers = (macs, operations, read, written, weights, *channels, *sizes)
        return op, (kind, *numbers, window, stride, groups)

    if op in ("Convolution", "ConvolutionDepthWise", "DeconvolutionDepthWise"):
        kernel, groups, weights = field(1), field(7, 1), field(6)
        macs = weights * output[1] * output[2]
        kind = "conv" if kernel > 1 else "pointwise"
        if groups > 1:
            kind = "depthwise" if groups == first[0] else "grouped"
        if op.startswith("Deconv"):
            kind, macs = "transposed_conv", weights * first[1] * first[2]
        yield row(kind, macs, 0, weights, kernel, field(3, 1), groups)
    elif op == "InnerProduct":
        yield row("linear", field(2), 0, field(2), channels=(prod(first), output[0]),
                  sizes=(1, 1, 1, 1))  # fmt: skip
    elif op == "Gemm":
        n, k = field(8), field(9)
        yield row("linear", first[1] * n * k, 0, n * k, channels=(k, n), sizes=(first[1], 1) * 2)
    elif op == "MultiHeadAttention":
        width, heads, tokens = field(0), field(1), first[1]
        read, written = tokens * width, tokens * width
        for _ in range(4):
            yield row("linear", tokens * width**2, 0, width**2, channels=(width, width),
                      sizes=(tokens, 1) * 2)  # fmt: skip
        read, written = 2 * tokens * width, heads * tokens**2
        yield row("matmul", tokens**2 * width, 0, 0, groups=heads,
                  channels=(width // heads, tokens), sizes=(tokens, 1) * 2)  # fmt: skip
        yield row("softmax", 0, written, 0)
        read, written = written, tokens * width
        yield row("matmul", tokens**2 * width, 0, 0, groups=heads,
                  channels=(tokens, width // heads), sizes=(tokens, 1) * 2)  # fmt: skip
    elif op == "Pooling":
        kind = "reduce" if field(4) else "avg_pool" if field(0) else "max_pool"
        window = 0 if field(4) else field(1)
        yield row(kind, 0, window**2 * written if window else read, 0, window, field(2, 1))
    elif op in ("BinaryOp", "Eltwise"):
        is_product = field(0) == (2 if op == "BinaryOp" else 0)
        same = len(given) == 2 and prod(given[0]) == prod(given[1])
        kind = "add" if same and not is_product else "scale" if len(given) == 2 else "elementwise"
        yield row(kind, 0, written, 0)
    else:
        kind = KINDS[op]
        work = {"move": 0, "softmax": written, "sort": read}
        yield row(kind, 0, work.get(kind, read if kind == "reduce" else written), 0)


def main() -> None:
    folder, output = Path(sys.argv[1]), Path(sys.argv[2])
    with output.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for path in sorted(folder.glob("*.param")):
            if path.stem.endswith("_int8"):
                continue
            for (op, rest), uses in Counter(Graph(path).layers).items():
                writer.writerow([path.stem, op, *rest, uses])


if __name__ == "__main__":
    main()
