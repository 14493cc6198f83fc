"""The plots of a report: what is drawn of devices, predictors and searches.

Owns: which plots there are and what each says. A plot that has nothing to show is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from edgeprof.base.units import ns_to_ms
from edgeprof.networks.subnet import Subnet
from edgeprof.predictors.metrics import metrics_of
from edgeprof.report.data import SPREAD_EDGES, Device, Evaluation, FrontPoint, NamedModel
from edgeprof.report.figure import BARS, LINE, Figure, Series

_Item = TypeVar("_Item")

_MOST_POINTS = 3000
"""More than these are thinned: the page must open on any laptop."""

_FRONT_TITLE = "Latency and accuracy of the subnets found"
_CURVE_SIZES = (10, 20, 50, 100, 200, 500, 1000)
_HELD_OUT_SHARE = 0.2
_LEAST_HELD_OUT = 5


def subnet_text(subnet: Subnet) -> str:
    """Write a subnet for people, a line per field."""
    kept = {"d": subnet.d, "ks": subnet.ks, "e": subnet.e}
    lists = "\n".join(f"{name}: {' '.join(map(str, v))}" for name, v in kept.items() if v)
    return f"{subnet.id}, {subnet.r} px\n{lists}"


def what_text(what: Subnet | NamedModel) -> str:
    """Write what was measured for people."""
    return what.path if isinstance(what, NamedModel) else subnet_text(what)


def latency_figure(devices: Sequence[Device]) -> Figure | None:
    """Medians with their intervals, fastest to slowest."""
    series = []
    for device in devices:
        ranked = sorted(device.measurements, key=lambda m: m.latency_median_ns)
        ranked = _thinned(ranked)
        summaries = [m.record["summary"] for m in ranked]
        if ranked:
            series.append(
                Series(
                    device.name,
                    [i + 1 for i in range(len(ranked))],
                    [ns_to_ms(s["latency_median_ns"]) for s in summaries],
                    hover=[_measurement_text(m.subnet, m.record) for m in ranked],
                    low=[ns_to_ms(s["ci_low_ns"]) for s in summaries],
                    high=[ns_to_ms(s["ci_high_ns"]) for s in summaries],
                )
            )
    if not series:
        return None
    return Figure(
        "latencies",
        "Measured latencies",
        "Each point is one model: the median of its undisturbed samples and the interval of that "
        "median. Hover for the network and its spread.",
        "model, fastest to slowest",
        "latency, ms",
        tuple(series),
    )


def _measurement_text(subnet: Subnet | None, record: Mapping[str, Any]) -> str:
    summary = record["summary"]
    what = subnet_text(subnet) if subnet else str(record["model"]["path"])
    return (
        f"{ns_to_ms(summary['latency_median_ns']):.4g} ms "
        f"[{ns_to_ms(summary['ci_low_ns']):.4g}, {ns_to_ms(summary['ci_high_ns']):.4g}], "
        f"p95 {ns_to_ms(summary['latency_p95_ns']):.4g} ms, "
        f"{summary['n_undisturbed']} of {summary['n_samples']} samples undisturbed\n{what}"
    )


def spread_figure(devices: Sequence[Device]) -> Figure | None:
    """How far single inferences are from their model's median, all models together."""
    middles = list((SPREAD_EDGES[:-1] + SPREAD_EDGES[1:]) / 2)
    series = [
        Series(device.name, middles, list(device.spread / device.spread.sum()), form=LINE)
        for device in devices
        if device.spread.any()
    ]
    if not series:
        return None
    return Figure(
        "spread",
        "Spread of single inferences",
        "All samples, disturbed ones included, relative to their model's median; what is beyond "
        "the ends is counted there. A second hump is a second machine state.",
        "deviation from the median, %",
        "share of samples",
        tuple(series),
    )


def prediction_figures(evaluations: Sequence[Evaluation]) -> list[Figure]:
    """Predicted against measured, residuals, and predictors side by side."""
    if not evaluations:
        return []
    scatter, residuals = zip(*map(_prediction_series, evaluations), strict=True)
    figures = [
        Figure(
            "predicted",
            "Predicted against measured",
            "On the dotted line the prediction is right. Subnets that the predictor was trained "
            "on are left out where its files name them.",
            "measured, ms",
            "predicted, ms",
            scatter,
            diagonal=True,
        ),
        Figure(
            "residuals",
            "Residuals",
            "Relative error of each prediction: a slope or a curve is something the predictor "
            "does not know.",
            "measured, ms",
            "error, %",
            residuals,
        ),
    ]
    if len(evaluations) > 1:
        figures.append(_predictors_figure(evaluations))
    return [*figures, *_agreement_figure(evaluations)]


def _prediction_series(item: Evaluation) -> tuple[Series, Series]:
    """Return the predictions, and their errors, over the measurements."""
    measured, predicted = item.data.latency_ms, item.predicted_ms
    keep = _thinned(list(range(len(measured))))
    error_pct = 100 * (predicted / measured - 1)
    hover = [
        f"measured {measured[i]:.4g} ms, predicted {predicted[i]:.4g} ms "
        f"({error_pct[i]:+.1f} %)\n{subnet_text(item.data.subnets[i])}"
        for i in keep
    ]
    x = measured[keep].tolist()
    return (
        Series(item.label, x, predicted[keep].tolist(), hover),
        Series(item.label, x, error_pct[keep].tolist(), hover),
    )


def _agreement_figure(evaluations: Sequence[Evaluation]) -> list[Figure]:
    """What two predictors say of the same rows: where they differ, one of them is wrong."""
    series, names = [], []
    for index, item in enumerate(evaluations):
        for first in evaluations[:index]:
            if first.data.sha256 == item.data.sha256:
                keep = _thinned(list(range(len(item.data))))
                mine, theirs = first.predicted_ms, item.predicted_ms
                hover = [
                    f"{first.label} {mine[i]:.4g} ms, {item.label} {theirs[i]:.4g} ms, measured "
                    f"{item.data.latency_ms[i]:.4g} ms\n{subnet_text(item.data.subnets[i])}"
                    for i in keep
                ]
                name = f"{item.label} against {first.label}"
                series.append(Series(name, mine[keep].tolist(), theirs[keep].tolist(), hover))
                names.append((first.label, item.label))
                break
    if not series:
        return []
    return [
        Figure(
            "agreement",
            "Predictors against each other",
            "What two predictors say of the same subnets, a lookup table and a learned one for "
            "example: off the dotted line they disagree. Hover for the measurement.",
            *_pair_titles(names),
            tuple(series),
            diagonal=True,
        )
    ]


def _predictors_figure(evaluations: Sequence[Evaluation]) -> Figure:
    labels = [item.label for item in evaluations]
    metrics = [metrics_of(item.predicted_ms, item.data.latency_ms) for item in evaluations]
    return Figure(
        "predictors",
        "Predictors side by side",
        "Share of predictions within 5 and 10 % of their measurement: lookup tables, compact "
        "predictors and host models on the same rows.",
        "",
        "share of predictions, %",
        (
            Series("within 5 %", labels, [100 * m.within_5pct for m in metrics], form=BARS),
            Series("within 10 %", labels, [100 * m.within_10pct for m in metrics], form=BARS),
        ),
    )


def learning_curve_figure(devices: Sequence[Device]) -> Figure | None:
    """Error on held-out subnets of predictors trained on more and more of the rest."""
    from edgeprof.predictors.gp.model import GaussianProcess

    series = []
    for device in devices:
        spaces = sorted({subnet.space for subnet in device.latencies_ms})
        for space_id in spaces:
            data = device.dataset(space_id)
            if data is None or len(data) < 2 * _CURVE_SIZES[0]:
                continue
            order = np.random.default_rng(0).permutation(len(data))
            n_held_out = max(_LEAST_HELD_OUT, int(_HELD_OUT_SHARE * len(data)))
            held_out, rest = data.take(order[:n_held_out]), order[n_held_out:]
            sizes = [n for n in _CURVE_SIZES if n <= len(rest)]
            errors = []
            for n in sizes:
                predicted = GaussianProcess().fit(data.take(rest[:n])).predict_codes(held_out.codes)
                errors.append(100 * metrics_of(predicted, held_out.latency_ms).mape)
            name = device.name if len(spaces) == 1 else f"{device.name}, {space_id}"
            name = f"{name} ({n_held_out} held out)"
            series.append(Series(name, sizes, errors, form=LINE))
    if not series:
        return None
    return Figure(
        "learning-curve",
        "Learning curve",
        "Mean absolute relative error on subnets held out of training: where the curve is flat, "
        "more measurements do not help.",
        "subnets trained on",
        "error on held-out subnets, %",
        tuple(series),
        x_log=True,
    )


def front_figures(points: Sequence[FrontPoint]) -> list[Figure]:
    """Latency and accuracy of what searches found; proxies are no accuracies and stand apart."""
    figures = []
    for is_proxy in (False, True):
        chosen = [point for point in points if point.is_proxy == is_proxy]
        if chosen:
            figures.append(_front_figure(chosen, is_proxy=is_proxy))
    return figures


def _front_figure(points: Sequence[FrontPoint], *, is_proxy: bool) -> Figure:
    scale, unit = (1.0, "proxy") if is_proxy else (100.0, "% top-1")
    series = []
    for source in sorted({point.source for point in points}):
        chosen = sorted((p for p in points if p.source == source), key=lambda p: p.latency_ms)
        hover = [
            f"{p.latency_ms:.4g} ms, {scale * p.accuracy:.2f} {unit}\n{subnet_text(p.subnet)}"
            for p in chosen
        ]
        latencies_ms = [p.latency_ms for p in chosen]
        values = [scale * p.accuracy for p in chosen]
        series.append(Series(source, latencies_ms, values, hover, form=LINE))
    return Figure(
        "front-proxy" if is_proxy else "front",
        "Latency and size of the subnets found" if is_proxy else _FRONT_TITLE,
        "Predicted, not trained or measured. Hover for the subnet."
        + (" The proxy only orders subnets by size; it is no accuracy." if is_proxy else ""),
        "predicted latency, ms",
        "capacity proxy (log MACs)" if is_proxy else "predicted top-1, %",
        tuple(series),
    )


def boards_figure(devices: Sequence[Device]) -> Figure | None:
    """The same networks on several devices, each against the first that measured some of them."""
    series, names = [], []
    for index, other in enumerate(devices):
        theirs = other.all_medians_ms
        for first in devices[:index]:
            mine = first.all_medians_ms
            common = _thinned([what for what in mine if what in theirs])
            if common:
                series.append(_pair(first, other, common))
                names.append((first.name, other.name))
                break
    if not series:
        return None
    return Figure(
        "boards",
        "The same networks on several devices",
        "Points on one straight line: a factor moves a predictor between the devices; a cloud: "
        "it must be measured. The dotted line is equal speed.",
        *_pair_titles(names),
        tuple(series),
        diagonal=True,
    )


def _pair_titles(names: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """Return the axes' titles: what is compared, or where there are several pairs, which is it."""
    first, other = names[0] if len(names) == 1 else ("named second", "named first")
    return f"{first}, ms", f"{other}, ms"


def _pair(first: Device, other: Device, common: Sequence[Subnet | NamedModel]) -> Series:
    mine, theirs = first.all_medians_ms, other.all_medians_ms
    hover = [
        f"{first.name} {mine[s]:.4g} ms, {other.name} {theirs[s]:.4g} ms "
        f"(x {theirs[s] / mine[s]:.3g})\n{what_text(s)}"
        for s in common
    ]
    name = f"{other.name} against {first.name}"
    return Series(name, [mine[s] for s in common], [theirs[s] for s in common], hover)


def _thinned(items: list[_Item]) -> list[_Item]:
    if len(items) <= _MOST_POINTS:
        return items
    chosen = np.linspace(0, len(items) - 1, _MOST_POINTS).astype(int)
    return [items[i] for i in chosen]
