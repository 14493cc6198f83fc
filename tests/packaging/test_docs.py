"""What the docs promise of formats, files and workflows is so."""

from __future__ import annotations

import importlib.metadata
import re

import pytest
from onnx_models import save_conv
from tree import ROOT

from edgeprof.measuring.harness import Settings, make_job, run_jobs

DOCS = ROOT / "docs"
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
TEXTS = [*DOCS.glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="no source tree beside the tests")


def fields_of(value, path=""):
    if isinstance(value, dict):
        for name, below in value.items():
            yield from fields_of(below, f"{path}.{name}" if path else name)
    else:
        yield path


def documented_fields():
    for line in (DOCS / "record.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            for name in re.findall(r"`([\w.\[\]*]+)`", line.split("|")[1]):
                yield name.removesuffix("[]")


def test_every_field_of_a_record_stands_in_its_table(tmp_path):
    model = save_conv(tmp_path / "m.onnx", [1, 3, 32, 32])
    settings = Settings(max_secs=0.3, ci_rel=0.5, per_op_runs=2, timestamps=True)
    (record,) = run_jobs([{**make_job(model, settings), "references": True}])
    assert "error" not in record
    known = set(documented_fields())
    whole = {"machine", "runtime.options", "summary.disturbed"}
    patterns = {"references": "references.NAME", "samples": "samples.NAME"}
    for field in fields_of(record):
        parents = {field[: match.start()] for match in re.finditer(r"\.", field)}
        is_known = field in known or parents & whole or patterns.get(field.split(".")[0]) in known
        assert is_known, field


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_links_lead_to_files(path):
    for target, anchor in LINK.findall(path.read_text(encoding="utf-8")):
        if "://" in target or target.startswith("reference/"):
            continue
        page = path.parent / target if target else path
        assert page.exists(), target
        assert not anchor or anchor in anchors_of(page), f"{target}#{anchor}"


def anchors_of(path):
    """Return the names of a page's headings, as GitHub and MkDocs make them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_every_page_stands_in_the_navigation():
    yaml = pytest.importorskip("yaml")

    class Loader(yaml.SafeLoader):
        """Leaves Python names as they are."""

    Loader.add_multi_constructor("tag:yaml.org,2002:python/name:", lambda *_: None)
    site = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)
    listed = set(re.findall(r"[\w/]+\.md", str(site["nav"])))
    pages = {path.name for path in DOCS.glob("*.md")}
    assert pages <= listed
    assert {name for name in listed - pages if not name.startswith("reference/")} == set()


def test_the_columns_of_the_store_are_explained():
    from edgeprof.records.store_file import TABLES

    text = (ROOT / "tools" / "docs_hooks.py").read_text(encoding="utf-8")
    explained = set(re.findall(r'^    "(\w+)": "', text, re.MULTILINE))
    assert {column for columns in TABLES.values() for column in columns} <= explained


def workflows():
    yaml = pytest.importorskip("yaml")
    for path in sorted((ROOT / ".github" / "workflows").glob("*.yml")):
        yield path, yaml.safe_load(path.read_text(encoding="utf-8"))


def test_workflows_run_what_is_there():
    found = dict(workflows())
    assert len(found) >= 3
    for path, workflow in found.items():
        assert workflow["jobs"], path
        assert workflow["permissions"] == {"contents": "read"}, path
        for job in workflow["jobs"].values():
            assert job["runs-on"], path
            for step in job["steps"]:
                assert ("run" in step) != ("uses" in step), (path, step)
                if "uses" in step:
                    assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"]), (path, step)
    steps = [s for w in found.values() for job in w["jobs"].values() for s in job["steps"]]
    assert any(step.get("run") == ".ci/run" for step in steps)


def test_wheels_are_built_for_the_pythons_that_are_supported():
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    built = {name[2:-2] for name in project["tool"]["cibuildwheel"]["build"]}
    named = re.findall(r"Python :: (3)\.(\d+)", "\n".join(project["project"]["classifiers"]))
    assert built == {"".join(version) for version in named}


def test_an_address_of_the_project_stands_everywhere_or_nowhere():
    """It has none yet; what is published names one."""
    urls = importlib.metadata.metadata("edgeprof").get_all("Project-URL") or []
    site = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert bool(urls) == ("\nsite_url:" in site) == ("\nrepo_url:" in site)
