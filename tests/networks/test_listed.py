"""Networks given as lists of layers: their blocks and their JSON."""

import json
from dataclasses import replace

import numpy as np
import pytest

from edgeprof import get_space
from edgeprof.base.errors import InvalidModel
from edgeprof.networks.layers import Shape
from edgeprof.networks.listed import network_from_dict, network_of_layers, network_to_dict
from edgeprof.networks.work import Kind, NetworkLayer


def layer(name, *inputs, macs=1):
    return NetworkLayer(name, "Conv", Kind.CONV, inputs=inputs, macs=macs, out_channels=4)


def test_blocks_are_cut_where_all_that_follows_reads_one_layer():
    layers = [
        layer("a", "x"),
        layer("b", "a"),
        layer("c", "b"),
        layer("d", "a", "c"),
        layer("e", "d"),
    ]
    network = network_of_layers("n", layers, Shape(3, 8, 8))
    cut = [[one.name for one in placed.block.work] for placed in network.blocks]
    assert cut == [["a"], ["b", "c", "d"], ["e"]]
    assert network.work == tuple(layers)
    assert network.macs == 5
    assert network.input_shape == Shape(3, 8, 8)


@pytest.mark.parametrize("is_listed", [False, True])
def test_a_layer_list_survives_json(is_listed):
    space = get_space("ofa-mbv3-w1.0")
    network = space.layers(space.sample(1, np.random.default_rng(0))[0])
    if is_listed:
        doubtful = replace(network.work[0], doubt="unknown operator")
        network = network_of_layers("n", [doubtful, *network.work[1:]], Shape(3, 8, 8), ("a note",))
    read = network_from_dict(json.loads(json.dumps(network_to_dict(network))))
    assert (read.name, read.work, read.notes) == (network.name, network.work, network.notes)
    assert read.input_shape == network.input_shape


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 7}, "version 7, want 1"),
        ({"layers": [{"name": "a"}]}, "no layer list of a network"),
        ({"layers": [{"name": "a", "operator": "b", "kind": "c"}]}, "no layer list of a network"),
        ({"input_shape": [1]}, "no layer list of a network"),
        ({"layers": [{"name": "a", "operator": "b", "kind": "conv", "macs": "1"}]}, "macs of"),
        ({"layers": [{"name": "a", "operator": "b", "kind": "conv", "macs": -1}]}, "macs of"),
        ({"layers": [{"name": "a", "operator": "b", "kind": "conv", "kernel": [0.5]}]}, "kernel"),
        ({"layers": [{"name": "a", "operator": "b", "kind": "conv", "inputs": [1]}]}, "inputs"),
    ],
)
def test_another_form_is_refused(change, message):
    data = network_to_dict(network_of_layers("n", [layer("a", "x")], Shape(3, 8, 8)))
    with pytest.raises(InvalidModel, match=message):
        network_from_dict({**data, **change})
