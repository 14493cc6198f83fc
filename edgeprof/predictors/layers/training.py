"""From rows of networks to the host file: fit, check, save.

Owns: these steps and how the file is named. There is no compact predictor of any network.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeprof.base.errors import PredictorFormatError
from edgeprof.base.files import remove_file
from edgeprof.base.notebook import html_table
from edgeprof.predictors.base import Origin
from edgeprof.predictors.examples import NetworkExamples
from edgeprof.predictors.gp.contradictions import Contradicted, nothing_contradicted
from edgeprof.predictors.layers.model import MOST_NETWORKS, LayerCosts
from edgeprof.predictors.metrics import Metrics, metrics_of, trivial_facts
from edgeprof.predictors.save import save_host
from edgeprof.records.network_rows import NetworkRows

FOLDS = 5
_FEWEST_CHECKED = 10


@dataclass(frozen=True, repr=False)
class NetworkTraining:
    """What came out of training.

    Attributes:
        model: learned from all rows.
        cross_validated: errors on networks it has not seen; None below ten rows.
        held: how many of these lie in their 90 % interval; None below ten rows.
        file: what was written, where something was.
        left_out: names of networks whose rows the others contradict, and that nothing was learned
            from, each with its latency in ms and that by the others.
    """

    model: LayerCosts
    cross_validated: Metrics | None
    held: float | None
    file: Path | None
    left_out: tuple[tuple[str, float, float], ...] = ()

    def __repr__(self) -> str:
        judged = self.cross_validated
        error = f", cross-validated MAPE {judged.mape:.2%}" if judged else ""
        return f"<NetworkTraining {self.model!r}{error}, {len(self.left_out)} rows left out>"

    def _repr_html_(self) -> str:
        judged = self.cross_validated
        facts = {
            "device": self.model.device,
            "cross-validated MAPE": f"{judged.mape:.2%}" if judged else "too few rows",
            "in their 90 % interval": "unknown" if self.held is None else f"{self.held:.0%}",
            "rows left out": len(self.left_out),
            "notes": "; ".join(self.notes) or "none",
        }
        return html_table("training on networks", facts.items())

    @property
    def notes(self) -> list[str]:
        """What a user should know."""
        notes = list(self.model.notes)
        if self.left_out:
            named = (f"{n} ({ms:.3g} ms, by the others {by:.3g})" for n, ms, by in self.left_out)
            notes.append(
                f"{len(self.left_out)} of the rows contradict the others and are left out: "
                + ", ".join(named)
            )
        return notes

    @property
    def predictor(self) -> LayerCosts:
        """What predicts."""
        return self.model


def train_networks(
    rows: NetworkRows, output: Path | None = None, *, seed: int = 0
) -> NetworkTraining:
    """Learn the layer costs of a device and save them.

    Args:
        rows: measured networks.
        output: ``P.edgp`` or ``P.host.npz``; the latter is written, and a ``P.edgp`` of other rows
            is removed. Nothing is written where it is ``None``.
        seed: of the folds.

    Raises:
        PredictorFormatError: another suffix.
        OutputError: the file cannot be written.
    """
    file = None if output is None else _host_file(output)
    space = rows.spaces[0] if len(rows.spaces) == 1 else ""
    model, contradicted = _fit_robustly(rows, space)
    left_out = tuple(
        (rows.networks[row].name, float(rows.latency_ms[row]), float(expected))
        for row, expected in zip(contradicted.positions, contradicted.expected, strict=True)
    )
    learned = NetworkExamples.of(rows).hashes
    rows = rows.take(contradicted.rest(len(rows)))
    metrics, held = None, None
    if len(rows) >= _FEWEST_CHECKED:
        metrics, held = _cross_validated(rows, seed)
    provenance = {
        "model": model.kind,
        "n": len(rows),
        "cross_validated": metrics and metrics.to_dict(),
        "trivial": trivial_facts(NetworkExamples.of(rows).macs, rows.latency_ms),
    }
    model.origin = Origin(provenance, learned)
    if file is not None:
        save_host(file, model)
        remove_file(file.with_name(file.name.removesuffix(".host.npz") + ".edgp"))
    return NetworkTraining(model, metrics, held, file, left_out)


def _fit_robustly(rows: NetworkRows, space: str) -> tuple[LayerCosts, Contradicted]:
    """Fit without the rows that the others contradict, which are sought twice."""
    model = LayerCosts(rows.device, space)
    left_out = nothing_contradicted()
    for _ in range(2):
        kept = rows.take(left_out.rest(len(rows)))
        model.fit(kept.networks, kept.latency_ms, kept.latency_se_ms)
        before = left_out
        if len(rows) > MOST_NETWORKS:
            break
        left_out = model.contradicted(rows.networks, rows.latency_ms, rows.latency_se_ms)
        if np.array_equal(left_out.positions, before.positions):
            return model, left_out
    kept = rows.take(left_out.rest(len(rows)))
    return model.fit(kept.networks, kept.latency_ms, kept.latency_se_ms), left_out


def _host_file(output: Path) -> Path:
    suffix = next((end for end in (".host.npz", ".edgp") if output.name.endswith(end)), None)
    if suffix is None:
        raise PredictorFormatError(f"{output}: want a file name that ends in .edgp or .host.npz")
    return output.with_name(output.name.removesuffix(suffix) + ".host.npz")


def _cross_validated(rows: NetworkRows, seed: int) -> tuple[Metrics, float]:
    fold = np.random.default_rng(seed).permutation(len(rows)) % FOLDS
    predicted = np.empty((3, len(rows)))
    for number in range(FOLDS):
        kept, held = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        networks = [rows.networks[row] for row in kept]
        model = LayerCosts(rows.device)
        model.fit(networks, rows.latency_ms[kept], rows.latency_se_ms[kept])
        predicted[:, held] = model.predict_networks([rows.networks[row] for row in held])
    mean_ms, low_ms, high_ms = predicted
    holds = (low_ms <= rows.latency_ms) & (rows.latency_ms <= high_ms)
    return metrics_of(mean_ms, rows.latency_ms), float(holds.mean())
