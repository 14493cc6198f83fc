"""Predictors from files: which class reads which file, and which files belong together."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from edgeprof.base.errors import PredictorFormatError
from edgeprof.base.files import sha256_of
from edgeprof.predictors.base import LatencyPredictor, check_base, is_of_any_space
from edgeprof.predictors.compact.edgp_file import is_layer_costs
from edgeprof.predictors.compact.predictor import read_predictor_bytes
from edgeprof.predictors.compact.reader import EdgpPredictor
from edgeprof.predictors.host_file import HostModel, read_host_bytes, read_learned

if TYPE_CHECKING:
    from edgeprof.predictors.bank.others import Others
    from edgeprof.predictors.gp.model import GaussianProcess
    from edgeprof.predictors.layers.compact import CompactLayerCosts

EDGP_SUFFIX = ".edgp"
_HOST_SUFFIX = ".host.npz"
_TABLE_SUFFIXES = (".yaml", ".yml")


def load_predictor(
    path: str | Path,
    *,
    space: str | None = None,
    where: Mapping[str, str] | None = None,
    others: Others | None = None,
) -> LatencyPredictor:
    """Read a predictor: ``P.edgp``, ``P.host.npz``, a folder of lookup tables or one ``.yaml``.

    ``lab.db:rpi5`` is what the store ``lab.db`` holds of the device ``rpi5``.

    >>> import edgeprof
    >>> edgeprof.load_predictor("pi4.edgp").space
    'ofa-mbv3-w1.0'

    Args:
        path: the file or folder.
        space: id of the space, for lookup tables that do not name it, and for layer costs, which
            predict subnets of any.
        where: of a device in a store, only measurements whose state has these values.
        others: of a device in a store, what other devices teach; the shipped bank if ``None``.

    Raises:
        PredictorFormatError: if it is none of these, or cannot be read.
        DatasetError, MixedMachineState, StoreError: see ``bank.stored.load_stored``.
        LookupTableError: if lookup tables are wrong.
    """
    path = Path(path)
    if is_stored(path):
        from edgeprof.predictors.bank.stored import load_stored, parse_stored

        if (stored := parse_stored(str(path))) is not None:
            return load_stored(*stored, space=space, where=where, others=others)
    if path.is_dir() or path.suffix in _TABLE_SUFFIXES:
        from edgeprof.predictors.lut.tables import load_tables

        return load_tables(path, space)
    loaded = _load_file(path)
    return loaded if space is None else for_space(loaded, space)


def is_stored(path: Path) -> bool:
    """Tell whether a path is a device in a store, ``lab.db:rpi5``."""
    return ".db:" in str(path) and not path.exists()


def for_space(predictor: LatencyPredictor, space: str) -> LatencyPredictor:
    """Return what knows layers as a predictor of the subnets of a space, which may be any.

    Other predictors are returned as they are.
    """
    if is_of_any_space(predictor):
        chosen: Any = copy(predictor)
        chosen.space = space
        return cast(LatencyPredictor, chosen)
    return predictor


def _load_file(path: Path) -> LatencyPredictor:
    if path.suffix == EDGP_SUFFIX:
        return _load_edgp(path)
    if path.suffix == ".npz":
        return load_host(path)
    raise PredictorFormatError(
        f"{path}: is no predictor, want .edgp, .host.npz, a folder of lookup tables, or "
        "STORE.db:DEVICE"
    )


def _load_edgp(path: Path) -> EdgpPredictor | CompactLayerCosts:
    loaded = read_edgp(read_predictor_bytes(path), str(path))
    beside = host_path(path)
    if beside.exists() and sha256_of(beside) == loaded.provenance.get("host_sha256"):
        loaded.learned = read_learned(read_predictor_bytes(beside), str(beside))
    return loaded


def read_edgp(data: bytes, source: str) -> EdgpPredictor | CompactLayerCosts:
    """Read the bytes of an ``.edgp`` file, of subnets or of layer costs.

    Raises:
        PredictorFormatError: naming ``source`` and what is wrong with it.
    """
    if not is_layer_costs(data):
        return EdgpPredictor(data, source)
    from edgeprof.predictors.layers.compact import CompactLayerCosts

    return CompactLayerCosts(data, source)


def load_host(path: str | Path) -> HostModel:
    """Read a host file.

    Raises:
        PredictorFormatError: if it is none, or of another version.
    """
    return read_host_bytes(read_predictor_bytes(Path(path)), str(path))


def load_base(
    path: Path,
    space: str | None = None,
    *,
    where: Mapping[str, str] | None = None,
    others: Others | None = None,
) -> LatencyPredictor:
    """Load a base: the host model beside ``P.edgp`` where there is one, else the file itself.

    Args:
        path: the file or folder, or a device in a store, which serves predictors of any space.
        space: where given, the base must be able to serve predictors of this space.
        where: see ``load_predictor``.
        others: see ``load_predictor``.

    Raises:
        PredictorFormatError: if it is none, the two files do not belong together, or it cannot
            serve ``space``; naming the file.
    """
    if is_stored(path):
        return load_predictor(path, space=space, where=where, others=others)
    has_host = path.suffix == EDGP_SUFFIX and host_path(path).exists()
    base = _load_beside(path) if has_host else load_predictor(path)
    if path.is_dir() or path.suffix in _TABLE_SUFFIXES:
        from edgeprof.predictors.lut.model import LutModel
        from edgeprof.predictors.lut.tables import load_tables

        tables = load_tables(path)
        base = LutModel(tables, tables.device)  # which can be kept, and knows every resolution
    if space is not None:
        check_base(base, space, str(path))
    return base


def load_gaussian_process(path: Path) -> GaussianProcess:
    """Load the Gaussian process of ``P.edgp`` or ``P.host.npz``.

    Raises:
        PredictorFormatError: if there is none, or the host model is of another kind.
    """
    from edgeprof.predictors.gp.model import GaussianProcess

    at = host_path(path)
    model = _load_beside(path) if at != path and path.exists() else load_host(at)
    if not isinstance(model, GaussianProcess):
        raise PredictorFormatError(f"{at}: is a {model.kind} model; want gp, which has intervals")
    return model


def host_path(path: Path) -> Path:
    """Return where the host model of ``P.edgp`` stands; of other files, the file itself."""
    if path.suffix != EDGP_SUFFIX:
        return path
    return path.with_name(path.name.removesuffix(EDGP_SUFFIX) + _HOST_SUFFIX)


def _load_beside(path: Path) -> HostModel:
    """Load the host model beside ``P.edgp``, if it is the one that this file was distilled from."""
    at = host_path(path)
    model = load_host(at)
    wanted = read_edgp(read_predictor_bytes(path), str(path)).provenance.get("host_sha256")
    if sha256_of(at) != wanted:
        raise PredictorFormatError(
            f"{at}: is not the host model that {path} was distilled from; remove it to use the "
            "latter alone, or train it anew"
        )
    return model
