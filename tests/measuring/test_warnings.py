"""What a measurement warns of: in one place, documented, and told."""

from __future__ import annotations

import json
import re

import pytest
from tree import ROOT

from edgeprof import _core

DOCS = ROOT / "docs" / "measurement.md"


def test_every_warning_says_what_it_means_and_what_to_do() -> None:
    texts = _core.warning_texts()
    ids = [rule_id for rule_id, *_ in texts]
    assert len(ids) == len(set(ids)) >= 10
    for rule_id, found, consequence, remedy in texts:
        line = f"{found}: {consequence}; {remedy}"
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule_id)
        assert min(map(len, (found, consequence, remedy))) > 10, rule_id
        assert line.isprintable(), rule_id
        assert line.count("{}") <= 1, rule_id


@pytest.mark.skipif(not DOCS.exists(), reason="no docs beside the tests")
def test_the_table_of_the_docs_is_that_of_the_code() -> None:
    text = DOCS.read_text(encoding="utf-8")
    section = text.split("\n# Warnings\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if "| `" in line]
    found = [[rule_id.strip("`"), *cells] for rule_id, *cells in rows]
    assert found == [list(texts) for texts in _core.warning_texts()]


def test_a_measurement_carries_the_lines_of_the_table() -> None:
    job = {"runtime": "null", "ci_rel": 1e-6, "max_secs": 0.05, "min_secs": 0, "max_samples": 10}
    job["runtime_options"] = {"latency_us": 300, "noise_rel": 0.3}
    record = json.loads(_core.run_job(json.dumps({**job, "max_drift": 1000})))
    patterns = [
        re.escape(f"{found}: {consequence}; {remedy}").replace(re.escape("{}"), ".+")
        for _, found, consequence, remedy in _core.warning_texts()
    ]
    assert record["warnings"]
    for line in record["warnings"]:
        assert any(re.fullmatch(pattern, line) for pattern in patterns), line
