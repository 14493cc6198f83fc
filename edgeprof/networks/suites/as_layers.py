"""Recipes as layer lists of subnets, which the exporters of TFLite and int8 take.

Owns: which operators have a counterpart there.
"""

from __future__ import annotations

from edgeprof.networks.layers import INPUT, Block, Layer, Network, Op, Shape, as_network
from edgeprof.networks.suites.recipe import Node, Recipe

_PLAIN = {
    "GlobalAveragePool": Op.GLOBAL_AVG_POOL,
    "Relu": Op.RELU,
    "Clip": Op.RELU6,
    "HardSwish": Op.H_SWISH,
    "HardSigmoid": Op.H_SIGMOID,
    "Gemm": Op.LINEAR,
}
_POOLS = {"MaxPool": Op.MAX_POOL, "AveragePool": Op.AVG_POOL}


def network_of(recipe: Recipe) -> Network | None:
    """Return the layer list of a recipe, or ``None`` where it has what layer lists have not."""
    names = dict.fromkeys(recipe.inputs, INPUT)
    layers: list[Layer] = []
    for node in recipe.nodes:
        output = node.outputs[0]
        if node.operator == "Flatten":
            names[output] = names[node.inputs[0]]
            continue
        op = _op_of(recipe, node)
        if op is None:
            return None
        layers.append(_layer(recipe, node, op, names))
        names[output] = output
    is_chain = len(recipe.inputs) == 1 and recipe.results == [recipe.nodes[-1].outputs[0]]
    if not is_chain or recipe.nodes[-1].operator == "Flatten":
        return None
    return as_network(Block(recipe.name, tuple(layers)))


def _op_of(recipe: Recipe, node: Node) -> Op | None:
    shapes = [recipe.shapes.get(name) for name in node.inputs]
    if node.operator == "Conv":
        is_plain = set(node.attributes["dilations"]) == {1} and len(shapes[0] or ()) == 4
        groups = node.attributes["group"]
        is_depthwise = groups > 1 and recipe.shapes[node.inputs[0]][1] == groups
        return (Op.DEPTHWISE_CONV if is_depthwise else Op.CONV) if is_plain else None
    if node.operator == "Add" and None not in shapes and shapes[0] == shapes[1]:
        return Op.ADD if len(shapes[0] or ()) == 4 else None
    if node.operator == "Mul" and None not in shapes:
        factors = shapes[1] or ()
        return Op.SCALE if len(factors) == 4 and factors[2:] == (1, 1) else None
    return _POOLS.get(node.operator) or _PLAIN.get(node.operator)


def _layer(recipe: Recipe, node: Node, op: Op, names: dict[str, str]) -> Layer:
    window: dict[str, int] = {}
    if op in (Op.CONV, Op.DEPTHWISE_CONV, Op.MAX_POOL, Op.AVG_POOL):
        given = node.attributes
        window = {"kernel": given["kernel_shape"][0], "stride": given["strides"][0]}
        window |= {"padding": given["pads"][0], "groups": given.get("group", 1)}
    sources = [name for name in node.inputs if name in names]
    return Layer(
        node.outputs[0],
        op,
        tuple(names[name] for name in sources),
        _shape(recipe, sources[0]),
        _shape(recipe, node.outputs[0]),
        bias=op in (Op.CONV, Op.DEPTHWISE_CONV, Op.LINEAR),
        **window,
    )


def _shape(recipe: Recipe, name: str) -> Shape:
    """Return the shape of a value without its batch; one of features is a map of one pixel."""
    flattened: dict[str, str] = {
        node.outputs[0]: node.inputs[0] for node in recipe.nodes if node.operator == "Flatten"
    }
    _, channels, *size = recipe.shapes[flattened.get(name, name)]
    return Shape(channels, *(size or (1, 1)))
