"""Measurements become rows; what must not be pooled is refused."""

import csv
import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from campaign_records import records_of
from click.testing import CliRunner
from run_cli import run

from edgeprof import get_space
from edgeprof.base.errors import DatasetError, MixedMachineState
from edgeprof.cli import cli
from edgeprof.networks.subnet import write_subnets
from edgeprof.records.campaign_samples import estimate_device
from edgeprof.records.dataset import read_dataset
from edgeprof.records.dataset_export import export_dataset, import_dataset
from edgeprof.records.evidence import grade_device
from edgeprof.records.store import Store

SUBNETS = get_space("ofa-mbv3-w1.0").sample(3, np.random.default_rng(0))


def make_record(latency_ns, threads=1, governor="performance", error_rel=2e-4, n_samples=10):
    return {
        "model": {"sha256": "0" * 64},
        "runtime": {"name": "onnxruntime", "version": "1.32.0"},
        "settings": {"threads": threads},
        "summary": {
            "latency_median_ns": latency_ns,
            "ci_low_ns": latency_ns * (1 - 1.96 * error_rel),
            "ci_high_ns": latency_ns * (1 + 1.96 * error_rel),
            "n_samples": n_samples,
        },
        "machine": {"clusters": [{"governor": governor, "max_freq_khz": 1_500_000}]},
    }


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "s.db") as opened:
        for number, subnet in enumerate(SUBNETS):
            record = make_record(5_000_000 + number)
            opened.append(record, job_key=str(number), device="pi", subnet=subnet)
        opened.append(make_record(7_000), job_key="tiny", device="pi")  # a model from elsewhere
        yield opened


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_what_is_exported_reads_back(store, tmp_path, name):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    summary = export_dataset(store, tmp_path / name)
    assert summary.rows_by_device == {"pi": 3}
    dataset = read_dataset(tmp_path / name)
    assert list(dataset.subnets) == SUBNETS
    np.testing.assert_allclose(dataset.latency_ms, [5.0, 5.000001, 5.000002])


def test_repeated_measurements_become_their_median(store, tmp_path):
    for number, latency_ns in enumerate((5_100_000, 5_200_000)):
        record = make_record(latency_ns)
        store.append(record, job_key=f"again{number}", device="pi", subnet=SUBNETS[0])
    export_dataset(store, tmp_path / "out.csv")
    assert read_dataset(tmp_path / "out.csv").latency_ms[0] == pytest.approx(5.1)


def test_different_states_are_refused_until_one_is_chosen(store, tmp_path):
    record = make_record(4_000_000, threads=4, governor="ondemand")
    store.append(record, job_key="t4", device="pi", subnet=SUBNETS[0])
    with pytest.raises(MixedMachineState, match=r"threads: 1, 4.*--where threads=1"):
        export_dataset(store, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()
    summary = export_dataset(store, tmp_path / "out.csv", where={"threads": "4"})
    assert summary.rows_by_device == {"pi": 1}


def test_the_subnets_of_a_file_are_exported_in_its_order(store, tmp_path):
    output, chosen = tmp_path / "out.csv", tmp_path / "chosen.jsonl"
    unmeasured = get_space("ofa-mbv3-w1.0").sample(5, np.random.default_rng(1))[:1]
    write_subnets(chosen, [SUBNETS[2], *unmeasured, SUBNETS[0], SUBNETS[2]])
    result = run("dataset", "export", store.path, "--subnets", chosen, "-o", output)
    assert result.output.startswith(f"{output}: 2 subnets of pi\npi: ")
    assert list(read_dataset(output).subnets) == [SUBNETS[2], SUBNETS[0]]
    write_subnets(chosen, unmeasured)
    result = run("dataset", "export", store.path, "--subnets", chosen, "-o", output)
    assert isinstance(result.exception, DatasetError)


@pytest.mark.parametrize(
    ("part", "changes", "chosen"),
    [
        ("settings", {"cpus": [4, 5]}, {"cpus": "4-5"}),
        ("runtime", {"library_sha256": "f" * 64}, {"library_sha256": "f" * 64}),
        ("runtime", {"options": {"xnnpack": "on"}}, {"runtime_options": '{"xnnpack":"on"}'}),
    ],
)
def test_what_the_job_key_tells_apart_is_not_pooled(store, tmp_path, part, changes, chosen):
    record = make_record(20_000_000)
    record[part] = {**record[part], **changes}
    store.append(record, job_key="unlike", device="pi", subnet=SUBNETS[0])
    with pytest.raises(MixedMachineState, match=next(iter(chosen))):
        export_dataset(store, tmp_path / "out.csv")
    assert export_dataset(store, tmp_path / "out.csv", where=chosen).rows_by_device == {"pi": 1}
    assert read_dataset(tmp_path / "out.csv").latency_ms == [20.0]


def test_nothing_to_export_is_an_error(store, tmp_path):
    with pytest.raises(DatasetError, match="no subnets to export; devices there: pi"):
        export_dataset(store, tmp_path / "out.csv", device="jetson")


def test_imported_rows_are_exported_again(store, tmp_path):
    export_dataset(store, tmp_path / "out.csv")
    with Store(tmp_path / "other.db") as other:
        assert import_dataset(other, tmp_path / "out.csv") == 3
        assert import_dataset(other, tmp_path / "out.csv") == 0
        export_dataset(other, tmp_path / "again.csv")
    assert list(read_dataset(tmp_path / "again.csv").subnets) == SUBNETS


def test_an_invalid_import_appends_nothing(tmp_path):
    text = "device,space,resolution,ks,e,d,latency_ms\n"
    text += f'pi,ofa-mbv3-w1.0,224,"{[7] * 20}","{[6] * 20}","{[4] * 5}",5.0\n'
    text += f'pi,ofa-mbv3-w1.0,224,"{[7] * 20}","{[6] * 20}","{[3] * 5}",nan\n'
    (tmp_path / "in.csv").write_text(text)
    with Store(tmp_path / "s.db") as store:
        with pytest.raises(DatasetError, match=r"line 3, column latency_ms"):
            import_dataset(store, tmp_path / "in.csv")
        assert list(store.imported_rows()) == []
        assert import_dataset(store, tmp_path / "in.csv", drop_invalid=True) == 1


def test_the_commands_say_what_they_did(store, tmp_path):
    output = tmp_path / "out.csv"
    arguments = ["dataset", "export", str(store.path), "-o", str(output), "--json"]
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    printed = json.loads(result.output)
    assert (printed["path"], printed["rows"]) == (str(output), {"pi": 3})
    arguments = ["dataset", "import", str(output), "--store", str(tmp_path / "new.db")]
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert "3 new rows" in result.output
    result = CliRunner().invoke(cli, [*arguments, "--json"], catch_exceptions=False)
    assert json.loads(result.output) == {"store": str(tmp_path / "new.db"), "new_rows": 0}


def with_weights(record, sha256):
    return {**record, "model": {**record["model"], "weights_sha256": sha256}}


def test_one_subnet_with_other_weights_is_not_pooled(tmp_path):
    with Store(tmp_path / "s.db") as store:
        for key, (latency_ns, weights) in enumerate([(5_000_000, "a"), (9_000_000, "b")]):
            record = with_weights(make_record(latency_ns), weights * 64)
            store.append(record, job_key=f"{key}", device="pi", subnet=SUBNETS[key // 2])
        with pytest.raises(MixedMachineState, match=r"weights_sha256: a{64}, b{64}.*--where weig"):
            export_dataset(store, tmp_path / "out.csv")
        chosen = {"weights_sha256": "b" * 64}
        assert export_dataset(store, tmp_path / "out.csv", where=chosen).rows_by_device == {"pi": 1}
        assert read_dataset(tmp_path / "out.csv").latency_ms == [9.0]


def test_spaces_have_weights_of_their_own(tmp_path):
    wide = get_space("ofa-mbv3-w1.2").sample(1, np.random.default_rng(0))[0]
    with Store(tmp_path / "s.db") as store:
        for subnet, weights in ((SUBNETS[0], "a"), (SUBNETS[1], "a"), (wide, "b")):
            record = with_weights(make_record(5_000_000), weights * 64)
            store.append(record, job_key=subnet.id, device="pi", subnet=subnet)
        assert export_dataset(store, tmp_path / "out.csv").rows_by_device == {"pi": 3}
    rows = (tmp_path / "out.csv").read_text().splitlines()
    assert [row.rsplit(",", 1)[1] for row in rows] == ["weights_sha256", *(c * 64 for c in "aab")]


def test_a_stored_model_is_told_by_its_weights_too(tmp_path):
    record = make_record(5_000_000)
    with Store(tmp_path / "s.db") as store:
        for key, weights in enumerate("ab"):
            store.append(with_weights(record, weights * 64), job_key=f"{key}", device="pi")
        store.append(record, job_key="whole", device="pi")
        found = [m.model_identity for m in store.measurements()]
    assert found == [f"{'0' * 64}+{'a' * 64}", f"{'0' * 64}+{'b' * 64}", "0" * 64]
    with closing(sqlite3.connect(tmp_path / "s.db")) as connection:
        column = connection.execute("SELECT model_sha256 FROM measurements ORDER BY id")
        assert [name for (name,) in column] == found


def rows_written(path):
    with path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def fill(path, errors_rel, n_samples=20):
    """Return a store with a measurement of a subnet per error, 10, 12, 14 ... ms."""
    subnets = get_space("ofa-mbv3-w1.0").sample(len(errors_rel), np.random.default_rng(3))
    store = Store(path)
    for i, (subnet, error_rel) in enumerate(zip(subnets, errors_rel, strict=True)):
        record = make_record(10_000_000 + 2_000_000 * i, error_rel=error_rel, n_samples=n_samples)
        store.append(record, job_key=str(i), device="pi", subnet=subnet)
    return store


def test_rows_carry_their_standard_error_and_grade(tmp_path):
    with fill(tmp_path / "s.db", [0.002, 0.1, 0.004, 0.006]) as store:
        export_dataset(store, tmp_path / "out.csv", include_poor=True)
    rows = rows_written(tmp_path / "out.csv")
    assert [row["grade"] for row in rows] == ["good", "poor", "good", "good"]
    errors_ms = [float(row["latency_se"]) for row in rows]
    np.testing.assert_allclose(errors_ms, [0.02, 1.2, 0.056, 0.096], rtol=1e-3)
    data = read_dataset(tmp_path / "out.csv")
    np.testing.assert_array_equal(data.latency_se_ms, errors_ms)
    assert data.take([2]).latency_se_ms.tolist() == errors_ms[2:3]


def test_poor_rows_are_left_out_and_counted_unless_they_are_asked_for(tmp_path):
    path, output = tmp_path / "s.db", tmp_path / "out.csv"
    fill(path, [0.002, 0.1, 0.004, 0.006]).close()
    result = run("dataset", "export", path, "-o", output)
    assert result.exit_code == 0
    assert "3 subnets of pi\npi: 1 poor rows left out" in result.output
    assert "pi: good: noise floor 0.50%" in result.output
    assert len(rows_written(output)) == 3
    result = run("dataset", "export", path, "-o", output, "--include-poor", "--json")
    printed = json.loads(result.output)
    assert printed["rows"] == {"pi": 4}
    assert printed["poor_rows_left_out"] == {}
    assert printed["grades"]["pi"]["grade"] == "good"


def test_a_store_of_nothing_but_poor_rows_is_an_error_with_the_reason(tmp_path):
    with (
        fill(tmp_path / "s.db", [0.4, 0.4]) as store,
        pytest.raises(DatasetError, match=r"all 2 rows of pi are poor.*40.*--include-poor"),
    ):
        export_dataset(store, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_one_inference_without_an_interval_is_poor(tmp_path):
    with (
        fill(tmp_path / "s.db", [0.0, 0.0], n_samples=1) as store,
        pytest.raises(DatasetError, match="all 2 rows of pi are poor"),
    ):
        export_dataset(store, tmp_path / "out.csv")


def test_repeats_that_differ_make_the_error_larger_than_each_admits(store, tmp_path):
    for number, latency_ns in enumerate((5_500_000, 4_600_000)):
        record = make_record(latency_ns)
        store.append(record, job_key=f"again{number}", device="pi", subnet=SUBNETS[0])
    export_dataset(store, tmp_path / "out.csv", include_poor=True)
    assert float(rows_written(tmp_path / "out.csv")[0]["latency_se"]) > 0.2


def test_rows_of_before_have_no_error_and_bad_errors_are_named(store, tmp_path):
    export_dataset(store, tmp_path / "out.csv")
    text = (tmp_path / "out.csv").read_text()
    rows = rows_written(tmp_path / "out.csv")
    none, bad = tmp_path / "none.csv", tmp_path / "bad.csv"
    none.write_text(text.replace("latency_se", "other"))
    assert read_dataset(none).latency_se_ms is None
    bad.write_text(text.replace(rows[0]["latency_se"], "-1"))
    with pytest.raises(DatasetError, match="line 2, column latency_se: '-1'"):
        read_dataset(bad)


def test_rows_that_a_store_has_are_not_imported_again_under_another_name(store, tmp_path):
    export_dataset(store, tmp_path / "out.csv")
    (tmp_path / "renamed.csv").write_text((tmp_path / "out.csv").read_text() + "\n")
    with Store(tmp_path / "other.db") as other:
        assert import_dataset(other, tmp_path / "out.csv") == 3
        assert import_dataset(other, tmp_path / "renamed.csv") == 0


def test_repeated_rows_of_a_subnet_are_all_imported(store, tmp_path):
    export_dataset(store, tmp_path / "out.csv")
    header, *lines = (tmp_path / "out.csv").read_text().splitlines()
    again = lines[0].replace(",5.0,", ",5.1,")
    assert again != lines[0]
    (tmp_path / "out.csv").write_text("\n".join([header, *lines, again]) + "\n")
    with Store(tmp_path / "other.db") as other:
        assert import_dataset(other, tmp_path / "out.csv") == 4
        assert import_dataset(other, tmp_path / "out.csv") == 0


def test_campaigns_are_exported_as_they_are_estimated_together(tmp_path):
    subnets = get_space("ofa-mbv3-w1.0").sample(3, np.random.default_rng(5))
    with Store(tmp_path / "s.db") as store:
        records = records_of("first", 0)
        for key, record in records.items():
            item = key.removeprefix("first-model")
            subnet = subnets[int(item)] if item.isdecimal() else None
            store.append(record, job_key=key, device="pi", subnet=subnet)
        estimated = estimate_device(store, "pi")
        summary = export_dataset(store, tmp_path / "out.csv")
    rows = rows_written(tmp_path / "out.csv")
    assert [row["grade"] for row in rows] == ["good"] * 3
    for i, row in enumerate(rows):
        item = estimated.items[f"first-model{i}"]
        assert float(row["latency_ms"]) == pytest.approx(item.latency_ms)
        assert float(row["latency_se"]) == pytest.approx(item.latency_se)
    assert summary.verdict_by_device["pi"].grade.value == "good"
    assert 0 < summary.level_se_by_device["pi"] < 0.1


def test_a_device_is_graded_over_all_that_the_store_holds_of_it(tmp_path):
    with fill(tmp_path / "s.db", [0.002, 0.1, 0.004, 0.006]) as store:
        assert str(grade_device(store, "pi")).startswith("good: noise floor 0.50%")
        assert grade_device(store, "elsewhere") is None
