"""Lookup tables: keys both ways, files of both forms, sums, and building them."""

from __future__ import annotations

import asyncio
import csv
import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest
import rack
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from stored_records import make_record

import edgeprof
from edgeprof.base.errors import InvalidSubnet, LookupTableError
from edgeprof.boards.deploy import Payload, Software
from edgeprof.boards.inventory import BoardSpec
from edgeprof.cli import cli
from edgeprof.networks.layers import Shape
from edgeprof.networks.spaces import get_space
from edgeprof.networks.subnet import Subnet, write_subnets
from edgeprof.predictors.lut.lut_file import Entry, TableSet, read_tables, write_tables
from edgeprof.predictors.lut.lut_keys import BlockKey, Grammar, keyed_blocks, parse_key
from edgeprof.predictors.lut.tables import LookupTables, load_tables, representative_codes
from edgeprof.runs.lut_blocks import (
    block_network,
    block_workload,
    blocks_of,
    entry_of,
    export_block,
)
from edgeprof.runs.settings import ProfileSettings
from edgeprof.runs.workload import Target

SPACE = get_space("ofa-mbv3-w1.2")
DATA = Path(os.environ.get("EDGEPROF_DATA", "../shared/data"))
NOTE10 = DATA / "note10_lut"

needs_data = pytest.mark.skipif(
    not NOTE10.is_dir(), reason=f"{NOTE10} is not here (set EDGEPROF_DATA)"
)


def made_tables(resolutions=(160, 224), space=SPACE, **about):
    """Tables in which an entry's latency follows from its key."""
    blocks = blocks_of(space, resolutions)
    tables = {
        resolution: {key: Entry(10, 1 + len(key) / 100 + index / 7, 0.25) for index, key in
                     enumerate(sorted(table))}
        for resolution, table in blocks.items()
    }  # fmt: skip
    return TableSet("made", Grammar.OFA, tables, {"space": space.id, "device": "made", **about})


# --- keys --------------------------------------------------------------------------------------


def test_keys_of_a_subnet_are_those_of_the_published_tables():
    subnet = Subnet(SPACE.id, (3,) * 20, (3,) * 20, (2,) * 5, 160)
    keys = [entry.key for entry in keyed_blocks(SPACE.layers(subnet))]
    assert keys[0] == "Conv-input:160x160x3-output:80x80x24"
    assert keys[1].endswith("80x80x24-expand:24-kernel:3-stride:1-idskip:1-se:0-hs:0")
    assert keys[-4:] == [
        "Conv_1-input:5x5x192-output:5x5x1152",
        "AvgPool2D-input:5x5x1152-output:1x1x1152",
        "Conv_2-input:1x1x1152-output:1x1x1536",
        "Logits-input:1x1x1536-output:1000",
    ]


def test_proxyless_key_holds_the_ratio_and_reads_back_as_channels():
    text = "expanded_conv-input:7x7x192-output:7x7x320-expand:6-kernel:5-stride:1-idskip:0"
    key, grammar = parse_key(text)
    assert (key.mid_channels, grammar) == (1152, Grammar.PROXYLESS)
    assert key.text(Grammar.PROXYLESS) == text
    assert key.text(Grammar.OFA).endswith("-expand:1152-kernel:5-stride:1-idskip:0-se:0-hs:0")


@given(
    st.builds(
        BlockKey,
        st.just("expanded_conv"),
        st.builds(Shape, st.integers(1, 40).map(lambda c: 8 * c), *[st.integers(1, 300)] * 2),
        st.just("7x7x320"),
        st.integers(1, 2000),
        st.sampled_from([3, 5, 7]),
        st.sampled_from([1, 2]),
        st.booleans(),
        st.booleans(),
        st.booleans(),
    )
)
def test_every_key_of_ofa_reads_back_as_it_was(key):
    assert parse_key(key.text(Grammar.OFA)) == (key, Grammar.OFA)


@pytest.mark.parametrize(
    "text",
    ["", "Conv", "Conv-input:1x1-output:1", "expanded_conv-input:1x1x1-output:1x1x1",
     "Conv-input:1x1x3-output:1x1x8-expand:3-kernel:3-stride:1-idskip:0", "Conv-input:axbxc"],
)  # fmt: skip
def test_key_of_no_grammar_is_refused_and_named(text):
    with pytest.raises(LookupTableError, match="unknown grammar") as caught:
        parse_key(text)
    assert repr(text) in str(caught.value)


def test_squeeze_and_excitation_cannot_be_said_in_the_proxyless_form(tmp_path):
    with pytest.raises(LookupTableError, match="ProxylessNAS tables have no squeeze-and-exc"):
        write_tables(made_tables((224,)), tmp_path, Grammar.PROXYLESS)
    assert list(tmp_path.iterdir()) == []


# --- sums --------------------------------------------------------------------------------------


@needs_data
def test_note10_tables_sum_exactly_to_the_published_latencies():
    with gzip.open(DATA / "ofanas_2021.csv.gz", "rt") as stream:
        rows = [row for row in csv.DictReader(stream) if row["device"] == "note10_lut_sum"]
    subnets = [
        Subnet(
            row["space"],
            tuple(json.loads(row["ks"])),
            tuple(json.loads(row["e"])),
            tuple(json.loads(row["d"])),
            int(row["resolution"]),
        )
        for row in rows
    ]
    published = np.array([float(row["latency_ms"]) for row in rows])
    tables = load_tables(NOTE10)
    assert tables.space == "ofa-mbv3-w1.2"
    np.testing.assert_array_equal(tables.predict(subnets[:1000]), published[:1000])
    fast = tables.predict_codes(SPACE.encode(subnets))
    np.testing.assert_allclose(fast, published, rtol=1e-12)


def test_sum_per_slot_equals_the_sum_over_the_layers():
    tables = LookupTables(made_tables())
    codes = SPACE.sample_codes(200, np.random.default_rng(0), [160, 224])
    np.testing.assert_allclose(
        tables.predict_codes(codes), tables.predict(SPACE.decode(codes)), rtol=1e-12
    )


@pytest.mark.parametrize("by_codes", [False, True])
def test_missing_key_is_an_error_that_names_it(by_codes):
    made = made_tables((224,))
    subnet = Subnet(SPACE.id, (7,) * 20, (6,) * 20, (4,) * 5, 224)
    gone = keyed_blocks(SPACE.layers(subnet))[4].key
    del made.tables[224][gone]
    tables = LookupTables(made)
    with pytest.raises(LookupTableError) as caught:
        tables.predict_codes(SPACE.encode([subnet])) if by_codes else tables.predict([subnet])
    assert repr(gone) in str(caught.value)
    spared = Subnet(SPACE.id, (3,) * 20, (3,) * 20, (2,) * 5, 224)
    assert np.isfinite(tables.predict_codes(SPACE.encode([spared]))).all()


def test_resolution_without_a_table_is_an_error_that_lists_those_there_are():
    tables = LookupTables(made_tables())
    subnet = Subnet(SPACE.id, (3,) * 20, (3,) * 20, (2,) * 5, 192)
    for predict in (tables.predict, lambda subnets: tables.predict_codes(SPACE.encode(subnets))):
        with pytest.raises(LookupTableError, match="no table for 192 pixels, there are 160, 224"):
            predict([subnet])


def test_subnet_of_another_space_is_refused():
    other = Subnet("ofa-mbv3-w1.0", (3,) * 20, (3,) * 20, (2,) * 5, 224)
    with pytest.raises(InvalidSubnet, match=r"ofa-mbv3-w1\.0"):
        LookupTables(made_tables()).predict([other])


def test_space_is_found_by_the_keys_where_the_tables_do_not_name_it():
    made = made_tables()
    nameless = TableSet(made.source, made.grammar, made.tables, {})
    assert LookupTables(nameless).space == SPACE.id
    del made.tables[160][next(key for key in made.tables[160] if key.startswith("Logits"))]
    with pytest.raises(LookupTableError, match="--space"):
        LookupTables(TableSet("made", Grammar.OFA, {160: made.tables[160]}, {}))


def test_representative_codes_hold_every_code_of_every_slot():
    codes = representative_codes(SPACE, 3)
    for column, values in enumerate(SPACE.cardinalities[:-1]):
        assert set(range(1, values)) <= set(codes[:, column].tolist())


# --- files -------------------------------------------------------------------------------------


def test_tables_read_back_as_they_were_written(tmp_path):
    made = made_tables()
    written = write_tables(made, tmp_path, Grammar.OFA)
    assert [path.name for path in written] == ["160_lookup_table.yaml", "224_lookup_table.yaml"]
    back = read_tables(tmp_path)
    assert (back.tables, back.grammar, back.about) == (made.tables, made.grammar, made.about)


@needs_data
def test_published_tables_survive_reading_and_writing(tmp_path):
    original = read_tables(NOTE10)
    write_tables(original, tmp_path, Grammar.OFA)
    assert read_tables(tmp_path).tables == original.tables
    assert len(original.tables) == 17


PROXYLESS_YAML = """
Conv-input:224x224x3-output:112x112x40: {count: 12, mean: 1.5, var: 0.04}
expanded_conv-input:7x7x192-output:7x7x320-expand:6-kernel:5-stride:1-idskip:0: {count: 3, mean: 2, var: 0.25}
Logits-input:7x7x1280-output:1000: {count: 7, mean: 0.5, var: 0}
"""  # noqa: E501


def test_proxyless_table_converts_to_ofas_form_and_back(tmp_path):
    source = tmp_path / "mobile_trim.yaml"
    source.write_text(PROXYLESS_YAML)
    for form, target in (("ofa", "there"), ("proxyless", "back")):
        arguments = ["lut", "convert", str(source), "--to", form, "-o", f"{tmp_path}/{target}"]
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 0, result.output
        source = Path(result.output.strip())
    ofa = (tmp_path / "there" / "224_lookup_table.yaml").read_text()
    assert "expand:1152-kernel:5-stride:1-idskip:0-se:0-hs:0" in ofa
    assert "std: 0.5" in ofa
    back = read_tables(source)
    assert back.grammar is Grammar.PROXYLESS
    assert back.tables == read_tables(tmp_path / "mobile_trim.yaml").tables


GOOD_KEY = "Conv-input:224x224x3-output:112x112x40"
BAD_FILES = {
    "no yaml": ("a: [", "not YAML"),
    "nested absurdly": ("[" * 2000, "not YAML"),
    "a key twice": (
        f"{GOOD_KEY}: {{count: 1}}\n{GOOD_KEY}: {{count: 2}}",
        f"{GOOD_KEY}' stands tw",
    ),
    "endless count": (f"{GOOD_KEY}: {{count: .inf, mean: 1, std: 0}}", "want count, mean"),
    "half a count": (f"{GOOD_KEY}: {{count: 1.5, mean: 1, std: 0}}", "want count, mean"),
    "no map": ("- 1", "want a map"),
    "no mean": (f"{GOOD_KEY}: {{count: 1, std: 0}}", "want count, mean and std"),
    "mean is zero": (f"{GOOD_KEY}: {{count: 1, mean: 0, std: 0}}", "mean is 0.0, want > 0"),
    "mean is nan": (f"{GOOD_KEY}: {{count: 1, mean: .nan, std: 0}}", "mean is nan"),
    "negative variance": (f"{GOOD_KEY}: {{count: 1, mean: 1, var: -1}}", "want count, mean"),
    "unknown key": ("Convolution: {count: 1, mean: 1, std: 0}", "unknown grammar"),
    "one kind only": (f"{GOOD_KEY}: {{count: 1, mean: 1, std: 0}}", "has no key of a Conv or"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_table_is_refused_with_its_file_and_the_reason(case, tmp_path):
    text, reason = BAD_FILES[case]
    (tmp_path / "t.yaml").write_text(text)
    with pytest.raises(LookupTableError, match=reason) as caught:
        read_tables(tmp_path / "t.yaml")
    assert "t.yaml" in str(caught.value)


def test_folder_without_tables_is_refused(tmp_path):
    with pytest.raises(LookupTableError, match="holds no lookup table"):
        edgeprof.load_predictor(tmp_path)


def test_table_under_the_name_of_another_resolution_is_refused(tmp_path):
    (path,) = write_tables(made_tables((224,)), tmp_path, Grammar.OFA)
    path.rename(tmp_path / "160_lookup_table.yaml")
    with pytest.raises(LookupTableError, match="its Conv key is of 224 pixels"):
        read_tables(tmp_path)


def test_predict_command_sums_the_entries(tmp_path):
    write_tables(made_tables(), tmp_path / "lut", Grammar.OFA)
    subnets = SPACE.sample(3, np.random.default_rng(0), [160, 224])
    write_subnets(tmp_path / "s.jsonl", subnets)
    expected = LookupTables(made_tables()).predict(subnets)
    for command in (["lut", "predict"], ["predict"]):
        arguments = [*command, f"{tmp_path}/lut", f"{tmp_path}/s.jsonl"]
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 0, result.output
        found = [json.loads(line)["latency_ms"] for line in result.stdout.splitlines()]
        np.testing.assert_allclose(found, expected)


# --- building ----------------------------------------------------------------------------------


SETTINGS = ProfileSettings(runtime="null")
SOFTWARE = Software(Payload(Path("edgeprof-harness"), "0" * 64, executable=True), None)


def measure_made_up(workload, limit=None):
    """Plan, store a record of each item, or of so many; return the keys of their blocks."""
    board = BoardSpec("d", "d")
    keys = workload.items(Target("d", SETTINGS, "0" * 64, {}))
    blocks = {key: made for table in blocks_of(SPACE, [160, 224]).values()
              for key, made in table.items()}  # fmt: skip
    rng, done = np.random.default_rng(0), []
    for item in asyncio.run(workload.plan(board, SOFTWARE)).items[:limit]:
        key = keys[item.key]
        latency_ns = round(block_network(key, blocks[key]).macs + 1000)
        record = make_record(1.0, rng)
        record["samples"] = {"latency_ns": [latency_ns] * 5, "disturbed": [0] * 5}
        record["summary"]["latency_mean_ns"] = latency_ns
        workload.store.append(record, job_key=item.key, device=board.device)
        done.append(key)
    return done


def test_build_times_each_distinct_block_once_and_gives_tables_that_predict(tmp_path):
    pytest.importorskip("onnx")
    with block_workload(
        SPACE, tmp_path, SETTINGS, resolutions=[160, 224], one_device=True
    ) as workload:
        assert workload.write() == {}
        timed = measure_made_up(workload)
        assert workload.write() == {"d": tmp_path}
    assert len(timed) == len(set(timed)) == workload.n_blocks
    tables = load_tables(tmp_path)
    subnets = SPACE.sample(5, np.random.default_rng(0), [160, 224])
    macs = np.array([SPACE.layers(subnet).macs for subnet in subnets])
    n_entries = np.array([len(keyed_blocks(SPACE.layers(subnet))) for subnet in subnets])
    np.testing.assert_allclose(tables.predict(subnets), macs / 1e6 + 0.001 * n_entries)
    assert (tables.space, tables.device) == (SPACE.id, "d")


def test_build_that_was_cut_off_goes_on_where_it_was(tmp_path):
    pytest.importorskip("onnx")
    with block_workload(SPACE, tmp_path, SETTINGS, resolutions=[160]) as workload:
        cut = measure_made_up(workload, limit=7)
        assert workload.write() == {}
    with block_workload(SPACE, tmp_path, SETTINGS, resolutions=[160]) as workload:
        rest = measure_made_up(workload)
        assert workload.write() == {"d": tmp_path / "d"}
    assert set(cut).isdisjoint(rest)
    assert len(cut) + len(rest) == workload.n_blocks


def test_keys_of_blocks_are_those_of_the_first_version(tmp_path):
    with block_workload(SPACE, tmp_path, SETTINGS, resolutions=[160]) as workload:
        keys = workload.items(Target("d", SETTINGS, "0" * 64, {}))
    assert min(keys) == "0216ae0c2d518a4f8c84f0d734c74d30"


def test_build_refuses_to_mix_settings_in_one_folder(tmp_path):
    more = {"resolutions": [160], "one_device": True}
    about = {"space": SPACE.id, "device": "d", "threads": 1}
    (tmp_path / "lut.json").write_text(json.dumps(about))
    other = ProfileSettings(runtime="null", threads=2)
    refused = pytest.raises(LookupTableError, match="use another folder")
    with block_workload(SPACE, tmp_path, other, **more) as workload, refused:
        workload.items(Target("d", other, "0" * 64, {}))


def test_a_folder_that_an_earlier_version_began_is_refused_with_the_reason(tmp_path):
    (tmp_path / "measured.jsonl").write_text("{}\n")
    refused = pytest.raises(LookupTableError, match="kept no raw samples")
    with refused, block_workload(SPACE, tmp_path, SETTINGS):
        pass


def test_entries_are_over_the_samples_that_count():
    record = make_record(1.0, np.random.default_rng(0))
    record["samples"] = {"latency_ns": [10**6, 3 * 10**6, 9 * 10**6, 10**6],
                         "disturbed": [0, 1, 4, 0]}  # fmt: skip
    for basis, count in (("undisturbed", 2), ("less_waiting", 3), ("all", 4)):
        record["summary"]["basis"] = basis
        assert entry_of(record).count == count


@pytest.fixture
def smallest(monkeypatch):
    """Let a space have the blocks of one subnet only: each is timed for a third of a second."""
    subnet = Subnet(SPACE.id, (3,) * 20, (3,) * 20, (2,) * 5, 128)
    tables = {128: dict(keyed_blocks(SPACE.layers(subnet)))}
    monkeypatch.setattr("edgeprof.runs.lut_blocks.blocks_of", lambda *_: tables)
    return subnet


BUILD = ["lut", "build", "--space", SPACE.id, "--resolutions", "128"]
BUILD += ["--ci", "0.5", "--max-secs", "0.02"]


@pytest.mark.usefixtures("smallest")
def test_build_command_times_here_with_the_chosen_runtime_and_resumes(tmp_path):
    pytest.importorskip("onnx")
    command = [*BUILD, "--runtime", "null", "-o", f"{tmp_path}/t", "--device", "nothing"]
    for _ in range(2):
        result = CliRunner().invoke(cli, command)
        assert result.exit_code == 0, result.output
        assert f"tables of {SPACE.id} on nothing for 128 pixels" in result.output
    about = json.loads((tmp_path / "t" / "lut.json").read_text())
    assert (about["runtime"], about["format"], about["threads"]) == ("null", "onnx", 1)
    other = CliRunner().invoke(cli, [*command, "--threads", "2"])
    assert "use another folder" in str(other.exception)
    assert CliRunner().invoke(cli, [*command, "--board", "b"]).exit_code == 2


@pytest.mark.skipif(rack.missing() is not None, reason=str(rack.missing()))
def test_build_command_times_on_boards_and_resumes(smallest, tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    command = [*BUILD, "-o", f"{tmp_path}/luts", "--json", "--boards", f"{tmp_path}/boards.yaml"]
    command += ["--attempts", "1"]  # that a busy machine disturbs samples is no matter of this test
    with rack.Rack(tmp_path, 1) as boards:
        boards.inventory(extra="")
        first, again = (CliRunner().invoke(cli, command) for _ in range(2))
    assert first.exit_code == 0, first.output
    summary, second = json.loads(first.stdout), json.loads(again.stdout)
    n_distinct = len(keyed_blocks(SPACE.layers(smallest)))
    assert (summary["measured"], summary["failed"]) == (n_distinct, 0)
    assert (second["measured"], second["found_done"]) == (0, n_distinct)
    tables = load_tables(tmp_path / "luts" / "loopback")
    assert (tables.space, tables.device, tables.resolutions) == (SPACE.id, "loopback", (128,))
    assert tables.predict([smallest])[0] > 0


def test_a_real_block_is_timed(tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    key, blocks = next(
        item for item in blocks_of(SPACE, [128])[128].items() if item[0].startswith("Logits")
    )
    export_block(block_network(key, blocks), tmp_path / "block.onnx", "onnx")
    entry = entry_of(edgeprof.measure(tmp_path / "block.onnx", max_secs=1, ci_rel=0.1).record)
    assert entry.count > 0
    assert 0 < entry.mean_ms < 1000
