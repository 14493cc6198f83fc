"""The keys of lookup tables, from blocks to text and back.

Owns: the two grammars in use. Both write ``KIND-input:HxWxC-output:HxWxC`` with the fields of an
inverted bottleneck after it; they differ in those fields:

- ``ofa``: ``expand:MID-kernel:K-stride:S-idskip:0|1-se:0|1-hs:0|1``, MID in channels
  (Once-For-All's MobileNetV3 tables);
- ``proxyless``: ``expand:RATIO-kernel:K-stride:S-idskip:0|1`` (ProxylessNAS's ``mobile_trim``).

Source: keys of the published tables.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from edgeprof.base.errors import LookupTableError
from edgeprof.networks.layers import Block, Network, Op, Shape
from edgeprof.networks.spaces.blocks import make_divisible


class Grammar(str, Enum):
    """How the fields of an inverted bottleneck are written."""

    OFA = "ofa"
    PROXYLESS = "proxyless"


class KeyedBlocks(NamedTuple):
    """An entry of a table and the blocks it stands for (pool and classifier may share one)."""

    key: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class BlockKey:
    """A key, taken apart.

    Attributes:
        kind: ``Conv``, ``Conv_1``, ``Conv_2``, ``expanded_conv``, ``AvgPool2D`` or ``Logits``.
        in_shape: of the input.
        output: the output as the key writes it, e.g. ``7x7x320`` or ``1000``.
        mid_channels, kernel, stride, residual, se, h_swish: of an ``expanded_conv``.
    """

    kind: str
    in_shape: Shape
    output: str
    mid_channels: int = 0
    kernel: int = 0
    stride: int = 0
    residual: bool = False
    se: bool = False
    h_swish: bool = False

    def text(self, grammar: Grammar) -> str:
        """Return the key in a grammar.

        Raises:
            LookupTableError: if the grammar cannot say it.
        """
        start = f"{self.kind}-input:{_shape_text(self.in_shape)}-output:{self.output}"
        if self.kind != "expanded_conv":
            return start
        window = f"kernel:{self.kernel}-stride:{self.stride}-idskip:{self.residual:d}"
        if grammar is Grammar.OFA:
            flags = f"se:{self.se:d}-hs:{self.h_swish:d}"
            return f"{start}-expand:{self.mid_channels}-{window}-{flags}"
        if self.se or self.h_swish:
            raise LookupTableError(
                f"key {self.text(Grammar.OFA)!r}: ProxylessNAS tables have no squeeze-and-"
                "excitation and no h_swish; keep OFA's form"
            )
        ratio = round(self.mid_channels / self.in_shape.channels)
        return f"{start}-expand:{ratio}-{window}"


def keyed_blocks(network: Network, grammar: Grammar = Grammar.OFA) -> list[KeyedBlocks]:
    """Return the table entries that make up a network, in order.

    Raises:
        LookupTableError: if a block has no place in lookup tables.
    """
    blocks = [placed.block for placed in network.blocks]
    kinds = [block.kind for block in blocks]
    # Where the classifier follows the pool, tables time both as Logits.
    joined = "global_avg_pool" in kinds and (
        kinds[kinds.index("global_avg_pool") + 1 :] == ["classifier"]
    )
    entries: list[KeyedBlocks] = []
    for index, block in enumerate(blocks):
        if joined and block.kind == "global_avg_pool":
            continue
        members = tuple(blocks[index - 1 :]) if joined and block.kind == "classifier" else (block,)
        name = _NAMES.get(block.kind)
        if block.kind == "feature_mix" and "final_expand" in kinds:
            name = "Conv_2"
        if name is None:
            raise LookupTableError(
                f"network {network.name}: lookup tables have no entry for a {block.kind}; "
                f"they know {', '.join(sorted(_NAMES))}"
            )
        entries.append(KeyedBlocks(_key(name, members).text(grammar), members))
    return entries


_NAMES = {
    "stem": "Conv",
    "inverted_bottleneck": "expanded_conv",
    "final_expand": "Conv_1",
    "feature_mix": "Conv_1",  # Conv_2 where a final expansion comes before it
    "global_avg_pool": "AvgPool2D",
    "classifier": "Logits",
}


def _key(kind: str, blocks: tuple[Block, ...]) -> BlockKey:
    first, last = blocks[0], blocks[-1]
    output = str(last.out_shape.channels) if kind == "Logits" else _shape_text(last.out_shape)
    if kind != "expanded_conv":
        return BlockKey(kind, first.in_shape, output)
    return BlockKey(
        kind,
        first.in_shape,
        output,
        first.mid_channels,
        first.kernel,
        first.stride,
        first.residual,
        first.se,
        first.activation is Op.H_SWISH,
    )


def _shape_text(shape: Shape) -> str:
    return f"{shape.height}x{shape.width}x{shape.channels}"


_KEY = re.compile(
    r"(?P<kind>[A-Za-z]\w*)-input:(?P<h>\d+)x(?P<w>\d+)x(?P<c>\d+)-output:(?P<output>\d+(?:x\d+)*)"
    r"(?:-expand:(?P<expand>\d+)-kernel:(?P<kernel>\d+)-stride:(?P<stride>\d+)"
    r"-idskip:(?P<idskip>[01])(?:-se:(?P<se>[01])-hs:(?P<hs>[01]))?)?"
)


def parse_key(text: str) -> tuple[BlockKey, Grammar | None]:
    """Return a key taken apart, and its grammar where the key shows it.

    Raises:
        LookupTableError: if it is of neither grammar.
    """
    found = _KEY.fullmatch(text)
    if found is None or (found["kind"] == "expanded_conv") != (found["expand"] is not None):
        raise LookupTableError(
            f"key {text!r}: of an unknown grammar, want KIND-input:HxWxC-output:... as in "
            "Once-For-All's or ProxylessNAS's tables"
        )
    in_shape = Shape(int(found["c"]), int(found["h"]), int(found["w"]))
    if found["expand"] is None:
        return BlockKey(found["kind"], in_shape, found["output"]), None
    grammar = Grammar.PROXYLESS if found["se"] is None else Grammar.OFA
    expand = int(found["expand"])
    if grammar is Grammar.PROXYLESS:
        expand = make_divisible(in_shape.channels * expand)
    key = BlockKey(
        found["kind"],
        in_shape,
        found["output"],
        expand,
        int(found["kernel"]),
        int(found["stride"]),
        found["idskip"] == "1",
        found["se"] == "1",
        found["hs"] == "1",
    )
    return key, grammar
