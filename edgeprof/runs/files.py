"""Model files of any networks as a workload.

Owns: the key of a file's item, which files belong to a model, and that the layer list of what was
measured goes into the store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from edgeprof.base.errors import EdgeprofError, InvalidModel, StableError, StoreError
from edgeprof.base.extras import optional
from edgeprof.base.files import has_sha256, sha256_of
from edgeprof.boards.deploy import Payload
from edgeprof.boards.transport.base import unreadable
from edgeprof.measuring.inputs import Fed, fed_to_each
from edgeprof.measuring.measurement import Measurement
from edgeprof.measuring.runtimes import FORMAT_OF_SUFFIX
from edgeprof.networks import read_network
from edgeprof.networks.layers import Network
from edgeprof.records.store import Store
from edgeprof.runs.settings import ProfileSettings
from edgeprof.runs.summary import RunSummary
from edgeprof.runs.workload import ModelFile, Target, Workload


class FileWorkload(Workload[Path]):
    """Model files, each measured once; files with the same content are one item.

    Their records keep the paths as they were given. For the other arguments see ``Workload``.

    Args:
        fed: what each file is fed, if not what the settings give to its inputs.

    Attributes:
        keys: of the items, by path, once they are planned.

    Raises:
        InvalidJob: the settings give a shape or value to an input that no file has.
    """

    def __init__(
        self,
        files: Sequence[Path],
        store: Store,
        settings: ProfileSettings,
        *,
        retry_failed: bool = False,
        fed: Sequence[Fed] | None = None,
    ) -> None:
        super().__init__(store, settings, retry_failed=retry_failed)
        self._files = files
        each = fed or fed_to_each(files, settings.shapes, settings.inputs)
        self._fed = dict(zip(files, each, strict=True))
        self.keys: dict[Path, str] = {}
        self._measured_sha256: dict[str, str] = {}

    @property
    def model_kind(self) -> str:
        """The files' format."""
        return self.settings.format

    def items(self, target: Target) -> dict[str, Path]:
        """Return the files by key."""
        self.keys = {path: self.key(path, target) for path in self._files}
        return {key: path for path, key in self.keys.items()}

    def others(self, target: Target, store: Store) -> dict[str, Path]:
        """Return the files that the store has measurements of, where they still are."""
        found = {}
        for stored in store.measurements(target.device):
            model = stored.record["model"]
            path = Path(model["path"])
            is_alike = stored.model_kind == self.model_kind and "shapes" not in model
            if is_alike and path.is_file():
                found[stored.job_key] = path
                self._measured_sha256[stored.job_key] = model["sha256"]
        return found

    def is_as_measured(self, key: str, label: Path) -> bool:
        """Tell whether a file has the content that was measured."""
        return has_sha256(label, self._measured_sha256[key])

    def key(self, path: Path, target: Target) -> str:
        """Return the key of a file's item: what changes its latency, the content among it."""
        own = replace(target, settings=self.settings_of(path, target.settings))
        return own.key_of(model=content_of(model_file(path)))

    def settings_of(self, label: Path, settings: ProfileSettings) -> ProfileSettings:
        """Return the settings with the shapes and values that are for a file."""
        fed = self._fed.get(label, Fed())
        return replace(settings, shapes=fed.shapes, inputs=fed.inputs)

    def make_models(
        self,
        labels: Sequence[Path],
        settings: ProfileSettings,
        advance: Callable[..., object],  # noqa: ARG002 - they are there
    ) -> list[ModelFile]:
        """Return the files with the weights that they name, and read their layers."""
        return [
            replace(model_file(path), network=layers_of(path, self.settings_of(path, settings)))
            for path in labels
        ]

    def name_of(self, file: ModelFile) -> str:
        """Return the path as it was given."""
        return str(file.path)


def measure_files(
    files: Sequence[Path],
    store: Store,
    settings: ProfileSettings,
    measure: Callable[[FileWorkload], RunSummary],
) -> list[Measurement | EdgeprofError]:
    """Measure model files of any formats; one that fails keeps to itself.

    Args:
        files: the models.
        store: where records go; what it has, is not measured again, unless it failed.
        settings: how to measure; whatever the format.
        measure: measures a workload, as ``measure_here`` and ``measure_on`` of
            ``edgeprof.runs.start`` do.

    Returns:
        The measurement of each file, or why there is none.

    Raises:
        InvalidJob: a shape or value is given for an input that no file has.
        StoreError: records cannot be stored.
    """
    fed = dict(zip(files, fed_to_each(files, settings.shapes, settings.inputs), strict=True))
    found: dict[Path, Measurement | EdgeprofError] = {}
    by_format: dict[str, list[Path]] = {}
    for path in dict.fromkeys(files):
        try:
            model_format = format_of_files([path])
            content_of(model_file(path))
            by_format.setdefault(model_format, []).append(path)
        except EdgeprofError as error:  # noqa: PERF203 - each file has its own
            found[path] = error
    for model_format, paths in by_format.items():
        wanted = replace(settings, format=model_format)
        own = [fed[path] for path in paths]
        workload = FileWorkload(paths, store, wanted, retry_failed=True, fed=own)
        trouble = _measured(workload, measure)
        found |= {path: _outcome(workload, path, trouble) for path in paths}
    return [found[path] for path in files]


def _measured(
    workload: FileWorkload, measure: Callable[[FileWorkload], RunSummary]
) -> EdgeprofError | None:
    """Measure a workload; return what kept a board from its work."""
    try:
        return next((board.error for board in measure(workload).boards if board.error), None)
    except StoreError:
        raise
    except EdgeprofError as error:
        return error


def _outcome(
    workload: FileWorkload, path: Path, trouble: EdgeprofError | None
) -> Measurement | EdgeprofError:
    """Return what the store holds of a file, or else what went wrong with the run."""
    record = workload.store.record_of(workload.keys.get(path, ""))
    if record is None:
        return trouble or StableError(f"{path}: was not measured; the same command tries again")
    try:
        measurement = Measurement.from_record(record)
    except EdgeprofError as error:
        return error
    return replace(measurement, model=str(path))


def format_of_files(files: Sequence[Path]) -> str:
    """Return the format of model files.

    Raises:
        InvalidModel: an ending that is no model's, or files of several formats.
    """
    formats = {FORMAT_OF_SUFFIX.get(path.suffix.lower(), path.name) for path in files}
    if len(formats) > 1 or not formats <= set(FORMAT_OF_SUFFIX.values()):
        raise InvalidModel(
            f"{', '.join(sorted(formats))}: wanted model files of one format, with one of the "
            f"endings {', '.join(FORMAT_OF_SUFFIX)}"
        )
    return formats.pop()


def layers_of(path: Path, settings: ProfileSettings) -> Network | None:
    """Return the layers of a model; what cannot be read may still run."""
    try:
        return read_network(path, shapes=settings.shapes)
    except EdgeprofError:
        return None


def content_of(file: ModelFile) -> str:
    """Return the hashes of a model file and of the weights that it names."""
    try:
        hashes = [sha256_of(file.path)]
    except OSError as error:
        raise unreadable(file.path, error) from error
    if file.weights is not None:
        hashes.append(file.weights.sha256)
    return "+".join(hashes)


def model_file(path: Path) -> ModelFile:
    """Return a model file with the file of weights that it names.

    Of what is no model the runtime says what is wrong, so that it costs only itself.

    Raises:
        InvalidModel: it names several.
        BoardSetupError: a file cannot be read.
    """
    if FORMAT_OF_SUFFIX.get(path.suffix.lower()) != "onnx":
        return ModelFile(path)
    with optional(f"{path}: finding the weights of a model"):
        import onnx
    try:
        model = onnx.load(str(path), load_external_data=False)
    except OSError as error:
        raise unreadable(path, error) from error
    except Exception:  # whatever protobuf raises
        return ModelFile(path)
    names = {
        entry.value
        for tensor in model.graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }
    if len(names) > 1:
        raise InvalidModel(f"{path}: names {len(names)} files of weights; wanted one at most")
    weights = [Payload.of(path.parent / name, executable=False) for name in names]
    return ModelFile(path, weights[0] if weights else None)
