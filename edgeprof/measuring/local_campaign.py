"""A campaign of its own on this machine: jobs in, records out, nothing stored.

Owns: the batch folder of such a campaign. Does not own: what it finds (``measuring.estimate``).
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeprof.base.errors import HarnessCrashed
from edgeprof.measuring.harness import PROGRAM, Job
from edgeprof.measuring.measurement import Record, error_of


def run_campaign(
    jobs: Mapping[str, Job], settings: Mapping[str, Any], program: Path = PROGRAM
) -> dict[str, Record]:
    """Measure items in turns and return their records, those of the references among them.

    Args:
        jobs: what to measure, by the key it is measured under (see ``harness.make_job``).
        settings: the fields of ``campaign.json``.
        program: the board program of this machine.

    Raises:
        EdgeprofError: the error of the first item that failed, or of the program.
    """
    with tempfile.TemporaryDirectory(prefix="edgeprof-campaign-") as folder:
        batch = Path(folder)
        lines = [json.dumps({**job, "job_id": key}) for key, job in jobs.items()]
        (batch / "jobs.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (batch / "campaign.json").write_text(json.dumps(dict(settings)), encoding="utf-8")
        command = [os.fspath(program), "campaign", folder]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if done.returncode != 0:
            raise HarnessCrashed(
                f"{program}: ended with status {done.returncode}: {done.stderr.strip()}",
                command=command,
                exit_status=done.returncode,
            )
        found = (batch / "records.jsonl").read_text(encoding="utf-8").splitlines()
    records: dict[str, Record] = {record["job_id"]: record for record in map(json.loads, found)}
    for record in records.values():
        if "error" in record:
            raise error_of(record)
    return records
