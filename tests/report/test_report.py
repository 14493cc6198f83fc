"""The report as a whole: what stands in the page, and what a wrong argument says."""

import json
import re

import numpy as np
import pytest
from click.testing import CliRunner
from report_pages import append_networks, points_of, section
from stand_in_models import AdditiveLatency, InteractingLatency
from stored_records import fill_store

from edgeprof import get_space
from edgeprof.base.errors import PredictorFormatError, SearchError, StoreError
from edgeprof.cli import cli
from edgeprof.predictors.gp.model import GaussianProcess
from edgeprof.predictors.save import save_host
from edgeprof.records.dataset import Dataset
from edgeprof.records.store import ImportedRow, Store
from edgeprof.report import Contents, write_report

SPACE = get_space("ofa-mbv3-w1.0")
NASTY = "<!--<script>"
BOARDS = (AdditiveLatency(SPACE, "rpi4"), InteractingLatency(SPACE, NASTY, 0.5))
ALL_FIGURES = (
    "front",
    "predicted",
    "residuals",
    "agreement",
    "latencies",
    "macs",
    "boards",
    "learning-curve",
    "spread",
)


@pytest.fixture(scope="module")
def subnets():
    return SPACE.sample(60, np.random.default_rng(1))


@pytest.fixture(scope="module")
def store(tmp_path_factory, subnets):
    path = fill_store(tmp_path_factory.mktemp("store") / "rack.db", BOARDS, subnets)
    with Store(path) as opened:
        failure = {"error": {"kind": "BoardUnreachable", "message": "no answer </script><b>"}}
        opened.append_failure(failure, job_key="x", device="rpi4")
    return path


@pytest.fixture(scope="module")
def results(tmp_path_factory, subnets):
    """The printed results of a search; the first was measured, as the store says."""
    others = SPACE.sample(5, np.random.default_rng(2))[1:]
    listed = [
        {
            "latency_ms": 5.0 + i,
            "accuracy": 0.7 + 0.01 * i,
            "subnet": subnet.to_dict(),
            "latency_source": "rpi4",
        }
        for i, subnet in enumerate([subnets[0], *others])
    ]
    listed[4]["measured_ms"] = 9.4
    path = tmp_path_factory.mktemp("results") / "front.json"
    path.write_text(json.dumps(listed))
    return path


@pytest.fixture(scope="module")
def written(store, results, tmp_path_factory):
    """A report with everything in it."""
    folder = tmp_path_factory.mktemp("report")
    contents = Contents(
        [store],
        [("additive", BOARDS[0]), ("interacting", InteractingLatency(SPACE, "rpi4"))],
        results=[results],
    )
    return write_report(contents, folder / "report.html", png_folder=folder / "png")


@pytest.fixture(scope="module")
def page(written):
    return written.path.read_text(encoding="utf-8")


def test_every_plot_is_in_the_page_and_in_a_png(written, page):
    assert written.figure_ids == ALL_FIGURES
    assert [path.stem for path in written.png_paths] == list(ALL_FIGURES)
    for path in written.png_paths:
        assert path.read_bytes().startswith(b"\x89PNG")
        assert "<svg" in section(page, path.stem)


def test_the_answer_comes_first_and_what_is_wrong_last(page):
    places = [page.index(text) for text in (
        "What was measured", "Can it be trusted?", "The best networks", "additive on rpi4",
        'id="front"', 'id="predicted"', 'id="latencies"', '<details id="warnings"',
    )]  # fmt: skip
    assert places == sorted(places)
    card = page.split("<div class=answer>")[1].split("<nav>")[0]
    assert "60 networks on 2 devices" in card
    assert "74.00% top-1 in 9.40 ms" in card
    assert "2 of 5 verified by a measurement" in card
    assert re.search(r"\d\.\d% mean error", card)
    assert "60 held-out networks" in card
    assert "noise floor" in card
    assert "MACs, scaled" in card
    assert "<details id" not in page.split('<details id="networks"')[0]


def test_the_page_needs_no_network(page):
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!#|data:)""", page)
    assert "url(" not in page
    assert "@import" not in page


def test_texts_from_outside_cannot_become_markup(page):
    assert NASTY not in page
    assert "&lt;!--&lt;script&gt;" in page
    assert "no answer &lt;/script&gt;&lt;b&gt;" in page
    names = page.split("id=names>")[1].split("</script>")[0]
    assert "<" not in names  # "<!--<script>" would hide the end of the element


def test_a_name_that_looks_like_the_pages_own_separators_is_kept(tmp_path):
    name = 'a|b "c" & <d>.onnx'
    network = _network(name, 1)
    append_networks(tmp_path / "s.db", "pi | <x>", [network], [3.0])
    written = write_report(Contents([tmp_path / "s.db"]), tmp_path / "r.html")
    [(value, shown)] = points_of(written.path.read_text("utf-8"), "latencies")
    assert shown.endswith(name)
    assert value.endswith(" ms")


def test_names_cannot_hide_or_turn_round_what_stands_beside_them(tmp_path):
    append_networks(tmp_path / "s.db", "pi\u202e\x00", [_network("n\u2028.onnx", 1)], [3.0])
    written = write_report(Contents([tmp_path / "s.db"]), tmp_path / "r.html")
    page = written.path.read_text("utf-8")
    assert not {"\u202e", "\x00", "\u2028"} & set(page)
    assert "pi\\u202e\\x00" in page


def _network(name, scale):
    from made_networks import convolution

    from edgeprof.networks.layers import Shape
    from edgeprof.networks.listed import network_of_layers

    layers = [convolution(32, 16, 16 * scale, kernel=3), convolution(32, 16 * scale, 32)]
    return network_of_layers(name, layers, Shape(3, 32, 32))


def test_points_say_which_subnet_they_are(page, results):
    subnet = json.loads(results.read_text())[0]["subnet"]
    value, name = points_of(page, "front")[0]
    assert value == "5.00 ms predicted, 70.00% top-1"
    assert f"{subnet['r']} px" in name
    assert "ks: " + " ".join(map(str, subnet["ks"])) in name


def test_a_proxy_is_not_shown_as_accuracy(store, results, tmp_path):
    listed = json.loads(results.read_text())
    proxy = tmp_path / "proxy.json"
    proxy.write_text(json.dumps([{**item, "accuracy_is_proxy": True} for item in listed]))
    contents = Contents([store], results=[proxy], learning_curve=False)
    text = write_report(contents, tmp_path / "r.html").path.read_text("utf-8")
    assert "capacity proxy" in text
    assert "top-1" not in text
    contents = Contents([store], results=[results, proxy], learning_curve=False)
    both = write_report(contents, tmp_path / "both.html")
    assert both.figure_ids[:2] == ("front", "front-proxy")
    text = both.path.read_text("utf-8")
    assert all("top-1" in value for value, _ in points_of(text, "front"))
    assert all("proxy" in value for value, _ in points_of(text, "front-proxy"))


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
    assert "7 plots" in done.output
    for path in (tmp_path / "png").iterdir():
        assert section(output.read_text("utf-8"), path.stem)


def test_open_shows_the_page_in_a_browser(store, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    output = tmp_path / "r.html"
    arguments = ["report", str(store), "--no-learning-curve", "--open", "-o", str(output)]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    assert opened == [output.as_uri()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--serve", "-o", "r.html"], "--output goes without --serve"),
        (["--port", "8000"], "--port needs --serve"),
    ],
)
def test_options_that_would_change_nothing_are_refused(store, arguments, message):
    done = CliRunner().invoke(cli, ["report", str(store), *arguments])
    assert done.exit_code == 2
    assert message in done.output


def test_imported_rows_alone_make_a_report(tmp_path):
    subnets = SPACE.sample(30, np.random.default_rng(3))
    rows = [
        ImportedRow("rpi4", subnet, float(latency_ms), "elsewhere")
        for subnet, latency_ms in zip(subnets, BOARDS[0].predict(subnets), strict=True)
    ]
    with Store(tmp_path / "s.db") as opened:
        opened.append_imported(rows)
    contents = Contents([tmp_path / "s.db"], [("additive", BOARDS[0])])
    written = write_report(contents, tmp_path / "r.html")
    assert written.figure_ids == ("predicted", "residuals", "latencies", "macs", "learning-curve")
    assert "Nobody knows" in written.path.read_text("utf-8")


def test_any_networks_make_the_same_page(tmp_path):
    networks = [_network(f"net{scale}.onnx", scale) for scale in (1, 2, 4)]
    append_networks(tmp_path / "s.db", "rpi5", networks, [3.0, 5.0, 9.0])
    written = write_report(Contents([tmp_path / "s.db"]), tmp_path / "r.html")
    assert written.figure_ids == ("latencies", "macs", "spread")
    page = written.path.read_text("utf-8")
    assert "The fastest networks" in page
    assert "3 networks on 1 device" in page
    assert "net4.onnx" in section(page, "networks")
    shares = re.findall(r"([\d.]+)%</span><i", section(page, "kinds"))
    assert sum(map(float, shares)) == pytest.approx(100, abs=0.5)


# --- bad input ----------------------------------------------------------------------------------


def test_a_store_without_results_is_one_line(tmp_path):
    Store(tmp_path / "empty.db").close()
    with pytest.raises(StoreError, match="holds no results"):
        write_report(Contents([tmp_path / "empty.db"]), tmp_path / "r.html")
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
        write_report(Contents([store], [("p.edgp", predictor)]), tmp_path / "r.html")


def test_a_lookup_table_is_compared_with_the_device_that_is_named(store, tmp_path):
    tables = [("tables", AdditiveLatency(SPACE, "some_folder"))]
    with pytest.raises(PredictorFormatError, match="on some_folder, of which the stores"):
        write_report(Contents([store], tables, learning_curve=False), tmp_path / "r.html")
    named = Contents([store], tables, {"tables": "rpi4"}, learning_curve=False)
    assert "predicted" in write_report(named, tmp_path / "r.html").figure_ids


@pytest.mark.parametrize("content", ["hello", "[]", "{}", '[{"latency_ms": 1}]', "[1]"])
def test_a_file_that_is_no_search_result_is_named(store, tmp_path, content):
    path = tmp_path / "front.json"
    path.write_text(content)
    with pytest.raises(SearchError, match=r"front\.json: is no result"):
        write_report(Contents([store], results=[path]), tmp_path / "r.html")
