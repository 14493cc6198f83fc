"""Networks given as lists of layers: read from model files, or kept beside measurements.

Owns: ``ListedBlock``, where a list of layers is cut into blocks, and the list as JSON. Does not
own: reading model files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from functools import cached_property
from typing import Any

from edgeprof.base.errors import InvalidModel
from edgeprof.networks.layers import Block, Network, PlacedBlock, Shape
from edgeprof.networks.work import Kind, NetworkLayer


@dataclass(frozen=True)
class ListedBlock(Block):
    """A part of a network that has ``work`` and no layers that an exporter could write.

    Attributes:
        given: its ``work``.
        shapes: of its input and output, as far as they are maps.
    """

    given: tuple[NetworkLayer, ...] = ()
    shapes: tuple[Shape, Shape] = (Shape(1, 1, 1), Shape(1, 1, 1))

    def __hash__(self) -> int:
        return hash((self.kind, self.shapes, len(self.given), self.macs))

    @property
    def in_shape(self) -> Shape:
        """Shape of the block's input."""
        return self.shapes[0]

    @property
    def out_shape(self) -> Shape:
        """Shape of the block's output."""
        return self.shapes[1]

    @cached_property
    def work(self) -> tuple[NetworkLayer, ...]:
        """What the block asks of the machine."""
        return self.given

    def placed_work(self, label: str, block_input: str) -> list[NetworkLayer]:
        """Return the work; its names are those of the file."""
        del label, block_input
        return list(self.given)

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(layer.macs for layer in self.given)

    @cached_property
    def parameters(self) -> int:
        """Constant values read."""
        return sum(layer.parameters for layer in self.given)


def network_of_layers(
    name: str, layers: Sequence[NetworkLayer], input_shape: Shape, notes: tuple[str, ...] = ()
) -> Network:
    """Return the network of these layers, a block wherever all that follows reads one tensor."""
    last_use = {source: i for i, layer in enumerate(layers) for source in layer.inputs}
    names = {layer.name for layer in layers}
    reach = max((last for source, last in last_use.items() if source not in names), default=0)
    placed: list[PlacedBlock] = []
    start, shape = 0, input_shape
    for end, layer in enumerate(layers, start=1):
        is_only_way = reach < end
        reach = max(reach, last_use.get(layer.name, 0))
        if end < len(layers) and not is_only_way:
            continue
        out_shape = Shape(layer.out_channels, *[*layer.out_size, 1, 1][:2])
        part = ListedBlock("listed", (), given=tuple(layers[start:end]), shapes=(shape, out_shape))
        placed.append(PlacedBlock(f"block{len(placed)}", 0, part))
        start, shape = end, out_shape
    return Network(name, tuple(placed), notes)


_VERSION = 1
_DEFAULTS = {
    field.name: field.default for field in fields(NetworkLayer) if field.default is not MISSING
}
_TEXTS = ("inputs", "fused")
"""Fields that are tuples of texts; the others are of whole numbers."""


def network_to_dict(network: Network) -> dict[str, Any]:
    """Return the layer list of any network for JSON; fields at their defaults are left out."""
    return {
        "version": _VERSION,
        "name": network.name,
        "input_shape": list(network.input_shape),
        "notes": list(network.notes),
        "layers": [
            {
                name: value
                for name, value in asdict(layer).items()
                if name not in _DEFAULTS or value != _DEFAULTS[name]
            }
            for layer in network.work
        ],
    }


def network_from_dict(data: Mapping[str, Any]) -> Network:
    """Return the network of a layer list that ``network_to_dict`` made.

    Raises:
        InvalidModel: of another form or version.
    """
    try:
        if data["version"] != _VERSION:
            raise InvalidModel(f"layer list of version {data['version']}, want {_VERSION}")
        layers = [_layer_from_dict(layer) for layer in data["layers"]]
        shape = Shape(*(int(size) for size in data["input_shape"]))
        return network_of_layers(str(data["name"]), layers, shape, tuple(data["notes"]))
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidModel(f"no layer list of a network: {error!r}") from error


def _layer_from_dict(data: Mapping[str, Any]) -> NetworkLayer:
    plain: dict[str, Any] = {
        name: tuple(v) if isinstance(v, list) else v for name, v in data.items()
    }
    plain["kind"] = Kind(plain["kind"])
    layer = NetworkLayer(**plain)
    for name, value in plain.items():
        like = _DEFAULTS.get(name, "")
        for one in value if isinstance(like, tuple) else [value]:
            is_text = isinstance(like, str) or name in _TEXTS
            if not (isinstance(one, str) if is_text else type(one) is int and one >= 0):
                raise ValueError(f"{name} of layer {layer.name!r} is {value!r}")
    return layer
