"""Chains of made-up layers, and their latencies on a machine of known rates."""

from __future__ import annotations

import numpy as np

from edgeprof.networks.layers import Network, Shape
from edgeprof.networks.listed import network_of_layers
from edgeprof.networks.work import Kind, NetworkLayer


def convolution(
    size: int,
    channels: int,
    filters: int,
    kernel: int = 1,
    stride: int = 1,
    depthwise: bool = False,
) -> NetworkLayer:
    out = size // stride
    weights = kernel**2 * filters * (1 if depthwise else channels)
    kind = Kind.DEPTHWISE if depthwise else Kind.POINTWISE if kernel == 1 else Kind.CONV
    read, written = size**2 * channels, out**2 * filters
    return NetworkLayer(
        "layer",
        "Conv",
        kind,
        macs=out**2 * weights,
        elements_read=read,
        elements_written=written,
        parameters=weights,
        bytes_read=4 * read,
        bytes_written=4 * written,
        weight_bytes=4 * weights,
        weight_type="float32",
        in_channels=channels,
        out_channels=filters,
        in_size=(size, size),
        out_size=(out, out),
        kernel=(kernel, kernel),
        stride=(stride, stride),
        groups=channels if depthwise else 1,
    )


def add(size: int, channels: int, kind: Kind = Kind.ADD, operator: str = "Add") -> NetworkLayer:
    n = size**2 * channels
    return NetworkLayer(
        "layer",
        operator,
        kind,
        operations=n,
        elements_read=2 * n,
        elements_written=n,
        bytes_read=8 * n,
        bytes_written=4 * n,
        in_channels=channels,
        out_channels=channels,
        in_size=(size, size),
        out_size=(size, size),
    )


def network(rng: np.random.Generator) -> list[NetworkLayer]:
    """Return a chain of convolutions and sums, from tiny to large."""
    size, channels = int(rng.choice([28, 56, 112])), int(rng.choice([8, 16, 32, 64]))
    layers = [convolution(size, 3, channels, kernel=3)]
    for _ in range(int(rng.integers(2, 12))):
        kernel = int(rng.choice([1, 3, 5]))
        stride = int(rng.choice([1, 1, 2])) if size > 7 else 1
        if rng.random() < 0.3:
            layers.append(convolution(size, channels, channels, kernel, stride, depthwise=True))
        else:
            filters = channels * int(rng.choice([1, 1, 2])) if channels < 512 else channels
            layers.append(convolution(size, channels, filters, kernel, stride))
            channels = filters
        size //= stride
        layers.append(add(size, channels))
    return layers


def true_ms(layers: list[NetworkLayer]) -> float:
    """Return the latency on a machine with rates by kind, and an efficiency by width."""
    total_us = 0.0
    for layer in layers:
        rate = {Kind.DEPTHWISE: 2e3, Kind.CONV: 9e3}.get(layer.kind, 6e3)
        rate *= layer.out_channels / (layer.out_channels + 16)
        traffic = layer.elements_read + layer.elements_written + layer.parameters
        total_us += layer.macs / rate + traffic / 1500 + 4
    return total_us / 1e3


def measured(n: int, seed: int, noise: float = 0.01) -> tuple[list[list[NetworkLayer]], np.ndarray]:
    rng = np.random.default_rng(seed)
    networks = [network(rng) for _ in range(n)]
    exact = np.array([true_ms(layers) for layers in networks])
    return networks, exact * np.exp(noise * rng.standard_normal(n))


def made_networks(n: int) -> tuple[list[Network], np.ndarray]:
    """Return networks and their latencies in ms, which are no multiple of their MACs."""
    rng = np.random.default_rng(0)
    networks, latency_ms = [], []
    for index in range(n):
        width, depth, adds = (int(rng.integers(*ends)) for ends in ((8, 64), (1, 6), (0, 20)))
        layers = [convolution(56, width, width, kernel=3) for _ in range(depth)]
        layers += [convolution(56, width, 2 * width), *(add(56, width) for _ in range(adds))]
        networks.append(network_of_layers(f"n{index}.onnx", layers, Shape(3, 56, 56)))
        macs, operations = (
            sum(getattr(o, name) for o in layers) for name in ("macs", "operations")
        )
        latency_ms.append(0.1 + macs / 4e6 + operations / 2e5)
    return networks, np.array(latency_ms)
