"""Base predictors of a transfer: which fit a space, and how they are kept in a host file.

Owns: the check that two spaces have the same choices, and bases as bytes.
"""

from __future__ import annotations

from typing import cast

from edgeprof.base.errors import PredictorFormatError
from edgeprof.networks.spaces import get_space
from edgeprof.predictors.base import LatencyPredictor
from edgeprof.predictors.compact.edgp_file import MAGIC as EDGP_MAGIC
from edgeprof.predictors.compact.predictor import CompactPredictor
from edgeprof.predictors.host_file import HostModel, host_bytes, load_host_bytes
from edgeprof.predictors.load import EdgpPredictor


def check_base(base: LatencyPredictor, space_id: str, name: str | None = None) -> None:
    """Raise unless the codes of one space mean the same choices in the other.

    A supernet at another width has the same choices: its predictions order subnets alike.
    ``name`` is for the message.

    Raises:
        PredictorFormatError: naming both spaces.
    """
    if base.space == space_id:
        return
    ours, theirs = get_space(space_id), get_space(base.space)
    same = (
        ours.cardinalities == theirs.cardinalities
        and ours.resolutions == theirs.resolutions
        and getattr(ours, "stages", None) == getattr(theirs, "stages", None)
    )
    if not same:
        raise PredictorFormatError(
            f"{name or 'base predictor'} of {base.device}: is of space {base.space}, whose choices "
            f"differ from {space_id}'s; want a base of {space_id} or of the same supernet at "
            "another width"
        )


def base_to_bytes(base: LatencyPredictor) -> bytes:
    """Return a base as the content of a ``.edgp`` or a host file."""
    if isinstance(base, (CompactPredictor, EdgpPredictor)):
        return base.to_bytes()
    return host_bytes(cast(HostModel, base))


def base_from_bytes(content: bytes) -> LatencyPredictor:
    """Return the base that ``base_to_bytes`` kept."""
    if content.startswith(EDGP_MAGIC):
        return EdgpPredictor(content, "base within a host model")
    return load_host_bytes(content, "base within a host model")
