"""Takes a predictor out of edgeprof: as C source, as an ONNX model, or as the file for boards.

Owns: which forms there are and the names of their files.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from edgeprof.base.errors import OutputError, PredictorFormatError
from edgeprof.base.files import atomic_write, make_folder, sha256_of
from edgeprof.base.parse import first_double
from edgeprof.networks.layers import Network
from edgeprof.predictors.compact.edgp_file import CompactModel, decode_edgp, is_layer_costs
from edgeprof.predictors.compact.predictor import read_predictor_bytes
from edgeprof.predictors.layers.compact import CompactLayerCosts
from edgeprof.predictors.layers.layer_list import layer_list
from edgeprof.predictors.load import EDGP_SUFFIX, load_host
from edgeprof.predictors.ship.layer_costs_c import costs_header, costs_source, network_header
from edgeprof.predictors.ship.ship_c import c_header, c_identifier, c_source

FORMS = ("c", "edgp", "onnx")


def ship(
    predictor: Path, form: str, folder: Path, networks: Sequence[tuple[str, Network]] = ()
) -> list[Path]:
    """Write a predictor in another form.

    Args:
        predictor: an ``.edgp`` file, or a ``.host.npz`` of layer costs.
        form: one of ``FORMS``.
        folder: where to write; made where it is missing.
        networks: names and networks whose layers are written beside layer costs.

    Returns:
        The files written.

    Raises:
        PredictorFormatError: if ``predictor`` is neither, or cannot take the form.
        OutputError: if a file cannot be written, or two would have the same name.
    """
    costs = _layer_costs(predictor)
    stem = predictor.name.removesuffix(EDGP_SUFFIX).removesuffix(".host.npz")
    if costs is not None:
        contents = _costs_contents(costs, form, stem, networks)
    elif networks:
        raise PredictorFormatError(f"{predictor}: predicts subnets; layers of networks are no use")
    else:
        data = read_predictor_bytes(predictor)
        contents = _contents(decode_edgp(data, str(predictor)), data, form, stem)
    make_folder(folder)
    for name, content in contents.items():
        with atomic_write(folder / name, binary=True) as stream:
            stream.write(content)
    return [folder / name for name in contents]


def _layer_costs(predictor: Path) -> CompactLayerCosts | None:
    """Return the layer costs of a file; None where it holds a predictor of subnets."""
    if predictor.suffix == ".npz":
        from edgeprof.predictors.layers.model import LayerCosts

        host = load_host(predictor)
        if isinstance(host, LayerCosts):
            return host.compact({"host_sha256": sha256_of(predictor)})
        raise PredictorFormatError(
            f"{predictor}: is a {host.kind} model; want an .edgp, or a .host.npz of networks"
        )
    data = read_predictor_bytes(predictor)
    return CompactLayerCosts(data, str(predictor)) if is_layer_costs(data) else None


def _costs_contents(
    costs: CompactLayerCosts, form: str, stem: str, networks: Sequence[tuple[str, Network]]
) -> dict[str, bytes]:
    listed = [(c_identifier(name), layer_list(name, network.work)) for name, network in networks]
    if (double := first_double(name for name, _ in listed)) is not None:
        raise OutputError(f"two networks would be written as {double}; rename one of the models")
    if form == "edgp":
        lists = {f"{name}.json": json.dumps(layers).encode() for name, layers in listed}
        return {f"{stem}.edgp": costs.to_bytes(), **lists}
    if form != "c":
        raise PredictorFormatError(f"no form {form!r} of layer costs; there are c, edgp")
    name, tables = c_identifier(stem), costs.content.tables
    return {
        f"{name}.h": costs_header(tables, costs.device, name).encode(),
        f"{name}.c": costs_source(tables, name).encode(),
        **{
            f"{name}_{of}.h": network_header(tables, name, layers, f"{name}_{of}").encode()
            for of, layers in listed
        },
    }


def _contents(model: CompactModel, data: bytes, form: str, stem: str) -> dict[str, bytes]:
    if form == "edgp":
        return {f"{stem}.edgp": data}
    if form == "onnx":
        from edgeprof.predictors.ship.ship_onnx import onnx_model

        return {f"{stem}.onnx": onnx_model(model)}
    if form == "c":
        name = c_identifier(stem)
        return {
            f"{name}.h": c_header(model, name).encode(),
            f"{name}.c": c_source(model, name).encode(),
        }
    raise PredictorFormatError(f"no form {form!r} of a predictor; there are {', '.join(FORMS)}")
