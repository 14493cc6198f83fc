"""The layer list of a subnet, against a table written out by hand from OFA's source."""

from __future__ import annotations

import pytest

from edgeprof import Subnet, get_space
from edgeprof.networks.layers import INPUT, Block, Layer, Network, Op, Shape
from edgeprof.networks.work import NetworkLayer

RELU, SWISH = Op.RELU, Op.H_SWISH

# mid channels, kernel, stride, residual, SE, activation, output: 3x expansion, kernel 5, depth 2.
BOTTLENECKS = {
    "first": (16, 3, 1, True, False, RELU, Shape(16, 80, 80)),
    "stage1.block1": (48, 5, 2, False, False, RELU, Shape(24, 40, 40)),
    "stage1.block2": (72, 5, 1, True, False, RELU, Shape(24, 40, 40)),
    "stage2.block1": (72, 5, 2, False, True, RELU, Shape(40, 20, 20)),
    "stage2.block2": (120, 5, 1, True, True, RELU, Shape(40, 20, 20)),
    "stage3.block1": (120, 5, 2, False, False, SWISH, Shape(80, 10, 10)),
    "stage3.block2": (240, 5, 1, True, False, SWISH, Shape(80, 10, 10)),
    "stage4.block1": (240, 5, 1, False, True, SWISH, Shape(112, 10, 10)),
    "stage4.block2": (336, 5, 1, True, True, SWISH, Shape(112, 10, 10)),
    "stage5.block1": (336, 5, 2, False, True, SWISH, Shape(160, 5, 5)),
    "stage5.block2": (480, 5, 1, True, True, SWISH, Shape(160, 5, 5)),
}
SQUEEZE = {72: 24, 120: 32, 240: 64, 336: 88, 480: 120}


@pytest.fixture(scope="module")
def network() -> Network:
    subnet = Subnet("ofa-mbv3-w1.0", (5,) * 20, (3,) * 20, (2,) * 5, 160)
    return get_space(subnet.space).layers(subnet)


def layers_of(block: Block) -> dict[str, Layer]:
    return {layer.name: layer for layer in block.layers}


def test_blocks_have_the_widths_residuals_and_activations_of_the_supernet(network: Network) -> None:
    found = {
        label: (b.mid_channels, b.kernel, b.stride, b.residual, b.se, b.activation, b.out_shape)
        for label, _, b in network.blocks
        if b.kind == "inverted_bottleneck"
    }
    assert found == BOTTLENECKS


@pytest.mark.parametrize("label", BOTTLENECKS)
def test_layers_of_a_block_are_what_the_block_says(network: Network, label: str) -> None:
    mid, kernel, stride, residual, se, activation, out = BOTTLENECKS[label]
    (block,) = (placed.block for placed in network.blocks if placed.label == label)
    layers = layers_of(block)
    assert layers["depthwise"].op is Op.DEPTHWISE_CONV
    assert layers["depthwise"].groups == layers["depthwise"].out_shape.channels == mid
    assert (layers["depthwise"].kernel, layers["depthwise"].stride) == (kernel, stride)
    assert layers["depthwise_act"].op is activation
    assert ("se_scale" in layers) == se
    if se:
        assert layers["se_reduce"].out_shape == Shape(SQUEEZE[mid], 1, 1)
        assert layers["se_expand_act"].op is Op.H_SIGMOID
        assert layers["project"].inputs == ("se_scale",)
    assert layers["project"].out_shape == out
    assert (block.layers[-1].op is Op.ADD) == residual
    if residual:
        assert set(block.layers[-1].inputs) == {"project", "input"}


def test_bytes_moved_are_those_of_a_hand_count(network: Network) -> None:
    (block,) = (placed.block for placed in network.blocks if placed.label == "stage2.block2")
    work = {layer.name: layer for layer in block.work}

    def moved(layer: NetworkLayer) -> int:
        return layer.bytes_read + layer.bytes_written + layer.weight_bytes

    # 40 channels of 20 x 20 in, 120 out, 40 * 120 weights and 120 biases
    assert moved(work["expand"]) == 4 * (16_000 + 48_000 + 4_800 + 120)
    # 120 channels of 5 x 5 weights and 120 biases
    assert moved(work["depthwise"]) == 4 * (48_000 + 48_000 + 3_000 + 120)
    # a map and 120 factors in, a map out; no weights
    assert moved(work["se_scale"]) == 4 * (48_000 + 120 + 48_000)
    # two maps in, one out
    assert moved(work["residual"]) == 4 * 3 * 16_000


def test_the_work_of_a_network_is_that_of_its_blocks_under_names_of_its_own(
    network: Network,
) -> None:
    work = network.work
    names = {layer.name for layer in work}
    assert len(names) == len(work)
    assert {name for layer in work for name in layer.inputs} <= names | {INPUT}
    assert sum(layer.macs for layer in work) == network.macs
    fused = sum(len(layer.fused) for layer in work)
    assert len(work) + fused == len(list(network.layers()))
