"""Latency sources, limits and places to measure on, as the command line gives them.

Owns: how names become the objects that a search takes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from edgeprof.accuracy.base import ACCURACY_DEVICE
from edgeprof.base.errors import SearchError
from edgeprof.networks.spaces.base import SearchSpace
from edgeprof.predictors import load_predictor
from edgeprof.predictors.bank.others import Others
from edgeprof.predictors.bank.stored import StoredDevice
from edgeprof.predictors.base import LatencyPredictor
from edgeprof.runs.settings import ProfileSettings
from edgeprof.search.constraints import (
    Constraint,
    latency_constraint,
    macs_constraint,
    model_bytes_constraint,
    parameters_constraint,
)
from edgeprof.search.verify import Measure, Profile, measure_through

LOCAL = "local"
"""The place to measure on that is this machine."""


def load_latency(
    source: Path,
    space_id: str | None = None,
    where: Mapping[str, str] | None = None,
    others: Others | None = None,
) -> LatencyPredictor:
    """Load a latency source: see ``predictors.load_predictor``.

    Args:
        source: the file or folder, or a device in a store (``lab.db:rpi5``).
        space_id: the space, where the source does not name one (lookup tables, layer costs); else
            it must be that of the source, unless that predicts networks of any space.
        where: of a device in a store, only measurements whose state has these values.
        others: of a device in a store, what other devices teach.

    Raises:
        SearchError: if the space is missing or another one, or it predicts accuracies.
        PredictorFormatError: if it is no latency source.
    """
    predictor = load_predictor(source, space=space_id, where=where, others=others)
    if predictor.device == ACCURACY_DEVICE:
        raise SearchError(f"{source}: is an accuracy model; want a latency predictor")
    if isinstance(predictor, StoredDevice) and not space_id and len(predictor.measured_spaces) == 1:
        [predictor.space] = predictor.measured_spaces
    if not predictor.space:
        raise SearchError(f"{source}: predicts networks of any space: say which with --space")
    if space_id is not None and predictor.space != space_id:
        raise SearchError(f"{source}: is a predictor of space {predictor.space}, want {space_id}")
    return predictor


def further_limits(
    space: SearchSpace,
    *,
    latency_ms: Sequence[tuple[Path, float]] = (),
    where: Mapping[str, str] | None = None,
    others: Others | None = None,
    confidence: float | None = None,
    macs: float | None = None,
    parameters: float | None = None,
    model_bytes: float | None = None,
    precision: str = "fp32",
    model_format: str | None = None,
) -> list[Constraint]:
    """Return the limits beside the budget; those not given are not limited.

    A confidence holds for the latencies on other devices, too.
    """
    limits = [
        latency_constraint(
            load_latency(source, space.id, where, others), limit_ms, space, confidence=confidence
        )
        for source, limit_ms in latency_ms
    ]
    if macs is not None:
        limits.append(macs_constraint(space, macs))
    if parameters is not None:
        limits.append(parameters_constraint(space, parameters))
    if model_bytes is not None:
        limits.append(
            model_bytes_constraint(
                space, model_bytes, precision=precision, model_format=model_format
            )
        )
    return limits


@contextmanager
def measuring_on(
    place: str, inventory: Path | None = None, settings: ProfileSettings | None = None
) -> Iterator[Measure]:
    """Give the function that measures subnets at a place while the block runs.

    Args:
        place: ``local``, or the name of a board.
        inventory: the ``boards.yaml`` that has the board.
        settings: how to export and measure; those that the latency source was measured with.

    Raises:
        SearchError: for a board without an inventory.
        BoardSetupError: if the inventory does not have it, or its entry is wrong.
    """
    if place != LOCAL and inventory is None:
        raise SearchError(f"cannot verify on {place!r}: give --boards, or {LOCAL!r} for here")
    with tempfile.TemporaryDirectory(prefix="edgeprof-verify-") as name:
        folder = Path(name)
        profile = _profile(place, inventory, folder / "models", settings or ProfileSettings())
        yield measure_through(profile, folder / "finalists.db")


def _profile(
    place: str, inventory: Path | None, models: Path, settings: ProfileSettings
) -> Profile:
    from edgeprof.boards.inventory import read_inventory
    from edgeprof.runs.start import measure_here, measure_on
    from edgeprof.runs.subnets import SubnetWorkload

    measure = partial(measure_here, device=LOCAL)
    if inventory is not None:
        listed = read_inventory(inventory)
        boards = listed.select([place])
        if not boards:
            raise listed.problems[place]
        measure = partial(measure_on, boards=boards)
    return lambda subnets, store: measure(SubnetWorkload(subnets, store, settings, models))
