"""The suites as a workload: models of our own that are written when they are measured.

Owns: the key of a suite's item, which is by its recipe, and the files' names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path

from edgeprof.base.executors import map_through
from edgeprof.base.files import make_folder
from edgeprof.networks.suites import SuiteModel, suite_models
from edgeprof.records.store import Store
from edgeprof.runs.files import FileWorkload
from edgeprof.runs.settings import ProfileSettings
from edgeprof.runs.workload import ModelFile, Target


class SuiteWorkload(FileWorkload):
    """The models of suites, those that the settings' format has.

    Args:
        suites: some of ``edgeprof.networks.suites.SUITES``.
        store: where records go.
        settings: how to export and measure.
        models: folder of the model files; those that are there are used again.
        retry_failed: whether items that failed for good in an earlier run are tried again.
        executor: writes the models; this process by default.
    """

    def __init__(
        self,
        suites: Sequence[str],
        store: Store,
        settings: ProfileSettings,
        models: Path,
        *,
        retry_failed: bool = False,
        executor: Executor | None = None,
    ) -> None:
        self._folder, self._executor = models, executor
        self._models = {
            models / f"{model.recipe.name}-{_version(model)}.{settings.format}": model
            for suite in suites
            for model in suite_models(suite, format=settings.format, precision=settings.precision)
        }
        super().__init__(list(self._models), store, settings, retry_failed=retry_failed)

    def __len__(self) -> int:
        return len(self._models)

    def key(self, path: Path, target: Target) -> str:
        """Return the key of a model's item: equal recipes are one, however they are written."""
        return target.key_of(recipe=_version(self._models[path]))

    def make_models(
        self, labels: Sequence[Path], settings: ProfileSettings, advance: Callable[..., object]
    ) -> list[ModelFile]:
        """Write the models that are not there yet."""
        make_folder(self._folder)
        missing = [path for path in labels if not path.exists()]
        models = [self._models[path] for path in missing]
        formats = [settings.format] * len(missing)
        for _ in map_through(self._executor, write_model, models, missing, formats):
            advance()
        return super().make_models(labels, settings, advance)


def write_model(model: SuiteModel, path: Path, model_format: str) -> None:
    """Write a model of a suite."""
    from edgeprof.export.recipes import write_recipe

    write_recipe(model.recipe, path, format=model_format, precision=model.precision)


def _version(model: SuiteModel) -> str:
    return f"{model.precision}-{model.recipe.digest}"
