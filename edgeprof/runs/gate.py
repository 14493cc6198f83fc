"""Whether a model has become slower than its baseline, told on a busy machine.

Owns: the baseline's file, and when a candidate is called slower. Where the baseline's model file
is there, both run in turns, and only their ratio counts. Where it is not, the two reference
models that ran beside the baseline then and beside the candidate now link them: good for one
machine, as another machine's references stand in another ratio to the model.

Version history of the file: 1 - first.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeprof.base.errors import InvalidRecord, MixedMachineState, OutputError
from edgeprof.base.files import sha256_of, write_whole
from edgeprof.base.parse import ENCODING, parse_json
from edgeprof.boards.transport.base import unreadable
from edgeprof.measuring.estimate import ItemEstimate
from edgeprof.measuring.estimate.contrasts import t_quantile
from edgeprof.measuring.harness import Job, Settings, job_fields, make_job, settings_of_each
from edgeprof.measuring.inputs import values_of
from edgeprof.measuring.local_campaign import run_campaign
from edgeprof.measuring.machine import machine_state
from edgeprof.records.campaign_samples import REFERENCE_PREFIX, estimate_records

FilePath = str | os.PathLike[str]

FORMAT, VERSION = "edgeprof-baseline", 1
LEVEL = 0.99
"""Of the interval whose lower end must be beyond 1: one false alarm in 200."""
PROCESSES = 6
_BASELINE, _CANDIDATE = "baseline", "candidate"
_KEPT_SETTINGS = ("runtime", "threads", "cpus", "shapes", "inputs", "runtime_options")


@dataclass(frozen=True)
class Level:
    """A latency among others of its campaign, as the baseline's file keeps it.

    Attributes:
        latency_ns: at the reference speed of its campaign.
        ratio_se: its relative standard error beside the others.
        dof: degrees of freedom of that.
    """

    latency_ns: float
    ratio_se: float
    dof: float

    @classmethod
    def of(cls, item: ItemEstimate) -> Level:
        """Take what counts of an estimate."""
        return cls(item.latency_ns, item.ratio_se, item.dof)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Level:
        """Read what ``asdict`` wrote.

        Raises:
            ValueError: a field is missing, unknown, or no positive number.
        """
        level = cls(**{name: float(value) for name, value in data.items()})
        if not all(0 < value < math.inf for value in asdict(level).values()):
            raise ValueError(f"{level} is not made of positive numbers")
        return level


@dataclass(frozen=True)
class Baseline:
    """What a candidate is held against.

    Attributes:
        model: path of the model file, relative to the folder of the baseline's file.
        sha256: of the model file.
        settings: fields of ``Settings`` that it was measured with.
        machine: architecture and cores that measured it.
        level: of the model.
        references: of the reference models beside it, by name.
    """

    model: str
    sha256: str
    settings: Mapping[str, Any]
    machine: str
    level: Level
    references: Mapping[str, Level]


@dataclass(frozen=True)
class Decision:
    """Whether a candidate is slower than its baseline.

    Attributes:
        model: the candidate.
        ratio: its latency over the baseline's.
        ratio_low, ratio_high: the 99 % interval.
        fail_above: the slow-down that is accepted, as a fraction.
        in_turns: whether both ran in turns; else the references link them.
        latency_ms, baseline_ms: at reference speed; of the baseline as it is now, or as stored.
    """

    model: str
    ratio: float
    ratio_low: float
    ratio_high: float
    fail_above: float
    in_turns: bool
    latency_ms: float
    baseline_ms: float

    @property
    def is_slower(self) -> bool:
        """Whether it is slower by more than is accepted, and that is no accident."""
        return self.ratio > 1 + self.fail_above and self.ratio_low > 1

    @property
    def is_unclear(self) -> bool:
        """Whether the interval is too wide to tell a slow-down of ``fail_above``."""
        return not self.is_slower and self.ratio_high / self.ratio > 1 + self.fail_above

    @property
    def verdict(self) -> str:
        """The result in one line."""
        change = f"{self.ratio - 1:+.1%} ({self.ratio_low - 1:+.1%} to {self.ratio_high - 1:+.1%})"
        if self.is_slower:
            return f"slower: {change}, accepted are {self.fail_above:+.1%}"
        if self.is_unclear:
            return f"passed, but the machine was too busy to tell: {change}; give it more --seconds"
        return f"passed: {change}, accepted are {self.fail_above:+.1%}"

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {**asdict(self), "is_slower": self.is_slower, "verdict": self.verdict}

    def markdown(self) -> str:
        """Return a summary for a pull request."""
        how = "in turns with the baseline" if self.in_turns else "by the reference models"
        return (
            f"### edgeprof gate: {'slower' if self.is_slower else 'passed'}\n\n"
            "| model | baseline | now | change | 99 % interval | accepted |\n"
            "|---|---|---|---|---|---|\n"
            f"| {self.model} | {self.baseline_ms:.4g} ms | {self.latency_ms:.4g} ms "
            f"| {self.ratio - 1:+.1%} | {self.ratio_low - 1:+.1%} to {self.ratio_high - 1:+.1%} "
            f"| {self.fail_above:+.1%} |\n\n{self.verdict}; measured {how}.\n"
        )


def make_baseline(
    file: FilePath, model: FilePath, settings: Settings | None = None, *, seconds: float = 60.0
) -> Baseline:
    """Measure a model and write its baseline.

    Raises:
        OutputError: the file cannot be written.
        EdgeprofError: as ``edgeprof.measure`` does.
    """
    file, model = Path(file), Path(model)
    ((_, settings),) = settings_of_each([(model, settings or Settings())])
    if not file.parent.is_dir():
        raise OutputError(f"{file}: cannot be written: no folder {file.parent}")
    digest = _sha256(model)
    measured = _measured({_BASELINE: make_job(model, settings)}, seconds, 0.005)
    baseline = Baseline(
        model=os.path.relpath(model, file.parent),
        sha256=digest,
        settings=_kept(settings),
        machine=this_machine(),
        level=measured[_BASELINE],
        references={n: level for n, level in measured.items() if n != _BASELINE},
    )
    head = {"format": FORMAT, "version": VERSION}
    write_whole(file, json.dumps({**head, **asdict(baseline)}, indent=2) + "\n")
    return baseline


def gate(
    file: FilePath, candidate: FilePath, *, fail_above: float = 0.03, seconds: float = 60.0
) -> Decision:
    """Measure a candidate against its baseline.

    Args:
        file: what ``make_baseline`` wrote.
        candidate: a model file.
        fail_above: the slow-down that is accepted, as a fraction.
        seconds: of timed inferences at most, over both models.

    Raises:
        InvalidRecord: the file holds no baseline.
        MixedMachineState: the baseline's model is not there, and another machine measured it.
        EdgeprofError: as ``edgeprof.measure`` does.
    """
    file, candidate = Path(file), Path(candidate)
    baseline = read_baseline(file)
    jobs = _jobs(file, baseline, candidate)
    found = _measured(jobs, seconds, fail_above / 6)
    log_ratio, half = (_in_turns if _BASELINE in jobs else _through_references)(baseline, found)
    now, ratio = found[_CANDIDATE], math.exp(log_ratio)
    return Decision(
        model=str(candidate),
        ratio=ratio,
        ratio_low=ratio * math.exp(-half),
        ratio_high=ratio * math.exp(half),
        fail_above=fail_above,
        in_turns=_BASELINE in jobs,
        latency_ms=now.latency_ns / 1e6,
        baseline_ms=now.latency_ns / ratio / 1e6,
    )


def _jobs(file: Path, baseline: Baseline, candidate: Path) -> dict[str, Job]:
    """Return the job of the candidate, and that of the baseline's model where it is there."""
    settings = Settings(**baseline.settings)
    jobs = {_CANDIDATE: make_job(candidate, settings)}
    before = file.parent / baseline.model
    if before.is_file() and _sha256(before) == baseline.sha256:
        return {**jobs, _BASELINE: make_job(before, settings)}
    if (here := this_machine()) != baseline.machine:
        raise MixedMachineState(
            f"{file}: was measured on {baseline.machine}, this is {here}, and {before} as it was "
            "then is not there; keep it beside the file, or measure the baseline here (--update)"
        )
    return jobs


def read_baseline(file: Path) -> Baseline:
    """Read a baseline.

    Raises:
        InvalidRecord: no such file, none of this kind, or of another version.
    """
    try:
        found = parse_json(file.read_text(encoding=ENCODING))
        if (found.pop("format"), found.pop("version")) != (FORMAT, VERSION):
            raise ValueError("another format or version")
        found["level"] = Level.from_dict(found["level"])
        levels = found["references"].items()
        found["references"] = {name: Level.from_dict(level) for name, level in levels}
        job_fields(Settings(**found["settings"]))  # refuses what are none
        if not all(isinstance(found[name], str) for name in ("model", "sha256", "machine")):
            raise ValueError("model, sha256 and machine are no texts")
        return Baseline(**found)
    except OSError as error:
        raise InvalidRecord(
            f"{file}: cannot be read: {error.strerror}; `edgeprof gate {file} MODEL --update` "
            "measures a baseline"
        ) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InvalidRecord(
            f"{file}: is no {FORMAT} version {VERSION} ({error}); write it with --update"
        ) from error


def this_machine() -> str:
    """Return architecture and cores of this machine, by which a baseline knows it again."""
    state = machine_state()
    cores = [
        f"{len(kind.get('cpus', []))} x {kind['name']}"
        for kind in state.get("core_types", [])
        if kind.get("name")
    ]
    return ", ".join([str(state.get("board_model") or state.get("architecture", "?")), *cores])


def _kept(settings: Settings) -> dict[str, Any]:
    values = {name: getattr(settings, name) for name in _KEPT_SETTINGS}
    values["inputs"] = {name: values_of(given) for name, given in settings.inputs.items()}
    return {name: value for name, value in values.items() if value not in (None, (), {})}


def _measured(
    jobs: Mapping[str, Mapping[str, Any]], seconds: float, ci_rel: float
) -> dict[str, Level]:
    """Return what a campaign found of each job and of each reference, by key and by name."""
    settings = {"budget_secs": seconds, "ci_rel": ci_rel, "processes": PROCESSES}
    records = run_campaign(jobs, settings)
    whole = estimate_records(records)
    names = list(dict.fromkeys(records))
    levels = {key: Level.of(item) for key, item in whole.items.items()}
    for index, key in enumerate(names):
        if key.startswith(REFERENCE_PREFIX) and index in whole.whole.items:
            name = key.removeprefix(REFERENCE_PREFIX)
            levels[name] = Level.of(whole.whole.items[index])
    return levels


def _in_turns(_: Baseline, found: Mapping[str, Level]) -> tuple[float, float]:
    """Return the log ratio of candidate and baseline, and half its interval."""
    now, then = found[_CANDIDATE], found[_BASELINE]
    half = t_quantile(LEVEL, min(now.dof, then.dof)) * math.hypot(now.ratio_se, then.ratio_se)
    return math.log(now.latency_ns / then.latency_ns), half


def _through_references(baseline: Baseline, now: Mapping[str, Level]) -> tuple[float, float]:
    """Return the log ratio of candidate and baseline, and half its interval.

    Where the two references tell different stories, the machine has changed in kind: half of the
    difference counts as an error.
    """
    names = [name for name in baseline.references if name in now]
    if not names:
        raise InvalidRecord("the baseline has no reference models; write it anew with --update")
    model, candidate = baseline.level, now[_CANDIDATE]
    shifts = [
        math.log(candidate.latency_ns / now[name].latency_ns)
        - math.log(model.latency_ns / baseline.references[name].latency_ns)
        for name in names
    ]
    of_references = sum(
        level.ratio_se**2 for name in names for level in (now[name], baseline.references[name])
    )
    disagreement = (max(shifts) - min(shifts)) / 2
    variance = (
        candidate.ratio_se**2
        + model.ratio_se**2
        + of_references / len(names) ** 2
        + disagreement**2
    )
    dof = min(candidate.dof, model.dof)
    return float(np.mean(shifts)), t_quantile(LEVEL, dof) * math.sqrt(variance)


def _sha256(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise unreadable(path, error) from error
