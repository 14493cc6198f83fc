"""Measuring in bulk in one call.

Owns: ``edgeprof.profile``. Does not own: how a run goes.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeprof.base.errors import InvalidJob, InventoryError
from edgeprof.boards.inventory import BoardSpec, read_inventory
from edgeprof.networks.subnet import Subnet
from edgeprof.records.store import Store
from edgeprof.runs.files import FileWorkload, format_of_files
from edgeprof.runs.settings import ProfileSettings
from edgeprof.runs.start import measure_here, measure_on
from edgeprof.runs.subnets import SubnetWorkload
from edgeprof.runs.summary import RunSummary
from edgeprof.runs.workload import Workload

FilePath = str | os.PathLike[str]


def profile(
    what: Subnet | FilePath | Sequence[Subnet] | Sequence[FilePath],
    store: FilePath,
    *,
    device: str | None = None,
    boards: FilePath | None = None,
    board_names: Sequence[str] = (),
    models: FilePath | None = None,
    settings: ProfileSettings | None = None,
    **changes: Any,
) -> RunSummary:
    """Measure many networks into a store, as ``edgeprof profile`` does, which resumes too.

    >>> import edgeprof
    >>> edgeprof.profile(["model.onnx"], "new.db", device="here", max_secs=0.2).measured
    1

    Args:
        what: one or several: subnets, or model files.
        store: the store to append to (.db).
        device: name of this machine in the store; its host name if ``None``.
        boards: an inventory, whose boards then measure.
        board_names: names, tags or groups; all if empty.
        models: folder of exported models; beside the store if ``None``.
        settings: how to export and measure.
        **changes: fields of ``ProfileSettings`` to change, as in ``max_secs=2.0``.

    Raises:
        InvalidJob: subnets and files together, or nothing.
        InventoryError: no board can be used.
    """
    settings = replace(settings or ProfileSettings(), **changes)
    listed = [what] if isinstance(what, (Subnet, str, os.PathLike)) else list(what)
    path = Path(store)
    with Store(path) as opened:
        folder = path.with_name(f"{path.stem}-models") if models is None else Path(models)
        workload = _workload(listed, opened, settings, folder)
        if boards is None:
            return measure_here(workload, device or socket.gethostname())
        return measure_on(workload, _chosen(Path(boards), board_names))


def _chosen(inventory: Path, names: Sequence[str]) -> Sequence[BoardSpec]:
    boards = read_inventory(inventory).select(list(names))
    if not boards:
        raise InventoryError(f"{inventory}: none of the boards asked for can be used")
    return boards


def _workload(
    what: Sequence[Subnet | FilePath],
    store: Store,
    settings: ProfileSettings,
    models: Path,
) -> Workload[Any]:
    subnets = [item for item in what if isinstance(item, Subnet)]
    files = [Path(item) for item in what if not isinstance(item, Subnet)]
    if bool(subnets) == bool(files):
        raise InvalidJob("profile: want subnets or model files, at least one, not both in one call")
    if subnets:
        return SubnetWorkload(subnets, store, settings, models)
    return FileWorkload(files, store, replace(settings, format=format_of_files(files)))
