"""What spaces of slots have in common.

Owns: the checks of a subnet's values, codes a subnet at a time, and how the slots of a stage are
cut and crossed.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.errors import InvalidSubnet
from edgeprof.networks.spaces.base import Codes, SearchSpace
from edgeprof.networks.subnet import Subnet

Slots = NDArray[np.integer]
"""The code columns of one stage; a subnet's last slots are 0, as many as its depth leaves out."""


class SlotSpace(SearchSpace):
    """A space whose codes are made and read a subnet at a time."""

    def encode(self, subnets: Iterable[Subnet]) -> Codes:
        """See the interface.

        Raises:
            InvalidSubnet: if a subnet is of another space.
        """
        rows = [self._encode_one(self._ours(subnet)) for subnet in subnets]
        return np.array(rows, dtype=np.uint8).reshape(len(rows), len(self.cardinalities))

    def decode(self, codes: Codes) -> list[Subnet]:
        """See the interface."""
        return [self._decode_one(row) for row in np.asarray(codes, dtype=np.uint8)]

    @abstractmethod
    def _encode_one(self, subnet: Subnet) -> list[int]: ...

    @abstractmethod
    def _decode_one(self, row: NDArray[np.uint8]) -> Subnet: ...

    def _ours(self, subnet: Subnet) -> Subnet:
        if subnet.space != self.id:
            raise InvalidSubnet(f"subnet is of space {subnet.space}, want {self.id}")
        return subnet

    def _check_count(self, name: str, values: Sequence[float], wanted: int) -> None:
        if len(values) != wanted:
            raise InvalidSubnet(
                f"subnet field {name!r} has {len(values)} values, space {self.id} wants {wanted}",
                field=name,
            )

    def _check_value(
        self, name: str, index: int | None, value: float, allowed: Sequence[float]
    ) -> None:
        if value not in allowed:
            place = name if index is None else f"{name}[{index}]"
            shown = ", ".join(str(item) for item in allowed)
            raise InvalidSubnet(
                f"subnet {place} is {value}, space {self.id} wants one of {shown}", field=name
            )


def depths_of(slots: Slots) -> NDArray[np.intp]:
    """Return how many slots each row keeps."""
    depths: NDArray[np.intp] = np.count_nonzero(slots, axis=1)
    return depths


def cut(slots: Slots, depths: NDArray[np.integer]) -> Slots:
    """Set the slots beyond each row's depth to 0."""
    kept = np.arange(slots.shape[1])[np.newaxis, :] < depths[:, np.newaxis]
    return np.where(kept, slots, 0)


def without_gaps(slots: Slots, first: Slots, second: Slots) -> Slots:
    """Fill crossed slots: one that only one parent has comes from that one."""
    return np.where(slots == 0, np.maximum(first, second), slots)
