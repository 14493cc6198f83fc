"""The plots of what was measured.

Owns: which plots of devices there are and what each says. One that has nothing to show is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from edgeprof.base.units import format_count, format_significant
from edgeprof.report.data import SPREAD_EDGES, Device, Row, full_name, short_name
from edgeprof.report.figure import DOTS, LINE, SOFT, SPAN, Axis, Figure, Panel, Series

One = TypeVar("One")
"""One of several that stand side by side."""

TO_95PCT = 1.96
"""Half a 95 % interval in standard errors."""

FEW = 40
"""So many networks stand in a plot by name."""

_MOST_STRETCHES = 300
_QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


def latency_text(row: Row, *, with_interval: bool = True) -> str:
    """Write a latency in ms with its 95 % interval, where that is known."""
    text = format_significant(row.latency_ms)
    if not with_interval or math.isnan(row.se_ms):
        return text
    return f"{text} ±{format_significant(TO_95PCT * row.se_ms, 2)}"


def _ends(rows: Sequence[Row]) -> tuple[list[float], list[float]]:
    """Return the ends of 95 % intervals; where one is not known, the latency itself."""
    reach = [0.0 if math.isnan(row.se_ms) else TO_95PCT * row.se_ms for row in rows]
    low = [
        max(row.latency_ms - r, 0.3 * row.latency_ms) for row, r in zip(rows, reach, strict=True)
    ]
    return low, [row.latency_ms + r for row, r in zip(rows, reach, strict=True)]


def latency_figure(devices: Sequence[Device]) -> Figure | None:
    """The latencies of each device: by name where networks are few, else how they lie."""
    shown = [device for device in devices if device.rows]
    if not shown:
        return None
    if max(len(device.rows) for device in shown) <= FEW:
        panels = tuple(_ranked(device) for device in shown)
        title = "Latencies"
        caption = "Each point is a network, with the 95 % interval of its latency."
    else:
        panels = (_distributions(shown),)
        title = "How latencies are distributed"
        caption = (
            "Half of a device's networks lie within the thick bar, eight in ten within the "
            "middle one, all within the thin one; the point is the median."
        )
    axis = Axis("latency, ms", log=True, is_shared=True)
    return Figure("latencies", title, caption, axis, Axis(""), panels)


def _ranked(device: Device) -> Panel:
    rows = sorted(device.rows, key=lambda row: row.latency_ms)
    low, high = _ends(rows)
    series = Series(
        [row.latency_ms for row in rows],
        list(range(len(rows))),
        [full_name(row.what) for row in rows],
        [(latency_text(row),) for row in rows],
        "# ms",
        low,
        high,
        along_x=True,
    )
    return Panel(device.name, (series,), tuple(short_name(row.what) for row in rows))


def _distributions(devices: Sequence[Device]) -> Panel:
    places = list(range(len(devices)))
    found = np.array(
        [np.quantile([row.latency_ms for row in device.rows], _QUANTILES) for device in devices]
    )
    spans = tuple(
        Series(
            found[:, first].tolist(),
            places,
            high=found[:, last].tolist(),
            along_x=True,
            form=SPAN,
            role=SOFT if width < 10 else "main",
            width=width,
        )
        for first, last, width in ((0, 6, 1.5), (1, 5, 5.0), (2, 4, 11.0))
    )
    names = [f"{device.name}, {len(device.rows)} networks" for device in devices]
    values = [tuple(map(format_significant, row[[3, 0, 6]])) for row in found]
    wording = "median # ms, all within # and #"
    medians = Series(found[:, 3].tolist(), places, names, values, wording, role="sure")
    return Panel("", (*spans, medians), tuple(device.name for device in devices))


def macs_figure(devices: Sequence[Device]) -> Figure | None:
    """Latency against multiply-accumulates, a panel per device."""
    panels = []
    for device in devices:
        rows = [row for row in device.listed if row.layers is not None and row.layers.macs]
        if rows:
            panels.append(_macs_panel(device.name, rows))
    if not panels:
        return None
    return Figure(
        "macs",
        "Latency against MACs",
        "Were MACs all that counts, the networks would lie on the dotted line. How far above one "
        "another networks of the same MACs lie is what a predictor is for.",
        Axis("multiply-accumulates", log=True, has_prefixes=True, is_shared=True),
        Axis("latency, ms", log=True, is_shared=True),
        tuple(panels),
    )


def _macs_panel(title: str, rows: Sequence[Row]) -> Panel:
    macs = [float(row.layers.macs) for row in rows if row.layers is not None]
    latency_ms = [row.latency_ms for row in rows]
    low, high = _ends(rows)
    dots = Series(
        macs,
        latency_ms,
        [full_name(row.what) for row in rows],
        [(latency_text(row), format_count(of)) for row, of in zip(rows, macs, strict=True)],
        "# ms, # MACs",
        low,
        high,
    )
    ms_per_mac = sum(latency_ms) / sum(macs)
    ends = [min(macs), max(macs)]
    line = Series(
        ends,
        [ms_per_mac * end for end in ends],
        form=LINE,
        role=SOFT,
        label="in proportion to MACs",
    )
    return Panel(title, (line, dots))


def spread_figure(devices: Sequence[Device]) -> Figure | None:
    """How far single inferences are from their model's median, all models together."""
    middles = ((SPREAD_EDGES[:-1] + SPREAD_EDGES[1:]) / 2).tolist()
    panels = tuple(
        Panel(
            device.name,
            (Series(middles, (100 * device.spread / device.spread.sum()).tolist(), form=LINE),),
        )
        for device in devices
        if device.spread.any()
    )
    if not panels:
        return None
    return Figure(
        "spread",
        "Spread of single inferences",
        "All inferences, disturbed ones included, beside the median of their network; those "
        "beyond the ends are counted there. A second hump is a second state of the machine.",
        Axis("above the median, %"),
        Axis("% of inferences", is_shared=True, least=(0.0,)),
        panels,
    )


def speed_figure(devices: Sequence[Device]) -> Figure | None:
    """The speed of each machine while its campaigns ran."""
    levels = {device.device: device.level for device in devices if device.level is not None}
    panels = tuple(_speed_panel(name, level.path) for name, level in levels.items())
    if not panels:
        return None
    return Figure(
        "speed",
        "Speed of the machine during the campaign",
        "How much slower than its reference speed the machine was, second by second. Latencies "
        "hold at the reference speed, 0 on this axis: what the line does is taken out of them.",
        Axis("minutes of measuring"),
        Axis("slower than the reference, %", least=(0.0, 5.0)),
        panels,
    )


def _speed_panel(title: str, path: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Panel:
    """Draw the path; of several stretches that share a place, the median."""
    minutes = (np.cumsum(path[:, 0]) - path[:, 0] / 2) / 60
    slower_pct = 100 * (path[:, 1] - 1)
    parts = np.array_split(np.arange(len(path)), min(len(path), _MOST_STRETCHES))
    x = [float(minutes[part].mean()) for part in parts]
    y = [float(np.median(slower_pct[part])) for part in parts]
    form = LINE if len(x) > 1 else DOTS
    return Panel(title, (Series(x, y, form=form),))


def boards_figure(devices: Sequence[Device]) -> Figure | None:
    """The same networks on several devices, each against the first that measured some of them."""
    panels = tuple(_pair_panel(first, other) for first, other in pairs_of(devices))
    if not panels:
        return None
    return Figure(
        "boards",
        "The same networks on several devices",
        "Points on a line beside the dotted one: a factor moves a predictor from one device to "
        "the other. A cloud: it must be measured. The dotted line is equal speed.",
        Axis("latency on the first, ms", log=True),
        Axis("latency on the other, ms", log=True),
        panels,
        diagonal=True,
    )


def pairs_of(devices: Sequence[Device]) -> list[tuple[Device, Device]]:
    """Return each device with the first before it that has networks in common with it."""
    return each_with_first(
        devices, lambda first, other: bool(first.by_network.keys() & other.by_network.keys())
    )


def each_with_first(
    items: Sequence[One], are_comparable: Callable[[One, One], bool]
) -> list[tuple[One, One]]:
    """Return each item with the first before it that it can be compared with, if there is one."""
    pairs = []
    for index, other in enumerate(items):
        for first in items[:index]:
            if are_comparable(first, other):
                pairs.append((first, other))
                break
    return pairs


def _pair_panel(first: Device, other: Device) -> Panel:
    mine, theirs = first.by_network, other.by_network
    common = [what for what in mine if what in theirs]
    series = Series(
        [mine[what].latency_ms for what in common],
        [theirs[what].latency_ms for what in common],
        [full_name(what) for what in common],
        [
            tuple(format_significant(of[what].latency_ms) for of in (mine, theirs))
            for what in common
        ],
        "# and # ms",
    )
    return Panel(f"{other.name} against {first.name}", (series,))
