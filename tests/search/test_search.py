"""The search: budgets are kept, answers are reproducible, local optima are optima."""

import csv
import importlib.util
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_in_models import AdditiveLatency, CurvedAccuracy, InteractingLatency, UncertainLatency
from stored_records import make_record

from edgeprof import Subnet, get_space, load_predictor
from edgeprof.accuracy import load_accuracy
from edgeprof.base.errors import BoardUnreachable, InfeasibleBudget, InvalidSubnet, SearchError
from edgeprof.cli import cli
from edgeprof.networks.spaces import known_spaces
from edgeprof.networks.spaces.costs import macs_cost, parameters_cost
from edgeprof.networks.spaces.structure import AdditiveTables, single_changes, start_rows
from edgeprof.networks.subnet import read_subnets
from edgeprof.predictors.gp.model import GaussianProcess
from edgeprof.predictors.save import save_host
from edgeprof.records.dataset import Dataset, read_dataset
from edgeprof.runs.settings import ProfileSettings
from edgeprof.search import (
    Search,
    SearchOptions,
    latency_constraint,
    macs_constraint,
    measure_through,
    model_bytes_constraint,
    parameters_constraint,
    search_front,
    search_verified,
    to_csv,
    to_json,
    to_ofa_lines,
    to_subnet_lines,
    to_table,
)
from edgeprof.search.front import front_budgets
from edgeprof.search.genes import Genes
from edgeprof.search.knapsack import best_combinations, picture
from edgeprof.search.local import climb
from edgeprof.search.pareto import crowding, front_indices, front_ranks
from edgeprof.search.problem import Problem
from edgeprof.search.sources import measuring_on

SPACE = get_space("ofa-mbv3-w1.0")
LATENCY = AdditiveLatency(SPACE)
ACCURACY = CurvedAccuracy(SPACE)
QUICK = {"population": 20, "generations": 10}
GUIDED = {"method": "guided", "max_evaluations": 5000, "population": 20}
"""Enough evaluations for guided search to be one: below ``MIN_EVALUATIONS`` it is evolution."""


def make_search(latency=LATENCY, **settings):
    options = SearchOptions(**{**QUICK, **settings.pop("options", {})})
    return Search(SPACE, ACCURACY, latency, options=options, **settings)


def random_rows(n, seed=0, space=SPACE):
    return space.sample_codes(n, np.random.default_rng(seed))


# --- promises -----------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    budget_ms=st.floats(4.0, 20.0),
    options=st.sampled_from([GUIDED, {"method": "evolution"}]),
    latency=st.sampled_from([LATENCY, InteractingLatency(SPACE)]),
)
def test_every_result_keeps_its_budget(seed, budget_ms, options, latency):
    search = make_search(latency, options={**options, "seed": seed})
    try:
        (result,) = search.run([budget_ms])
    except InfeasibleBudget:
        assert budget_ms < 5.5
        return
    assert result.latency_ms <= budget_ms
    assert next(iter(result.stages)) == ("climbs" if options is GUIDED else "evolution")
    assert result.latency_ms == latency.predict([result.subnet])[0]
    assert result.accuracy == ACCURACY.predict_codes(SPACE.encode([result.subnet]))[0]


@pytest.mark.slow
def test_a_thousand_small_searches_keep_their_budgets():
    for seed in range(1000):
        options = {"population": 10, "generations": 5, "seed": seed, "method": "evolution"}
        budget_ms = 5.0 + seed % 13
        (result,) = make_search(InteractingLatency(SPACE), options=options).run([budget_ms])
        assert result.latency_ms <= budget_ms


@pytest.mark.parametrize("options", [GUIDED, {"method": "evolution"}])
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_an_accuracy_that_is_no_number_ends_the_search_with_its_name(options, wrong):
    class Broken(CurvedAccuracy):
        def predict_codes(self, codes):
            return np.where(codes[:, 0] == 1, wrong, super().predict_codes(codes))

    search = Search(SPACE, Broken(SPACE), LATENCY, options=SearchOptions(**{**QUICK, **options}))
    with pytest.raises(SearchError, match=rf"accuracy by .* is {wrong} for .*\"space\""):
        search.run([9.0])


def test_a_latency_that_is_no_number_ends_the_search_with_its_name():
    class Broken(AdditiveLatency):
        def predict_codes(self, codes):
            return np.where(codes[:, 0] == 1, np.nan, super().predict_codes(codes))

    with pytest.raises(SearchError, match=r"latency on .* is nan for"):
        make_search(Broken(SPACE)).run([9.0])


@pytest.mark.parametrize("method", ["guided", "evolution"])
def test_equal_seeds_give_equal_results_whatever_else_is_asked(method):
    options = {"method": method, "seed": 7, "max_evaluations": 6000, "generations": 30}
    alone = make_search(options=options).run([9.0])
    among_others = make_search(options=options).run([7.0, 9.0])
    again = make_search(options=options).run([9.0])
    for other in (among_others[1], again[0]):
        assert other.subnet == alone[0].subnet
        assert other.accuracy == alone[0].accuracy
        assert other.evaluations == alone[0].evaluations
        assert other.stages == alone[0].stages


def test_a_larger_budget_is_never_worse_and_a_smaller_limit_never_better():
    options = {"max_evaluations": 5000}
    accuracies = [r.accuracy for r in make_search(options=options).run([7.0, 9.0, 12.0])]
    assert accuracies == sorted(accuracies)
    limited = [
        make_search(options=options, limits=[parameters_constraint(SPACE, limit)]).run([9.0])[0]
        for limit in (3.5e6, 4e6, 1e9)
    ]
    for result, limit in zip(limited, (3.5e6, 4e6, 1e9), strict=True):
        assert SPACE.layers(result.subnet).parameters <= limit
    assert limited[0].accuracy < limited[1].accuracy < limited[2].accuracy


def test_guided_search_of_few_evaluations_is_evolution_and_its_stages_say_so():
    options = {"method": "guided", "population": 20}
    (few,) = make_search(options={**options, "max_evaluations": 3999}).run([8.0])
    (enough,) = make_search(options={**options, "max_evaluations": 4000}).run([8.0])
    assert list(few.stages) == ["evolution", "local_search"]
    assert list(enough.stages) == ["climbs", "crossed"]


def test_guided_search_beats_evolution_at_no_more_evaluations():
    evolution = {"method": "evolution", "local_search": False, "population": 100}
    for budget_ms in (7.0, 11.0):
        (plain,) = make_search(options={**evolution, "generations": 100}).run([budget_ms])
        limit = {"max_evaluations": 100 * 101}
        (guided,) = make_search(options=limit).run([budget_ms])
        assert guided.evaluations <= 100 * 101
        assert guided.accuracy >= plain.accuracy


def test_local_search_reports_what_it_gained():
    options = {"method": "evolution", "max_evaluations": 2000, "generations": 500}
    (result,) = make_search(options=options).run([8.0])
    assert list(result.stages) == ["evolution", "local_search"]
    assert result.stages["local_search"] > result.stages["evolution"]
    assert result.accuracy == pytest.approx(result.stages["local_search"])
    assert 1500 < result.evaluations <= 2000  # evolution used up its share, the climb some more


# --- budgets that cannot be met -------------------------------------------------------------------


def test_an_infeasible_budget_names_the_smallest_latency_there_is():
    smallest = SPACE.decode(start_rows(SPACE, SPACE.resolutions.index(160)))[0]
    smallest_ms = LATENCY.predict([smallest])[0]
    with pytest.raises(InfeasibleBudget, match="the smallest reachable is") as caught:
        make_search().run([10.0, 1.5])
    named_ms = float(str(caught.value).split("reachable is ")[1].split(" ms")[0])
    assert named_ms == pytest.approx(smallest_ms, rel=1e-4)
    assert Subnet.from_dict(caught.value.evidence["subnet"]).id == smallest.id
    (result,) = make_search().run([named_ms])
    assert result.subnet.id == smallest.id


def test_the_smallest_latency_is_only_called_so_where_that_is_known():
    with pytest.raises(InfeasibleBudget, match=r"was found that keeps .* the smallest found is"):
        make_search(InteractingLatency(SPACE)).run([1.5])


def test_limits_that_exclude_each_other_are_named_with_the_nearest_subnet():
    limits = [parameters_constraint(SPACE, 2.5e6)]
    with pytest.raises(InfeasibleBudget, match=r"nearest has latency.*parameters [\d]+ \(limit"):
        make_search(limits=limits).run([8.0])


@pytest.mark.parametrize("budget_ms", [0.0, -1.0, float("nan"), float("inf")])
def test_a_budget_that_is_no_positive_number_is_refused(budget_ms):
    with pytest.raises(SearchError, match="want a number above 0"):
        make_search().run([budget_ms])


# --- further limits -------------------------------------------------------------------------------


def test_all_limits_are_kept_at_once():
    other = AdditiveLatency(SPACE, "other-board", scale=2.0)
    limits = [
        latency_constraint(other, 15.0, SPACE),
        macs_constraint(SPACE, 2.4e8),
        parameters_constraint(SPACE, 5e6),
        model_bytes_constraint(SPACE, 5e6, precision="int8"),
    ]
    (result,) = make_search(limits=limits, options={"max_evaluations": 5000}).run([9.0])
    network = SPACE.layers(result.subnet)
    assert result.latency_ms <= 9.0
    assert other.predict([result.subnet])[0] <= 15.0
    assert network.macs <= 2.4e8
    assert network.parameters < result.costs["model bytes at int8"] <= 5e6
    assert result.costs["MACs"] == network.macs
    assert result.costs["parameters"] == network.parameters


def test_confidence_keeps_the_budget_for_the_upper_bound():
    latency = UncertainLatency(SPACE)
    (plain,) = make_search(latency).run([9.0])
    (sure,) = make_search(latency, confidence=0.95).run([9.0])
    assert plain.latency_bound_ms is None
    assert sure.latency_bound_ms <= 9.0
    assert sure.latency_bound_ms == pytest.approx(sure.latency_ms * (1 + 1.6449 / 20), rel=1e-4)


def test_confidence_needs_a_predictor_that_knows_its_uncertainty():
    with pytest.raises(SearchError, match="does not know its uncertainty"):
        make_search(confidence=0.95).run([9.0])
    with pytest.raises(SearchError, match=r"confidence is 1\.5"):
        make_search(UncertainLatency(SPACE), confidence=1.5).run([9.0])


def test_a_predictor_of_another_space_is_refused():
    other = AdditiveLatency(get_space("ofa-mbv3-w1.2"))
    with pytest.raises(SearchError, match=r"is of space ofa-mbv3-w1\.2, the search is over"):
        make_search(other).run([9.0])


def test_a_resolution_that_the_accuracy_model_cannot_tell_is_refused():
    with pytest.raises(SearchError, match="does not know resolution 164"):
        make_search(resolutions=[160, 164])
    with pytest.raises(InvalidSubnet, match="resolution 999"):
        make_search(resolutions=[999])
    (result,) = make_search(resolutions=[176]).run([9.0])
    assert result.subnet.r == 176


def test_a_source_that_contradicts_itself_is_an_error():
    class Liar(AdditiveLatency):
        def predict(self, subnets):
            return 10 * super().predict(subnets)

    with pytest.raises(SearchError, match="different values for one subnet"):
        make_search(Liar(SPACE)).run([6.0])


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("population", 1),
        ("population", 2.5),
        ("generations", -1),
        ("parent_ratio", 0),
        ("mutation_ratio", 1.5),
        ("mutation_probability", float("nan")),
        ("seed", -1),
        ("method", "magic"),
        ("max_evaluations", 0),
        ("patience", "x"),
    ],
)
def test_wrong_options_are_refused_by_name(option, value):
    with pytest.raises(SearchError, match=option):
        SearchOptions(**{option: value})


# --- the parts ------------------------------------------------------------------------------------


def make_problem(latency=LATENCY, budget_ms=9.0):
    budget = latency_constraint(latency, budget_ms, SPACE)
    return Problem(SPACE, ACCURACY, [budget], SPACE.sampled_resolutions, 10**9)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**31), additive=st.booleans())
def test_a_climb_ends_where_no_single_change_improves(seed, additive):
    problem = make_problem(LATENCY if additive else InteractingLatency(SPACE))
    row, score = climb(problem, random_rows(1, seed)[0])
    changes = single_changes(SPACE, row, problem.resolution_indices)
    feasible = changes[problem.feasible(changes)]
    assert problem.feasible(row[None])[0]
    assert problem.scores(feasible, np.ones(len(feasible), dtype=bool)).max() <= score


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), space_id=st.sampled_from(known_spaces()))
def test_single_changes_are_subnets_of_the_space_and_each_other_than_the_row(seed, space_id):
    space = get_space(space_id)
    row = random_rows(1, seed, space)[0]
    changes = single_changes(space, row, [0, int(row[-1])])
    np.testing.assert_array_equal(space.encode(space.decode(changes)), changes)
    assert len(np.unique(changes, axis=0)) == len(changes)
    assert not (changes == row).all(axis=1).any()


def test_single_changes_try_every_code_of_every_kept_slot():
    row = start_rows(SPACE, 0)[2]  # everything at its largest: 20 slots of 9 codes, depth 4
    changes = single_changes(SPACE, row, [0, 8])
    codes, depths, resolutions = 20 * 8, 5 * 2, 1
    assert len(changes) == codes + depths + resolutions


def test_a_depth_change_keeps_the_kernels_where_it_brings_another_expand_ratio():
    space = get_space("compofa-mbv3-elastic-w1.0")
    subnet = Subnet(space.id, (7,) * 20, (3,) * 20, (2,) * 5, 160)
    changes = single_changes(space, space.encode([subnet])[0], [0])
    deeper = [s for s in space.decode(changes) if s.d == (3, 2, 2, 2, 2)]
    assert {s.ks[:3] for s in deeper} >= {(7, 7, 3), (7, 7, 5), (7, 7, 7), (5, 7, 5)}


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), space_id=st.sampled_from(known_spaces()))
def test_genes_express_subnets_and_express_the_row_they_were_made_of(seed, space_id):
    space, rng = get_space(space_id), np.random.default_rng(seed)
    genes = Genes(space, [0, 8])
    rows = genes.codes(genes.random(20, rng))
    np.testing.assert_array_equal(space.encode(space.decode(rows)), rows)
    made = genes.of(rows[0], 5, rng)
    np.testing.assert_array_equal(genes.codes(made), np.repeat(rows[:1], 5, axis=0))
    for child in (genes.mutate(made, rng, 0.3, 0.3), genes.cross(made, genes.random(5, rng), rng)):
        codes = genes.codes(child)
        np.testing.assert_array_equal(space.encode(space.decode(codes)), codes)
        assert set(codes[:, -1]) <= {0, 8}


def test_genes_of_slots_left_out_come_back_with_the_depth():
    genes = Genes(SPACE, [0])
    deep = genes.of(start_rows(SPACE, 0)[2], 1, np.random.default_rng(0))
    shallow = deep.copy()
    shallow[:, :5] = 0  # depth 2 everywhere
    assert (genes.codes(shallow)[0, 2:4] == 0).all()
    shallow[:, :5] = 2
    np.testing.assert_array_equal(genes.codes(shallow), genes.codes(deep))


def test_kernel_and_expand_ratio_may_come_from_different_parents():
    genes, rng = Genes(SPACE, [0]), np.random.default_rng(0)
    parents = [Subnet(SPACE.id, (k,) * 20, (e,) * 20, (4,) * 5, 128) for k, e in ((3, 6), (7, 3))]
    first, second = (genes.of(row, 50, rng) for row in SPACE.encode(parents))
    children = SPACE.decode(genes.codes(genes.cross(first, second, rng)))
    found = {(child.ks[0], child.e[0]) for child in children}
    assert found == {(3, 6), (7, 3), (3, 3), (7, 6)}


def test_combinations_are_optimal_where_everything_adds_up():
    """Against all combinations of two free stages, the others held by a tight budget."""

    class AdditiveAccuracy(CurvedAccuracy):
        def predict_codes(self, codes):
            slots = np.arange(codes.shape[1] - 1)
            return np.abs(self._bumps)[slots[None], codes[:, :-1]].sum(axis=1)

    budget = latency_constraint(LATENCY, 8.0, SPACE)
    accuracy = AdditiveAccuracy(SPACE)
    problem = Problem(SPACE, accuracy, [budget], (192,), 10**9)
    view = picture(problem, start_rows(SPACE, SPACE.resolutions.index(192))[1])
    rows = best_combinations(problem, view, np.zeros(1), np.ones(1), 20)
    rows = rows[problem.feasible(rows)]
    best = accuracy.predict_codes(rows).max()
    pool = SPACE.sample_codes(20_000, np.random.default_rng(0), [192])
    pool = pool[problem.feasible(pool)]
    assert best >= accuracy.predict_codes(pool).max()
    # No feasible single change of the best row gains more than the width of a bin allows.
    changes = single_changes(SPACE, rows[accuracy.predict_codes(rows).argmax()], [])
    changes = changes[problem.feasible(changes)]
    assert accuracy.predict_codes(changes).max() <= best + 0.05 * abs(best)


@pytest.mark.parametrize("space_id", known_spaces())
def test_every_space_can_be_searched(space_id):
    space = get_space(space_id)
    latency = AdditiveLatency(space)
    budget_ms = float(np.median(latency.predict_codes(random_rows(50, space=space))))
    search = Search(space, CurvedAccuracy(space), latency, options=SearchOptions(**QUICK))
    (result,) = search.run([budget_ms])
    assert result.latency_ms <= budget_ms
    with pytest.raises(InfeasibleBudget):
        search.run([1.01])


@pytest.mark.parametrize("space_id", known_spaces())
def test_tabulated_costs_are_those_of_the_layer_lists(space_id):
    space = get_space(space_id)
    codes = space.sample_codes(30, np.random.default_rng(2))
    networks = [space.layers(subnet) for subnet in space.decode(codes)]
    np.testing.assert_array_equal(macs_cost(space)(codes), [n.macs for n in networks])
    np.testing.assert_array_equal(parameters_cost(space)(codes), [n.parameters for n in networks])


def test_tables_know_whether_a_cost_is_a_sum():
    indices = [int(i) for i in SPACE.resolution_indices(None)]
    assert AdditiveTables.fit(SPACE, LATENCY.predict_codes, indices).exact
    assert not AdditiveTables.fit(SPACE, InteractingLatency(SPACE).predict_codes, indices).exact


points = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=40)


@given(points)
def test_the_front_is_what_no_point_dominates(values):
    costs, scores = np.array(values, dtype=float).T
    front = front_indices(costs, scores)
    ranks = front_ranks(costs, scores)
    for i, (cost, score) in enumerate(values):
        dominated = any(c <= cost and s >= score and (c, s) != (cost, score) for c, s in values)
        on_front = (cost, score) in {values[j] for j in front}
        assert on_front == (not dominated)
        assert ranks[i] >= dominated
    assert (np.diff(costs[front]) > 0).all()
    assert (np.diff(scores[front]) > 0).all()


def test_the_ends_of_a_front_are_lonely():
    lonely = crowding(np.array([1.0, 2.0, 2.1, 5.0]), np.array([1.0, 2.0, 2.1, 3.0]))
    assert np.isinf(lonely[[0, 3]]).all()
    assert lonely[2] > 0


def test_the_pareto_front_holds_no_dominated_subnet_and_both_ends():
    search = make_search()
    front = search_front(search)
    latencies = [result.latency_ms for result in front]
    accuracies = [result.accuracy for result in front]
    assert latencies == sorted(set(latencies))
    assert accuracies == sorted(set(accuracies))
    with pytest.raises(InfeasibleBudget) as caught:
        search.run([1.5])
    assert front[0].subnet.id == Subnet.from_dict(caught.value.evidence["subnet"]).id
    (best,) = search.run([1e6])
    assert accuracies[-1] >= best.accuracy
    assert len(front) > 20


class Counting(CurvedAccuracy):
    """Remembers which rows it was asked about."""

    def __init__(self, space):
        super().__init__(space)
        self.asked = []

    def predict_codes(self, codes):
        """Return accuracies."""
        self.asked += [row.tobytes() for row in codes]
        return super().predict_codes(codes)


@pytest.mark.parametrize("method", ["guided", "evolution"])
def test_the_front_is_at_least_as_good_as_a_search_for_one_budget(method):
    space = get_space("compofa-mbv3-w1.0")  # small: soon everything is known
    options = SearchOptions(method, population=20, generations=300, patience=2, seed=4)
    search = Search(space, CurvedAccuracy(space), AdditiveLatency(space), options=options)
    wanted = (7.3, 9.1, 12.0)
    front = search_front(search, wanted)
    assert front[-1].latency_ms <= 12.0
    for budget_ms, alone in zip((*wanted, 8.0), search.run([*wanted, 8.0]), strict=True):
        best = max(result.accuracy for result in front if result.latency_ms <= budget_ms)
        assert best >= alone.accuracy


def test_the_front_counts_each_subnet_that_was_evaluated_once():
    accuracy = Counting(SPACE)
    options = SearchOptions(**QUICK, method="evolution")
    front = search_front(Search(SPACE, accuracy, LATENCY, options=options), [9.0])
    during = accuracy.asked[: front[0].evaluations]
    assert len(set(during)) == len(during) == front[0].evaluations
    assert set(accuracy.asked) == set(during)  # afterwards only those of the front, anew


def test_the_front_keeps_further_limits_from_its_fast_end_on():
    limits = [parameters_constraint(SPACE, 4e6), macs_constraint(SPACE, 1.2e8)]
    front = search_front(make_search(limits=limits), [4.5, 6.0])
    assert front[-1].latency_ms <= 6.0
    for result in front:
        network = SPACE.layers(result.subnet)
        assert network.macs <= 1.2e8
        assert network.parameters <= 4e6


@given(
    lowest=st.floats(0.01, 1e3),
    ratio=st.floats(1, 200),
    wanted=st.lists(st.floats(1, 9), max_size=2),
)
def test_budgets_of_a_front_cover_its_range(lowest, ratio, wanted):
    budgets = front_budgets(lowest, lowest * ratio, wanted)
    assert len(budgets) <= 30
    assert min(budgets) <= lowest * (1 + 1e-9)
    assert set(wanted) <= {*budgets, max(wanted, default=0)}
    inside = [value for value in budgets if lowest <= value <= lowest * ratio]
    assert all(later / value <= ratio**0.21 + 1e-6 for value, later in pairwise(inside))


def test_round_budgets_are_among_those_of_a_front():
    assert {15.0, 20.0, 25.0, 30.0, 35.0} <= set(front_budgets(9.8904, 51.3, []))


@pytest.mark.parametrize("n", [0, -1, 2.5, True])
def test_a_number_of_finalists_that_is_none_is_refused(n):
    with pytest.raises(SearchError, match="number of finalists is"):
        search_verified(make_search(), [9.0], LATENCY.predict, n)


# --- verification ---------------------------------------------------------------------------------


def test_the_most_accurate_finalist_measured_within_the_budget_wins():
    asked = []

    def measure(subnets):
        asked.append(list(subnets))
        return [1.1 * value for value in LATENCY.predict(subnets)]  # ten percent slower

    search = make_search(options={"max_evaluations": 5000})
    (result,) = search_verified(search, [9.0], measure, 8)
    assert len(asked[0]) == 8
    assert result.measured_ms <= 9.0
    assert result.latency_ms == pytest.approx(result.measured_ms / 1.1)
    (unverified,) = search.run([9.0])
    assert result.accuracy < unverified.accuracy


def test_finalists_that_are_all_too_slow_are_an_error_that_names_the_fastest():
    def measure(subnets):
        return [20.0 + i for i, _ in enumerate(subnets)]

    with pytest.raises(InfeasibleBudget, match=r"none of 3 finalists.*fastest took 20 ms"):
        search_verified(make_search(options={"max_evaluations": 5000}), [9.0], measure, 3)


def test_finalists_are_measured_as_bulk_runs_measure(tmp_path):
    asked = []

    def profile(subnets, store):
        asked.extend(subnets)
        rng = np.random.default_rng(0)
        for subnet, latency_ms in zip(subnets, LATENCY.predict(subnets), strict=True):
            record = make_record(latency_ms, rng)
            store.append(record, job_key=subnet.id, device="here", subnet=subnet)

    measure = measure_through(profile, tmp_path / "finalists.db")
    search = make_search(options={"max_evaluations": 5000})
    (result,) = search_verified(search, [9.0], measure, 3)
    assert len(asked) == 3
    assert result.measured_ms == pytest.approx(result.latency_ms, rel=0.01)


def test_a_finalist_that_cannot_be_measured_is_left_out_with_a_note():
    def measure(subnets):
        _, *others = (float(value) for value in LATENCY.predict(subnets))
        return [BoardUnreachable("rpi4: no answer"), *others]

    search = make_search(options={"max_evaluations": 4000})
    (result,) = search_verified(search, [9.0], measure, 4)
    (best,) = search.run([9.0])
    assert result.subnet != best.subnet
    assert result.measured_ms == pytest.approx(result.latency_ms)
    assert result.notes == ("a finalist could not be measured: rpi4: no answer",)
    assert "note: a finalist could not be measured: rpi4: no answer" in to_table([result])


def test_finalists_none_of_which_could_be_measured_raise_the_first_error():
    def measure(subnets):
        return [BoardUnreachable(f"rpi4: no answer, {i}") for i, _ in enumerate(subnets)]

    with pytest.raises(BoardUnreachable, match="no answer, 0"):
        search_verified(make_search(), [9.0], measure, 4)


def test_a_finalist_that_cannot_be_measured_is_its_own_error(tmp_path):
    def profile(subnets, store):
        error = {"kind": "BoardUnreachable", "message": "rpi4: no answer", "transient": True}
        record = {"record_version": 1, "error": error}
        store.append_failure(record, job_key="x", device="rpi4", subnet=subnets[0])

    measure = measure_through(profile, tmp_path / "finalists.db")
    failed, missing = measure(SPACE.sample(2, np.random.default_rng(0)))
    assert isinstance(failed, BoardUnreachable)
    assert str(failed) == "rpi4: no answer"
    assert isinstance(missing, SearchError)
    assert "was not measured" in str(missing)


def test_finalists_are_measured_with_the_settings_asked_for(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "edgeprof.runs.start.measure_here", lambda workload, **_: asked.append(workload.settings)
    )
    wanted = ProfileSettings(format="tflite", precision="int8", runtime="litert", threads=3)
    with measuring_on("local", settings=wanted) as measure:
        measure(SPACE.sample(1, np.random.default_rng(0)))
    assert asked == [wanted]


# --- written forms and the command line -----------------------------------------------------------


def test_results_are_written_as_json_csv_and_ofas_dicts(tmp_path):
    results = make_search().run([8.0, 9.0])
    listed = json.loads(to_json(results))
    assert {"budget_ms", "latency_ms", "accuracy", "subnet", "evaluations", "seconds"} <= set(
        listed[0]
    )
    assert [Subnet.from_dict(item["subnet"]) for item in listed] == [r.subnet for r in results]
    (tmp_path / "best.jsonl").write_text(to_subnet_lines(results))
    assert read_subnets(tmp_path / "best.jsonl") == [r.subnet for r in results]
    (tmp_path / "ofa.jsonl").write_text(to_ofa_lines(results))
    first = json.loads((tmp_path / "ofa.jsonl").read_text().splitlines()[0])
    assert list(first) == ["ks", "e", "d", "r"]
    assert first["r"] == [results[0].subnet.r]
    assert read_subnets(tmp_path / "ofa.jsonl", space=SPACE.id) == [r.subnet for r in results]


@pytest.mark.parametrize("space_id", ["ofa-mbv3-w1.0", "ofa-resnet50"])
def test_the_table_of_results_holds_all_numbers_and_is_read_as_rows(tmp_path, space_id):
    space = get_space(space_id)
    latency = UncertainLatency(space)
    budget_ms = 1.1 * float(np.median(latency.predict_codes(random_rows(50, space=space))))
    search = Search(
        space,
        CurvedAccuracy(space),
        latency,
        limits=[macs_constraint(space, 1e12)],
        confidence=0.9,
        options=SearchOptions(**QUICK),
    )
    (result,) = search_verified(search, [budget_ms], lambda s: [1.0 for _ in s], 2)
    (tmp_path / "r.csv").write_text(to_csv([result]))
    with (tmp_path / "r.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert float(row["measured_ms"]) == 1.0
    assert float(row["latency_bound_ms"]) == result.latency_bound_ms
    assert row["latency_source"] == "paper-board"
    assert float(row["MACs"]) == result.costs["MACs"]
    dataset = (tmp_path / "r.csv").read_text().replace("latency_source", "device", 1)
    (tmp_path / "d.csv").write_text(dataset)
    assert read_dataset(tmp_path / "d.csv").subnets == (result.subnet,)


@pytest.fixture(scope="module")
def edgp(tmp_path_factory):
    from edgeprof.predictors.compact.distil import fit_student

    rng = np.random.default_rng(0)
    codes = SPACE.sample_codes(1200, rng)  # the resolutions that are searched
    path = tmp_path_factory.mktemp("edgp") / "board.edgp"
    fit_student("board", SPACE, codes, LATENCY.predict_codes(codes), rng).save(path)
    return path


def invoke(*arguments):
    return CliRunner().invoke(cli, ["search", *map(str, arguments)])


def test_search_from_the_command_line(edgp, tmp_path):
    output = tmp_path / "best.jsonl"
    quick = ("--population", 20, "--generations", 5, "--seed", 3)
    result = invoke(
        "--latency", edgp, "--accuracy", "capacity-proxy", "--budget-ms", "8,10", *quick,
        "-o", output, "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    listed = json.loads(result.output)
    assert [item["budget_ms"] for item in listed] == [8.0, 10.0]
    assert all(item["latency_ms"] <= item["budget_ms"] for item in listed)
    assert all(item["accuracy_is_proxy"] for item in listed)
    assert len(read_subnets(output)) == 2


def test_people_see_that_a_proxy_is_a_proxy(edgp):
    quick = ("--population", 20, "--generations", 5)
    result = invoke("--latency", edgp, "--accuracy", "capacity-proxy", "--budget-ms", "8", *quick)
    assert "proxy" in result.output
    assert "not an accuracy" in result.output
    assert "top-1" not in result.output


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ((), 2, "Missing option '--budget-ms'"),
        (("--budget-ms", "9", "-k", "-1"), 2, "-1 is not in the range"),
        (("--budget-ms", "9", "-k", "0"), 2, "0 is not in the range"),
        (("--budget-ms", "9", "--also-latency", "x"), 2, "of the form SOURCE=MS"),
    ],
)
def test_wrong_usage_is_told(edgp, arguments, status, message):
    result = invoke("--latency", edgp, "--accuracy", "capacity-proxy", *arguments)
    assert result.exit_code == status
    assert message in result.output


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("--budget-ms", "abc"), SearchError, "'abc' is no list of milliseconds"),
        (("--budget-ms", ""), SearchError, "is no list of milliseconds"),
        (("--budget-ms", "0"), SearchError, "want a number above 0"),
        (("--budget-ms", "1.5"), InfeasibleBudget, "the smallest"),
        (("--budget-ms", "1.5", "--pareto"), InfeasibleBudget, "the smallest"),
        (("--budget-ms", "1.5,9", "--pareto"), InfeasibleBudget, "the smallest"),
        (("--budget-ms", "9", "--space", "ofa-mbv3-w1.2"), SearchError, "is a predictor of space"),
        (("--budget-ms", "9", "--confidence", "0.9"), SearchError, "uncertainty"),
        (("--budget-ms", "9", "--population", "1"), SearchError, "population"),
        (("--budget-ms", "9", "--verify-on", "moon"), SearchError, "moon"),
    ],
)
def test_bad_input_is_one_line(edgp, arguments, error, message):
    result = invoke("--latency", edgp, "--accuracy", "capacity-proxy", *arguments)
    assert isinstance(result.exception, error)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)


# --- the whole way, with real sources -------------------------------------------------------------

DATA = Path(os.environ.get("EDGEPROF_DATA", "../shared/data"))
FEW = ("--population", 10, "--generations", 3)
needs_data = pytest.mark.skipif(
    not (DATA / "note10_lut").is_dir(), reason="EDGEPROF_DATA has no note10_lut"
)


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """A Gaussian process fitted to 40 subnets, as `edgeprof train` writes it."""
    codes = random_rows(40, seed=3)
    rows = tuple(SPACE.decode(codes))
    data = Dataset(SPACE.id, "board", rows, codes, LATENCY.predict(rows), np.arange(40), "test")
    path = tmp_path_factory.mktemp("host") / "board.host.npz"
    save_host(path, GaussianProcess().fit(data))
    return path


def found_by(*arguments):
    result = invoke(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_a_host_model_keeps_a_budget_with_confidence(host):
    arguments = ("--latency", host, "--accuracy", "capacity-proxy", "--budget-ms", "9", *FEW)
    (sure,) = found_by(*arguments, "--confidence", "0.95")
    assert sure["latency_ms"] < sure["latency_bound_ms"] <= 9.0
    model = load_predictor(host)
    codes = SPACE.encode([Subnet.from_dict(sure["subnet"])])
    bound = model.predict_interval(codes, 0.9).high_ms[0]
    assert sure["latency_bound_ms"] == pytest.approx(bound, rel=1e-6)


def test_confidence_holds_for_the_other_devices_too(edgp, host):
    arguments = ("--accuracy", "capacity-proxy", "--budget-ms", "9", *FEW, "--confidence", "0.9")
    (found,) = found_by("--latency", host, *arguments, "--also-latency", f"{host}=8")
    (bound,) = found["costs"].values()
    assert found["latency_ms"] < bound <= 8.0
    refused = invoke("--latency", host, *arguments, "--also-latency", f"{edgp}=8")
    assert "does not know its uncertainty" in str(refused.exception)


@pytest.mark.parametrize(
    ("limit", "name"),
    [
        (("--also-latency", "{edgp}=6.5"), "latency on board"),
        (("--max-macs", 2e8), "MACs"),
        (("--max-parameters", 4e6), "parameters"),
        (("--max-model-bytes", 5e6, "--precision", "int8"), "model bytes at int8"),
        (("--max-model-bytes", 5e6, "--precision", "int8", "--format", "onnx"), "model bytes"),
    ],
)
def test_each_limit_of_the_command_line_is_kept(edgp, limit, name):
    limit = [str(part).format(edgp=edgp) for part in limit]
    source = ("--latency", edgp, "--accuracy", "capacity-proxy", "--budget-ms", 12, *FEW)
    (free,), (found,) = found_by(*source), found_by(*source, *limit)
    ((kept_name, cost),) = found["costs"].items()
    assert kept_name.startswith(name)
    assert cost <= float(limit[1].rpartition("=")[2])
    assert found["accuracy"] < free["accuracy"]


def test_the_front_from_the_command_line(edgp, tmp_path):
    front = found_by(
        "--latency", edgp, "--accuracy", "capacity-proxy", "--pareto", "--budget-ms", "6,8", *FEW,
        "--csv", tmp_path / "front.csv",
    )  # fmt: skip
    latencies = [item["latency_ms"] for item in front]
    assert latencies == sorted(latencies)
    assert latencies[-1] <= 8.0
    assert len((tmp_path / "front.csv").read_text().splitlines()) == len(front) + 1


def test_what_a_search_found_is_exported(edgp, tmp_path):
    output = tmp_path / "best.jsonl"
    (found,) = found_by(
        "--latency", edgp, "--accuracy", "capacity-proxy", "--budget-ms", "6", *FEW,
        "--max-model-bytes", "6e6", "--precision", "int8", "--ofa", "-o", output,
    )  # fmt: skip
    arguments = ["export", str(output), "--space", SPACE.id, "--format", "tflite"]
    arguments += ["--precision", "int8", "-o", str(tmp_path / "models")]
    exported = CliRunner().invoke(cli, arguments)
    assert exported.exit_code == 0, exported.output
    (model,) = (tmp_path / "models").glob("*.tflite")
    assert model.stat().st_size <= found["costs"]["model bytes at int8"] <= 6e6


def test_finalists_are_measured_on_this_machine(edgp):
    """Within a budget that every machine keeps: what they take is not the point."""
    (found,) = found_by(
        "--latency", edgp, "--accuracy", "capacity-proxy", "--budget-ms", "1e6", *FEW,
        "--resolutions", "160", "--max-macs", "1.2e8", "--verify-on", "local", "-k", "2",
    )  # fmt: skip
    assert 0 < found["measured_ms"] <= 1e6
    assert "notes" not in found


def test_another_process_finds_the_same(edgp, tmp_path):
    arguments = ["--latency", edgp, "--accuracy", "capacity-proxy", "--budget-ms", "8", *FEW]
    arguments += ["--seed", "5", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "edgeprof", "search", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,  # in the source tree, the package there would hide the installed one
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    (there,), (here,) = json.loads(done.stdout), found_by(*arguments)
    assert {**there, "seconds": 0} == {**here, "seconds": 0}


@needs_data
def test_a_folder_of_tables_is_searched_from_the_command_line():
    found = found_by(
        "--latency", DATA / "note10_lut", "--accuracy", DATA / "ofa_acc_predictor.npz",
        "--budget-ms", "15,25", *FEW,
    )  # fmt: skip
    assert [item["latency_source"] for item in found] == ["note10_lut"] * 2
    assert all(item["latency_ms"] <= item["budget_ms"] for item in found)


@needs_data
def test_small_searches_with_real_tables_keep_their_budgets_by_the_benchmarks_arithmetic():
    """A part of the thousand that the benchmark runs."""
    path = Path("benchmarks/search.py")
    spec = importlib.util.spec_from_file_location("benchmark_search", path)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    benchmark.DATA = DATA
    tables = load_predictor(DATA / "note10_lut", space=benchmark.SPACE.id)
    accuracy = load_accuracy(DATA / "ofa_acc_predictor.npz", benchmark.SPACE)
    sum_of_entries = benchmark.TableSum(DATA / "note10_lut")
    methods = set()
    for _, budget_ms, result in benchmark.small_searches(tables, tables, accuracy, 4):
        assert sum_of_entries(result.to_dict()["subnet"]) <= budget_ms * (1 + 1e-9)
        methods.add(next(iter(result.stages)))
    assert methods == {"climbs", "evolution"}
