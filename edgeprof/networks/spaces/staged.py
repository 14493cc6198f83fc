"""Spaces of stages with elastic depth whose slots choose a kernel size and an expand ratio.

Owns: validation, codes, sampling, mutation and crossover of such spaces (MobileNetV3 and
ProxylessNAS supernets, CompOFA). A concrete space adds its layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from edgeprof.networks.spaces.base import ChoiceGroup, Codes
from edgeprof.networks.spaces.slots import SlotSpace, cut, depths_of, without_gaps
from edgeprof.networks.subnet import Subnet


@dataclass(frozen=True)
class StageChoices:
    """What one stage may choose.

    Attributes:
        kernels: kernel sizes of each slot, ascending.
        expands: expand ratios of each slot, ascending.
        depths: numbers of slots kept, ascending; the last is the number of slots there are.
    """

    kernels: tuple[int, ...]
    expands: tuple[int, ...]
    depths: tuple[int, ...]

    @property
    def slots(self) -> int:
        """Number of slots."""
        return self.depths[-1]

    def code(self, kernel: int, expand: float) -> int:
        """Return the code (1 ...) of a kept slot's choice."""
        position = self.expands.index(int(expand))
        return 1 + self.kernels.index(kernel) * len(self.expands) + position

    def choice(self, code: int) -> tuple[int, int]:
        """Return (kernel, expand) of a code; of 0 the smallest, as a slot left out has none."""
        kernel, expand = divmod(max(int(code) - 1, 0), len(self.expands))
        return self.kernels[kernel], self.expands[expand]


class StagedSpace(SlotSpace):
    """A space of stages; see the module.

    Attributes:
        stages: the choices of each stage.
        n_slots: number of slots of all stages together.
        stage_slices: per stage, where its slots stand among all slots.
    """

    def __init__(
        self,
        space_id: str,
        stages: Sequence[StageChoices],
        resolutions: Sequence[int],
        sampled_resolutions: Sequence[int],
    ) -> None:
        self.id = space_id
        self.stages = tuple(stages)
        self.resolutions = tuple(resolutions)
        self.sampled_resolutions = tuple(sampled_resolutions)
        sizes = [len(s.kernels) * len(s.expands) + 1 for s in self.stages for _ in range(s.slots)]
        self.cardinalities = (*sizes, len(self.resolutions))
        self.n_slots = len(sizes)
        starts = accumulate((stage.slots for stage in self.stages), initial=0)
        self.stage_slices = tuple(slice(a, b) for a, b in pairwise(starts))

    @cached_property
    def choice_groups(self) -> tuple[ChoiceGroup, ...]:
        """See the interface; a group per stage, a variant per depth."""
        return tuple(
            ChoiceGroup(part, tuple(self._variant(index, depth) for depth in stage.depths))
            for index, (stage, part) in enumerate(zip(self.stages, self.stage_slices, strict=True))
        )

    def _variant(self, index: int, depth: int) -> tuple[tuple[int, ...], ...]:
        stage = self.stages[index]
        left_out = ((0,),) * (stage.slots - depth)
        return (self._slot_codes(index, depth),) * depth + left_out

    def _slot_codes(self, index: int, depth: int) -> tuple[int, ...]:  # noqa: ARG002 - for others
        """Return the codes of a kept slot; a space that ties them to the depth overrides this."""
        stage = self.stages[index]
        return tuple(range(1, len(stage.kernels) * len(stage.expands) + 1))

    @property
    def minor_choices(self) -> tuple[int, ...]:
        """See the interface; the expand ratio beside the kernel size."""
        return tuple(len(stage.expands) for stage in self.stages for _ in range(stage.slots))

    def validate(self, subnet: Subnet) -> None:
        """See the interface."""
        for name, values, wanted in (
            ("ks", subnet.ks, self.n_slots),
            ("e", subnet.e, self.n_slots),
            ("d", subnet.d, len(self.stages)),
            ("w", subnet.w, 0),
        ):
            self._check_count(name, values, wanted)
        for index, (stage, part) in enumerate(zip(self.stages, self.stage_slices, strict=True)):
            self._check_value("d", index, subnet.d[index], stage.depths)
            for slot in range(part.start, part.stop):
                self._check_value("ks", slot, subnet.ks[slot], stage.kernels)
                self._check_value("e", slot, subnet.e[slot], stage.expands)
        self._check_value("r", None, subnet.r, self.resolutions)

    def canonical(self, subnet: Subnet) -> Mapping[str, object]:
        """See the interface."""
        kept = [
            [subnet.ks[slot], subnet.e[slot]]
            for depth, part in zip(subnet.d, self.stage_slices, strict=True)
            for slot in range(part.start, part.start + depth)
        ]
        return {"space": self.id, "d": list(subnet.d), "slots": kept, "r": subnet.r}

    def _encode_one(self, subnet: Subnet) -> list[int]:
        row = [0] * self.n_slots
        for stage, depth, part in zip(self.stages, subnet.d, self.stage_slices, strict=True):
            for slot in range(part.start, part.start + depth):
                row[slot] = stage.code(subnet.ks[slot], subnet.e[slot])
        return [*row, self.resolutions.index(subnet.r)]

    def _decode_one(self, row: NDArray[np.uint8]) -> Subnet:
        ks: list[int] = []
        e: list[int] = []
        d: list[int] = []
        for stage, part in zip(self.stages, self.stage_slices, strict=True):
            choices = [stage.choice(code) for code in row[part]]
            ks += [kernel for kernel, _ in choices]
            e += [expand for _, expand in choices]
            d.append(int(np.count_nonzero(row[part])))
        return Subnet(self.id, tuple(ks), tuple(e), tuple(d), self.resolutions[int(row[-1])])

    def sample_codes(
        self, n: int, rng: np.random.Generator, resolutions: Sequence[int] | None = None
    ) -> Codes:
        """See the interface."""
        indices = self.resolution_indices(resolutions)
        codes = np.zeros((n, len(self.cardinalities)), dtype=np.uint8)
        for index, part in enumerate(self.stage_slices):
            depths = self._draw_depths(index, n, rng)
            codes[:, part] = self._fit(index, self._draw_slots(index, n, rng), depths)
        codes[:, -1] = rng.choice(indices, size=n)
        return codes

    def mutate(
        self,
        codes: Codes,
        rng: np.random.Generator,
        probability: float = 0.1,
        resolution_probability: float | None = None,
        resolutions: Sequence[int] | None = None,
    ) -> Codes:
        """See the interface."""
        if resolution_probability is None:
            resolution_probability = probability
        n = len(codes)
        child = np.array(codes, dtype=np.uint8)
        for index, part in enumerate(self.stage_slices):
            slots = child[:, part]
            redraw = rng.random(n) < probability
            depths = np.where(redraw, self._draw_depths(index, n, rng), depths_of(slots))
            drawn = self._draw_slots(index, n, rng)
            redraw_slot = (rng.random(slots.shape) < probability) | (slots == 0)
            child[:, part] = self._fit(index, np.where(redraw_slot, drawn, slots), depths)
        indices = self.resolution_indices(resolutions)
        redraw = rng.random(n) < resolution_probability
        child[:, -1] = np.where(redraw, rng.choice(indices, size=n), child[:, -1])
        return child

    def crossover(self, first: Codes, second: Codes, rng: np.random.Generator) -> Codes:
        """See the interface."""
        n = len(first)
        child = np.empty_like(first)
        for index, part in enumerate(self.stage_slices):
            a, b = first[:, part], second[:, part]
            pick = rng.random(n) < 0.5
            depths = np.where(pick, depths_of(a), depths_of(b))
            slots = without_gaps(np.where(rng.random(a.shape) < 0.5, a, b), a, b)
            child[:, part] = self._fit(index, slots, depths)
        child[:, -1] = np.where(rng.random(n) < 0.5, first[:, -1], second[:, -1])
        return child

    def _draw_depths(self, stage: int, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        return rng.choice(np.array(self.stages[stage].depths), size=n)

    def _draw_slots(self, stage: int, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        choices = self.stages[stage]
        high = len(choices.kernels) * len(choices.expands)
        return rng.integers(1, high + 1, size=(n, choices.slots))

    def _fit(
        self,
        stage: int,  # noqa: ARG002 - for others
        slots: NDArray[np.integer],
        depths: NDArray[np.int64],
    ) -> NDArray[np.integer]:
        """Return slots that go with each row's depth: those beyond it are 0.

        A space that ties its choices to the depth extends this.
        """
        return cut(slots, depths)
