"""Genotypes as Once-For-All has them: a gene per choice, kept where it has no effect.

Owns: how genes are drawn, mutated and crossed, and which codes they express. A slot that the
depth leaves out keeps its genes; they come back with the depth.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgeprof.networks.spaces.base import ChoiceGroup, Codes, SearchSpace

Genotypes = NDArray[np.intp]
"""Per row: the variant of each group, the choice of each code column, the resolution."""


class Genes:
    """The genes of a space.

    Args:
        space: the space.
        resolution_indices: those to draw from.
    """

    def __init__(self, space: SearchSpace, resolution_indices: Sequence[int]) -> None:
        self._groups = space.choice_groups
        self._n_groups = len(self._groups)
        self._resolutions = np.array(resolution_indices, dtype=np.intp)
        self._tables = [_expressed(group) for group in self._groups]
        n_variants = [len(group.variants) for group in self._groups]
        n_choices = [size for table in self._tables for size in [table.shape[2]] * table.shape[1]]
        self._sizes = np.array([*n_variants, *n_choices, len(resolution_indices)])
        # Where a code is two choices in one, crossing may take them from different parents.
        minor = [1] * self._n_groups + [*space.minor_choices] + [1]
        self._minor = np.array(minor, dtype=np.intp)

    def random(self, n: int, rng: np.random.Generator) -> Genotypes:
        """Draw every gene."""
        return rng.integers(0, self._sizes, size=(n, len(self._sizes)))

    def mutate(
        self, parents: Genotypes, rng: np.random.Generator, each: float, resolution: float
    ) -> Genotypes:
        """Draw each gene again with probability ``each``, the resolution's with its own."""
        probability = np.full(len(self._sizes), each)
        probability[-1] = resolution
        return np.where(
            rng.random(parents.shape) < probability, self.random(len(parents), rng), parents
        )

    def cross(self, first: Genotypes, second: Genotypes, rng: np.random.Generator) -> Genotypes:
        """Take each choice from either parent."""
        pick = rng.random((2, *first.shape)) < 0.5
        major = np.where(pick[0], first // self._minor, second // self._minor)
        return major * self._minor + np.where(pick[1], first % self._minor, second % self._minor)

    def codes(self, genes: Genotypes) -> Codes:
        """Return the codes that genotypes express."""
        out = np.empty((len(genes), len(self._sizes) - self._n_groups), dtype=np.uint8)
        for g, (group, table) in enumerate(zip(self._groups, self._tables, strict=True)):
            positions = np.arange(table.shape[1])
            choices = genes[:, self._n_groups :][:, group.columns]
            out[:, group.columns] = table[genes[:, g, None], positions, choices]
        out[:, -1] = self._resolutions[genes[:, -1]]
        return out

    def of(self, row: NDArray[np.uint8], n: int, rng: np.random.Generator) -> Genotypes:
        """Return ``n`` genotypes that express a row; genes without effect are drawn."""
        genes = self.random(n, rng)
        for g, (group, table) in enumerate(zip(self._groups, self._tables, strict=True)):
            matches = table == row[group.columns][None, :, None]
            variant = int(matches.any(axis=2).all(axis=1).argmax())
            genes[:, g] = variant
            for position in range(table.shape[1]):
                choices = np.flatnonzero(matches[variant, position])
                drawn = genes[:, self._n_groups + group.columns.start + position]
                genes[:, self._n_groups + group.columns.start + position] = np.where(
                    np.isin(drawn, choices), drawn, choices[0]
                )
        genes[:, -1] = np.flatnonzero(self._resolutions == row[-1])[0]
        return genes


def _expressed(group: ChoiceGroup) -> NDArray[np.uint8]:
    """Return the code of each choice, (n_variants, n_columns, n_choices).

    Choices are ranks among the codes that a variant allows, so that a kernel stays the same when
    the depth brings another expand ratio with it.
    """
    n_choices = max(len(allowed) for variant in group.variants for allowed in variant)
    return np.array(
        [
            [[allowed[i * len(allowed) // n_choices] for i in range(n_choices)] for allowed in v]
            for v in group.variants
        ],
        dtype=np.uint8,
    )
