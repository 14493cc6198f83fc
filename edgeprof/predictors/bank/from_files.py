"""A device of the bank from files: facts of a board, and a table of models measured on it.

Owns: reading these. Does not own: the model.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgeprof.base.errors import DatasetError
from edgeprof.base.parse import ENCODING, parse_json
from edgeprof.predictors.bank.facts import Facts
from edgeprof.predictors.bank.measured import MeasuredDevice
from edgeprof.predictors.bank.others import KnownDevice, Others
from edgeprof.predictors.bank.terms import Terms
from edgeprof.records.network_rows import read_network_rows


def read_facts(path: Path) -> Facts:
    """Read the facts of a board.

    Raises:
        DatasetError: if it cannot be read, or holds none.
    """
    try:
        data = parse_json(path.read_text(encoding=ENCODING))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read as JSON: {error}") from error
    try:
        return Facts.from_dict(data)
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from error


def read_device(
    facts: Path, probes: Path | None = None, others: Others | None = None
) -> tuple[KnownDevice, int]:
    """Return what is known of a board, and from how many measured networks.

    Args:
        facts: of the board, JSON.
        probes: rows ``device,model,latency_ms`` or of subnets, all of one device.
        others: what other devices teach; the shipped bank alone if ``None``.

    Raises:
        DatasetError: naming the file and what is wrong with it.
    """
    board, others = read_facts(facts), others or Others()
    if probes is None:
        return others.known("", board, None), 0
    rows = read_network_rows(probes)
    measured = MeasuredDevice(
        rows.device,
        board,
        Terms.of([network.work for network in rows.networks]),
        rows.latency_ms,
        np.nan_to_num(rows.latency_se_ms) / rows.latency_ms,
    )
    return others.known(rows.device, board, measured), len(rows)
