"""A bank of made-up devices, for those who take ``bank`` and ``terms``."""

import pytest
from made_up_boards import RECIPES, settings_of, terms_of

from edgeprof.predictors.bank.learning import learn_bank


@pytest.fixture(scope="module")
def terms():
    return terms_of(RECIPES)


@pytest.fixture(scope="module")
def bank(terms):
    return learn_bank(settings_of(terms, 24, 0, source="table"), terms)
