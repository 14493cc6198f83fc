"""A device of the bank from files: facts of a board, and a table of models measured on it.

Owns: reading these. Does not own: the model.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgeprof.base.errors import DatasetError
from edgeprof.base.parse import ENCODING, parse_json
from edgeprof.predictors.bank.facts import Facts
from edgeprof.predictors.bank.file import shipped_bank
from edgeprof.predictors.bank.model import DeviceCosts
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


def read_device(facts: Path, probes: Path | None = None) -> tuple[DeviceCosts, int]:
    """Return what is known of a board, and from how many measured networks.

    Args:
        facts: of the board, JSON.
        probes: rows ``device,model,latency_ms`` or of subnets, all of one device.

    Raises:
        DatasetError: naming the file and what is wrong with it.
    """
    device = DeviceCosts(shipped_bank(), read_facts(facts))
    if probes is None:
        return device, 0
    rows = read_network_rows(probes)
    terms = Terms.of([network.work for network in rows.networks])
    error = np.nan_to_num(rows.latency_se_ms) / rows.latency_ms
    return device.learn(terms, rows.latency_ms, error), len(rows)
