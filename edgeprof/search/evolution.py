"""Evolution as in Once-For-All, a whole generation at a time.

Owns: selection, mutation and crossover under limits. Children beyond a limit are drawn again, as
OFA does, but never without end: what stays beyond after some draws is replaced by its parent.

Source: Cai et al., Once-for-All (ICLR 2020), section 3.3 and appendix; hyper-parameters of the
published code.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edgeprof.search.genes import Genes, Genotypes
from edgeprof.search.options import SearchOptions
from edgeprof.search.problem import Problem

_RANDOM_DRAWS = 1000  # per subnet of the first generation
_BLOCK = 2000
_MAX_DRAWS = 200


def evolve(
    problem: Problem,
    genes: Genes,
    population: Genotypes,
    rng: np.random.Generator,
    options: SearchOptions,
) -> None:
    """Run generations until the last, or until ``options.patience`` of them brought nothing.

    What is found is remembered by the problem.

    Args:
        problem: what to maximise and what to keep.
        genes: of its space.
        population: feasible genotypes to begin with.
        rng: source of randomness.
        options: see ``SearchOptions``.

    Raises:
        OutOfEvaluations: if those allowed are used up before.
    """
    n_parents = max(1, round(options.parent_ratio * options.population))
    scores = _scores(problem, genes, population)
    idle = 0
    for _ in range(options.generations):
        best = scores.max()
        order = np.argsort(-scores, kind="stable")[:n_parents]
        children = _children(problem, genes, population[order], rng, options)
        population = np.concatenate([population[order], children])
        scores = np.concatenate([scores[order], _scores(problem, genes, children)])
        idle = 0 if scores.max() > best else idle + 1
        if options.patience is not None and idle >= options.patience:
            return


def _children(
    problem: Problem,
    genes: Genes,
    parents: Genotypes,
    rng: np.random.Generator,
    options: SearchOptions,
) -> Genotypes:
    """Return a generation: mutants of some parents, and crossings of pairs."""
    n_mutants = round(options.mutation_ratio * options.population)
    n_crossed = options.population - n_mutants
    mutate = partial(
        genes.mutate,
        rng=rng,
        each=options.mutation_probability,
        resolution=options.resolution_mutation_probability,
    )
    mutated = parents[rng.integers(len(parents), size=n_mutants)]
    pairs = parents[rng.integers(len(parents), size=(2, n_crossed))]
    return np.concatenate(
        [
            _draw(problem, genes, mutate, mutated),
            _draw(problem, genes, partial(genes.cross, rng=rng), *pairs),
        ]
    )


def random_population(
    problem: Problem,
    genes: Genes,
    feasible_row: NDArray[np.uint8],
    n: int,
    rng: np.random.Generator,
) -> Genotypes:
    """Return ``n`` feasible ones: random, or under a tight budget variants of a known row."""

    def mutate(rows: Genotypes) -> Genotypes:
        return genes.mutate(rows, rng, 0.1, 0.1)

    found = genes.random(0, rng)
    for _ in range(0, n * _RANDOM_DRAWS, _BLOCK):
        if len(found) >= n:
            break
        drawn = genes.random(_BLOCK, rng)
        found = np.concatenate([found, drawn[problem.feasible(genes.codes(drawn))]])
    found = found[:n]
    known = genes.of(feasible_row, n - len(found), rng)
    return np.concatenate([found, _draw(problem, genes, mutate, known)])


def _scores(problem: Problem, genes: Genes, rows: Genotypes) -> NDArray[np.float64]:
    return problem.scores(genes.codes(rows), np.ones(len(rows), dtype=bool))


def _draw(
    problem: Problem,
    genes: Genes,
    make: Callable[..., Genotypes],
    *parents: Genotypes,
) -> Genotypes:
    """Make a child of each row of parents, again where it breaks a limit; else keep the first.

    Args:
        problem: whose limits to keep.
        genes: of its space.
        make: parents to children.
        parents: one or two arrays of as many rows.
    """
    children: Genotypes = parents[0].copy()
    waiting = np.arange(len(children))
    for _ in range(_MAX_DRAWS):
        if not len(waiting):
            break
        drawn = make(*(rows[waiting] for rows in parents))
        kept = problem.feasible(genes.codes(drawn))
        children[waiting[kept]] = drawn[kept]
        waiting = waiting[~kept]
    return children
