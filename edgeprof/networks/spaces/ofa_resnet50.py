"""The Once-For-All ResNet-50 space (``ofa-resnet50``).

A ResNet-50D whose four stages have 2, 2, 4, 2 bottlenecks and up to two more, each with expand
ratio 0.2, 0.25 or 0.35; the stem's two parts and the stages have a width of 0.65, 0.8 or 1.

Subnets are OFA's dicts: ``d`` has five entries (2 keeps the stem's residual block, 0 or 1 leaves it
out; then the blocks added per stage, 0..2), ``e`` 18 ratios, ``w`` six indices of widths (stem's
middle, stem, stages); there is no ``ks``.

Source: ``OFAResNets`` in mit-han-lab/once-for-all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from edgeprof.networks.layers import INPUT, Block, Network, Op, PlacedBlock, Shape
from edgeprof.networks.spaces.base import ChoiceGroup, Codes
from edgeprof.networks.spaces.blocks import (
    LayerChain,
    classifier_block,
    conv_block,
    make_divisible,
    pool_block,
)
from edgeprof.networks.spaces.ofa_mbv3 import CLASSES
from edgeprof.networks.spaces.slots import SlotSpace, cut, depths_of, without_gaps
from edgeprof.networks.subnet import Subnet

_WIDTHS = (0.65, 0.8, 1.0)
_EXPANDS = (0.2, 0.25, 0.35)
_ADDED = (0, 1, 2)  # blocks beyond a stage's base depth
_STEM_KEPT = 2
_BASE_DEPTHS = (2, 2, 4, 2)
_STRIDES = (1, 2, 2, 2)
_STEM_CHANNELS = tuple(make_divisible(64 * width) for width in _WIDTHS)
_STEM_MID_CHANNELS = tuple(make_divisible(channels // 2) for channels in _STEM_CHANNELS)
_STAGE_CHANNELS = tuple(
    tuple(make_divisible(base * width) for width in _WIDTHS) for base in (256, 512, 1024, 2048)
)

_N_STAGES = len(_BASE_DEPTHS)
_N_WIDTHS = _N_STAGES + 2
_STAGE_SLOTS = tuple(base + max(_ADDED) for base in _BASE_DEPTHS)
_N_SLOTS = sum(_STAGE_SLOTS)
_SLICES = tuple(slice(a, b) for a, b in pairwise(accumulate(_STAGE_SLOTS, initial=0)))
# Columns of codes: the stem's residual block, widths, slots, resolution.
_WIDTH_COLUMNS = slice(1, 1 + _N_WIDTHS)
_FIRST_SLOT_COLUMN = _WIDTH_COLUMNS.stop


class OfaResNet50(SlotSpace):
    """OFA-ResNet50. Codes: stem block (0, 1), widths (1..3), slots (0..3), resolution."""

    def __init__(self) -> None:
        self.id = "ofa-resnet50"
        self.resolutions = tuple(range(128, 225, 4))
        self.sampled_resolutions = tuple(range(160, 225, 16))
        self.cardinalities = (
            2,
            *(len(_WIDTHS) + 1,) * _N_WIDTHS,
            *(len(_EXPANDS) + 1,) * _N_SLOTS,
            len(self.resolutions),
        )

    @property
    def choice_groups(self) -> tuple[ChoiceGroup, ...]:
        """See the interface; stem block, each width and each stage are groups."""
        widths = tuple(range(1, len(_WIDTHS) + 1))
        kept = tuple(range(1, len(_EXPANDS) + 1))
        groups = [ChoiceGroup(slice(0, 1), (((0, 1),),))]
        groups += [
            ChoiceGroup(slice(column, column + 1), ((widths,),))
            for column in range(_WIDTH_COLUMNS.start, _WIDTH_COLUMNS.stop)
        ]
        for base, part in zip(_BASE_DEPTHS, _slot_columns(), strict=True):
            slots = part.stop - part.start
            depths = [base + added for added in _ADDED]
            variants = tuple((kept,) * depth + ((0,),) * (slots - depth) for depth in depths)
            groups.append(ChoiceGroup(part, variants))
        return tuple(groups)

    def validate(self, subnet: Subnet) -> None:
        """See the interface."""
        allowed_by_field: dict[str, tuple[Sequence[float], int, Sequence[float]]] = {
            "ks": (subnet.ks, 0, ()),
            "e": (subnet.e, _N_SLOTS, _EXPANDS),
            "d": (subnet.d, _N_STAGES + 1, _ADDED),
            "w": (subnet.w, _N_WIDTHS, range(len(_WIDTHS))),
            "r": ((subnet.r,), 1, self.resolutions),
        }
        for name, (values, count, allowed) in allowed_by_field.items():
            self._check_count(name, values, count)
            for index, value in enumerate(values):
                self._check_value(name, index, value, allowed)

    def canonical(self, subnet: Subnet) -> Mapping[str, object]:
        """See the interface; two widths of the stem's middle are equal in channels."""
        kept = [
            list(subnet.e[part.start : part.start + base + added])
            for base, added, part in zip(_BASE_DEPTHS, subnet.d[1:], _SLICES, strict=True)
        ]
        return {
            "space": self.id,
            "stem": _has_stem_block(subnet),
            "channels": list(_channels(subnet)),
            "e": kept,
            "r": subnet.r,
        }

    def layers(self, subnet: Subnet) -> Network:
        """See the interface; stage 0 is the stem, 1..4 the stages, 5 the head."""
        return Network(f"{self.id}-{subnet.id}", tuple(self._place(subnet)))

    def _place(self, subnet: Subnet) -> Iterator[PlacedBlock]:
        mid, stem, *widths = _channels(subnet)
        shape = Shape(3, subnet.r, subnet.r)
        stem_blocks = [("stem1", conv_block("stem", shape, mid, 3, 2, activation=Op.RELU))]
        shape = stem_blocks[-1][1].out_shape
        if _has_stem_block(subnet):
            stem_blocks.append(("stem2", _stem_residual(shape)))
        stem_blocks.append(("stem3", conv_block("stem", shape, stem, 3, activation=Op.RELU)))
        stem_blocks.append(("pool1", _max_pool(stem_blocks[-1][1].out_shape)))
        yield from (PlacedBlock(label, 0, block) for label, block in stem_blocks)
        shape = stem_blocks[-1][1].out_shape
        for stage, (width, part) in enumerate(zip(widths, _SLICES, strict=True)):
            for position in range(_BASE_DEPTHS[stage] + subnet.d[1 + stage]):
                expand = subnet.e[part.start + position]
                stride = _STRIDES[stage] if position == 0 else 1
                block = _bottleneck(shape, width, stride, expand, downsample=position == 0)
                yield PlacedBlock(f"stage{stage + 1}.block{position + 1}", stage + 1, block)
                shape = block.out_shape
        pool = pool_block(shape)
        yield PlacedBlock("pool", _N_STAGES + 1, pool)
        classifier = classifier_block(pool.out_shape, CLASSES)
        yield PlacedBlock("classifier", _N_STAGES + 1, classifier)

    def _encode_one(self, subnet: Subnet) -> list[int]:
        slots = [0] * _N_SLOTS
        for base, added, part in zip(_BASE_DEPTHS, subnet.d[1:], _SLICES, strict=True):
            for slot in range(part.start, part.start + base + added):
                slots[slot] = 1 + _EXPANDS.index(subnet.e[slot])
        widths = [1 + index for index in subnet.w]
        resolution = self.resolutions.index(subnet.r)
        return [int(_has_stem_block(subnet)), *widths, *slots, resolution]

    def _decode_one(self, row: NDArray[np.uint8]) -> Subnet:
        added = [
            int(np.count_nonzero(row[part])) - base
            for base, part in zip(_BASE_DEPTHS, _slot_columns(), strict=True)
        ]
        return Subnet(
            self.id,
            ks=(),
            e=tuple(_EXPANDS[max(int(code) - 1, 0)] for code in row[_FIRST_SLOT_COLUMN:-1]),
            d=(_STEM_KEPT if row[0] else 0, *added),
            r=self.resolutions[int(row[-1])],
            w=tuple(int(code) - 1 for code in row[_WIDTH_COLUMNS]),
        )

    def sample_codes(
        self, n: int, rng: np.random.Generator, resolutions: Sequence[int] | None = None
    ) -> Codes:
        """See the interface."""
        codes = np.zeros((n, len(self.cardinalities)), dtype=np.uint8)
        codes[:, 0] = rng.integers(0, 2, size=n)
        codes[:, _WIDTH_COLUMNS] = rng.integers(1, len(_WIDTHS) + 1, size=(n, _N_WIDTHS))
        for base, part in zip(_BASE_DEPTHS, _slot_columns(), strict=True):
            depths = base + rng.choice(_ADDED, size=n)
            codes[:, part] = cut(_draw_slots(part, n, rng), depths)
        codes[:, -1] = rng.choice(self.resolution_indices(resolutions), size=n)
        return codes

    def mutate(
        self,
        codes: Codes,
        rng: np.random.Generator,
        probability: float = 0.1,
        resolution_probability: float | None = None,
        resolutions: Sequence[int] | None = None,
    ) -> Codes:
        """See the interface."""
        if resolution_probability is None:
            resolution_probability = probability
        n = len(codes)
        fresh = self.sample_codes(n, rng, resolutions)
        child = np.array(codes, dtype=np.uint8)
        redraw = rng.random((n, _FIRST_SLOT_COLUMN)) < probability
        child[:, :_FIRST_SLOT_COLUMN] = np.where(
            redraw, fresh[:, :_FIRST_SLOT_COLUMN], child[:, :_FIRST_SLOT_COLUMN]
        )
        for part in _slot_columns():
            slots = child[:, part]
            redraw = rng.random(n) < probability
            depths = np.where(redraw, depths_of(fresh[:, part]), depths_of(slots))
            redraw = (rng.random(slots.shape) < probability) | (slots == 0)
            child[:, part] = cut(np.where(redraw, _draw_slots(part, n, rng), slots), depths)
        redraw = rng.random(n) < resolution_probability
        child[:, -1] = np.where(redraw, fresh[:, -1], child[:, -1])
        return child

    def crossover(self, first: Codes, second: Codes, rng: np.random.Generator) -> Codes:
        """See the interface."""
        n = len(first)
        child = np.where(rng.random(first.shape) < 0.5, first, second)
        for part in _slot_columns():
            a, b = first[:, part], second[:, part]
            pick = rng.random(n) < 0.5
            depths = np.where(pick, depths_of(a), depths_of(b))
            child[:, part] = cut(without_gaps(child[:, part], a, b), depths)
        return child.astype(np.uint8)


def _slot_columns() -> list[slice]:
    """Return per stage where its slots stand in the codes."""
    return [
        slice(part.start + _FIRST_SLOT_COLUMN, part.stop + _FIRST_SLOT_COLUMN) for part in _SLICES
    ]


def _draw_slots(part: slice, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return rng.integers(1, len(_EXPANDS) + 1, size=(n, part.stop - part.start))


def _has_stem_block(subnet: Subnet) -> bool:
    return subnet.d[0] == _STEM_KEPT


def _channels(subnet: Subnet) -> tuple[int, ...]:
    """Return output channels of the stem's middle, of the stem and of each stage."""
    mid, stem, *stages = subnet.w
    widths = (of_stage[index] for of_stage, index in zip(_STAGE_CHANNELS, stages, strict=True))
    return (_STEM_MID_CHANNELS[mid], _STEM_CHANNELS[stem], *widths)


@cache
def _stem_residual(in_shape: Shape) -> Block:
    """Return the stem's 3x3 convolution with a shortcut around it and its activation."""
    chain = LayerChain(in_shape)
    chain.conv("conv", in_shape.channels, 3, activation=Op.RELU)
    chain.add("residual", INPUT)
    return Block("stem", tuple(chain.layers), kernel=3, residual=True, activation=Op.RELU)


@cache
def _max_pool(in_shape: Shape) -> Block:
    chain = LayerChain(in_shape)
    chain.pool("pool", Op.MAX_POOL, 3, 2, 1)
    return Block("max_pool", tuple(chain.layers), kernel=3, stride=2)


@cache
def _bottleneck(
    in_shape: Shape, out_channels: int, stride: int, expand: float, *, downsample: bool
) -> Block:
    """Return a bottleneck: 1x1 -> 3x3 -> 1x1, sum with the shortcut, activation.

    The first of a stage has an average pool (where it strides) and a 1x1 convolution as shortcut.
    """
    mid_channels = make_divisible(round(out_channels * expand))
    chain = LayerChain(in_shape)
    shortcut = INPUT
    if downsample:
        if stride > 1:
            chain.pool("downsample_pool", Op.AVG_POOL, stride, stride, ceil=True)
        chain.conv("downsample", out_channels)
        shortcut = "downsample"
        chain.restart(INPUT, in_shape)
    chain.conv("conv1", mid_channels, activation=Op.RELU)
    chain.conv("conv2", mid_channels, 3, stride, activation=Op.RELU)
    chain.conv("conv3", out_channels)
    chain.add("sum", shortcut)
    chain.elementwise("sum_act", Op.RELU)
    return Block(
        "bottleneck",
        tuple(chain.layers),
        mid_channels=mid_channels,
        kernel=3,
        stride=stride,
        residual=not downsample,
        activation=Op.RELU,
    )
