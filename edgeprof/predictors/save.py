"""The two files of a predictor, written."""

from __future__ import annotations

import hashlib
from pathlib import Path

from edgeprof.base.errors import PredictorFormatError
from edgeprof.base.files import remove_file, write_whole
from edgeprof.predictors.compact.predictor import CompactPredictor
from edgeprof.predictors.host_file import HostModel, host_bytes
from edgeprof.predictors.load import EDGP_SUFFIX, host_path


def check_output(output: Path) -> None:
    """Refuse a name that no predictor can be written to.

    Raises:
        PredictorFormatError: if it does not end in ``.edgp``.
    """
    if output.suffix != EDGP_SUFFIX:
        raise PredictorFormatError(f"{output}: want a file name that ends in {EDGP_SUFFIX}")


def save_host(path: Path, model: HostModel) -> bytes:
    """Write a host file; it appears whole or not at all. Returns its content."""
    content = host_bytes(model)
    write_whole(path, content)
    return content


def save_predictor(
    output: Path, student: CompactPredictor, host: HostModel | None
) -> tuple[Path, ...]:
    """Write ``P.edgp`` and, beside it, the host model; without one, none stays there.

    Returns:
        The files that were written.

    Raises:
        PredictorFormatError: for another suffix than ``.edgp``.
        OutputError: if a file cannot be written.
    """
    check_output(output)
    beside = host_path(output)
    if host is None:
        student.save(output)
        remove_file(beside)  # of the predictor that was replaced
        return (output,)
    content = save_host(beside, host)
    named = {"host_sha256": hashlib.sha256(content).hexdigest()}
    student.with_provenance(named).save(output)
    return output, beside
