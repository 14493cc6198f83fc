"""What is plotted of devices and searches, and how it is drawn."""

import re

import numpy as np
import pytest
from campaign_records import records_of
from report_pages import append
from simulated_campaign import WILD
from stand_in_models import AdditiveLatency

from edgeprof import get_space
from edgeprof.base.units import format_significant
from edgeprof.records.store import Store
from edgeprof.report.data import full_name, read_stores
from edgeprof.report.drawing import Names, figure_html
from edgeprof.report.figure import LINE, Axis, Figure, Panel, Series
from edgeprof.report.kinds import times_by_kind
from edgeprof.report.plots import (
    FEW,
    boards_figure,
    latency_figure,
    macs_figure,
    speed_figure,
    spread_figure,
)
from edgeprof.report.png import write_png
from edgeprof.report.scale import LENGTH, Scale, tick_text
from edgeprof.report.tables import boards_table, network_table

SPACE = get_space("ofa-mbv3-w1.0")


def subnets(n, seed=1):
    return SPACE.sample(n, np.random.default_rng(seed))


@pytest.fixture
def rack(tmp_path):
    """Three devices, the third three times as fast as the first."""
    for name, scale in (("a", 1.0), ("b", 1.0), ("c", 1 / 3)):
        append(tmp_path / "s.db", AdditiveLatency(SPACE, name, scale), subnets(10))
    return read_stores([tmp_path / "s.db"])


def test_few_networks_are_shown_by_name_with_their_intervals(rack):
    figure = latency_figure(rack)
    assert [panel.title for panel in figure.panels] == ["a", "b", "c"]
    panel = figure.panels[0]
    assert len(panel.rows) == 10
    assert list(panel.series[0].x) == sorted(panel.series[0].x)
    assert (np.array(panel.series[0].low) < panel.series[0].x).all()
    assert "±" in panel.series[0].values[0][0]


def test_of_many_networks_the_distribution_is_shown(tmp_path):
    append(tmp_path / "s.db", AdditiveLatency(SPACE, "a"), subnets(FEW + 1))
    devices = read_stores([tmp_path / "s.db"])
    [panel] = latency_figure(devices).panels
    assert panel.rows == ("a",)
    *spans, medians = panel.series
    latencies_ms = [row.latency_ms for row in devices[0].rows]
    assert spans[0].x == [min(latencies_ms)]
    assert spans[0].high == [max(latencies_ms)]
    assert medians.x == [np.median(latencies_ms)]


def test_macs_of_every_network_stand_beside_its_latency(rack):
    figure = macs_figure(rack)
    line, dots = figure.panels[2].series
    by_name = dict(zip(dots.names, zip(dots.x, dots.y, strict=True), strict=True))
    for subnet in subnets(10):
        macs, latency_ms = by_name[full_name(subnet)]
        assert macs == SPACE.layers(subnet).macs
        assert latency_ms == pytest.approx((1.0 + macs * 25e-9) / 3, rel=0.02)
    slope = np.diff(line.y) / np.diff(line.x)
    assert slope == pytest.approx(sum(dots.y) / sum(dots.x))


def test_devices_are_compared_where_the_first_shares_nothing(tmp_path):
    append(tmp_path / "s.db", AdditiveLatency(SPACE, "a"), subnets(10, seed=2))
    for name in ("b", "c"):
        append(tmp_path / "s.db", AdditiveLatency(SPACE, name), subnets(10))
    [panel] = boards_figure(read_stores([tmp_path / "s.db"])).panels
    assert panel.title == "c against b"
    assert len(panel.series[0].x) == 10


def test_the_factor_between_devices_is_told(rack):
    rows = boards_table(rack).rows
    assert [row[0] for row in rows] == ["b", "c"]
    assert [row[3].text for row in rows] == ["x 1.00", "x 0.333"]
    assert float(rows[1][4].text.rstrip("%")) < 1


def test_all_networks_stand_in_one_table(rack):
    table = network_table(rack)
    assert table.columns == ("network", "MACs", "a", "b", "c")
    assert len(table.rows) == 10
    first = [float(row[2].text.partition(" ")[0]) for row in table.rows]
    assert first == sorted(first)
    assert table.is_folded


def test_the_spread_of_all_samples_is_a_hundred_percent(rack):
    for panel in spread_figure(rack).panels:
        assert sum(panel.series[0].y) == pytest.approx(100)


def test_the_speed_of_the_machine_is_drawn_of_each_device_with_campaigns(tmp_path):
    with Store(tmp_path / "s.db") as store:
        for key, record in records_of("c", 0, WILD).items():
            kind = "reference" if key.startswith("reference") else "onnx"
            store.append(record, job_key=key, device="pi", model_kind=kind)
    devices = read_stores([tmp_path / "s.db"])
    [panel] = speed_figure(devices).panels
    series = panel.series[0]
    assert panel.title == "pi"
    assert 0.05 < max(series.x) < 0.3  # six seconds of measuring, and pauses, in minutes
    assert list(series.x) == sorted(series.x)
    assert max(series.y) > 20  # the machine of this campaign is wild
    assert min(series.y) > -10


def test_without_campaigns_there_is_no_speed_to_draw(rack):
    assert speed_figure(rack) is None


def test_the_time_is_divided_among_kinds_of_layers(rack):
    times = times_by_kind(rack, [])
    assert [one.device for one in times] == ["a", "b", "c"]
    for one in times:
        assert sum(one.shares.values()) == pytest.approx(1)
        assert {"pointwise", "depthwise", "conv"} <= set(one.shares)
        assert max(one.shares, key=one.shares.get) == "pointwise"


# --- drawing ------------------------------------------------------------------------------------


def drawn(*series, **further):
    axes = {"x": Axis("x"), "y": Axis("y"), **further}
    return figure_html(Figure("f", "t", "c", panels=(Panel("", series),), **axes), Names())


def test_intervals_are_drawn_around_their_points():
    text = drawn(Series([1.0, 2.0], [5.0, 5.5], low=[4.0, 5.0], high=[7.0, 6.0]))
    [(x, low, high)] = re.findall(r'interval" d="M(\d+) (\d+)V(\d+)', text)
    [(at, up)] = re.findall(r'dots" d="M(\d+) (\d+)h0', text)
    assert x == at
    assert int(low) > int(up) > int(high)  # down the page


def test_a_diagonal_has_one_range_on_both_axes():
    figure = Figure(
        "f", "t", "c", Axis("x"), Axis("y"), (Panel("", (Series([1, 2], [5, 9]),)),), diagonal=True
    )
    panel = figure.panels[0]
    assert sorted(figure.x_values(panel)) == sorted(figure.y_values(panel)) == [1, 2, 5, 9]
    assert f"M0 {LENGTH}L{LENGTH} 0" in figure_html(figure, Names())


def test_shared_axes_have_the_range_of_all_panels():
    panels = tuple(Panel(str(n), (Series([n], [1.0]),)) for n in (1.0, 50.0))
    figure = Figure("f", "t", "c", Axis("x", is_shared=True), Axis("y"), panels)
    assert figure.x_values(panels[0]) == [1.0, 50.0]
    own = Figure("f", "t", "c", Axis("x"), Axis("y"), panels)
    assert own.x_values(panels[0]) == [1.0]


def test_a_name_is_kept_once_however_many_points_have_it():
    names = Names()
    series = Series([1, 2], [1, 2], ["net", "net"], [("a",), ("b c",)], "# ms")
    figure = Figure("f", "t", "c", Axis("x"), Axis("y"), (Panel("", (series, series)),))
    text = figure_html(figure, names)
    assert text.count('id=w0 data-n="0 0" data-w="# ms" data-v="a|b\xa0c"') == 1
    assert text.count("data-as=w0") == 1
    assert names.to_json() == '["net"]'


def test_names_that_follow_each_other_are_one_run():
    names = Names()
    for name in "abcdef":
        names.number(name)
    values = [("1",), ("2",), ("3",), ("4",)]
    series = Series([1, 2, 3, 4], [1, 2, 3, 4], list("fbca"), values, "#")
    figure = Figure("f", "t", "c", Axis("x"), Axis("y"), (Panel("", (series,)),))
    text = figure_html(figure, names)
    assert 'data-n="0-2 5" data-w="#" data-v="4|2|3|1"' in text
    points = re.findall(r"M(\d+) \d+h0", text.split("dots")[1])
    assert sorted(points, key=int) == [points[i] for i in (3, 1, 2, 0)]


def test_intervals_that_their_dots_hide_are_not_drawn():
    text = drawn(Series([1.0, 2.0], [5.0, 9.0], low=[4.99, 8.0], high=[5.01, 9.5]))
    assert text.split('interval" d="')[1].split('"')[0].count("V") == 1


@pytest.mark.parametrize(
    ("low", "high", "log"),
    [(0.0, 1.0, False), (7.1, 31.0, True), (1e6, 4e9, True), (9.99, 10.01, True),
     (-3.0, 9.0, False), (5.0, 5.0, False), (5.0, 5.0, True), (0.0, 0.0, False),
     (0.3, 0.31, False)],
)  # fmt: skip
def test_axes_have_a_few_round_ticks_within_their_range(low, high, log):
    scale = Scale.around([low, high], log=log)
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= 7
    assert all(scale.low <= tick <= scale.high for tick in ticks)
    places = scale.at(ticks).tolist()
    assert places == sorted(set(places))
    assert len({tick_text(tick) for tick in ticks}) == len(ticks) or high - low < 0.05 * abs(high)


def test_values_beyond_an_axis_stand_at_its_end():
    scale = Scale(1.0, 10.0, log=True)
    assert scale.at([-1.0, 0.0, 1.0, 10.0, 1e9]).tolist() == [0, 0, 0, LENGTH, LENGTH]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.03121, "0.0312"), (9.996, "10.0"), (217.4, "217"), (12345, "12,300"),
     (-0.5, "-0.500"), (1e-7, "0.000000100")],
)  # fmt: skip
def test_numbers_have_three_significant_digits(value, text):
    assert format_significant(value) == text


def test_rows_in_a_png_are_named(monkeypatch, tmp_path):
    from matplotlib.figure import Figure as Canvas

    kept = []
    save = Canvas.savefig
    monkeypatch.setattr(
        Canvas, "savefig", lambda self, *a, **k: (save(self, *a, **k), kept.append(self))
    )
    names = ("a $x$", "b_{1}")
    panel = Panel("p", (Series([1.0, 2.0], [0, 1], form=LINE),), rows=names)
    write_png(Figure("f", "t", "c", Axis("x"), Axis("y"), (panel,)), tmp_path)
    assert [label.get_text() for label in kept[0].axes[0].get_yticklabels()] == list(names)
