"""One model of layer costs predicts subnets, model files and layers that nobody measured."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from made_networks import add, convolution, measured, network, true_ms
from synthetic_device import PHONE

from edgeprof.base.errors import DatasetError, PredictorFormatError
from edgeprof.networks.spaces import get_space
from edgeprof.networks.work import Kind
from edgeprof.predictors.host_file import host_bytes, read_host_bytes
from edgeprof.predictors.layers.model import LayerCosts
from edgeprof.predictors.layers.quantities import base_of, kind_of

SPACE = get_space("ofa-mbv3-w1.0")


@pytest.fixture(scope="module")
def model() -> LayerCosts:
    networks, latency_ms = measured(40, seed=0)
    return LayerCosts("machine").fit(networks, latency_ms)


def test_networks_are_predicted_from_forty_others(model: LayerCosts) -> None:
    networks, latency_ms = measured(100, seed=1)
    mean, low, high = model.predict_networks(networks)
    errors = np.abs(mean / latency_ms - 1)
    assert latency_ms.max() > 50 * latency_ms.min()
    assert errors.mean() < 0.03
    assert errors[np.argsort(latency_ms)[:20]].mean() < 0.04  # the small ones weigh alike
    assert 0.8 < np.mean((low <= latency_ms) & (latency_ms <= high)) <= 1.0


def test_few_networks_are_enough_for_the_order_of_magnitude() -> None:
    networks, latency_ms = measured(1, seed=3)
    few = LayerCosts().fit(networks, latency_ms)
    others, true = measured(50, seed=4)
    mean, low, high = few.predict_networks(others)
    assert np.median(np.abs(np.log(mean / true))) < 0.7
    assert np.mean((low <= true) & (true <= high)) > 0.8


def test_subnets_of_a_space_are_networks_like_others() -> None:
    data, others = PHONE.measure(SPACE, 60, seed=0), PHONE.measure(SPACE, 100, seed=1)
    networks = [SPACE.layers(subnet) for subnet in data.subnets]
    model = LayerCosts("phone", SPACE.id).fit(networks, data.latency_ms)
    predicted = model.predict_codes(others.codes)
    assert np.mean(np.abs(predicted / others.latency_ms - 1)) < 0.02
    np.testing.assert_allclose(predicted, model.predict(others.subnets))


def test_the_layers_add_up_to_the_network(model: LayerCosts) -> None:
    layers = network(np.random.default_rng(5))
    costs = model.explain(layers)
    assert [cost.layer for cost in costs] == layers
    assert min(cost.latency_ms for cost in costs) > 0
    total = sum(cost.latency_ms for cost in costs)
    assert total == pytest.approx(model.predict_networks([layers]).mean_ms[0])


def test_kinds_never_measured_are_named_and_widen_the_interval(model: LayerCosts) -> None:
    layers = network(np.random.default_rng(6))
    sort = add(56, 64, Kind.SORT, "NonZero")
    (_, plain, odd), low, high = model.predict_networks([layers, layers, [*layers, sort]])
    reach = np.log(high / low)
    assert odd > plain
    assert reach[2] > reach[1]
    basis = model.basis([*layers, sort])
    assert basis.unmeasured == {"NonZero": pytest.approx(1 - plain / odd, rel=0.3)}
    assert "kinds of layers never measured here: NonZero" in basis.warnings[0]
    assert not model.basis(layers).warnings


def test_layers_whose_numbers_are_a_guess_widen_the_interval(model: LayerCosts) -> None:
    layers = network(np.random.default_rng(7))
    guessed = [replace(layers[0], doubt="number of turns unknown"), *layers[1:]]
    _, low, high = model.predict_networks([layers, guessed])
    assert high[1] / low[1] > high[0] / low[0]
    assert "number of turns unknown" in model.basis(guessed).warnings[0]


def test_shapes_far_from_those_measured_widen_the_interval(model: LayerCosts) -> None:
    near, far = [convolution(56, 64, 64, 3)], [convolution(1024, 2048, 3, 11)]
    _, low, high = model.predict_networks([near, far])
    assert high[1] / low[1] > 1.5 * high[0] / low[0]


def test_rows_with_large_standard_errors_say_little() -> None:
    networks, latency_ms = measured(30, seed=8)
    wrong = latency_ms.copy()
    wrong[:6] *= 2
    errors = np.where(np.arange(30) < 6, wrong, np.nan)
    others, true = measured(60, seed=9)
    trusting = LayerCosts().fit(networks, wrong).predict_networks(others).mean_ms
    warned = LayerCosts().fit(networks, wrong, errors).predict_networks(others).mean_ms
    assert np.mean(abs(warned / true - 1)) < 0.5 * np.mean(abs(trusting / true - 1))


def test_what_is_particular_to_one_layer_averages_out_in_deep_networks() -> None:
    rng = np.random.default_rng(11)
    chains = [network(rng) for _ in range(60)]
    layers = {layer: float(np.exp(0.3 * rng.standard_normal())) for net in chains for layer in net}
    singles = [[layer] for layer in list(layers)[:150]]
    rows = [*singles, *chains[:20]]
    latency_ms = [sum(true_ms([layer]) * layers[layer] for layer in net) for net in rows]
    learned = LayerCosts().fit(rows, latency_ms)
    assert learned.posterior is not None
    assert learned.posterior.variances["own"] > 10 * learned.posterior.variances["noise"]
    mean, low, high = learned.predict_networks([*chains[20:], *singles])
    reach = np.log(high / low) / 2
    assert reach[:40].mean() < 0.7 * reach[40:].mean()
    true = np.array([sum(true_ms([x]) * layers[x] for x in net) for net in chains[20:]])
    assert np.mean(abs(mean[:40] / true - 1)) < 0.15


def test_a_model_saved_before_layers_had_errors_of_their_own_is_read(model: LayerCosts) -> None:
    meta, arrays = model.to_arrays()
    before = {name: value for name, value in meta["variances"].items() if name != "own"}
    old = LayerCosts.from_arrays({**meta, "variances": before}, arrays)
    networks, _ = measured(5, seed=10)
    np.testing.assert_allclose(
        old.predict_networks(networks).mean_ms, model.predict_networks(networks).mean_ms, rtol=1e-4
    )


def test_a_saved_model_predicts_the_same(model: LayerCosts) -> None:
    networks, _ = measured(20, seed=10)
    loaded = read_host_bytes(host_bytes(model), "m.host.npz")
    assert isinstance(loaded, LayerCosts)
    assert (loaded.device, loaded.n_networks) == ("machine", 40)
    for ours, theirs in zip(
        model.predict_networks(networks), loaded.predict_networks(networks), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4)


def test_a_model_of_other_quantities_is_refused(model: LayerCosts) -> None:
    meta, arrays = model.to_arrays()
    with pytest.raises(PredictorFormatError, match="quantities version"):
        LayerCosts.from_arrays({**meta, "quantities_version": 0}, arrays)


@pytest.mark.parametrize("latency_ms", [[], [1.0, 2.0], [0.0], [float("nan")], [-1.0]])
def test_latencies_that_cannot_be_learned_from_are_refused(latency_ms: list[float]) -> None:
    networks = [network(np.random.default_rng(0))]
    with pytest.raises(DatasetError):
        LayerCosts().fit(networks, latency_ms)


def test_prediction_before_learning_is_refused() -> None:
    with pytest.raises(PredictorFormatError, match="nothing was learned"):
        LayerCosts().predict_networks([[convolution(8, 8, 8)]])


def test_kinds_tell_apart_what_costs_differently() -> None:
    plain, transposed = add(8, 8), add(8, 8, Kind.MOVE, "Transpose")
    inner = replace(transposed, in_size=(4, 16))
    cell = replace(convolution(1, 8, 8), kind=Kind.RECURRENT, operator="LSTM")
    layers = [
        plain,
        replace(plain, fusable_into="conv"),
        replace(plain, element_type="int8"),
        replace(plain, doubt="unknown"),
        transposed,
        inner,
        convolution(8, 8, 8),
        convolution(1, 8, 8),
        cell,
        replace(cell, operator="GRU"),
    ]
    names = [kind_of(layer) for layer in layers]
    assert all(a != b for a, b in itertools.combinations(names, 2))
    assert {base_of(name) for name in names[:4]} == {"add"}
    assert kind_of(replace(plain, operator="ADD")) == kind_of(plain)  # as TFLite writes it
