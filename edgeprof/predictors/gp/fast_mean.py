"""The posterior mean of a Gaussian process for many subnets at once.

Owns: folding the linear components into one weight per column, and all columns but the curved
ones into tables per slot, so that a subnet costs a few additions in place of its layer list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeprof.networks.spaces.base import Codes
from edgeprof.predictors.compact.slot_tables import SlotTables
from edgeprof.predictors.features import Floats
from edgeprof.predictors.gp.feature_map import FeatureMap
from edgeprof.predictors.gp.kernels import Component
from edgeprof.predictors.gp.posterior import Posterior

_CHUNK = 8192


@dataclass(frozen=True)
class FastMean:
    """A function from codes and base columns to the mean; see the module.

    Attributes:
        sums: codes -> the linear part (first column) and the curved columns.
        base_weights: of the base columns.
        constant: what every network has.
        curved: per smooth component its variance, the training rows' columns, and the weights.
    """

    sums: SlotTables
    base_weights: Floats
    constant: float
    curved: Sequence[tuple[Component, Floats, Floats]]

    @classmethod
    def of(cls, features: FeatureMap, posterior: Posterior) -> FastMean:
        """Fold a posterior whose columns are those of ``features``, base columns after them."""
        rows, weights = posterior.columns, posterior.weights
        width = features.groups.width
        linear, constant, curved = np.zeros(rows.shape[1]), 0.0, []
        for component, log_variance in zip(
            posterior.components, posterior.log_variances, strict=True
        ):
            scaled = np.exp(log_variance) * weights
            if component.form == "linear":
                columns = list(component.columns)
                linear[columns] += rows[:, columns].T @ scaled
            elif component.form == "constant":
                constant += float(scaled.sum())
            elif component.form == "smooth":
                curved.append((component, rows, scaled))
        read = sorted({column for component, _, _ in curved for column in component.columns})
        projection = np.zeros((width, 1 + len(read)))
        projection[:, 0] = linear[:width]
        projection[read, range(1, 1 + len(read))] = 1.0
        moved = []
        for component, trained, scaled in curved:
            positions = tuple(read.index(column) for column in component.columns)
            at_positions = np.zeros((len(trained), len(read)))
            at_positions[:, positions] = trained[:, component.columns]
            term = Component(component.name, component.form, positions)
            moved.append((term, at_positions, scaled))
        tables = SlotTables(features.space, lambda codes: features.of_codes(codes) @ projection)
        return cls(tables, linear[width:], constant, moved)

    def __call__(self, codes: Codes, base_columns: Floats) -> Floats:
        """Return the mean of each row of codes."""
        sums = self.sums(codes)
        mean: Floats = sums[:, 0] + self.constant + base_columns @ self.base_weights
        for component, trained, weights in self.curved:
            for start in range(0, len(codes), _CHUNK):
                part = slice(start, start + _CHUNK)
                mean[part] += component.between(sums[part, 1:], trained) @ weights
        return mean
