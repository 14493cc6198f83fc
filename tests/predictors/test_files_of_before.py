"""Files that version 0.1.0 wrote before the packages were rearranged are read as they were."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from run_cli import run

from edgeprof.accuracy import load_accuracy
from edgeprof.base.errors import PredictorFormatError, SearchError
from edgeprof.networks.spaces import get_space
from edgeprof.networks.subnet import write_subnets
from edgeprof.predictors import load_predictor
from edgeprof.records.dataset import read_dataset
from edgeprof.records.dataset_export import export_dataset
from edgeprof.records.store import Store
from edgeprof.search.sources import load_latency

FOLDER = Path(__file__).parents[1] / "data" / "version_0.1"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
CODES = np.array(EXPECTED.pop("codes"), dtype=np.uint8)
SPACE = "ofa-mbv3-w1.0"


@pytest.mark.parametrize("name", [name for name in EXPECTED if "accuracy" not in name])
def test_predictors_predict_what_they_did(name: str) -> None:
    predictor, expected = load_predictor(FOLDER / name), EXPECTED[name]
    assert (predictor.space, predictor.device) == (SPACE, expected["device"])
    np.testing.assert_allclose(predictor.predict_codes(CODES), expected["latency_ms"], rtol=1e-6)
    if "low_ms" in expected:
        interval = predictor.predict_interval(CODES)  # type: ignore[attr-defined]
        np.testing.assert_allclose(interval.low_ms, expected["low_ms"], rtol=1e-5)
        np.testing.assert_allclose(interval.high_ms, expected["high_ms"], rtol=1e-5)


@pytest.mark.parametrize("name", [name for name in EXPECTED if "accuracy" in name])
def test_accuracy_models_say_what_they_did(name: str) -> None:
    model = load_accuracy(FOLDER / name, get_space(SPACE))
    np.testing.assert_allclose(model.predict_codes(CODES), EXPECTED[name]["latency_ms"], rtol=1e-6)


@pytest.mark.parametrize("name", [name for name in EXPECTED if "accuracy" in name])
def test_accuracies_are_not_taken_for_latencies(name: str, tmp_path: Path) -> None:
    subnets = tmp_path / "subnets.jsonl"
    write_subnets(subnets, get_space(SPACE).decode(CODES))
    with pytest.raises(PredictorFormatError, match="is an accuracy model"):
        raise run("predict", FOLDER / name, subnets).exception
    with pytest.raises(SearchError, match="is an accuracy model"):
        load_latency(FOLDER / name)


def test_stores_are_read_with_their_raw_samples(tmp_path: Path) -> None:
    path = Path(shutil.copy(FOLDER / "store.db", tmp_path))
    with Store(path, create=False) as store:
        found = list(store.measurements("here"))
    assert [m.latency_median_ns for m in found] == [4148896, 4734123, 5818518]
    assert [len(m.record["samples"]["latency_ns"]) for m in found] == [14, 10, 9]
    with Store(path, create=False) as store:
        export_dataset(store, tmp_path / "here.csv", include_poor=True)
    data = read_dataset(tmp_path / "here.csv")
    assert (data.space, data.device) == (SPACE, "here")
    np.testing.assert_allclose(sorted(data.latency_ms), [4.148896, 4.734123, 5.818518])
