"""Takes a compact predictor out of edgeprof: as C source, as an ONNX model, or as the file.

Owns: which forms there are and the names of their files.
"""

from __future__ import annotations

from pathlib import Path

from edgeprof.base.errors import PredictorFormatError
from edgeprof.base.files import atomic_write, make_folder
from edgeprof.predictors.compact.edgp_file import CompactModel, decode_edgp
from edgeprof.predictors.compact.predictor import read_predictor_bytes
from edgeprof.predictors.ship.ship_c import c_header, c_identifier, c_source

FORMS = ("c", "edgp", "onnx")


def ship(predictor: Path, form: str, folder: Path) -> list[Path]:
    """Write an ``.edgp`` predictor in another form.

    Args:
        predictor: the ``.edgp`` file.
        form: one of ``FORMS``.
        folder: where to write; made where it is missing.

    Returns:
        The files written.

    Raises:
        PredictorFormatError: if ``predictor`` is no ``.edgp`` file.
        OutputError: if a file cannot be written.
    """
    data = read_predictor_bytes(predictor)
    model = decode_edgp(data, str(predictor))
    contents = _contents(model, data, form, predictor.stem)
    make_folder(folder)
    for name, content in contents.items():
        with atomic_write(folder / name, binary=True) as stream:
            stream.write(content)
    return [folder / name for name in contents]


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
