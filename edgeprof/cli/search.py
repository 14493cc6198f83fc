"""``edgeprof search``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeprof.cli import options
from edgeprof.cli.values import SourceLimit

if TYPE_CHECKING:
    from edgeprof.runs.settings import ProfileSettings
    from edgeprof.search import Search, SearchOptions, SearchResult


@dataclass(frozen=True)
class SearchArguments:
    """What ``edgeprof search`` is asked for."""

    latency: Path = options.option(
        "--latency",
        required=True,
        type=options.INPUT,
        help="Latency source: an .edgp, a .host.npz, a folder of lookup tables, or "
        "STORE.db:DEVICE, whatever was measured there.",
    )
    accuracy: str = options.option(
        "--accuracy",
        required=True,
        help="Accuracy model: a .npz, .pth, .onnx or .edgp, or 'capacity-proxy'.",
    )
    budget_ms: str | None = options.option(
        "--budget-ms", metavar="X[,Y...]", help="Latency budgets, in milliseconds."
    )
    pareto: bool = options.flag(
        "--pareto", help="Find the whole front; the largest budget is its far end."
    )
    where: tuple[tuple[str, str], ...] = options.where()
    bank: tuple[Path, ...] = options.bank()
    strategy: str = options.strategy()
    space: str | None = options.space_of_files()
    resolutions: tuple[int, ...] | None = options.resolutions()
    seed: int = options.seed()
    confidence: float | None = options.option(
        "--confidence",
        type=float,
        help="Keep latency limits with this probability (host models).",
    )
    also_latency: tuple[tuple[Path, float], ...] = options.option(
        "--also-latency",
        multiple=True,
        type=SourceLimit(),
        help="A further latency source and its limit; may be repeated.",
    )
    max_macs: float | None = options.option(
        "--max-macs", type=float, help="Limit of multiply-accumulates."
    )
    max_parameters: float | None = options.option(
        "--max-parameters", type=float, help="Limit of weights and biases."
    )
    max_model_bytes: float | None = options.option(
        "--max-model-bytes", type=float, help="Limit of the exported model's bytes."
    )
    precision: str = options.precision()
    model_format: str | None = options.model_format(default=None)
    method: str = options.option(
        "--method",
        default="guided",
        type=click.Choice(["guided", "evolution"]),
        help="Climbs over all single changes, or Once-For-All's evolution.",
    )
    population: int = options.option("--population", default=100, help="Subnets per generation.")
    generations: int = options.option("--generations", default=500, help="Generations at most.")
    patience: int | None = options.option(
        "--patience", type=int, help="Rounds without improvement before it ends."
    )
    max_evaluations: int | None = options.option(
        "--max-evaluations",
        type=int,
        help="Of the accuracy model, per budget  [default: population x (generations + 1)]",
    )
    resolution_mutation: float = options.option(
        "--resolution-mutation", default=0.1, help="Probability of a new resolution in a mutant."
    )
    no_local_search: bool = options.flag(
        "--no-local-search", help="Leave out the climb after evolution."
    )
    verify_on: str | None = options.option(
        "--verify-on", metavar="BOARD", help="Measure the finalists on a board, or 'local'."
    )
    runtime: str | None = options.runtime()
    threads: int = options.threads()
    boards: Path | None = options.on_boards()
    finalists: int = options.option(
        "-k", default=10, type=click.IntRange(1), help="Finalists to measure."
    )
    output: Path | None = options.output_file(
        help="Write the subnets, one JSON object a line: the input of `edgeprof export`."
    )
    ofa: bool = options.flag(
        "--ofa", help="Write Once-For-All's own dicts there: no space, r as a list."
    )
    csv: Path | None = options.option("--csv", type=options.OUTPUT_FILE, help="Write a table.")
    as_json: bool = options.as_json()

    def budgets_ms(self) -> list[float]:
        """Return the budgets; none where the whole front is wanted."""
        from edgeprof.base.errors import SearchError

        if self.pareto and self.verify_on is not None:
            raise click.UsageError("--pareto and --verify-on do not go together")
        if self.budget_ms is None:
            if self.pareto:
                return []
            raise click.UsageError("Missing option '--budget-ms' (or '--pareto').")
        try:
            return [float(part) for part in self.budget_ms.split(",")]
        except ValueError:
            raise SearchError(
                f"--budget-ms {self.budget_ms!r} is no list of milliseconds"
            ) from None

    def search_options(self) -> SearchOptions:
        """Return how to search."""
        from edgeprof.search import SearchOptions

        return SearchOptions(
            method=self.method,
            local_search=not self.no_local_search,
            population=self.population,
            generations=self.generations,
            patience=self.patience,
            max_evaluations=self.max_evaluations,
            resolution_mutation_probability=self.resolution_mutation,
            seed=self.seed,
        )

    def profile_settings(self) -> ProfileSettings:
        """Return how finalists are exported and measured."""
        from edgeprof.measuring.runtimes import FORMATS
        from edgeprof.runs.settings import ProfileSettings

        chosen = self.model_format or FORMATS[0]
        return ProfileSettings(
            format=chosen,
            precision=self.precision,
            runtime=self.runtime,
            threads=self.threads,
        )


@click.command()
@options.takes(SearchArguments)
def search(arguments: SearchArguments) -> None:
    """Find the most accurate subnets within latency budgets.

    Every result is computed again from its subnet and keeps its budget. A budget that no subnet
    meets ends at once and names the smallest latency there is. --precision and --format are those
    of the models that --max-model-bytes counts and --verify-on measures; without --format the
    larger format counts, and ONNX is measured.

    \b
    Examples:
      edgeprof search --latency pi4.edgp --accuracy acc.npz --budget-ms 20,30 -o best.jsonl
      edgeprof export best.jsonl --format tflite --precision int8 -o models
      edgeprof search --latency pi4.edgp --accuracy acc.npz --pareto --csv front.csv
      edgeprof search --latency pi4.host.npz --accuracy acc.npz --budget-ms 20 --confidence 0.95
      edgeprof search --latency lab.db:rpi5 --space ofa-mbv3-w1.0 --accuracy acc.npz --budget-ms 20
    """
    from edgeprof.base.files import write_whole
    from edgeprof.search import to_csv, to_json, to_ofa_lines, to_subnet_lines, to_table

    results = _run(arguments)
    lines = to_ofa_lines(results) if arguments.ofa else to_subnet_lines(results)
    for path, text in ((arguments.output, lines), (arguments.csv, to_csv(results))):
        if path is not None:
            write_whole(path, text)
    click.echo(to_json(results) if arguments.as_json else to_table(results))


def _run(arguments: SearchArguments) -> list[SearchResult]:
    from edgeprof.cli.progress_bar import progress_bar
    from edgeprof.search import search_front, search_verified, sources

    budgets_ms = arguments.budgets_ms()
    plan = _plan(arguments)
    with progress_bar("Searching", None, quiet=arguments.as_json):
        if arguments.pareto:
            return search_front(plan, budgets_ms)
        if arguments.verify_on is None:
            return plan.run(budgets_ms)
        settings = arguments.profile_settings()
        with sources.measuring_on(arguments.verify_on, arguments.boards, settings) as measure:
            return search_verified(plan, budgets_ms, measure, arguments.finalists)


def _plan(arguments: SearchArguments) -> Search:
    from edgeprof.accuracy import load_accuracy
    from edgeprof.networks.spaces import get_space
    from edgeprof.predictors.bank.others import Others
    from edgeprof.search import Search, sources

    sources_of_latency = (arguments.latency, *(source for source, _ in arguments.also_latency))
    if not any(".db:" in str(source) for source in sources_of_latency):
        of_stores = ("where", "bank", "strategy")
        options.refuse_given(of_stores, "is for a device of a store, STORE.db:DEVICE")
    where, others = dict(arguments.where), Others(arguments.bank, arguments.strategy)
    latency = sources.load_latency(arguments.latency, arguments.space, where, others)
    space = get_space(latency.space)
    return Search(
        space,
        load_accuracy(arguments.accuracy, space),
        latency,
        limits=sources.further_limits(
            space,
            latency_ms=arguments.also_latency,
            where=where,
            others=others,
            macs=arguments.max_macs,
            parameters=arguments.max_parameters,
            model_bytes=arguments.max_model_bytes,
            precision=arguments.precision,
            model_format=arguments.model_format,
            confidence=arguments.confidence,
        ),
        confidence=arguments.confidence,
        resolutions=arguments.resolutions,
        options=arguments.search_options(),
    )
