"""The best combination of choices under one additive limit, by dynamic programming.

Owns: a linear picture of a problem around one row (what each single change gains and costs) and
the exact optimum of that picture for every latency up to the limit. Changes are taken to add up;
the caller evaluates what comes out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeprof.networks.spaces.base import ChoiceGroup, Codes
from edgeprof.networks.spaces.structure import fill_variant
from edgeprof.search.problem import Problem

BINS = 200
"""Steps that what is left of the limit is divided into; more find little and take longer."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Choice:
    """The codes of one column in one variant: what each adds to score and costs."""

    codes: NDArray[np.uint8]
    gain: Floats  # (n_codes,)
    costs: Floats  # (n_codes, n_constraints)
    changed: NDArray[np.bool_]  # (n_codes,) whether it differs from the row


@dataclass(frozen=True)
class _Variant:
    """One way to fill a group: what the change to it adds, and its columns."""

    gain: float
    costs: Floats
    choices: tuple[_Choice, ...]


@dataclass(frozen=True)
class LinearPicture:
    """Gains and costs of every choice as seen from one row.

    Attributes:
        row: the row it was made at.
        score: its score.
        costs: its costs, (n_constraints,).
        groups: per choice group its variants.
        probes: all rows that were evaluated to make it.
        probe_scores: their scores.
        probe_feasible: whether they keep every limit.
    """

    row: NDArray[np.uint8]
    score: float
    costs: Floats
    groups: tuple[tuple[_Variant, ...], ...]
    probes: Codes
    probe_scores: Floats
    probe_feasible: NDArray[np.bool_]

    @property
    def step(self) -> float:
        """Typical size of what one change does to the score."""
        return float(np.std(self.probe_scores - self.score))


def picture(problem: Problem, row: NDArray[np.uint8]) -> LinearPicture:
    """Evaluate every single change of a row (but of its resolution)."""
    probes, layout = _probe_rows(problem, row)
    costs = problem.costs(probes)
    feasible = problem.within(costs)
    scores = problem.scores(probes, feasible)
    groups = []
    for group, variants in zip(problem.space.choice_groups, layout, strict=True):
        current = row[group.columns]
        made = []
        shared: dict[int, _Choice] = {}  # by id of the column: variants that share one share both
        for reference, columns in variants:
            for column, code in zip(columns, current, strict=True):
                shared.setdefault(
                    id(column),
                    _Choice(
                        column.codes,
                        scores[column.places] - scores[column.base],
                        costs[column.places] - costs[column.base],
                        column.codes != code,
                    ),
                )
            choices = tuple(shared[id(column)] for column in columns)
            gain = float(scores[reference] - scores[0])
            made.append(_Variant(gain, costs[reference] - costs[0], choices))
        groups.append(tuple(made))
    return LinearPicture(row, float(scores[0]), costs[0], tuple(groups), probes, scores, feasible)


class _Column(NamedTuple):
    """Where the probes of one column stand: per code its row, and the row they are compared to."""

    codes: NDArray[np.uint8]
    places: NDArray[np.intp]
    base: int


_Layout = list[list[tuple[int, list[_Column]]]]
"""Per group, per variant: the row of the variant's reference, and its columns."""


def _probe_rows(problem: Problem, row: NDArray[np.uint8]) -> tuple[Codes, _Layout]:
    """Return the rows to evaluate, the row itself first, and where each choice stands in them."""
    rows = [row]
    layout = [_probe_group(group, row, rows) for group in problem.space.choice_groups]
    return np.array(rows, dtype=np.uint8), layout


def _probe_group(
    group: ChoiceGroup, row: NDArray[np.uint8], rows: list[NDArray[np.uint8]]
) -> list[tuple[int, list[_Column]]]:
    """Append the probes of one group to ``rows``; return where they stand, per variant.

    A column that has the row's code and may hold the same codes in another variant is not probed
    again there: its changes are taken to do the same.
    """
    current = row[group.columns]
    filled = [fill_variant(group, variant, current) for variant in group.variants]
    own = next(v for v, pattern in enumerate(filled) if (pattern == current).all())
    found: dict[int, tuple[int, list[_Column]]] = {}
    for v in sorted(range(len(filled)), key=lambda v: v != own):
        reference = 0
        if v != own:
            reference = len(rows)
            rows.append(_with_pattern(row, group, filled[v]))
        columns: list[_Column] = []
        for position, allowed in enumerate(group.variants[v]):
            if v != own and allowed == group.variants[own][position]:
                columns.append(found[own][1][position])
                continue
            places = []
            for code in allowed:
                if code == filled[v][position]:
                    places.append(reference)
                    continue
                pattern = filled[v].copy()
                pattern[position] = code
                places.append(len(rows))
                rows.append(_with_pattern(row, group, pattern))
            columns.append(
                _Column(np.array(allowed, np.uint8), np.array(places, np.intp), reference)
            )
        found[v] = (reference, columns)
    return [found[v] for v in range(len(filled))]


def _with_pattern(
    row: NDArray[np.uint8], group: ChoiceGroup, pattern: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    changed: NDArray[np.uint8] = row.copy()
    changed[group.columns] = pattern
    return changed


class _Trace(NamedTuple):
    """How the states after a group came about, for walking back."""

    variant: NDArray[np.intp]  # (n_penalties, n_bins) the variant taken
    picks: list[list[NDArray[np.intp]]]  # per variant and column: the choice taken
    offsets: list[int]  # per variant: bins its base takes
    weights: list[list[NDArray[np.intp]]]  # per variant and column: bins of each choice


def best_combinations(
    problem: Problem,
    view: LinearPicture,
    penalties: Floats,
    emphasis: Floats,
    n_per_penalty: int,
) -> Codes:
    """Return the rows that the picture takes to be best for budgets at and below the limit.

    Args:
        problem: gives groups and limits.
        view: the picture.
        penalties: (n_penalties,) taken off the score per changed column: the larger, the closer
            to the picture's row the answer stays, and the truer the picture is.
        emphasis: (n_constraints,) weights, sum 1; several limits are added up with them.
        n_per_penalty: rows per penalty, the best of different costs.

    Returns:
        Distinct rows at the picture's resolution; whether they keep the limits is not checked.
    """
    scale = emphasis / problem.limits
    lowest = [_lowest(group, scale) for group in view.groups]
    slack = 1.0 - float(view.costs @ scale) - sum(lowest)
    if slack <= 0:
        return _cheapest(problem, view, scale)
    unit = slack / BINS
    n_bins = BINS + 4  # rounding may bring a sum that fits a few bins beyond
    state = np.full((len(penalties), n_bins), -np.inf)
    state[:, 0] = 0.0
    traces = []
    for group, floor in zip(view.groups, lowest, strict=True):
        state, trace = _add_group(group, state, penalties, scale, floor, unit)
        traces.append(trace)
    return _walk_back(problem, view, state, traces, n_per_penalty)


def _lowest(group: tuple[_Variant, ...], scale: Floats) -> float:
    return min(_variant_floor(variant, scale) for variant in group)


def _variant_floor(variant: _Variant, scale: Floats) -> float:
    return float(variant.costs @ scale) + sum(
        float((choice.costs @ scale).min()) for choice in variant.choices
    )


def _add_group(
    group: tuple[_Variant, ...],
    state: Floats,
    penalties: Floats,
    scale: Floats,
    floor: float,
    unit: float,
) -> tuple[Floats, _Trace]:
    """Return the best score per bin after choosing one variant and its columns.

    Variants that begin with the same columns (depth 2, 3, 4) share the work on these.
    """
    n_bins = state.shape[1]
    shared: dict[tuple[int, ...], tuple[Floats, NDArray[np.intp], NDArray[np.intp]]] = {}
    results, picks, offsets, weights = [], [], [], []
    for variant in group:
        current = state
        variant_picks, variant_weights = [], []
        for position, choice in enumerate(variant.choices):
            prefix = tuple(id(c) for c in variant.choices[: position + 1])
            if prefix not in shared:
                shared[prefix] = _add_column(current, choice, penalties, scale, unit)
            current, pick, steps = shared[prefix]
            variant_picks.append(pick)
            variant_weights.append(steps)
        offset = min(round((_variant_floor(variant, scale) - floor) / unit), n_bins)
        moved = np.full_like(current, -np.inf)
        moved[:, offset:] = current[:, : n_bins - offset] + variant.gain
        results.append(moved)
        picks.append(variant_picks)
        offsets.append(offset)
        weights.append(variant_weights)
    stacked = np.stack(results)
    best = stacked.argmax(axis=0)
    return stacked.max(axis=0), _Trace(best, picks, offsets, weights)


def _add_column(
    state: Floats, choice: _Choice, penalties: Floats, scale: Floats, unit: float
) -> tuple[Floats, NDArray[np.intp], NDArray[np.intp]]:
    """Return the best score per bin after one more column, the choices, and their bins."""
    n_bins = state.shape[1]
    if len(choice.codes) == 1:
        return state, np.zeros(state.shape, dtype=np.intp), np.zeros(1, dtype=np.intp)
    costs = choice.costs @ scale
    steps = np.minimum(np.rint((costs - costs.min()) / unit), n_bins).astype(np.intp)
    gains = choice.gain[None] - penalties[:, None] * choice.changed[None]
    padded = np.concatenate([np.full((len(state), n_bins), -np.inf), state], axis=1)
    sources = n_bins + np.arange(n_bins)[None] - steps[:, None]
    candidates = padded[:, sources] + gains[:, :, None]
    pick = candidates.argmax(axis=1)
    return np.take_along_axis(candidates, pick[:, None], axis=1)[:, 0], pick, steps


def _walk_back(
    problem: Problem, view: LinearPicture, state: Floats, traces: list[_Trace], n: int
) -> Codes:
    """Return the rows behind the ``n`` best states of each penalty."""
    order = np.argsort(-state, axis=1, kind="stable")[:, :n]
    penalty = np.repeat(np.arange(len(state)), order.shape[1])
    bins = order.ravel()
    reached = np.isfinite(state[penalty, bins])
    penalty, bins = penalty[reached], bins[reached]
    rows = np.repeat(view.row[None], len(bins), axis=0)
    groups = list(zip(problem.space.choice_groups, view.groups, traces, strict=True))
    for group, variants, trace in reversed(groups):
        taken = trace.variant[penalty, bins]
        for v, variant in enumerate(variants):
            at = np.flatnonzero(taken == v)
            bins[at] -= trace.offsets[v]
            for position in reversed(range(len(variant.choices))):
                pick = trace.picks[v][position][penalty[at], bins[at]]
                rows[at, group.columns.start + position] = variant.choices[position].codes[pick]
                bins[at] -= trace.weights[v][position][pick]
    return np.unique(rows, axis=0)


def _cheapest(problem: Problem, view: LinearPicture, scale: Floats) -> Codes:
    """Return the one row that the picture takes to cost least."""
    row = view.row.copy()
    for group, variants in zip(problem.space.choice_groups, view.groups, strict=True):
        variant = min(variants, key=lambda item: _variant_floor(item, scale))
        row[group.columns] = [
            choice.codes[int((choice.costs @ scale).argmin())] for choice in variant.choices
        ]
    cheapest: Codes = row[None]
    return cheapest
