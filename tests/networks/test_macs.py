"""MACs and parameters of known networks come out right, counted here by hand or published.

The counts below are made of channel lists written out from OFA's source and of plain arithmetic;
they share no code with the package.
"""

from __future__ import annotations

import pytest

from edgeprof import Subnet, get_space
from edgeprof.networks.layers import Network


def network_of(subnet: Subnet) -> Network:
    return get_space(subnet.space).layers(subnet)


class Count:
    """Adds up convolutions; batch normalisation is folded into a bias."""

    def __init__(self) -> None:
        self.macs = 0
        self.parameters = 0

    def conv(self, k: int, c_in: int, c_out: int, size: int, groups: int = 1, bias: bool = True):
        weights = k * k * (c_in // groups) * c_out
        self.macs += weights * size * size
        self.parameters += weights + (c_out if bias else 0)

    def bottleneck(self, size: int, c_in: int, mid: int, c_out: int, k: int, stride: int) -> int:
        """Expansion, depthwise, projection; returns the size of the output."""
        self.conv(1, c_in, mid, size)
        size = (size + stride - 1) // stride
        self.conv(k, mid, mid, size, groups=mid)
        self.conv(1, mid, c_out, size)
        return size


# Squeeze-and-excitation: a quarter of the middle channels, to a multiple of 8.
SE_CHANNELS = {
    72: 24, 96: 24, 120: 32, 144: 40, 160: 40, 240: 64, 288: 72, 336: 88, 448: 112, 480: 120,
    672: 168, 640: 160, 960: 240, 1152: 288, 816: 208, 128: 32, 192: 48, 408: 104, 544: 136,
    576: 144, 768: 192, 320: 80, 384: 96,
}  # fmt: skip

MBV3 = {
    "1.0": {"stem": 16, "stages": (24, 40, 80, 112, 160), "head": (960, 1280)},
    "1.2": {"stem": 24, "stages": (32, 48, 96, 136, 192), "head": (1152, 1536)},
}


def count_mbv3(width: str, ks: list[int], e: list[int], d: list[int], r: int) -> Count:
    count, parts = Count(), MBV3[width]
    size, channels = r // 2, parts["stem"]
    count.conv(3, 3, channels, size)
    count.conv(3, channels, channels, size, groups=channels)
    count.conv(1, channels, channels, size)
    for stage, (out, stride, se) in enumerate(
        zip(parts["stages"], (2, 2, 2, 1, 2), (False, True, False, True, True), strict=True)
    ):
        for block in range(d[stage]):
            slot = 4 * stage + block
            mid = channels * e[slot]
            size = count.bottleneck(size, channels, mid, out, ks[slot], stride if not block else 1)
            if se:
                count.conv(1, mid, SE_CHANNELS[mid], 1)
                count.conv(1, SE_CHANNELS[mid], mid, 1)
            channels = out
    expand, mix = parts["head"]
    count.conv(1, channels, expand, size)
    count.conv(1, expand, mix, 1, bias=False)
    count.conv(1, mix, 1000, 1)
    return count


MIXED = {"ks": [3, 5, 7, 3] * 5, "e": [3, 4, 6, 6] * 5, "d": [2, 3, 4, 3, 2]}


@pytest.mark.parametrize("width", ["1.0", "1.2"])
@pytest.mark.parametrize(
    ("ks", "e", "d", "r"),
    [
        ([7] * 20, [6] * 20, [4] * 5, 224),
        ([3] * 20, [3] * 20, [2] * 5, 128),
        ([5] * 20, [4] * 20, [3] * 5, 192),
        (MIXED["ks"], MIXED["e"], MIXED["d"], 160),
        (MIXED["ks"], MIXED["e"], MIXED["d"], 132),
    ],
)
def test_mobilenetv3_by_hand(width: str, ks: list[int], e: list[int], d: list[int], r: int) -> None:
    network = network_of(Subnet(f"ofa-mbv3-w{width}", tuple(ks), tuple(e), tuple(d), r))
    count = count_mbv3(width, ks, e, d, r)
    assert network.macs == count.macs
    assert network.parameters == count.parameters


def test_mobilenetv3_against_a_published_subnet() -> None:
    """``note8_lat@31ms_top1@72.8_finetune@25``: OFA states 101 M MACs and 4.6 M parameters.

    Its choices as published with open-mmlab/mmrazor (``OFA_SUBNET_NOTE8_LAT31.yaml``).
    """
    ks = [5, 3, 3, 3, 5, 5, 3, 3, 3, 3, 5, 3, 3, 5, 7, 3, 3, 3, 5, 5]
    e = [3, 3, 3, 3, 4, 3, 3, 3, 4, 4, 4, 4, 4, 3, 4, 3, 6, 3, 3, 3]
    network = network_of(Subnet("ofa-mbv3-w1.0", tuple(ks), tuple(e), (2, 2, 3, 3, 4), 152))
    assert round(network.macs / 1e6) == 101
    assert round(network.parameters / 1e6, 1) == 4.6


def count_proxyless(ks: list[int], e: list[int], d: list[int], r: int) -> Count:
    count, size = Count(), r // 2
    count.conv(3, 3, 40, size)
    count.conv(3, 40, 40, size, groups=40)
    count.conv(1, 40, 24, size)
    channels = 24
    stages = ((32, 2), (56, 2), (104, 2), (128, 1), (248, 2), (416, 1))
    for stage, (out, stride) in enumerate(stages):
        for block in range(d[stage]):
            slot = 4 * stage + block
            mid = channels * e[slot]
            size = count.bottleneck(size, channels, mid, out, ks[slot], stride if not block else 1)
            channels = out
    count.conv(1, 416, 1664, size)
    count.conv(1, 1664, 1000, 1)
    return count


@pytest.mark.parametrize(
    ("ks", "e", "d", "r"),
    [
        ([7] * 21, [6] * 21, [4] * 5 + [1], 224),
        ([3] * 21, [3] * 21, [2] * 5 + [1], 128),
        ([3, 5, 7] * 7, [6, 3, 4] * 7, [2, 3, 4, 3, 2, 1], 176),
    ],
)
def test_proxyless_by_hand(ks: list[int], e: list[int], d: list[int], r: int) -> None:
    network = network_of(Subnet("ofa-proxyless-w1.3", tuple(ks), tuple(e), tuple(d), r))
    count = count_proxyless(ks, e, d, r)
    assert network.macs == count.macs
    assert network.parameters == count.parameters


# Per width index: stem's middle, stem, stages; and per stage the middle channels of each ratio.
RESNET_MID = (24, 24, 32)
RESNET_STEM = (40, 48, 64)
RESNET_STAGES = ((168, 208, 256), (336, 408, 512), (664, 816, 1024), (1328, 1640, 2048))
RESNET_BOTTLENECK = {
    168: (32, 40, 56), 208: (40, 56, 72), 256: (48, 64, 88), 336: (64, 88, 120),
    408: (80, 104, 144), 512: (104, 128, 176), 664: (136, 168, 232), 816: (160, 208, 288),
    1024: (208, 256, 360), 1328: (264, 336, 464), 1640: (328, 408, 576), 2048: (408, 512, 720),
}  # fmt: skip


def count_resnet(e: list[float], d: list[int], w: list[int], r: int) -> Count:
    count, size = Count(), r // 2
    mid, stem = RESNET_MID[w[0]], RESNET_STEM[w[1]]
    count.conv(3, 3, mid, size)
    if d[0] == 2:
        count.conv(3, mid, mid, size)
    count.conv(3, mid, stem, size)
    size, channels, slot = (size + 1) // 2, stem, 0
    for stage, (base, stride) in enumerate(zip((2, 2, 4, 2), (1, 2, 2, 2), strict=True)):
        out = RESNET_STAGES[stage][w[2 + stage]]
        for block in range(base + d[1 + stage]):
            mid = RESNET_BOTTLENECK[out][(0.2, 0.25, 0.35).index(e[slot + block])]
            count.conv(1, channels, mid, size)
            if block == 0:
                size = (size + stride - 1) // stride
                count.conv(1, channels, out, size)  # shortcut, behind the average pool
            count.conv(3, mid, mid, size)
            count.conv(1, mid, out, size)
            channels = out
        slot += base + 2
    count.conv(1, channels, 1000, 1)
    return count


@pytest.mark.parametrize(
    ("e", "d", "w", "r"),
    [
        ([0.35] * 18, [2, 2, 2, 2, 2], [2] * 6, 224),
        ([0.2] * 18, [0, 0, 0, 0, 0], [0] * 6, 128),
        ([0.2, 0.25, 0.35] * 6, [2, 1, 0, 2, 1], [1, 0, 2, 1, 0, 2], 176),
        ([0.35, 0.25, 0.2] * 6, [0, 2, 1, 0, 2], [0, 2, 0, 2, 1, 1], 208),
    ],
)
def test_resnet50_by_hand(e: list[float], d: list[int], w: list[int], r: int) -> None:
    network = network_of(Subnet("ofa-resnet50", (), tuple(e), tuple(d), r, tuple(w)))
    count = count_resnet(e, d, w, r)
    assert network.macs == count.macs
    assert network.parameters == count.parameters


def test_resnet50_against_the_resnet50d_that_all_know() -> None:
    """ResNet-50D is a member: depths 3, 4, 6, 3, a quarter in the middle, full width.

    It has 25,576,264 parameters (timm), of which each batch normalisation has two per channel
    where the folded bias has one.
    """
    network = network_of(Subnet("ofa-resnet50", (), (0.25,) * 18, (2, 1, 2, 2, 1), 224, (2,) * 6))
    normalised = 32 + 32 + 64 + 256 + 512 + 1024 + 2048
    for blocks, out in ((3, 256), (4, 512), (6, 1024), (3, 2048)):
        normalised += blocks * (out // 4 + out // 4 + out)
    assert network.parameters == 25_576_264 - normalised


def test_compofa_is_the_same_network_as_its_subnet_of_ofa() -> None:
    ks = [k for k in (3, 5, 3, 3, 5) for _ in range(4)]
    e = [x for x in (3, 4, 6, 3, 6) for _ in range(4)]
    d = [2, 3, 4, 2, 4]
    compofa = network_of(Subnet("compofa-mbv3-w1.0", tuple(ks), tuple(e), tuple(d), 192))
    elastic = network_of(Subnet("compofa-mbv3-elastic-w1.0", tuple(ks), tuple(e), tuple(d), 192))
    ofa = network_of(Subnet("ofa-mbv3-w1.0", tuple(ks), tuple(e), tuple(d), 192))
    assert compofa.blocks == elastic.blocks == ofa.blocks
