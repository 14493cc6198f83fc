"""Fast prediction says what slow prediction says."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_device import PHONE, SERVER

from edgeprof.networks.spaces import get_space
from edgeprof.predictors.compact.slot_tables import SlotTables
from edgeprof.predictors.gp.model import GaussianProcess

SPACE = get_space("ofa-mbv3-w1.0")


@pytest.mark.parametrize("n", [10, 1200])
def test_the_tabled_mean_is_that_of_the_interval(n: int) -> None:
    base = GaussianProcess().fit(SERVER.measure(SPACE, 20, seed=0))
    model = GaussianProcess([base]).fit(PHONE.measure(SPACE, 10, seed=1))
    codes = SPACE.sample_codes(n, np.random.default_rng(2), [160, 224])
    np.testing.assert_allclose(
        model.predict_codes(codes), model.predict_interval(codes).mean_ms, rtol=1e-7
    )


def test_what_is_no_sum_over_slots_is_not_tabled() -> None:
    def product(codes: np.ndarray) -> np.ndarray:
        return (codes[:, [0]] * codes[:, [4]]).astype(float)

    codes = SPACE.sample_codes(600, np.random.default_rng(0), [160])
    np.testing.assert_array_equal(SlotTables(SPACE, product)(codes), product(codes))


def test_many_small_calls_are_tabled_too() -> None:
    rows_summed = 0

    def total(codes: np.ndarray) -> np.ndarray:
        nonlocal rows_summed
        rows_summed += len(codes)
        return codes[:, [0]] + 2.0 * codes[:, [7]]

    tables = SlotTables(SPACE, total)
    codes = SPACE.sample_codes(6000, np.random.default_rng(0), [160])
    for part in np.array_split(codes, 300):
        values = tables(part)
        np.testing.assert_allclose(values, part[:, [0]] + 2.0 * part[:, [7]], atol=1e-6)
    assert rows_summed < 1500
