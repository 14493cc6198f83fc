"""The report: what stands in it, and that a browser draws it without a network or an error."""

import json
import re
import shutil
import subprocess
import tracemalloc

import numpy as np
import pytest
from click.testing import CliRunner
from stand_in_models import AdditiveLatency, InteractingLatency
from stored_records import fill_store, make_record

from edgeprof import _core, get_space
from edgeprof.base.errors import PredictorFormatError, SearchError, StoreError
from edgeprof.cli import cli
from edgeprof.predictors.gp.model import GaussianProcess
from edgeprof.predictors.save import save_host
from edgeprof.records.dataset import Dataset
from edgeprof.records.store import ImportedRow, Store
from edgeprof.report import write_report
from edgeprof.report.data import evaluate_predictors, read_stores
from edgeprof.report.figure import BARS, Figure, Series
from edgeprof.report.plotly_figure import to_plotly
from edgeprof.report.png import write_png
from edgeprof.report.sections import boards_figure
from edgeprof.report.tables import device_table, headline, warnings_table

SPACE = get_space("ofa-mbv3-w1.0")
BOARDS = (AdditiveLatency(SPACE, "rpi4"), InteractingLatency(SPACE, "jetson <nano>", 0.5))
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytest.importorskip("plotly")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    subnets = SPACE.sample(60, np.random.default_rng(1))
    path = fill_store(tmp_path_factory.mktemp("store") / "rack.db", BOARDS, subnets)
    with Store(path) as opened:
        failure = {"error": {"kind": "BoardUnreachable", "message": "no answer </script><b>"}}
        opened.append_failure(failure, job_key="x", device="rpi4")
    return path


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The printed results of a search."""
    subnets = SPACE.sample(5, np.random.default_rng(2))
    listed = [
        {
            "latency_ms": 5.0 + i,
            "accuracy": 0.7 + 0.01 * i,
            "subnet": subnet.to_dict(),
            "latency_source": "rpi4",
        }
        for i, subnet in enumerate(subnets)
    ]
    path = tmp_path_factory.mktemp("results") / "front.json"
    path.write_text(json.dumps(listed))
    return path


@pytest.fixture(scope="module")
def page(store, results, tmp_path_factory):
    """A report with everything in it."""
    folder = tmp_path_factory.mktemp("report")
    return write_report(
        [store],
        folder / "report.html",
        predictors=[("additive", BOARDS[0]), ("interacting", InteractingLatency(SPACE, "rpi4"))],
        results=[results],
        png_folder=folder / "png",
    )


ALL_FIGURES = (
    "front",
    "predicted",
    "residuals",
    "predictors",
    "agreement",
    "latencies",
    "spread",
    "boards",
    "learning-curve",
)


def test_every_plot_is_in_the_page_and_in_a_png(page):
    assert page.figure_ids == ALL_FIGURES
    assert [path.stem for path in page.png_paths] == list(ALL_FIGURES)
    for path in page.png_paths:
        assert path.read_bytes().startswith(b"\x89PNG")


def test_bars_in_a_png_are_named(monkeypatch, tmp_path):
    from matplotlib.figure import Figure as Canvas

    drawn = []
    save = Canvas.savefig
    monkeypatch.setattr(
        Canvas, "savefig", lambda self, *a, **k: (save(self, *a, **k), drawn.append(self))
    )
    series = tuple(Series(name, ["a", "b"], [1.0, 2.0], form=BARS) for name in ("x", "y"))
    write_png(Figure("f", "t", "c", "x", "y", series), tmp_path)
    assert [label.get_text() for label in drawn[0].axes[0].get_xticklabels()] == ["a", "b"]


def test_the_page_needs_no_network(page):
    text = page.path.read_text()
    tags = re.sub(r'<script type="text/plain".*?</script>', "", text, flags=re.DOTALL)
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!#|data:)""", tags)
    assert page.path.stat().st_size < 3_000_000


def test_texts_from_boards_cannot_become_markup(page):
    text = page.path.read_text()
    assert "jetson &lt;nano&gt;" in text
    assert "no answer &lt;/script&gt;&lt;b&gt;" in text
    assert "<b>" not in text.replace("<div class=card><b>", "")
    figures = re.search(r'id="figures">(.*?)</script>', text, re.DOTALL).group(1)
    assert "jetson" in figures
    assert "<" not in figures  # "<!--<script>" would hide the end of the element


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_chromium_draws_every_plot_without_console_errors(page, tmp_path):
    # --enable-logging=stderr prints console messages; --dump-dom the page after its scripts ran.
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path}",
            "--enable-logging=stderr",
            "--virtual-time-budget=20000",
            "--dump-dom",
            page.path.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert console == []
    assert f'data-drawn="{len(ALL_FIGURES)}"' in done.stdout
    for name in ALL_FIGURES:
        section = done.stdout.split(f'id="section-{name}"')[1].split("</section>")[0]
        assert "main-svg" in section, name
        assert re.search(r'class="(?:point|bars|js-line|trace)', section), name


def test_hover_shows_the_subnet_of_each_point_of_the_front(page, results):
    figures = json.loads(
        re.search(r'id="figures">(.*?)</script>', page.path.read_text(), re.DOTALL).group(1)
    )
    subnet = json.loads(results.read_text())[0]["subnet"]
    (trace,) = figures["front"]["data"]
    assert f"{subnet['r']} px" in trace["text"][0]
    assert "ks: " + " ".join(map(str, subnet["ks"])) in trace["text"][0]


def test_intervals_are_drawn_around_their_medians():
    series = Series("a", [1.0], [5.0], low=[4.0], high=[7.0])
    figure = Figure("f", "t", "c", "x", "y", (series,))
    bars = to_plotly(figure)["data"][0]["error_y"]
    assert (bars["arrayminus"], bars["array"]) == ([1.0], [2.0])


def test_a_proxy_is_not_shown_as_accuracy(store, results, tmp_path):
    listed = json.loads(results.read_text())
    proxy = tmp_path / "proxy.json"
    proxy.write_text(json.dumps([{**item, "accuracy_is_proxy": True} for item in listed]))
    written = write_report([store], tmp_path / "r.html", results=[proxy], learning_curve=False)
    text = written.path.read_text()
    assert "capacity proxy" in text
    assert "predicted top-1" not in text
    both = write_report(
        [store], tmp_path / "both.html", results=[results, proxy], learning_curve=False
    )
    assert both.figure_ids[:2] == ("front", "front-proxy")
    figures = figures_of(both.path)
    assert figures["front"]["layout"]["yaxis"]["title"]["text"] == "predicted top-1, %"
    assert max(figures["front"]["data"][0]["y"]) > 1
    assert figures["front-proxy"]["layout"]["yaxis"]["title"]["text"].startswith("capacity proxy")
    assert max(figures["front-proxy"]["data"][0]["y"]) < 1


def figures_of(path):
    found = re.search(r'id="figures">(.*?)</script>', path.read_text(), re.DOTALL)
    return json.loads(found.group(1))


def append(path, latency_model, subnets, *, threads=1, kind="onnx-fp32-b1"):
    rng = np.random.default_rng(0)
    with Store(path) as opened:
        for subnet, latency_ms in zip(subnets, latency_model.predict(subnets), strict=True):
            record = make_record(latency_ms, rng)
            record["settings"]["threads"] = threads
            opened.append(
                record,
                job_key=f"{latency_model.device}-{subnet.id}-{threads}-{kind}",
                device=latency_model.device,
                subnet=subnet,
                model_kind=kind,
            )


def test_measurements_under_different_states_are_not_pooled(tmp_path):
    subnets = SPACE.sample(12, np.random.default_rng(1))
    slow, quick = AdditiveLatency(SPACE, "rpi4"), AdditiveLatency(SPACE, "rpi4", 0.25)
    append(tmp_path / "s.db", slow, subnets)
    append(tmp_path / "s.db", quick, subnets, threads=4)
    one, four = read_stores([tmp_path / "s.db"])
    assert (one.name, four.name) == ("rpi4 (threads 1)", "rpi4 (threads 4)")
    for device, model in ((one, slow), (four, quick)):
        data = device.dataset(SPACE.id)
        np.testing.assert_allclose(data.latency_ms, model.predict(data.subnets), rtol=0.02)
    first, second = evaluate_predictors([("p.edgp", slow)], [one, four])
    assert first.label == "p.edgp on rpi4 (threads 1)"
    assert np.abs(first.predicted_ms / first.data.latency_ms - 1).max() < 0.02
    assert (second.predicted_ms / second.data.latency_ms).min() > 3


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
    assert [row[2:] for row in table.rows] == [
        ("2 of 3", drift("...")),
        ("1 of 3", "an older one"),
    ]


def test_failures_and_imported_rows_of_a_device_of_several_states_are_kept(tmp_path):
    subnets = SPACE.sample(3, np.random.default_rng(1))
    for kind in ("onnx-fp32-b1", "tflite-int8-b1"):
        append(tmp_path / "s.db", BOARDS[0], subnets, kind=kind)
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
    written = write_report([tmp_path / "s.db"], tmp_path / "r.html", learning_curve=False)
    assert "no answer" in written.path.read_text()


def test_devices_are_compared_where_the_first_shares_nothing(tmp_path):
    others, shared = np.split(np.array(SPACE.sample(20, np.random.default_rng(1))), [10])
    append(tmp_path / "s.db", AdditiveLatency(SPACE, "a"), others)
    for name in ("b", "c"):
        append(tmp_path / "s.db", AdditiveLatency(SPACE, name), shared)
    figure = boards_figure(read_stores([tmp_path / "s.db"]))
    (series,) = figure.series
    assert series.name == "c against b"
    assert len(series.x) == 10


def test_a_lookup_table_is_compared_with_the_device_that_is_named(store, tmp_path):
    tables = AdditiveLatency(SPACE, "some_folder")
    arguments = {"predictors": [("tables", tables)], "learning_curve": False}
    with pytest.raises(PredictorFormatError, match="on some_folder, of which the stores"):
        write_report([store], tmp_path / "r.html", **arguments)
    written = write_report([store], tmp_path / "r.html", device_of={"tables": "rpi4"}, **arguments)
    assert "predicted" in written.figure_ids


def test_report_from_the_command_line(store, results, tmp_path):
    rng = np.random.default_rng(0)
    codes = SPACE.sample_codes(60, rng)
    data = Dataset(
        SPACE.id, "x", tuple(SPACE.decode(codes)), codes, BOARDS[0].predict_codes(codes),
        np.arange(60), "test",
    )  # fmt: skip
    save_host(tmp_path / "p.host.npz", GaussianProcess().fit(data))
    output = tmp_path / "r.html"
    done = CliRunner().invoke(
        cli,
        [
            "report", str(store), "--predictor", f"{tmp_path / 'p.host.npz'}=rpi4",
            "--search", str(results), "--no-learning-curve", "--png", str(tmp_path / "png"),
            "-o", str(output),
        ],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert f"{output}: " in done.output
    assert "6 plots" in done.output
    assert set(figures_of(output)) == {path.stem for path in (tmp_path / "png").iterdir()}


def test_imported_rows_alone_make_a_report(tmp_path):
    subnets = SPACE.sample(30, np.random.default_rng(3))
    rows = [
        ImportedRow("rpi4", subnet, float(latency_ms), "elsewhere")
        for subnet, latency_ms in zip(subnets, BOARDS[0].predict(subnets), strict=True)
    ]
    with Store(tmp_path / "s.db") as opened:
        opened.append_imported(rows)
    written = write_report(
        [tmp_path / "s.db"], tmp_path / "r.html", predictors=[("additive", BOARDS[0])]
    )
    assert written.figure_ids == ("predicted", "residuals", "learning-curve")


# --- bad input ----------------------------------------------------------------------------------


def test_a_store_without_results_is_one_line(tmp_path):
    Store(tmp_path / "empty.db").close()
    with pytest.raises(StoreError, match="holds no results"):
        write_report([tmp_path / "empty.db"], tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


def test_a_store_that_is_not_there_is_named(tmp_path):
    result = CliRunner().invoke(cli, ["report", str(tmp_path / "none.db")])
    assert isinstance(result.exception, StoreError)
    assert "no such store" in str(result.exception)
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize(
    "predictor",
    [AdditiveLatency(get_space("ofa-mbv3-w1.2"), "rpi4"), AdditiveLatency(SPACE, "pixel")],
)
def test_a_predictor_of_another_space_or_device_is_named(store, tmp_path, predictor):
    with pytest.raises(PredictorFormatError, match=r"p\.edgp: predicts .* hold nothing \(they"):
        write_report([store], tmp_path / "r.html", predictors=[("p.edgp", predictor)])


@pytest.mark.parametrize("content", ["hello", "[]", "{}", '[{"latency_ms": 1}]', "[1]"])
def test_a_file_that_is_no_search_result_is_named(store, tmp_path, content):
    path = tmp_path / "front.json"
    path.write_text(content)
    with pytest.raises(SearchError, match=r"front\.json: is no result"):
        write_report([store], tmp_path / "r.html", results=[path], learning_curve=False)


def test_networks_stand_beside_subnets(tmp_path):
    """Counted, in the range of latencies, and compared between devices by what was measured."""
    rng = np.random.default_rng(0)
    subnets = SPACE.sample(2, rng)
    path = fill_store(tmp_path / "lab.db", BOARDS, subnets)
    with Store(path) as store:
        for device, latency_ms in (("rpi4", 900.0), ("jetson <nano>", 450.0)):
            record = make_record(latency_ms, rng)
            record["model"] |= {"path": f"zoo/{device}/yolo.onnx", "sha256": "a" * 64}
            store.append(record, job_key=device, device=device, model_kind="onnx")
    devices = read_stores([path])
    assert [len(device.measurements) for device in devices] == [3, 3]
    cards = {what: number for number, what in headline(devices, [])}
    assert (cards["subnets"], cards["other networks"]) == ("2", "1")
    [_, pi] = device_table(devices).rows
    assert re.search(r" \.\. 90\d(\.\d)? ms", " ".join(pi))
    [series] = boards_figure(devices).series
    assert len(series.x) == 3
    assert any("yolo.onnx" in text for text in series.hover)
    write_report([path], tmp_path / "report.html", learning_curve=False)
    assert "yolo.onnx" in (tmp_path / "report.html").read_text("utf-8")


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
