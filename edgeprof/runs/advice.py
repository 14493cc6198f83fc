"""Which runtime, form of a model and number of threads is fastest at a place.

Owns: the choices that are there, what is expected of each, and measuring some of them in turns. A
form is a model file: the same network for another runtime, or quantised. Does not own: what is
expected of a device (``predictors.bank``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from edgeprof.base.errors import EdgeprofError, RuntimeUnavailable, StableError
from edgeprof.boards.deploy import Payload, Software, find_software
from edgeprof.boards.each_board import check_boards
from edgeprof.boards.facts import BoardFacts
from edgeprof.boards.inventory import BoardSpec
from edgeprof.measuring.estimate.campaign import ratio_half_width
from edgeprof.measuring.inputs import Fed, fed_to_each
from edgeprof.measuring.machine import machine_state
from edgeprof.measuring.measurement import error_of
from edgeprof.measuring.runtimes import BOARD_RUNTIMES, NULL, entry_of, find_runtime
from edgeprof.networks import read_network
from edgeprof.networks.layers import Network
from edgeprof.predictors.bank.facts import Facts
from edgeprof.predictors.bank.measured import read_each_state
from edgeprof.predictors.bank.model import Bank, DeviceCosts
from edgeprof.predictors.bank.stored import device_costs
from edgeprof.predictors.bank.terms import Terms
from edgeprof.records.campaign_samples import estimate_device
from edgeprof.records.store import Store
from edgeprof.runs.files import content_of, format_of_files, layers_of, model_file
from edgeprof.runs.place import Place
from edgeprof.runs.probes import facts_of
from edgeprof.runs.settings import ProfileSettings
from edgeprof.runs.summary import RunSummary
from edgeprof.runs.workload import ModelFile, Target, Workload

_INT8 = frozenset({"int8", "uint8"})


class Choice(NamedTuple):
    """A way to run a network: a form of its model, a runtime that reads it, threads."""

    model: Path
    runtime: str
    threads: int

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' * (self.threads > 1)}"
        return f"{self.model.name} with {self.runtime}, {threads}"


class Expected(NamedTuple):
    """What is expected of a choice.

    Attributes:
        choice: what is expected of.
        precision: ``"int8"`` where most of its arithmetic is.
        mean_ms, low_ms, high_ms: latency with its 90 % interval.
        n_networks: measured networks under that runtime and so many threads; 0: a guess by facts.
    """

    choice: Choice
    precision: str
    mean_ms: float
    low_ms: float
    high_ms: float
    n_networks: int


@dataclass(frozen=True)
class There:
    """What a place has.

    Attributes:
        state: of the machine.
        libraries: those of the runtimes that can be used.
    """

    state: Mapping[str, Any]
    libraries: Mapping[str, Payload]


def look_at(place: Place, models: Sequence[Path]) -> There:
    """Find out which runtimes for these models can be used at a place.

    Raises:
        RuntimeUnavailable: none.
        EdgeprofError: why a board cannot be used.
    """
    formats = {format_of_files([model]) for model in models}
    runtimes = [
        name for name in BOARD_RUNTIMES if name != NULL and formats & {*entry_of(name).formats}
    ]
    board = place.board
    if board.library or board.own_library or board.options:  # which are for its runtime
        runtimes = [name for name in runtimes if name == (board.runtime or runtimes[0])]
    found = _look_at_board(board, runtimes) if place.boards else _look_here(runtimes)
    if not found.libraries:
        remedies = "; ".join(entry_of(name).remedy for name in runtimes)
        raise RuntimeUnavailable(f"no runtime for {', '.join(sorted(formats))} models: {remedies}")
    return found


def _look_here(runtimes: Sequence[str]) -> There:
    libraries = {}
    for name in runtimes:
        with suppress(RuntimeUnavailable):
            libraries[name] = Payload.of(find_runtime(name).path, executable=False)
    return There(machine_state(), libraries)


def _look_at_board(board: BoardSpec, runtimes: Sequence[str]) -> There:
    libraries: dict[str, Payload] = {}

    def find(spec: BoardSpec, facts: BoardFacts) -> Software:
        software = find_software(spec, facts)
        if software.library is not None:
            libraries[str(spec.runtime)] = software.library
        return software

    reports = check_boards([replace(board, runtime=name) for name in runtimes], find)
    states = [report.state for report in reports if report.state is not None]
    if not states:
        errors = [report.error for report in reports if report.error is not None]
        raise errors[0] if errors else board.error("its state was not read; somebody measures")
    return There(states[0], libraries)


def choices_there(there: There, models: Sequence[Path], cpus: Sequence[int] = ()) -> list[Choice]:
    """Return the ways to run these models: threads by twos up to the CPUs, and their kinds."""
    facts = Facts.from_dict({"machine": there.state, "cpus": list(cpus)})
    numbers = [number for _, _, number in facts.cores]
    most = len(cpus) or len(there.state.get("affinity", ())) or sum(numbers)
    by_twos = {2**power for power in range(most.bit_length())}
    threads = sorted({n for n in {*by_twos, numbers[0], most} if n <= most})
    return [
        Choice(model, runtime, n)
        for model in models
        for runtime in there.libraries
        if format_of_files([model]) in entry_of(runtime).formats
        for n in threads
    ]


def expect(
    choices: Sequence[Choice],
    there: There,
    settings: ProfileSettings,
    store: Store,
    device: str,
    bank: Bank | None = None,
) -> list[Expected]:
    """Rank choices by the latency that is expected, best first.

    Args:
        choices: what there is.
        there: the place.
        settings: with the shapes of inputs, and the CPUs.
        store: what it holds of the device under the same runtime and threads counts, too.
        device: name of the device there.
        bank: of other devices; the shipped one if ``None``.

    Raises:
        InvalidModel: a model cannot be read.
    """
    known = read_each_state(store, device)
    networks = {
        model: read_network(model, shapes=fed.shapes)
        for model, fed in _fed(choices, settings).items()
    }
    found = []
    for choice in choices:
        own = replace(settings, runtime=choice.runtime, threads=choice.threads)
        measured = known.get((choice.runtime, str(choice.threads)))
        costs = device_costs(facts_of(there.state, own), measured, bank)
        n_networks = 0 if measured is None else len(measured.networks)
        found.append(_expected(choice, networks[choice.model], costs, n_networks))
    return sorted(found, key=lambda one: one.mean_ms)


def _fed(choices: Sequence[Choice], settings: ProfileSettings) -> dict[Path, Fed]:
    """Return what each model is fed, of what the settings give."""
    files = list(dict.fromkeys(choice.model for choice in choices))
    each = fed_to_each(files, settings.shapes, settings.inputs)
    return dict(zip(files, each, strict=True))


def _expected(choice: Choice, network: Network, costs: DeviceCosts, n_networks: int) -> Expected:
    interval = costs.predict(Terms.of([network.work]))
    mean, low, high = (float(part[0]) for part in interval)
    macs = sum(layer.macs for layer in network.work)
    in_int8 = sum(layer.macs for layer in network.work if layer.element_type in _INT8)
    precision = "int8" if macs and in_int8 > macs / 2 else "fp32"
    return Expected(choice, precision, mean, low, high, n_networks)


class ChoiceWorkload(Workload[Choice]):
    """Choices as one campaign: whatever the machine does meets all of them alike.

    Args:
        choices: what to measure; the same ones together are in the store once.
        libraries: of their runtimes.
        store: where records go.
        settings: how to measure.

    Attributes:
        keys: of the items, by choice, once they are planned.
    """

    def __init__(
        self,
        choices: Sequence[Choice],
        libraries: Mapping[str, Payload],
        store: Store,
        settings: ProfileSettings,
    ) -> None:
        first = choices[0]
        model_format = format_of_files([first.model])
        settings = replace(settings, format=model_format, runtime=first.runtime)
        super().__init__(store, settings, retry_failed=True)
        self._fed = _fed(choices, settings)
        self._choices, self._libraries = choices, libraries
        self.keys: dict[Choice, str] = {}

    def items(self, target: Target) -> dict[str, Choice]:
        """Return the choices by key: who they were measured beside is in it."""
        content = {path: content_of(model_file(path)) for path in self._fed}
        beside = sorted(f"{content[c.model]} {c.runtime} {c.threads}" for c in self._choices)
        for choice in self._choices:
            own = replace(
                target,
                settings=self.settings_of(choice, target.settings),
                software_sha256=self._libraries[choice.runtime].sha256,
            )
            self.keys[choice] = own.key_of(model=content[choice.model], beside=beside)
        return {key: choice for choice, key in self.keys.items()}

    def settings_of(self, label: Choice, settings: ProfileSettings) -> ProfileSettings:
        """Return the settings of a choice."""
        fed = self._fed[label.model]
        return replace(
            settings,
            runtime=label.runtime,
            threads=label.threads,
            shapes=fed.shapes,
            inputs=fed.inputs,
        )

    def make_models(
        self,
        labels: Sequence[Choice],
        settings: ProfileSettings,
        advance: Callable[..., object],  # noqa: ARG002 - they are there
    ) -> list[ModelFile]:
        """Return the model files with their layers."""
        return [
            replace(
                model_file(label.model),
                network=layers_of(label.model, self.settings_of(label, settings)),
            )
            for label in labels
        ]

    def kind_of(self, label: Choice) -> str:
        """The format of the model."""
        return format_of_files([label.model])

    def library_of(self, label: Choice) -> Payload:
        """The library of the choice's runtime."""
        return self._libraries[label.runtime]

    def name_of(self, file: ModelFile) -> str:
        """Return the path as it was given."""
        return str(file.path)


class MeasuredChoice(NamedTuple):
    """A choice that was measured beside others; ``se_rel`` is that of their ratios."""

    choice: Choice
    latency_ms: float
    se_rel: float


@dataclass(frozen=True)
class Advice:
    """What measuring in turns says.

    Attributes:
        device: where.
        measured: the choices, fastest first.
        ratio: latency of the second over that of the first.
        ratio_low, ratio_high: its 95 % interval; NaN where only one could be measured.
        failures: why others could not be measured.
    """

    device: str
    measured: tuple[MeasuredChoice, ...]
    ratio: float
    ratio_low: float
    ratio_high: float
    failures: tuple[str, ...] = ()

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves 1 out."""
        return self.ratio_low > 1

    @property
    def verdict(self) -> str:
        """The result in words."""
        best, *others = self.measured
        if not others:
            return f"{best.choice}: the only one that could be measured"
        low, high = self.ratio_low - 1, self.ratio_high - 1
        if self.is_clear:
            return (
                f"{best.choice}; {others[0].choice} takes {self.ratio - 1:.1%} more time "
                f"(95 % interval {low:.1%} to {high:.1%})"
            )
        return (
            f"no difference shown: {others[0].choice} takes between {-low:.1%} less and {high:.1%} "
            f"more time than {best.choice}"
        )


def measure_choices(workload: ChoiceWorkload, place: Place, measure: Measure) -> Advice:
    """Measure choices in turns.

    Args:
        workload: the choices.
        place: where.
        measure: measures a workload at a place.

    Raises:
        EdgeprofError: why none could be measured.
    """
    summary = measure(_as_wanted(place, workload.settings), workload)
    found = estimate_device(workload.store, place.device)
    items = {} if found is None else found.items
    there = [(choice, items[key]) for choice, key in workload.keys.items() if key in items]
    failures = _failures(workload, summary, {choice for choice, _ in there})
    if not there:
        raise failures[0]
    there.sort(key=lambda pair: pair[1].latency_ns)
    ratio = low = high = math.nan
    if len(there) > 1:
        first, second = there[0][1], there[1][1]
        half = ratio_half_width(first, second)
        ratio = second.latency_ns / first.latency_ns
        low, high = ratio * math.exp(-half), ratio * math.exp(half)
    measured = tuple(MeasuredChoice(c, item.latency_ms, item.ratio_se) for c, item in there)
    return Advice(place.device, measured, ratio, low, high, tuple(map(str, failures)))


Measure = Callable[[Place, ChoiceWorkload], RunSummary]


def _as_wanted(place: Place, settings: ProfileSettings) -> Place:
    """Return a place whose boards say neither runtime nor threads: the choices do."""
    boards = [replace(b, runtime=settings.runtime, threads=None) for b in place.boards]
    return replace(place, boards=tuple(boards))


def _failures(
    workload: ChoiceWorkload, summary: RunSummary, measured: set[Choice]
) -> list[EdgeprofError]:
    trouble = next((board.error for board in summary.boards if board.error), None)
    failed: list[EdgeprofError] = []
    for choice, key in workload.keys.items():
        if choice not in measured:
            record = workload.store.record_of(key)
            failed.append(
                error_of(record)
                if record is not None and "error" in record
                else trouble or StableError(f"{choice}: was not measured; try again")
            )
    return failed or ([trouble] if trouble else [])
