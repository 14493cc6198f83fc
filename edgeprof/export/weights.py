"""Made weights: values for networks that are timed, not trained.

Owns: which constants a layer has, their values, and where they stand in a file that all subnets
of a space share. Does not own: model formats.

Latency does not depend on what a network has learned, but it does depend on numbers that vanish
(denormals are slow) and on memory that is really there. So the values keep the variance of the
activations through the whole depth, and the constants of one model never overlap: every
(block position, constant) has a region of its own, as large as the largest subnet needs it, and
a smaller subnet uses the region's beginning.

The values repeat a pool of 4093 numbers, each time from another start (repeated in step, the
matrices of successive layers resonate and activations explode). Two rounds of the pool fit the
window of deflate: a file of them compresses some hundred times, and a cache cannot tell, as it
knows addresses only.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path
from statistics import NormalDist
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.errors import InvalidModel
from edgeprof.base.files import atomic_write, has_sha256
from edgeprof.networks.layers import INPUT, Layer, Network, Op
from edgeprof.networks.spaces.base import SearchSpace

POOL_SIZE = 4093
_BIAS_STD = 0.05
_PAGE_BYTES = 4096
_CACHE_LINE_BYTES = 64

# Second moment of an operator's output where its input is standard normal; a convolution is
# scaled to give 1. Of a pool or a scale: the factor on its input's second moment.
_SECOND_MOMENT = {Op.RELU: 0.5, Op.RELU6: 0.5, Op.H_SWISH: 0.36, Op.H_SIGMOID: 0.25}
_SECOND_MOMENT_FACTOR = {
    Op.SCALE: 0.25,
    Op.GLOBAL_AVG_POOL: 0.5,
    Op.AVG_POOL: 0.5,
    Op.MAX_POOL: 1.5,
}
_OUTPUT_SECOND_MOMENT = {
    # A residual branch adds a tenth of the variance: ten full ones would multiply it by 1000.
    Op.ADD: 0.1,
    # The factors of squeeze-and-excitation stay in the middle of the gate, and do not saturate.
    Op.H_SIGMOID: 0.1,
}
"""Second moment of a convolution's output by the operator that reads it, where it is not 1."""


class Constant(NamedTuple):
    """One constant of a layer.

    Attributes:
        name: unique in the network, e.g. ``"stage1.block1.expand.weight"``.
        region: its place in a shared file; unlike the name it is another one for each kernel size
            of depthwise convolutions, whose values differ in scale.
        shape: OIHW for convolutions, OI for linear layers, (channels,) for a bias.
    """

    name: str
    region: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        """Number of values."""
        return prod(self.shape)

    @property
    def is_bias(self) -> bool:
        """Whether it is added, not multiplied."""
        return len(self.shape) == 1

    @property
    def fan_in(self) -> int:
        """Number of values that are summed into one output; 1 for a bias."""
        return prod(self.shape[1:])


class QuantisedWeights(NamedTuple):
    """Weights as integers, ``levels * scales``.

    Attributes:
        levels: int8, in the shape of the constant.
        scales: float32 (output channels,).
    """

    levels: NDArray[np.int8]
    scales: NDArray[np.float32]


class WeightSource(Protocol):
    """Where the values of constants come from."""

    id: str

    def values(self, constant: Constant) -> NDArray[np.float32]:
        """Return the values of a constant, in its shape."""

    def quantised(self, constant: Constant) -> QuantisedWeights:
        """Return weights as int8."""


def quantise_per_channel(values: NDArray[np.float32]) -> QuantisedWeights:
    """Return weights as int8; the largest of each output channel becomes 127."""
    largest = np.abs(values.reshape(len(values), -1)).max(axis=1)
    scales = np.maximum(largest / 127, np.finfo(np.float32).tiny).astype(np.float32)
    levels = np.rint(values / scales.reshape(-1, *(1,) * (values.ndim - 1)))
    return QuantisedWeights(levels.astype(np.int8), scales)


def weight_of(layer: Layer) -> Constant:
    """Return the weights of a convolution or a linear layer."""
    name = f"{layer.name}.weight"
    region = f"{name}.k{layer.kernel}" if layer.op is Op.DEPTHWISE_CONV else name
    return Constant(name, region, layer.weight_shape)


def bias_of(layer: Layer) -> Constant:
    """Return the bias of a convolution or a linear layer that has one."""
    name = f"{layer.name}.bias"
    return Constant(name, name, (layer.out_shape.channels,))


def constants_of(layer: Layer) -> list[Constant]:
    """Return the constants of a layer, none where it has no parameters."""
    found = [weight_of(layer)] if layer.weight_shape else []
    return [*found, bias_of(layer)] if layer.bias else found


@cache
def level_pool() -> NDArray[np.int8]:
    """Return the pool: normally distributed integers within -127..127, int8 (POOL_SIZE,).

    From a hash and not from a generator, whose stream may change with its library's version.
    """
    quantiles = hashlib.shake_256(b"edgeprof made weights").digest(POOL_SIZE)
    inverse = NormalDist(sigma=44.0).inv_cdf
    return np.array([round(inverse((byte + 0.5) / 256)) for byte in quantiles], dtype=np.int8)


def made_levels(region: str, elements: int) -> NDArray[np.int8]:
    """Return the pool again and again, each time from another start: int8 (elements,)."""
    rounds = -(-elements // POOL_SIZE)
    digest = hashlib.shake_256(region.encode()).digest(2 * rounds)
    starts = np.frombuffer(digest, dtype="<u2") % POOL_SIZE
    twice = np.concatenate([level_pool(), level_pool()])
    turned = np.lib.stride_tricks.sliding_window_view(twice, POOL_SIZE)[starts]
    levels: NDArray[np.int8] = turned.reshape(-1)[:elements]
    return levels


def made_values(region: str, elements: int, std: float) -> NDArray[np.float32]:
    """Return made values of this standard deviation, float32 (elements,)."""
    values: NDArray[np.float32] = made_levels(region, elements) * np.float32(std / _level_std())
    return values


@dataclass
class _Region:
    """What a region must hold: the largest constant, scaled for the middle of its fans-in."""

    is_bias: bool
    elements: int = 0
    fans_in: tuple[int, int] = (1 << 62, 1)  # smallest, largest
    second_moment: float = 0.0

    def widen(self, constant: Constant, second_moment: float) -> None:
        """Make room for a constant."""
        low, high = self.fans_in
        self.elements = max(self.elements, constant.elements)
        self.fans_in = (min(low, constant.fan_in), max(high, constant.fan_in))
        self.second_moment = second_moment

    @property
    def std(self) -> float:
        """Standard deviation of the values.

        All subnets read the same bytes, so narrow ones have somewhat weaker signals and wide ones
        stronger; biases keep the order of magnitude.
        """
        return math.sqrt(self.second_moment / math.sqrt(prod(self.fans_in)))


class MadeWeights:
    """Values for every constant of some networks; equal constants have equal values.

    Args:
        networks: those to make weights for, or a few that span a space (``for_space``).

    Attributes:
        id: names the values and their version.
    """

    id = "made1"

    def __init__(self, networks: Iterable[Network]) -> None:
        self._regions: dict[str, _Region] = {}
        for network in networks:
            moments = _weight_second_moments(network)
            for layer in network.layers():
                for constant in constants_of(layer):
                    region = self._regions.setdefault(constant.region, _Region(constant.is_bias))
                    moment = _BIAS_STD**2 if region.is_bias else moments[layer.name]
                    region.widen(constant, moment)

    @classmethod
    def for_space(cls, space: SearchSpace) -> MadeWeights:
        """Make weights for every subnet of a space.

        Subnets in which every group of choices takes its last variant, its last but one and so
        on, and in it every column its last choice and so on, span the sizes of all constants.
        """
        groups = space.choice_groups
        n_variants = max(len(group.variants) for group in groups)
        n_choices = max(len(column) for g in groups for variant in g.variants for column in variant)
        rows = [
            [
                column[-1 - min(choice, len(column) - 1)]
                for group in groups
                for column in group.variants[-1 - min(variant, len(group.variants) - 1)]
            ]
            for variant in range(n_variants)
            for choice in range(n_choices)
        ]
        largest_resolution = len(space.resolutions) - 1
        codes = np.array([[*row, largest_resolution] for row in rows], dtype=np.uint8)
        subnets = space.decode(codes)
        return cls(space.layers(subnet) for subnet in subnets)

    def region_elements(self, *, biases: bool = True) -> dict[str, int]:
        """Return the size of each region in the order of the network, with or without biases."""
        return {
            name: region.elements
            for name, region in self._regions.items()
            if biases or not region.is_bias
        }

    def levels(self, region: str, elements: int) -> NDArray[np.int8]:
        """Return the values as int8; times ``unit`` they are the weights."""
        return made_levels(region, elements)

    def unit(self, region: str) -> float:
        """Return the weight that one level stands for.

        Raises:
            InvalidModel: if the weights were made for other networks.
        """
        if region not in self._regions:
            raise InvalidModel(f"no weights were made for {region}")
        return self._regions[region].std / _level_std()

    def flat_values(self, region: str, elements: int) -> NDArray[np.float32]:
        """Return the first values of a region, float32 (elements,)."""
        values: NDArray[np.float32] = self.levels(region, elements) * np.float32(self.unit(region))
        return values

    def quantised(self, constant: Constant) -> QuantisedWeights:
        """Return weights as int8: the levels themselves, so made weights lose nothing."""
        levels = self.levels(constant.region, constant.elements).reshape(constant.shape)
        scales = np.full(constant.shape[0], self.unit(constant.region), dtype=np.float32)
        return QuantisedWeights(levels, scales)

    def values(self, constant: Constant) -> NDArray[np.float32]:
        """Return the values of a constant, in its shape."""
        return self.flat_values(constant.region, constant.elements).reshape(constant.shape)


@cache
def _level_std() -> float:
    return float(level_pool().astype(np.float64).std())


def _weight_second_moments(network: Network) -> dict[str, float]:
    """Return fan-in times variance of the weights of each layer that has some."""
    layers = list(network.layers())
    readers = {layer.inputs[0]: layer.op for layer in layers}
    moments = {INPUT: 1.0}
    wanted = {}
    for layer in layers:
        before = moments[layer.inputs[0]]
        if layer.weight_shape:
            reader = readers.get(layer.name, layer.op)
            wanted[layer.name] = _OUTPUT_SECOND_MOMENT.get(reader, 1.0) / before
            moments[layer.name] = 1.0
        elif layer.op in _SECOND_MOMENT:
            moments[layer.name] = _SECOND_MOMENT[layer.op]
        else:
            moments[layer.name] = before * _SECOND_MOMENT_FACTOR.get(layer.op, 1.0)
    return wanted


@dataclass(frozen=True)
class WeightFile:
    """A file beside the models that holds the constants of all of them.

    Attributes:
        name: file name, without folder.
        weights: the values.
        dtype: float32; or int8, the levels of weights without biases.
        elements: size of each region.
        offsets_bytes: where each region begins.
    """

    name: str
    weights: MadeWeights
    dtype: np.dtype[Any]
    elements: dict[str, int]
    offsets_bytes: dict[str, int]

    @classmethod
    def plan(cls, name: str, weights: MadeWeights, dtype: str = "float32") -> WeightFile:
        """Lay the regions out one after the other, large ones at the beginning of a page."""
        kind = np.dtype(dtype).newbyteorder("<")
        elements = weights.region_elements(biases=kind == np.float32)
        offsets, end = {}, 0
        for region, count in elements.items():
            size = kind.itemsize * count
            align = _PAGE_BYTES if size >= _PAGE_BYTES else _CACHE_LINE_BYTES
            offsets[region] = -(-end // align) * align
            end = offsets[region] + size
        return cls(name, weights, kind, elements, offsets)

    def offset_bytes(self, constant: Constant) -> int:
        """Return where a constant begins.

        Raises:
            InvalidModel: if the file has no room for it.
        """
        room = self.elements.get(constant.region, 0)
        if constant.elements > room:
            raise InvalidModel(
                f"{self.name} holds {room} values of {constant.region}, want {constant.elements}"
            )
        return self.offsets_bytes[constant.region]

    def ensure(self, folder: Path) -> str:
        """Write the file unless it is there with the right content; return its SHA-256.

        Raises:
            OutputError: if it cannot be written.
        """
        path = folder / self.name
        digest = hashlib.sha256()
        for chunk in self._chunks():
            digest.update(chunk)
        wanted = digest.hexdigest()
        if not has_sha256(path, wanted):
            with atomic_write(path, binary=True) as stream:
                stream.writelines(self._chunks())
        return wanted

    def _chunks(self) -> Iterator[bytes]:
        end = 0
        for region, count in self.elements.items():
            yield bytes(self.offsets_bytes[region] - end)
            if self.dtype == np.int8:
                chunk = self.weights.levels(region, count).tobytes()
            else:
                chunk = self.weights.flat_values(region, count).astype(self.dtype).tobytes()
            yield chunk
            end = self.offsets_bytes[region] + len(chunk)
