"""Subnets are validated, have a stable identity, and survive the trip through codes."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeprof import Subnet, get_space
from edgeprof.base.errors import InvalidSubnet
from edgeprof.networks.spaces import known_spaces
from edgeprof.networks.subnet import read_subnets, write_subnets

LARGEST = {"space": "ofa-mbv3-w1.0", "ks": [7] * 20, "e": [6] * 20, "d": [4] * 5, "r": 224}
seeds = st.integers(0, 2**32 - 1)
spaces = st.sampled_from(known_spaces())


@given(spaces, seeds)
def test_codes_and_subnets_convert_into_each_other(space_id, seed):
    space = get_space(space_id)
    codes = space.sample_codes(20, np.random.default_rng(seed))
    assert (codes < np.array(space.cardinalities)).all()
    np.testing.assert_array_equal(space.encode(space.decode(codes)), codes)


@given(spaces, seeds, st.floats(0, 1))
def test_mutation_and_crossover_stay_in_the_space(space_id, seed, probability):
    space = get_space(space_id)
    rng = np.random.default_rng(seed)
    parents = space.sample_codes(20, rng)
    mutants = space.mutate(parents, rng, probability)
    children = space.crossover(parents, mutants, rng)
    for codes in (mutants, children):
        np.testing.assert_array_equal(space.encode(space.decode(codes)), codes)


def test_mutation_of_probability_zero_changes_nothing():
    space = get_space("ofa-mbv3-w1.0")
    rng = np.random.default_rng(0)
    parents = space.sample_codes(50, rng)
    np.testing.assert_array_equal(space.mutate(parents, rng, 0.0), parents)


@pytest.mark.parametrize("space_id", known_spaces())
def test_every_sample_holds_exactly_one_variant_of_each_choice_group(space_id):
    space = get_space(space_id)
    codes = space.sample_codes(200, np.random.default_rng(3))
    covered = [column for group in space.choice_groups for column in _columns(group)]
    assert covered == list(range(len(space.cardinalities) - 1))
    for group in space.choice_groups:
        for row in codes[:, group.columns]:
            fitting = [
                variant
                for variant in group.variants
                if all(code in allowed for code, allowed in zip(row, variant, strict=True))
            ]
            assert len(fitting) == 1


def _columns(group):
    return range(group.columns.start, group.columns.stop)


def test_samples_are_distinct_and_reproducible():
    space = get_space("ofa-mbv3-w1.2")
    first = space.sample(200, np.random.default_rng(7))
    assert first == space.sample(200, np.random.default_rng(7))
    assert space.sample(300, np.random.default_rng(7))[:200] == first
    assert len({subnet.id for subnet in first}) == 200
    assert {subnet.r for subnet in first} == {160, 176, 192, 208, 224}


@given(seeds)
def test_json_round_trip(seed):
    for subnet in get_space("ofa-mbv3-w1.0").sample(3, np.random.default_rng(seed)):
        assert Subnet.from_json(subnet.to_json()) == subnet


def test_ofas_own_form_is_read():
    ofa = {"ks": [7] * 20, "e": [6] * 20, "d": [4] * 5, "r": [224]}
    assert Subnet.from_dict(ofa, space="ofa-mbv3-w1.0").to_dict() == LARGEST


def test_slots_beyond_the_depth_do_not_change_the_id():
    base = {**LARGEST, "d": [2] * 5}
    other = {**base, "ks": [7, 7, 3, 5] * 5}
    first, second = Subnet.from_dict(base), Subnet.from_dict(other)
    assert first != second
    assert first.id == second.id
    assert Subnet.from_dict({**base, "r": 160}).id != first.id


def test_the_id_is_stable_across_versions():
    assert Subnet.from_dict(LARGEST).id == "7f20d31a12dd618f"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ks": [7] * 19}, "'ks' has 19 values, space ofa-mbv3-w1.0 wants 20"),
        ({"ks": [7] * 19 + [4]}, r"ks\[19\] is 4, space ofa-mbv3-w1.0 wants one of 3, 5, 7"),
        ({"e": [6] * 19 + [2]}, r"e\[19\] is 2"),
        ({"d": [4] * 4 + [5]}, r"d\[4\] is 5"),
        ({"r": 223}, "r is 223"),
        ({"r": [192, 224]}, "'r' is"),
        ({"r": True}, "'r' is True"),
        ({"ks": "7"}, "'ks' is '7'"),
        ({"d": [4.5] * 5}, "'d' holds 4.5, want integers"),
        ({"e": [True] * 20}, "'e' holds True"),
        ({"space": "ofa-nope"}, "unknown space 'ofa-nope'; known: .*ofa-mbv3-w1.0"),
        ({"space": None}, "names no space"),
        ({"w": [1]}, "'w' has 1 values"),
    ],
)
def test_an_impossible_subnet_is_refused_with_the_reason(change, message):
    with pytest.raises(InvalidSubnet, match=message):
        Subnet.from_dict({**LARGEST, **change})


def test_a_file_of_subnets_comes_back(tmp_path):
    subnets = get_space("ofa-mbv3-w1.0").sample(5, np.random.default_rng(0))
    write_subnets(tmp_path / "s.jsonl", subnets)
    assert read_subnets(tmp_path / "s.jsonl") == subnets


def test_a_bad_line_is_named(tmp_path):
    path = tmp_path / "s.jsonl"
    path.write_text(json.dumps(LARGEST) + "\n\n{oops\n")
    with pytest.raises(InvalidSubnet, match=r"s\.jsonl:3: subnet is no JSON"):
        read_subnets(path)


def test_an_unknown_resolution_is_named():
    with pytest.raises(InvalidSubnet, match=r"resolution 99, want 128\.\.224 step 4"):
        get_space("ofa-mbv3-w1.0").sample(1, np.random.default_rng(0), [160, 99])


def test_more_subnets_than_there_are_is_an_error():
    class Tiny(type(get_space("ofa-mbv3-w1.0"))):
        def sample_codes(self, n, rng, resolutions=None):  # noqa: ARG002
            return np.ones((n, len(self.cardinalities)), dtype=np.uint8)

    with pytest.raises(InvalidSubnet, match="found only 1 distinct"):
        Tiny("1.0").sample(2, np.random.default_rng(0))


def test_a_subnet_is_checked_by_the_space_that_the_registry_gives(monkeypatch):
    class Small:
        def validate(self, subnet):
            if subnet.r > 100:
                raise InvalidSubnet("too large")

        def canonical(self, subnet):
            return {"r": subnet.r}

    monkeypatch.setattr(Subnet, "find_space", {"small": Small()}.__getitem__)
    assert Subnet("small", (), (), (), 100).id == Subnet("small", (3,), (), (), 100).id
    with pytest.raises(InvalidSubnet, match="too large"):
        Subnet("small", (), (), (), 101)


@pytest.mark.parametrize("resolution", [224.0, [224], [224.0]])
def test_a_resolution_is_read_as_others_write_it(resolution):
    assert Subnet.from_dict({**LARGEST, "r": resolution}).r == 224


@pytest.mark.parametrize(
    "line",
    [
        '{"r": 224, "r": 192}',
        '{"r": ' + "9" * 5000 + "}",
        '{"d": [' + "9" * 400 + "]}",
        '{"d": ' + "[" * 100_000,
        "[" * 100_000,
    ],
)
def test_absurd_lines_are_named(line, tmp_path):
    path = tmp_path / "s.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(InvalidSubnet, match=r"s\.jsonl:1: "):
        read_subnets(path)


def test_a_file_of_subnets_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "s.jsonl").write_text(json.dumps(LARGEST), encoding="utf-8-sig")
    assert len(read_subnets(tmp_path / "s.jsonl")) == 1
