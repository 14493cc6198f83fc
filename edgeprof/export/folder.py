"""A folder of model files with a manifest that joins subnets and files.

Owns: file names, the manifest, what is skipped when a run is repeated. Does not own: model
formats (``onnx.py``, ``onnx_int8.py``, ``tflite.py``).

``manifest.jsonl`` has one object a line: the subnet's fields and those of ``ManifestEntry``. While
a run goes on, lines are appended; so an interrupted run leaves a folder that the next one
continues (a torn last line is passed over, its file is written again).
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from edgeprof.base.errors import InvalidRecord, InvalidSubnet, OutputError
from edgeprof.base.files import atomic_write, has_sha256, make_folder, sha256_of
from edgeprof.base.parse import ENCODING, parse_json
from edgeprof.export.weights import MadeWeights, WeightFile, WeightSource
from edgeprof.networks.layers import Network
from edgeprof.networks.spaces import get_space
from edgeprof.networks.subnet import Subnet

MANIFEST_NAME = "manifest.jsonl"
FORMATS = ("onnx", "tflite")
PRECISIONS = ("fp32", "int8")
_CHUNK = 16
EXPORT_VERSION = 1
"""Raised when equal arguments give other bytes, so that a repeated run replaces old files."""


@dataclass(frozen=True)
class ManifestEntry:
    """One model file and the subnet it was made from.

    Attributes:
        subnet: the subnet; its id stands in the manifest as ``id``.
        file: name of the model, relative to the folder.
        format, precision, batch: as asked for.
        sha256: of the model file.
        model_bytes: size of the model file.
        macs, parameters: of the network.
        weights: names the values of the constants.
        weights_file: file beside the model that it needs, if any, and its SHA-256.
        weights_sha256: see ``weights_file``.
        export_version: see ``EXPORT_VERSION``.
    """

    subnet: Subnet
    file: str
    format: str
    precision: str
    batch: int
    sha256: str
    model_bytes: int
    macs: int
    parameters: int
    weights: str
    weights_file: str | None = None
    weights_sha256: str | None = None
    export_version: int = EXPORT_VERSION

    def to_json(self) -> str:
        """Return the entry on one line, fields without a value left out."""
        fields = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name != "subnet" and getattr(self, field.name) is not None
        }
        out = {**self.subnet.to_dict(), "id": self.subnet.id, **fields}
        return json.dumps(out, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> ManifestEntry:
        """Read one line; unknown fields are passed over.

        Raises:
            InvalidRecord: if it is no manifest entry.
        """
        try:
            value = parse_json(text)
            names = {field.name for field in dataclasses.fields(cls)} - {"subnet"}
            fields = {name: value[name] for name in names if name in value}
            return cls(subnet=Subnet.from_dict(value), **fields)
        except (ValueError, TypeError, AttributeError, InvalidSubnet) as error:
            raise InvalidRecord(f"no manifest entry: {error}") from error


def read_manifest(folder: Path) -> list[ManifestEntry]:
    """Read the manifest of a folder of models.

    Raises:
        InvalidRecord: naming file and line; a torn last line is passed over.
        OutputError: if it cannot be read.
    """
    path = folder / MANIFEST_NAME
    try:
        lines = path.read_text(encoding=ENCODING).split("\n")
    except OSError as error:
        raise OutputError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidRecord(f"{path}: is no UTF-8 text") from error
    # What follows the last line end was cut off while it was written.
    return [_parse_entry(path, i, line) for i, line in enumerate(lines[:-1], 1) if line.strip()]


def _parse_entry(path: Path, number: int, line: str) -> ManifestEntry:
    try:
        return ManifestEntry.from_json(line)
    except InvalidRecord as error:
        raise InvalidRecord(f"{path}:{number}: {error}") from error


def export_subnets(
    subnets: Sequence[Subnet],
    folder: Path,
    *,
    format: str = "onnx",  # noqa: A002 - the word users know
    precision: str = "fp32",
    batch: int = 1,
    weights: WeightSource | None = None,
    progress: Callable[[], object] | None = None,
    executor: Executor | None = None,
) -> list[ManifestEntry]:
    """Write one model per subnet, the weights they share, and the manifest.

    Files that are there with the right content are kept, so a repeated or an interrupted call
    does only what is left. Other models in the folder stay.

    Args:
        subnets: of any spaces; equal networks are written once.
        folder: made where it is missing.
        format: one of ``FORMATS``.
        precision: one of ``PRECISIONS``.
        batch: images per inference.
        weights: trained ones, which stand in each model; made and shared where not given.
        progress: called after each subnet.
        executor: writes the models in processes that see the same folder; in this one if ``None``.

    Returns:
        One entry per subnet, in their order.

    Raises:
        OutputError: if the folder cannot be written; what was finished stays and is valid.
    """
    _writer_of(format, precision)  # says what is wrong or missing before there is a folder
    exporter = _Exporter(make_folder(folder), format, precision, batch, weights)
    advance = progress or _nothing
    with _Manifest(folder) as manifest:
        if executor is not None:
            _write_elsewhere(exporter, subnets, manifest, executor, advance)
            advance = _nothing
        return [exporter.export(subnet, manifest, advance) for subnet in subnets]


def _nothing() -> None:
    """Show no progress."""


def _write_elsewhere(
    exporter: _Exporter,
    subnets: Sequence[Subnet],
    manifest: _Manifest,
    executor: Executor,
    advance: Callable[[], object],
) -> None:
    """Have missing models written through an executor; only this process writes the manifest."""
    missing = []
    for subnet in subnets:
        if exporter.find(subnet, manifest) is None:
            missing.append(subnet)
        else:
            advance()
    chunks = [missing[i : i + _CHUNK] for i in range(0, len(missing), _CHUNK)]
    for entries in executor.map(exporter.export_chunk, chunks):
        for entry in entries:
            manifest.add(entry)
            advance()


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}, want one of {', '.join(allowed)}")


class _SpaceWeights(NamedTuple):
    """The weights of one space, and the file that the models share, if they do."""

    weights: WeightSource
    file: WeightFile | None
    sha256: str | None


class _Exporter:
    """Writes models with one set of options; plans the weights of each space once."""

    def __init__(
        self,
        folder: Path,
        format: str,  # noqa: A002 - what users and options call it
        precision: str,
        batch: int,
        weights: WeightSource | None,
    ) -> None:
        self._folder = folder
        self._trained = weights
        self._options: dict[str, Any] = {"format": format, "precision": precision, "batch": batch}
        int8 = "-int8" if precision == "int8" else ""
        self._suffix = f"{int8}-b{batch}" if batch != 1 else int8
        if weights is not None:
            self._suffix += f"-{weights.id}"
        self._spaces: dict[str, _SpaceWeights] = {}

    def export(
        self, subnet: Subnet, manifest: _Manifest, advance: Callable[[], object]
    ) -> ManifestEntry:
        """Write a model, or find it written, and return its entry."""
        entry = self.find(subnet, manifest)
        if entry is None:
            entry = self._write_entry(subnet)
            manifest.add(entry)
        advance()
        return entry

    def export_chunk(self, subnets: Sequence[Subnet]) -> list[ManifestEntry]:
        """Write models, and leave the manifest to the caller."""
        return [self._write_entry(subnet) for subnet in subnets]

    def find(self, subnet: Subnet, manifest: _Manifest) -> ManifestEntry | None:
        """Return the entry of a model that is there, unchanged."""
        known = manifest.find(self._wanted(subnet))
        return None if known is None else dataclasses.replace(known, subnet=subnet)

    def _wanted(self, subnet: Subnet) -> dict[str, Any]:
        shared = self._space_weights(subnet.space)
        return {
            **self._options,
            "file": f"{subnet.id}{self._suffix}.{self._options['format']}",
            "weights": shared.weights.id,
            "weights_file": shared.file and shared.file.name,
            "weights_sha256": shared.sha256,
            "export_version": EXPORT_VERSION,
        }

    def _write_entry(self, subnet: Subnet) -> ManifestEntry:
        wanted = self._wanted(subnet)
        network = get_space(subnet.space).layers(subnet)
        path = self._folder / wanted["file"]
        self._write(network, path, self._space_weights(subnet.space))
        return ManifestEntry(
            subnet=subnet,
            sha256=sha256_of(path),
            model_bytes=path.stat().st_size,
            macs=network.macs,
            parameters=network.parameters,
            **wanted,
        )

    def _space_weights(self, space: str) -> _SpaceWeights:
        if self._trained is not None:
            return _SpaceWeights(self._trained, None, None)
        if space not in self._spaces:
            weights = MadeWeights.for_space(get_space(space))
            if self._options["format"] == "onnx":
                is_int8 = self._options["precision"] == "int8"
                name = f"weights-{space}-{weights.id}{'-int8' if is_int8 else ''}.bin"
                file = WeightFile.plan(name, weights, "int8" if is_int8 else "float32")
                self._spaces[space] = _SpaceWeights(weights, file, file.ensure(self._folder))
            else:
                self._spaces[space] = _SpaceWeights(weights, None, None)
        return self._spaces[space]

    def _write(self, network: Network, path: Path, shared: _SpaceWeights) -> None:
        write = _writer_of(self._options["format"], self._options["precision"])
        shared_file = {} if self._options["format"] == "tflite" else {"weight_file": shared.file}
        write(network, path, batch=self._options["batch"], weights=shared.weights, **shared_file)


# 'format' is what users and options call it.
def _writer_of(format: str, precision: str) -> Callable[..., None]:  # noqa: A002
    """Return what writes models of this kind.

    Raises:
        ValueError: there is no such format or precision.
        MissingDependency: the package that writes the format is not installed.
    """
    _check_choice("format", format, FORMATS)
    _check_choice("precision", precision, PRECISIONS)
    if format == "tflite":
        from edgeprof.export import tflite

        return functools.partial(tflite.export_network, precision=precision)
    from edgeprof.export import onnx, onnx_int8

    return onnx_int8.export_network if precision == "int8" else onnx.export_network


class _Manifest:
    """The manifest while models are written: appended line by line, tidied at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / MANIFEST_NAME
        self._entries: dict[str, ManifestEntry] = {}

    def __enter__(self) -> _Manifest:
        if self._path.exists():
            self._entries = {entry.file: entry for entry in read_manifest(self._folder)}
        self._rewrite()
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self._rewrite()

    def find(self, wanted: dict[str, Any]) -> ManifestEntry | None:
        """Return the entry with these fields if its file is there, unchanged."""
        entry = self._entries.get(wanted["file"])
        if entry is None or any(getattr(entry, k) != v for k, v in wanted.items()):
            return None
        return entry if has_sha256(self._folder / entry.file, entry.sha256) else None

    def add(self, entry: ManifestEntry) -> None:
        """Append an entry."""
        self._entries[entry.file] = entry
        try:
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(entry.to_json() + "\n")
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be written: {error.strerror}") from error

    def _rewrite(self) -> None:
        with atomic_write(self._path) as stream:
            stream.writelines(_lines(self._entries.values()))


def _lines(entries: Iterable[ManifestEntry]) -> Iterator[str]:
    return (entry.to_json() + "\n" for entry in entries)
