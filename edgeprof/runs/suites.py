"""The suites as a workload: models of our own that are written when they are measured.

Owns: the key of a suite's item, which is by its recipe, and the files' names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path

from edgeprof.base.executors import map_through
from edgeprof.base.files import make_folder
from edgeprof.networks.suites import SuiteModel
from edgeprof.records.store import Store
from edgeprof.runs.files import FileWorkload
from edgeprof.runs.settings import ProfileSettings
from edgeprof.runs.workload import ModelFile, Target


class SuiteWorkload(FileWorkload):
    """Models of suites, each measured once.

    Args:
        models: of a suite, as the settings' format has them.
        store: where records go.
        settings: how to export and measure.
        folder: of the model files; those that are there are used again.
        retry_failed: whether items that failed for good in an earlier run are tried again.
        executor: writes the models; this process by default.
    """

    def __init__(
        self,
        models: Sequence[SuiteModel],
        store: Store,
        settings: ProfileSettings,
        folder: Path,
        *,
        retry_failed: bool = False,
        executor: Executor | None = None,
    ) -> None:
        self._folder, self._executor = folder, executor
        self._models = {
            folder / f"{model.recipe.name}-{_version(model)}.{settings.format}": model
            for model in models
        }
        super().__init__(list(self._models), store, settings, retry_failed=retry_failed)

    @property
    def keys_by_name(self) -> dict[str, str]:
        """The keys of the items by their recipes' names, once they are planned."""
        return {self._models[path].recipe.name: key for path, key in self.keys.items()}

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
