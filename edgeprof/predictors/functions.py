"""Training and predicting in one call each, from files or from what was read of them.

Owns: ``edgeprof.train`` and ``edgeprof.predict``. Does not own: any model.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import overload

import numpy as np

from edgeprof.base.errors import PredictorFormatError
from edgeprof.networks.spaces import get_space
from edgeprof.networks.subnet import Subnet
from edgeprof.predictors.base import (
    IntervalPredictor,
    Latencies,
    LatencyInterval,
    LatencyPredictor,
    Networks,
    as_network,
    each_of,
)
from edgeprof.predictors.layers.model import LayerCosts
from edgeprof.predictors.layers.training import NetworkTraining, train_networks
from edgeprof.predictors.load import load_base
from edgeprof.predictors.save import check_output, save_predictor
from edgeprof.predictors.train import Training
from edgeprof.predictors.train import train as train_dataset
from edgeprof.records.dataset import Dataset, RowRange, read_dataset
from edgeprof.records.network_rows import NetworkRows, names_models, read_network_rows

FilePath = str | os.PathLike[str]


def train(
    data: FilePath | Dataset | NetworkRows,
    output: FilePath | None = None,
    *,
    device: str | None = None,
    rows: RowRange | None = None,
    model: str = "gp",
    bases: Sequence[FilePath | LatencyPredictor] = (),
    seed: int = 0,
) -> Training | NetworkTraining:
    """Fit a latency predictor to measurements, as ``edgeprof train`` does; ``.predictor`` predicts.

    >>> import edgeprof
    >>> done = edgeprof.train("networks.csv", "any.host.npz")
    >>> done.predictor
    LayerCosts(device='pi4', space='')

    Args:
        data: a table of measurements (.csv, .csv.gz, .parquet), or what was read of one.
        output: ``P.edgp``; ``P.host.npz`` is written beside it. Nothing is written if ``None``.
        device: whose rows; may be left out where the table has but one.
        rows: (A, B) for the rows A to B - 1.
        model: the kind of model, for rows of subnets.
        bases: predictors of other devices to start from.
        seed: of everything that is drawn.

    Raises:
        DatasetError: rows that cannot be learned from.
        PredictorFormatError: a model or a base that does not fit.
    """
    data = _rows(data, device, rows)
    target = None if output is None else Path(output)
    if target is not None and isinstance(data, Dataset):
        check_output(target)
    done = _fitted(data, target, model, bases, seed)
    if target and isinstance(done, Training):
        save_predictor(target, done.student, done.host)
    return done


def _fitted(
    data: Dataset | NetworkRows,
    target: Path | None,
    model: str,
    bases: Sequence[FilePath | LatencyPredictor],
    seed: int,
) -> Training | NetworkTraining:
    if isinstance(data, NetworkRows):
        if bases or model != "gp":
            raise PredictorFormatError(f"{data.source}: rows of model files take no model or base")
        return train_networks(data, target, seed=seed)
    loaded = [_loaded(base, data.space) for base in bases]
    return train_dataset(data, model=model, bases=loaded, seed=seed)


def _rows(
    data: FilePath | Dataset | NetworkRows, device: str | None, rows: RowRange | None
) -> Dataset | NetworkRows:
    if not isinstance(data, (str, os.PathLike)):
        return data
    path = Path(data)
    read = read_network_rows if names_models(path) else read_dataset
    return read(path, device=device, rows=rows)


@overload
def predict(predictor: FilePath | LatencyPredictor, networks: Networks) -> Latencies: ...


@overload
def predict(
    predictor: FilePath | LatencyPredictor, networks: Networks, *, confidence: float
) -> LatencyInterval: ...


def predict(
    predictor: FilePath | LatencyPredictor, networks: Networks, *, confidence: float | None = None
) -> Latencies | LatencyInterval:
    """Predict latencies, as ``edgeprof predict`` does.

    >>> import edgeprof
    >>> edgeprof.predict("pi4.edgp", edgeprof.read_dataset("pi4.csv").subnets[:3]).shape
    (3,)
    >>> mean_ms, low_ms, high_ms = edgeprof.predict("pi4.edgp", "model.onnx", confidence=0.9)
    >>> bool(low_ms[0] <= mean_ms[0] <= high_ms[0])
    True

    Args:
        predictor: a predictor or its file. The host model beside an ``.edgp`` predicts where
            there is one.
        networks: one or several: subnets, layer lists, paths of ONNX or TFLite files.
        confidence: return the interval that holds a measurement with this probability, too.

    Returns:
        Milliseconds, float64 (n,); with a confidence a ``LatencyInterval`` of three such arrays.

    Raises:
        PredictorFormatError: no predictor, or one without intervals where one is asked for.
        UnsupportedModel: the predictor knows the subnets of its space only.
    """
    loaded = _loaded(predictor)
    if confidence is None:
        return loaded.predict(networks)
    listed = each_of(networks)
    subnets = [item for item in listed if isinstance(item, Subnet)]
    is_of_codes = len(subnets) == len(listed) and not isinstance(loaded, LayerCosts)
    if is_of_codes and isinstance(loaded, IntervalPredictor):
        return loaded.predict_interval(get_space(loaded.space).encode(subnets), confidence)
    of_networks = getattr(loaded, "predict_networks", None)
    if of_networks is None or not isinstance(loaded, IntervalPredictor):
        raise PredictorFormatError(f"{loaded!r}: has no intervals of these; use its .host.npz")
    found = of_networks([as_network(item) for item in listed], confidence)
    return LatencyInterval(*(np.asarray(part) for part in found))


def _loaded(predictor: FilePath | LatencyPredictor, space: str | None = None) -> LatencyPredictor:
    if isinstance(predictor, (str, os.PathLike)):
        return load_base(Path(predictor), space)
    return predictor
