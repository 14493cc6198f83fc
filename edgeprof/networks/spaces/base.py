"""What every search space can do.

Owns: the interface. A space turns subnets into layer lists and into *codes*: one uint8 row per
subnet with a column per slot (the choice made there, 0 where the slot is left out) and a last
column for the resolution. Predictors and search work on codes, a whole population at a time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.errors import InvalidSubnet
from edgeprof.networks.layers import Network

if TYPE_CHECKING:
    from edgeprof.networks.subnet import Subnet

Codes = NDArray[np.uint8]
"""Shape (n_subnets, n_slots + 1); the last column is an index into ``resolutions``."""

_DRAW_SIZE = 1024
_MAX_UNFRUITFUL_DRAWS = 100


@dataclass(frozen=True)
class ChoiceGroup:
    """Code columns that are chosen together, e.g. the slots of one stage.

    Attributes:
        columns: where they stand in the codes.
        variants: the ways to fill them, e.g. one per depth: for each column the codes it may hold.
            Within a variant the columns are free of one another; no two variants share a pattern.
    """

    columns: slice
    variants: tuple[tuple[tuple[int, ...], ...], ...]


class SearchSpace(ABC):
    """A family of subnets.

    Attributes:
        id: stable name, e.g. ``"ofa-mbv3-w1.0"``; stands in subnets, datasets and predictors.
        resolutions: every resolution a subnet may have, ascending, in pixels.
        sampled_resolutions: those drawn unless others are asked for.
        cardinalities: number of values per code column: choices + 1 for a slot (0 = left out),
            the number of resolutions for the last.
    """

    id: str
    resolutions: tuple[int, ...]
    sampled_resolutions: tuple[int, ...]
    cardinalities: tuple[int, ...]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"

    @property
    @abstractmethod
    def choice_groups(self) -> tuple[ChoiceGroup, ...]:
        """How codes are made up; covers every column but the last, the resolution, in order."""

    @property
    def minor_choices(self) -> tuple[int, ...]:
        """Per column but the last: the size of the second choice where a code is two in one.

        Code 1 + a x size + b makes choice a of one thing and b of the other; 1 where it is one.
        """
        return (1,) * (len(self.cardinalities) - 1)

    @abstractmethod
    def validate(self, subnet: Subnet) -> None:
        """Raise ``InvalidSubnet`` where the subnet is not of this space; else do nothing."""

    @abstractmethod
    def canonical(self, subnet: Subnet) -> Mapping[str, object]:
        """Return the choices that have an effect, as JSON values; equal for equal networks."""

    @abstractmethod
    def layers(self, subnet: Subnet) -> Network:
        """Return the layer list."""

    @abstractmethod
    def encode(self, subnets: Iterable[Subnet]) -> Codes:
        """Return the codes of subnets of this space."""

    @abstractmethod
    def decode(self, codes: Codes) -> list[Subnet]:
        """Return the subnets of codes; slots left out get the smallest choice."""

    @abstractmethod
    def sample_codes(
        self, n: int, rng: np.random.Generator, resolutions: Sequence[int] | None = None
    ) -> Codes:
        """Draw ``n`` codes, each choice uniformly; repetitions may occur."""

    @abstractmethod
    def mutate(
        self,
        codes: Codes,
        rng: np.random.Generator,
        probability: float = 0.1,
        resolution_probability: float | None = None,
        resolutions: Sequence[int] | None = None,
    ) -> Codes:
        """Return codes in which each choice was drawn again with the given probability.

        Args:
            codes: the parents, unchanged.
            rng: source of randomness.
            probability: of a new draw, per stage depth and per slot.
            resolution_probability: of a new resolution; ``probability`` where not given.
            resolutions: those to draw from; ``sampled_resolutions`` where not given.
        """

    @abstractmethod
    def crossover(self, first: Codes, second: Codes, rng: np.random.Generator) -> Codes:
        """Return one child per pair of rows, each choice from either parent at random."""

    def sample(
        self, n: int, rng: np.random.Generator, resolutions: Sequence[int] | None = None
    ) -> list[Subnet]:
        """Draw ``n`` distinct subnets, each choice uniformly.

        The first of many are those of few: a larger ``n`` with the same seed goes on.

        Raises:
            InvalidSubnet: if a resolution is not of the space, or it has fewer than ``n`` subnets.
        """
        chosen: dict[bytes, None] = {}
        unfruitful = 0
        while len(chosen) < n and unfruitful < _MAX_UNFRUITFUL_DRAWS:
            before = len(chosen)
            for row in self.sample_codes(_DRAW_SIZE, rng, resolutions):
                chosen[row.tobytes()] = None
            unfruitful = unfruitful + 1 if len(chosen) == before else 0
        if len(chosen) < n:
            raise InvalidSubnet(
                f"space {self.id}: found only {len(chosen)} distinct subnets of {n}"
            )
        flat = np.frombuffer(b"".join(islice(chosen, n)), dtype=np.uint8)
        return self.decode(flat.reshape(n, len(self.cardinalities)))

    def resolution_indices(self, resolutions: Sequence[int] | None) -> NDArray[np.uint8]:
        """Return indices into ``resolutions`` of those given, or of the ones sampled by default.

        Raises:
            InvalidSubnet: if one is not of the space.
        """
        wanted = self.sampled_resolutions if resolutions is None else tuple(resolutions)
        unknown = [r for r in wanted if r not in self.resolutions]
        if unknown or not wanted:
            raise InvalidSubnet(
                f"space {self.id}: resolution {unknown[0] if unknown else 'list is empty'}, "
                f"want {self.resolutions[0]}..{self.resolutions[-1]} step "
                f"{self.resolutions[1] - self.resolutions[0]}"
            )
        return np.array([self.resolutions.index(r) for r in wanted], dtype=np.uint8)
