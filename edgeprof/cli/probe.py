"""``edgeprof probe``."""

from __future__ import annotations

import json
import math
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeprof.base.units import NS_PER_MS, format_duration_ns
from edgeprof.cli import options
from edgeprof.cli.place import PlaceArguments
from edgeprof.cli.say import say

if TYPE_CHECKING:
    from edgeprof.measuring.grade import Verdict
    from edgeprof.runs.place import Place
    from edgeprof.runs.probes import Probed, ProbeLatency
    from edgeprof.runs.settings import ProfileSettings


@dataclass(frozen=True)
class ProbeArguments(PlaceArguments):
    """What ``edgeprof probe`` is asked for."""

    k: int = options.option("-k", default=5, type=click.IntRange(1), help="How many probes.")
    store: Path = options.store(required=False, default="lab.db")
    bank: tuple[Path, ...] = options.bank()
    runtime: str | None = options.runtime()
    library: Path | None = options.library()
    precision: str = options.precision()
    threads: int = options.threads()
    cpus: tuple[int, ...] = options.cpus()
    runtime_options: tuple[tuple[str, Any], ...] = options.runtime_options()
    ci_rel: float = options.ci_rel()
    max_secs: float = options.max_secs(default=5.0)
    max_load_secs: float | None = options.max_load_secs()
    as_json: bool = options.as_json()

    def settings(self, place: Place) -> ProfileSettings:
        """Return how probes are written and measured, in a format that the runtime reads."""
        from edgeprof.measuring.runtimes import FORMATS, entry_of
        from edgeprof.runs.settings import ProfileSettings

        runtime = place.board.runtime or self.runtime
        return ProfileSettings(
            format=entry_of(runtime).formats[0] if runtime else FORMATS[0],
            precision=self.precision,
            runtime=self.runtime,
            library=self.library,
            threads=self.threads,
            cpus=self.cpus,
            runtime_options=dict(self.runtime_options),
            ci_rel=self.ci_rel,
            max_secs=self.max_secs,
            max_load_secs=self.max_load_secs,
        )


@click.command()
@options.takes(ProbeArguments)
def probe(arguments: ProbeArguments) -> None:
    """Measure the few small networks that tell most about a board, in about a minute.

    They are chosen by what other boards have in common, for what can be known of this one without
    measuring; none needs more memory than it has. The store keeps them, under the board's device.
    With them, `edgeprof predict --device` predicts any model there, and `search` takes the device
    as a latency source. More measurements of any kind (a larger -k, `profile`) refine both; what
    is in the store is not measured again.

    \b
    Example:
      edgeprof probe
      edgeprof probe --on rpi5 --runtime litert --threads 4 --store lab.db
      edgeprof probe --on pi@10.0.0.11 -k 10
      edgeprof predict --device lab.db:rpi5 model.onnx
    """
    from edgeprof.cli.running import NotAllMeasured, print_failures

    place = arguments.place()
    found, verdict = _probed(arguments, place)
    _print(arguments, place.device, found, verdict)
    if not found.summary.is_complete:
        print_failures(found.summary)
        raise NotAllMeasured(found.summary)


def _probed(arguments: ProbeArguments, place: Place) -> tuple[Probed, Verdict | None]:
    """Choose and measure probes; return what they say and how good the device's rows are."""
    from edgeprof.predictors.bank.others import read_bank_with
    from edgeprof.records.evidence import grade_device
    from edgeprof.records.store import Store
    from edgeprof.runs.probes import choose_probes, facts_of, run_probes
    from edgeprof.runs.suites import SuiteWorkload
    from edgeprof.runs.view import shown

    settings = arguments.settings(place)
    there = settings.on(place.board)
    state = place.state(settings)
    bank = read_bank_with(arguments.bank, but=place.device)
    models = choose_probes(state, there, arguments.k, bank)
    folder = arguments.store.with_name(f"{arguments.store.stem}-models")
    with Store(arguments.store) as store, shown(quiet=arguments.as_json) as listener:
        workload = SuiteWorkload(models, store, settings, folder, retry_failed=True)
        found = run_probes(
            workload,
            place.device,
            facts_of(state, there),
            bank,
            lambda probes: place.measure(probes, listener),
        )
        return found, grade_device(store, place.device)


def _print(arguments: ProbeArguments, device: str, found: Probed, verdict: Verdict | None) -> None:
    """Print what was found, and what to type next."""
    chosen = " ".join(f"--where {shlex.quote(f'{k}={v}')}" for k, v in found.where.items())
    name = shlex.quote(f"{arguments.store}:{device}")
    banks = " ".join(f"--bank {shlex.quote(str(path))}" for path in arguments.bank)
    words = ("edgeprof predict --device", name, chosen, banks, "MODEL.onnx")
    following = " ".join(word for word in words if word)
    following = following.replace(".onnx", ".tflite") if found.format == "tflite" else following
    if arguments.as_json:
        printed = _as_dict(found, device)
        graded = {} if verdict is None else _graded(verdict)
        click.echo(json.dumps({**printed, **graded, "next": following}, indent=2))
        return
    width = max((len(one.model) for one in found.latencies), default=0)
    for one in found.latencies:
        click.echo(f"{one.model:<{width}}  {_latency(one)}")
    if verdict is not None:
        say(f"{device}: {verdict}")
    if found.n_networks:
        say(
            f"{device}: by {found.n_networks} measured networks, 90 % of others like them are "
            f"expected within {found.reach:.0%} (by facts alone {found.reach_before:.0%})"
        )
        say(f"next: {following}")


def _latency(one: ProbeLatency) -> str:
    error = "" if math.isnan(one.se_rel) else f" +-{one.se_rel:.1%}"
    return f"{format_duration_ns(NS_PER_MS * one.latency_ms):>9}{error}"


def _graded(verdict: Verdict) -> dict[str, str]:
    return {"grade": verdict.grade.value, "grade_reason": verdict.reason}


def _as_dict(found: Probed, device: str) -> dict[str, Any]:
    probes = [
        {**one._asdict(), "se_rel": None if math.isnan(one.se_rel) else one.se_rel}
        for one in found.latencies
    ]
    return {
        "device": device,
        "probes": probes,
        "networks": found.n_networks,
        "within_90pct": found.reach,
        "within_90pct_by_facts": found.reach_before,
        "where": dict(found.where),
    }
