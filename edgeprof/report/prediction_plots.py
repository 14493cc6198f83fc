"""The plots of what predictors and searches say.

Owns: which plots of them there are. Points in plots of accuracy are networks that the predictor has
not learned from.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeprof.base.units import format_significant
from edgeprof.predictors.metrics import metrics_of
from edgeprof.report.data import Device, full_name
from edgeprof.report.figure import LINE, SOFT, SURE, Axis, Figure, Panel, Series
from edgeprof.report.found import FrontPoint
from edgeprof.report.judging import Judged
from edgeprof.report.plots import each_with_first

_WORDING = "# ms, predicted # (# %)"
_CURVE_SIZES = (10, 20, 50, 100, 200, 500, 1000)
_HELD_OUT_SHARE = 0.2
_LEAST_HELD_OUT = 5


def prediction_figures(judged: Sequence[Judged]) -> list[Figure]:
    """Predicted against measured, and the errors, of networks that were held out."""
    shown = [one for one in judged if one.result is not None]
    if not shown:
        return []
    panels = [(one.title, _prediction_series(one)) for one in shown]
    measured = Axis("measured, ms", log=True)
    return [
        Figure(
            "predicted",
            "Prediction against measurement",
            "Networks that the predictor has not learned from. On the dotted line the prediction "
            "is right; the bars are its own 90 % intervals, where it has some.",
            measured,
            Axis("predicted, ms", log=True),
            tuple(Panel(title, (series,)) for title, (series, _) in panels),
            diagonal=True,
        ),
        Figure(
            "residuals",
            "Errors of the predictions",
            "The same networks. A slope or a curve is something that the predictor does not know.",
            measured,
            Axis("error of the prediction, %", is_shared=True, least=(-5.0, 5.0)),
            tuple(Panel(title, (series,)) for title, (_, series) in panels),
        ),
        *_agreement_figure(shown),
    ]


def _prediction_series(one: Judged) -> tuple[Series, Series]:
    """Return the predictions, and their errors, over the measurements."""
    assert one.result is not None
    measured, predicted, interval = one.measured_ms, one.result.predicted_ms, one.result.interval
    error_pct = 100 * (predicted / measured - 1)
    names = [full_name(what) for what in one.networks]
    values = [
        (format_significant(ms), format_significant(said), f"{error:+.1f}")
        for ms, said, error in zip(measured, predicted, error_pct, strict=True)
    ]
    x = measured.tolist()
    low, high = (
        ((), ()) if interval is None else (interval.low_ms.tolist(), interval.high_ms.tolist())
    )
    return (
        Series(x, predicted.tolist(), names, values, _WORDING, low, high),
        Series(x, error_pct.tolist(), names, values, _WORDING),
    )


def _agreement_figure(judged: Sequence[Judged]) -> list[Figure]:
    """What two predictors say of the same networks: where they differ, one of them is wrong."""
    pairs = each_with_first(judged, _say_something_of_the_same)
    panels = tuple(_agreement_panel(first, other) for first, other in pairs)
    if not panels:
        return []
    return [
        Figure(
            "agreement",
            "Predictors against each other",
            "What two predictors say of the same networks, a lookup table and a learned one for "
            "example: off the dotted line they disagree.",
            Axis("predicted by the first, ms", log=True),
            Axis("predicted by the other, ms", log=True),
            panels,
            diagonal=True,
        )
    ]


def _say_something_of_the_same(first: Judged, other: Judged) -> bool:
    return first.device == other.device and bool(set(first.networks) & set(other.networks))


def _agreement_panel(first: Judged, other: Judged) -> Panel:
    assert first.result is not None
    assert other.result is not None
    mine = dict(zip(first.networks, first.result.predicted_ms.tolist(), strict=True))
    theirs = dict(zip(other.networks, other.result.predicted_ms.tolist(), strict=True))
    took = dict(zip(other.networks, other.measured_ms.tolist(), strict=True))
    common = [what for what in mine if what in theirs]
    series = Series(
        [mine[what] for what in common],
        [theirs[what] for what in common],
        [full_name(what) for what in common],
        [tuple(format_significant(of[what]) for of in (mine, theirs, took)) for what in common],
        "# and # ms, measured #",
    )
    return Panel(f"{other.label} against {first.label} on {other.device}", (series,))


def learning_curve_figure(devices: Sequence[Device]) -> Figure | None:
    """Error on held-out subnets of predictors trained on more and more of the rest."""
    panels = [
        panel
        for device in devices
        for space_id in device.spaces
        if (panel := _learning_curve(device, space_id)) is not None
    ]
    if not panels:
        return None
    return Figure(
        "learning-curve",
        "Learning curve",
        "Error on subnets held out of training: where the curve is flat, more measurements do not "
        "help.",
        Axis("subnets learned from", log=True, is_shared=True),
        Axis("mean error, %", is_shared=True, least=(0.0,)),
        tuple(panels),
    )


def _learning_curve(device: Device, space_id: str) -> Panel | None:
    from edgeprof.predictors.gp.model import GaussianProcess

    data = device.dataset(space_id)
    if data is None or len(data) < 2 * _CURVE_SIZES[0]:
        return None
    order = np.random.default_rng(0).permutation(len(data))
    n_held_out = max(_LEAST_HELD_OUT, int(_HELD_OUT_SHARE * len(data)))
    held_out, rest = data.take(order[:n_held_out]), order[n_held_out:]
    sizes = [n for n in _CURVE_SIZES if n <= len(rest)]
    errors_pct = []
    for n in sizes:
        predicted = GaussianProcess().fit(data.take(rest[:n])).predict_codes(held_out.codes)
        errors_pct.append(100 * metrics_of(predicted, held_out.latency_ms).mape)
    values = [(f"{error:.1f}", str(n)) for n, error in zip(sizes, errors_pct, strict=True)]
    title = device.name if len(device.spaces) == 1 else f"{device.name}, {space_id}"
    dots = Series(sizes, errors_pct, [f"{n_held_out} held out"] * len(sizes), values, "# % from #")
    return Panel(title, (Series(sizes, errors_pct, form=LINE), dots))


def front_figures(points: Sequence[FrontPoint]) -> list[Figure]:
    """Latency and accuracy of what searches found; proxies are no accuracies and stand apart."""
    figures = []
    for is_proxy in (False, True):
        chosen = [point for point in points if point.is_proxy == is_proxy]
        if chosen:
            figures.append(_front_figure(chosen, is_proxy=is_proxy))
    return figures


def _front_figure(points: Sequence[FrontPoint], *, is_proxy: bool) -> Figure:
    sources = sorted({point.source for point in points})
    panels = [
        Panel(
            source if len(sources) > 1 else "",
            _front_series([point for point in points if point.source == source]),
        )
        for source in sources
    ]
    return Figure(
        "front-proxy" if is_proxy else "front",
        "Latency and size of the subnets found" if is_proxy else "The best subnets found",
        "Each point is the best subnet that a search found for a latency. Accuracies are "
        "predicted; a verified point stands at the latency that was measured."
        + (" The proxy only orders subnets by size; it is no accuracy." if is_proxy else ""),
        Axis("latency, ms"),
        Axis("capacity proxy (log MACs)" if is_proxy else "predicted top-1, %", is_shared=True),
        tuple(panels),
    )


def _front_series(points: Sequence[FrontPoint]) -> tuple[Series, ...]:
    ranked = sorted(points, key=lambda point: point.latency_ms)
    said = _points([(point, point.latency_ms) for point in ranked], "predicted", "main")
    taken = [(point, point.measured_ms) for point in ranked if point.measured_ms is not None]
    line = Series(said.x, said.y, form=LINE, role=SOFT)
    return (line, said, _points(taken, "verified: measured", SURE)) if taken else (line, said)


def _points(placed: Sequence[tuple[FrontPoint, float]], label: str, role: str) -> Series:
    return Series(
        [latency_ms for _, latency_ms in placed],
        [point.accuracy if point.is_proxy else 100 * point.accuracy for point, _ in placed],
        [full_name(point.subnet) for point, _ in placed],
        [(format_significant(latency_ms), point.score) for point, latency_ms in placed],
        f"# ms {label.partition(':')[0]}, #",
        role=role,
        label=label,
    )
