"""The suite of networks: known architectures at several widths and resolutions.

Owns: which ones. Each has less than a billion multiply-accumulates.
"""

from __future__ import annotations

from edgeprof.networks.suites.large import convnext, detector, resnet, segmenter, vgg, vit
from edgeprof.networks.suites.mobile import (
    efficientnet_lite,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    shufflenet_v2,
    squeezenet,
)
from edgeprof.networks.suites.recipe import Recipe


def network_suite() -> list[Recipe]:
    """Return the networks."""
    return [
        *(mobilenet_v1(width, size) for width, size in ((0.25, 128), (0.5, 160), (1.0, 224))),
        *(mobilenet_v2(*at) for at in ((0.35, 96), (0.5, 160), (1.0, 224), (1.4, 192))),
        *(mobilenet_v3("small", *at) for at in ((0.75, 160), (1.0, 224))),
        *(mobilenet_v3("large", *at) for at in ((0.75, 192), (1.0, 224), (1.25, 256))),
        mobilenet_v3("small", 1.0, 192, hard_swish="HardSwishInParts"),
        mobilenet_v3("large", 0.75, 224, hard_swish="HardSwishInParts"),
        *(efficientnet_lite(*at) for at in ((1.0, 1.0, 160), (1.0, 1.0, 224), (1.1, 1.2, 260))),
        *(squeezenet(*at) for at in ((0.5, 160), (1.0, 192), (1.0, 224))),
        *(shufflenet_v2(*at) for at in ((0.5, 160), (1.0, 224), (1.5, 192))),
        *(resnet(*at) for at in ((10, 0.5, 224), (18, 0.5, 224), (18, 1.0, 160), (34, 0.5, 192))),
        *(resnet(*at) for at in ((50, 0.25, 224), (50, 0.5, 192))),
        *(vgg(*at) for at in ((11, 0.25, 192), (13, 0.25, 160), (16, 0.25, 224))),
        convnext(40, (2, 2, 6, 2), 224),
        convnext(48, (2, 2, 4, 2), 160),
        convnext(64, (2, 2, 2, 2), 192),
        vit(192, 12, 16, 160),
        vit(192, 6, 16, 224),
        vit(128, 8, 14, 196),
        vit(256, 4, 32, 256),
        *(detector(*at) for at in ((0.25, 1, 320), (0.25, 2, 256), (0.5, 1, 256))),
        *(detector(*at, act="Relu") for at in ((0.25, 1, 416), (0.375, 1, 320))),
        *(segmenter(*at) for at in ((0.5, 320), (0.5, 640), (0.75, 448))),
        segmenter(0.75, 512, act="Relu"),
    ]
