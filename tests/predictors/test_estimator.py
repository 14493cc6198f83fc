"""``LatencyRegressor`` is an estimator as scikit-learn knows them."""

import numpy as np
import pytest
from synthetic_device import PHONE

from edgeprof import LatencyRegressor, get_space
from edgeprof.base.errors import DatasetError, PredictorFormatError

SPACE = get_space("ofa-mbv3-w1.0")
ROWS = PHONE.measure(SPACE, 40, seed=0)


def test_it_learns_and_scores():
    model = LatencyRegressor().fit(ROWS.subnets[:30], ROWS.latency_ms[:30])
    assert model.score(ROWS.subnets[30:], ROWS.latency_ms[30:]) > 0.8
    np.testing.assert_array_equal(model.predict(ROWS.codes), model.predict(ROWS.subnets))


def test_it_is_a_regressor_of_scikit_learn():
    base = pytest.importorskip("sklearn.base")
    from sklearn.model_selection import GridSearchCV, cross_val_score
    from sklearn.utils.estimator_checks import (
        check_get_params_invariance,
        check_no_attributes_set_in_init,
        check_parameters_default_constructible,
        check_set_params,
    )

    model = LatencyRegressor(model="linear")
    assert base.is_regressor(model)
    assert base.clone(model).get_params() == model.get_params()
    for check in (
        check_get_params_invariance,
        check_no_attributes_set_in_init,
        check_set_params,
        check_parameters_default_constructible,
    ):
        check("LatencyRegressor", LatencyRegressor())
    scores = cross_val_score(model, ROWS.codes, ROWS.latency_ms, cv=4)
    assert scores.shape == (4,)
    grid = GridSearchCV(LatencyRegressor(), {"model": ["linear", "gp"]}, cv=3)
    grid.fit(ROWS.codes, ROWS.latency_ms)
    assert grid.best_params_["model"] == "gp"


def test_what_it_cannot_learn_from_is_named():
    with pytest.raises(PredictorFormatError, match="call fit first"):
        LatencyRegressor().predict(ROWS.codes)
    with pytest.raises(DatasetError, match="want as many"):
        LatencyRegressor().fit(ROWS.codes, ROWS.latency_ms[:3])
    with pytest.raises(DatasetError, match="no positive number"):
        LatencyRegressor().fit(ROWS.codes, -ROWS.latency_ms)
    with pytest.raises(DatasetError, match=r"codes \(40, 3\), want"):
        LatencyRegressor().fit(ROWS.codes[:, :3], ROWS.latency_ms)
    with pytest.raises(DatasetError, match="no choices"):
        LatencyRegressor().fit(ROWS.codes + 100.0, ROWS.latency_ms)
    with pytest.raises(PredictorFormatError, match="unknown model 'no such'"):
        LatencyRegressor(model="no such").fit(ROWS.codes, ROWS.latency_ms)
    with pytest.raises(ValueError, match="no parameter 'depth'"):
        LatencyRegressor().set_params(depth=3)
