"""``LatencyRegressor`` is an estimator as scikit-learn knows them."""

import pickle
from unittest import SkipTest

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

    model = LatencyRegressor(model="linear")
    assert base.is_regressor(model)
    assert base.clone(model).get_params() == model.get_params()
    scores = cross_val_score(model, ROWS.codes, ROWS.latency_ms, cv=4)
    assert scores.shape == (4,)
    grid = GridSearchCV(LatencyRegressor(), {"model": ["linear", "gp"]}, cv=3)
    grid.fit(ROWS.codes, ROWS.latency_ms)
    assert grid.best_params_["model"] == "gp"


OWN_ERRORS = {
    "check_estimator_sparse_array",
    "check_estimator_sparse_matrix",
    "check_estimators_empty_data_messages",
    "check_estimators_nan_inf",
    "check_positive_only_tag_during_fit",
    "check_regressor_data_not_an_array",
    "check_regressors_train",
    "check_supervised_y_no_nan",
}
"""Checks that want a ValueError where edgeprof has errors of its own."""


@pytest.mark.filterwarnings("ignore")  # some are about classes that inherit nothing
def test_it_passes_the_checks_of_scikit_learn_that_apply():
    """Those that fit on numbers of their own, which are no codes of a space, end in one error."""
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    passed, refused = set(), []
    for estimator, check in checks.estimator_checks_generator(LatencyRegressor(model="linear")):
        name = getattr(check, "func", check).__name__
        if name in OWN_ERRORS:
            continue
        try:
            check(estimator)
            passed.add(name)
        except SkipTest:
            continue
        except DatasetError as error:
            refused.append(f"{name}: {error}")  # codes (30, 3), want (n, 21) of ofa-mbv3-w1.0
    assert all("of ofa-mbv3-w1.0" in text for text in refused), refused
    assert passed >= {
        "check_do_not_raise_errors_in_init_or_set_params",
        "check_estimator_cloneable",
        "check_estimator_repr",
        "check_estimators_unfitted",
        "check_get_params_invariance",
        "check_no_attributes_set_in_init",
        "check_parameters_default_constructible",
        "check_set_params",
    }


def test_what_scikit_learn_checks_on_numbers_of_its_own_holds_on_codes():
    model = LatencyRegressor(model="linear")
    before = dict(model.get_params())
    assert model.fit(ROWS.codes, ROWS.latency_ms) is model
    assert model.get_params() == before
    assert model.n_features_in_ == ROWS.codes.shape[1]
    predicted = model.predict(ROWS.codes)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(ROWS.codes), predicted)
    np.testing.assert_allclose(model.predict(ROWS.codes[3:8]), predicted[3:8])
    np.testing.assert_array_equal(
        model.fit(ROWS.codes, ROWS.latency_ms).predict(ROWS.codes), predicted
    )


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
