"""The devices of stores: what belongs together, and what is kept."""

import re
import tracemalloc

import numpy as np
from report_pages import append
from stand_in_models import AdditiveLatency
from stored_records import fill_store, make_record

from edgeprof import _core, get_space
from edgeprof.records.store import ImportedRow, Store
from edgeprof.report import Contents, write_report
from edgeprof.report.answer import answers
from edgeprof.report.data import read_stores
from edgeprof.report.judging import judge_predictors
from edgeprof.report.plots import boards_figure
from edgeprof.report.tables import Cell, device_table, warnings_table

SPACE = get_space("ofa-mbv3-w1.0")
PI = AdditiveLatency(SPACE, "rpi4")


def test_measurements_under_different_states_are_not_pooled(tmp_path):
    subnets = SPACE.sample(12, np.random.default_rng(1))
    quick = AdditiveLatency(SPACE, "rpi4", 0.25)
    append(tmp_path / "s.db", PI, subnets)
    append(tmp_path / "s.db", quick, subnets, threads=4)
    one, four = read_stores([tmp_path / "s.db"])
    assert (one.name, four.name) == ("rpi4 (threads 1)", "rpi4 (threads 4)")
    for device, model in ((one, PI), (four, quick)):
        data = device.dataset(SPACE.id)
        np.testing.assert_allclose(data.latency_ms, model.predict(data.subnets), rtol=0.02)
        assert (data.latency_se_ms > 0).all()
    first, second = judge_predictors([("p.edgp", PI)], [one, four])
    assert first.title == "p.edgp on rpi4 (threads 1)"
    assert np.abs(first.result.predicted_ms / first.measured_ms - 1).max() < 0.02
    assert (second.result.predicted_ms / second.measured_ms).min() > 3


def test_repeated_measurements_are_one_row(tmp_path):
    subnet = SPACE.sample(1, np.random.default_rng(1))[0]
    rng = np.random.default_rng(0)
    with Store(tmp_path / "s.db") as store:
        for key, latency_ms in enumerate((9.0, 10.0, 13.0)):
            record = make_record(latency_ms, rng)
            store.append(record, job_key=str(key), device="pi", subnet=subnet)
    [device] = read_stores([tmp_path / "s.db"])
    [row] = device.rows
    assert abs(row.latency_ms - 10.0) < 0.1
    assert row.evidence.se_rel > 0.05  # they differ by more than each says of itself
    assert len(device.measurements) == 3


def test_warnings_are_counted_by_kind_whatever_their_value(tmp_path):
    def drift(value):
        found, consequence, remedy = next(
            texts for rule_id, *texts in _core.warning_texts() if rule_id == "drift"
        )
        return f"{found}: {consequence}; {remedy}".replace("{}", value)

    rng = np.random.default_rng(0)
    with Store(tmp_path / "s.db") as store:
        for key, warnings in enumerate([[drift("3.1 %")], [drift("-4.5 %"), "an older one"], []]):
            record = {**make_record(5.0, rng), "warnings": warnings}
            store.append(record, job_key=str(key), device="pi")
    table = warnings_table(read_stores([tmp_path / "s.db"]))
    assert table is not None
    assert [tuple(row[2:]) for row in table.rows] == [
        ("2 of 3", drift("...")),
        ("1 of 3", "an older one"),
    ]


def test_failures_and_imported_rows_of_a_device_of_several_states_are_kept(tmp_path):
    subnets = SPACE.sample(3, np.random.default_rng(1))
    for kind in ("onnx-fp32-b1", "tflite-int8-b1"):
        append(tmp_path / "s.db", PI, subnets, kind=kind)
    with Store(tmp_path / "s.db") as opened:
        opened.append_imported([ImportedRow("rpi4", subnets[0], 5.0, "elsewhere")])
        failure = {"error": {"kind": "BoardUnreachable", "message": "no answer"}}
        opened.append_failure(failure, job_key="x", device="rpi4")
    devices = read_stores([tmp_path / "s.db"])
    assert [device.name for device in devices] == [
        "rpi4 (model_kind onnx-fp32-b1)",
        "rpi4 (model_kind tflite-int8-b1)",
        "rpi4 (without a state)",
    ]
    assert [len(device.measurements) for device in devices] == [3, 3, 0]
    assert (devices[2].n_imported, len(devices[2].failures)) == (1, 1)
    contents = Contents([tmp_path / "s.db"], learning_curve=False)
    written = write_report(contents, tmp_path / "r.html")
    assert "no answer" in written.path.read_text("utf-8")


def test_a_device_that_only_failed_is_named(tmp_path):
    append(tmp_path / "s.db", PI, SPACE.sample(3, np.random.default_rng(1)))
    with Store(tmp_path / "s.db") as opened:
        failure = {"error": {"kind": "BoardUnreachable", "message": "no answer"}}
        opened.append_failure(failure, job_key="x", device="nano")
    devices = read_stores([tmp_path / "s.db"])
    measured = answers(devices, [], [], None)[0]
    assert ("nano", "nothing but 1 failed attempt") in measured.lines
    written = write_report(Contents([tmp_path / "s.db"]), tmp_path / "r.html")
    assert "latencies" in written.figure_ids


def test_networks_stand_beside_subnets(tmp_path):
    """Counted, in the range of latencies, and compared between devices by what was measured."""
    rng = np.random.default_rng(0)
    subnets = SPACE.sample(2, rng)
    boards = (PI, AdditiveLatency(SPACE, "nano", 0.5))
    path = fill_store(tmp_path / "lab.db", boards, subnets)
    with Store(path) as store:
        for device, latency_ms in (("rpi4", 900.0), ("nano", 450.0)):
            record = make_record(latency_ms, rng)
            record["model"] |= {"path": f"zoo/{device}/yolo.onnx", "sha256": "a" * 64}
            store.append(record, job_key=device, device=device, model_kind="onnx")
    devices = read_stores([path])
    assert [len(device.rows) for device in devices] == [3, 3]
    measured = answers(devices, [], [], None)[0]
    assert measured.answer == "3 networks on 2 devices"
    [_, pi] = device_table(devices).rows
    texts = [cell.text if isinstance(cell, Cell) else cell for cell in pi]
    assert re.search(r" 90\d ms", " ".join(texts))
    [panel] = boards_figure(devices).panels
    assert len(panel.series[0].x) == 3
    assert any("yolo.onnx" in name for name in panel.series[0].names)
    assert devices[0].network_rows().latency_ms.max() < 100  # nothing tells the layers of the file


def test_memory_does_not_grow_with_raw_samples(tmp_path):
    subnet = SPACE.sample(1, np.random.default_rng(5))[0]
    kept = {}
    for n_samples in (50, 5000):
        path = tmp_path / f"{n_samples}.db"
        rng = np.random.default_rng(0)
        with Store(path) as store:
            for index in range(40):
                record = make_record(10.0, rng, n_samples=n_samples)
                store.append(record, job_key=str(index), device="rpi4", subnet=subnet)
        tracemalloc.start()
        [device] = read_stores([path])
        kept[n_samples], _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert device.spread.sum() == 40 * n_samples
        assert device.spread[:9].sum() == 0
    assert kept[5000] < 1.3 * kept[50]
