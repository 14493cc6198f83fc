"""The suites: models of our own, from which a cost model of a device can be learned.

Owns: what is in a suite. Written to files they are by ``edgeprof.export.recipes``, measured by
``edgeprof.runs.suites``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from edgeprof.networks.suites.as_layers import network_of
from edgeprof.networks.suites.layers import layer_suite, quantised_layers
from edgeprof.networks.suites.networks import network_suite
from edgeprof.networks.suites.recipe import Recipe

SUITES = ("layers", "networks")


class SuiteModel(NamedTuple):
    """One model of a suite, in the precision that it is written in."""

    recipe: Recipe
    precision: str


# 'format' is what users and options call it.
def suite_models(suite: str, *, format: str = "onnx", precision: str = "fp32") -> list[SuiteModel]:  # noqa: A002
    """Return the models of a suite that a format has.

    Args:
        suite: one of ``SUITES``.
        format: TFLite and int8 have those of convolutions, linear layers, pools and sums.
        precision: of all models; the layers come in int8, too, where it is ``"fp32"``.
    """
    recipes = layer_suite() if suite == "layers" else network_suite()
    models = [SuiteModel(recipe, precision) for recipe in recipes]
    if suite == "layers" and precision == "fp32":
        models += [SuiteModel(recipe, "int8") for recipe in quantised_layers()]
    if (format, precision) == ("onnx", "fp32"):
        return models
    return [model for model in models if network_of(model.recipe) is not None]


def some_of(models: Sequence[SuiteModel], count: int) -> list[SuiteModel]:
    """Return so many models, of all kinds alike, in their order; a smaller choice is in a larger.

    Kinds stand together in a suite: multiples of the golden ratio pick places that lie evenly.
    """
    ratio = (5**0.5 - 1) / 2
    chosen = sorted(range(len(models)), key=lambda place: place * ratio % 1)[:count]
    return [models[place] for place in sorted(chosen)]
