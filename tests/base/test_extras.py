"""Optional packages: the table agrees with the project's metadata, the error names the extra."""

import re
from importlib import metadata

import pytest
from tree import ROOT

from edgeprof.base.errors import MissingDependency
from edgeprof.base.extras import EXTRA_OF, optional

DISTRIBUTION_OF = {
    "elftools": "pyelftools",
    "scipy": "scikit-learn",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


@pytest.mark.parametrize("package", EXTRA_OF)
def test_an_extra_installs_the_package_that_it_is_named_for(package):
    name = DISTRIBUTION_OF.get(package, package.replace("_", "-"))
    extra = re.escape(EXTRA_OF[package])
    wanted = re.compile(rf"{name}\b.*\bextra == ['\"]{extra}['\"]")
    assert any(wanted.match(line) for line in metadata.requires("edgeprof"))


def test_a_missing_package_is_named_with_its_purpose_and_its_extra():
    with (
        pytest.raises(MissingDependency, match=r"^tests needs elftools") as caught,
        optional("tests"),
    ):
        raise ModuleNotFoundError("no", name="elftools")
    assert caught.value.evidence["module"] == "elftools"
    assert "pip install 'edgeprof[cross]'" in str(caught.value)


def test_the_extra_of_a_missing_package_is_written_in_one_place():
    owner = ROOT / "edgeprof/base/extras.py"
    sources = [path for path in (ROOT / "edgeprof").rglob("*.py") if path != owner]
    assert len(sources) > 100
    written = [path for path in sources if "pip install 'edgeprof[" in path.read_text("utf-8")]
    assert written == []
