"""Options of a search, checked when they are made."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgeprof.base.errors import SearchError

METHODS = ("guided", "evolution")
DEFAULT_PATIENCE = 3
"""Of a guided search, in children climbed from."""


@dataclass(frozen=True)
class SearchOptions:
    """How a search is run; the defaults of the evolution are those published with Once-For-All.

    Attributes:
        method: ``guided`` climbs from many starts, crosses what it reached and climbs again; with
            less than 4000 evaluations allowed it is evolution, as the stages of results say.
            ``evolution`` is OFA's, followed by a climb if ``local_search``.
        local_search: climb from the best subnet that evolution found.
        population: subnets per generation.
        generations: at most.
        parent_ratio: share of the population that survives and has children.
        mutation_ratio: share of the children that are mutants; the others are crossed.
        mutation_probability: of a new draw per slot and per depth of a mutant.
        resolution_mutation_probability: of a new resolution of a mutant.
        patience: rounds without improvement after which it ends: generations of evolution
            (``None``: never), children climbed from in a guided search (``None``: 3).
        max_evaluations: of the accuracy model per budget; ``None``: population x (generations + 1).
        seed: of everything random; equal seeds give equal results, bit for bit.

    Raises:
        SearchError: naming the option that is wrong.
    """

    method: str = "guided"
    local_search: bool = True
    population: int = 100
    generations: int = 500
    parent_ratio: float = 0.25
    mutation_ratio: float = 0.5
    mutation_probability: float = 0.1
    resolution_mutation_probability: float = 0.1
    patience: int | None = None
    max_evaluations: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise SearchError(f"method {self.method!r} is unknown, want one of {METHODS}")
        self._check_integer("population", 2)
        self._check_integer("generations", 0)
        self._check_integer("seed", 0)
        for name in ("patience", "max_evaluations"):
            if getattr(self, name) is not None:
                self._check_integer(name, 1)
        for name in (
            "parent_ratio",
            "mutation_ratio",
            "mutation_probability",
            "resolution_mutation_probability",
        ):
            value = getattr(self, name)
            if not math.isfinite(value) or not 0 <= value <= 1:
                raise SearchError(f"option {name} is {value}, want 0 to 1")
        if self.parent_ratio == 0:
            raise SearchError("option parent_ratio is 0, want more: children need parents")

    def _check_integer(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise SearchError(f"option {name} is {value!r}, want an integer of at least {least}")

    @property
    def evaluation_limit(self) -> int:
        """Evaluations of the accuracy model allowed per budget."""
        if self.max_evaluations is not None:
            return self.max_evaluations
        return self.population * (self.generations + 1)
