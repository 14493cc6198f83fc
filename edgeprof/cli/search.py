"""``edgeprof search``."""

from __future__ import annotations

from pathlib import Path

import click

from edgeprof.cli.subnets import parse_integers


@click.command()
@click.option(
    "--latency",
    "source",
    required=True,
    type=click.Path(readable=False, path_type=Path),
    help="Latency source: an .edgp, a .host.npz, or a folder of lookup tables.",
)
@click.option(
    "--accuracy",
    required=True,
    help="Accuracy model: a .npz, .pth, .onnx or .edgp, or 'capacity-proxy'.",
)
@click.option("--budget-ms", metavar="X[,Y...]", help="Latency budgets, in milliseconds.")
@click.option(
    "--pareto", is_flag=True, help="Find the whole front; the largest budget is its far end."
)
@click.option("--space", help="Search space, where the latency source does not name it.")
@click.option("--resolutions", metavar="R[,R...]", help="Resolutions to search, in pixels.")
@click.option("--seed", default=0, show_default=True, help="Equal seeds give equal results.")
@click.option(
    "--confidence", type=float, help="Keep latency limits with this probability (host models)."
)
@click.option(
    "--also-latency",
    multiple=True,
    metavar="SOURCE=MS",
    help="A further latency source and its limit; may be repeated.",
)
@click.option("--max-macs", type=float, help="Limit of multiply-accumulates.")
@click.option("--max-parameters", type=float, help="Limit of weights and biases.")
@click.option("--max-model-bytes", type=float, help="Limit of the exported model's bytes.")
@click.option(
    "--precision",
    default="fp32",
    show_default=True,
    type=click.Choice(["fp32", "int8"]),
    help="Of the models that --max-model-bytes counts and --verify-on measures.",
)
@click.option(
    "--format",
    "model_format",
    type=click.Choice(["onnx", "tflite"]),
    help="Of these models  [default: the larger of them counts, onnx is measured].",
)
@click.option(
    "--method",
    default="guided",
    show_default=True,
    type=click.Choice(["guided", "evolution"]),
    help="Climbs over all single changes, or Once-For-All's evolution.",
)
@click.option("--population", default=100, show_default=True, help="Subnets per generation.")
@click.option("--generations", default=500, show_default=True, help="Generations at most.")
@click.option("--patience", type=int, help="Rounds without improvement before it ends.")
@click.option(
    "--max-evaluations",
    type=int,
    help="Of the accuracy model, per budget  [default: population x (generations + 1)]",
)
@click.option(
    "--resolution-mutation",
    default=0.1,
    show_default=True,
    help="Probability of a new resolution in a mutant.",
)
@click.option("--no-local-search", is_flag=True, help="Leave out the climb after evolution.")
@click.option("--verify-on", metavar="BOARD", help="Measure the finalists on a board, or 'local'.")
@click.option("--runtime", help="To measure with  [default: by the format].")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1), help="Likewise.")
@click.option(
    "--boards",
    type=click.Path(readable=False, path_type=Path),
    help="Inventory that has the board.",
)
@click.option(
    "-k",
    "finalists",
    default=10,
    show_default=True,
    type=click.IntRange(min=1),
    help="Finalists to measure.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(readable=False, dir_okay=False, path_type=Path),
    help="Write the subnets, one JSON object a line: the input of `edgeprof export`.",
)
@click.option(
    "--ofa", is_flag=True, help="Write Once-For-All's own dicts there: no space, r as a list."
)
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(readable=False, dir_okay=False, path_type=Path),
    help="Write a table.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def search(
    source: Path,
    accuracy: str,
    budget_ms: str | None,
    pareto: bool,
    space: str | None,
    resolutions: str | None,
    seed: int,
    confidence: float | None,
    also_latency: tuple[str, ...],
    max_macs: float | None,
    max_parameters: float | None,
    max_model_bytes: float | None,
    precision: str,
    model_format: str | None,
    method: str,
    population: int,
    generations: int,
    patience: int | None,
    max_evaluations: int | None,
    resolution_mutation: float,
    no_local_search: bool,
    verify_on: str | None,
    runtime: str | None,
    threads: int,
    boards: Path | None,
    finalists: int,
    output: Path | None,
    ofa: bool,
    csv_file: Path | None,
    as_json: bool,
) -> None:
    """Find the most accurate subnets within latency budgets.

    Every result is computed anew from its subnet and keeps its budget. A budget that no subnet
    meets ends at once and names the smallest latency there is.

    \b
    Examples:
      edgeprof search --latency pi4.edgp --accuracy acc.npz --budget-ms 20,30 -o best.jsonl
      edgeprof export best.jsonl --format tflite --precision int8 -o models
      edgeprof search --latency pi4.edgp --accuracy acc.npz --pareto --csv front.csv
      edgeprof search --latency pi4.host.npz --accuracy acc.npz --budget-ms 20 --confidence 0.95
    """
    from edgeprof.accuracy import load_accuracy
    from edgeprof.base.files import atomic_write
    from edgeprof.cli.progress import progress
    from edgeprof.networks.spaces import get_space
    from edgeprof.runs.jobs import ProfileSettings
    from edgeprof.search import (
        Search,
        SearchOptions,
        search_front,
        search_verified,
        sources,
        to_csv,
        to_json,
        to_ofa_lines,
        to_subnet_lines,
        to_table,
    )

    budgets_ms = _parse_budgets(budget_ms, pareto=pareto, verify=verify_on is not None)
    options = SearchOptions(
        method=method,
        local_search=not no_local_search,
        population=population,
        generations=generations,
        patience=patience,
        max_evaluations=max_evaluations,
        resolution_mutation_probability=resolution_mutation,
        seed=seed,
    )
    latency = sources.load_latency(source, space)
    searched = get_space(latency.space)
    plan = Search(
        searched,
        load_accuracy(accuracy, searched),
        latency,
        limits=sources.further_limits(
            searched,
            latency_ms=[_parse_source_limit(text) for text in also_latency],
            macs=max_macs,
            parameters=max_parameters,
            model_bytes=max_model_bytes,
            precision=precision,
            model_format=model_format,
            confidence=confidence,
        ),
        confidence=confidence,
        resolutions=parse_integers(resolutions, "--resolutions"),
        options=options,
    )
    settings = ProfileSettings(
        format=model_format or "onnx",
        precision=precision,
        runtime=runtime or ("litert" if model_format == "tflite" else "onnxruntime"),
        threads=threads,
    )
    with progress("Searching", None, quiet=as_json):
        if pareto:
            results = search_front(plan, budgets_ms)
        elif verify_on is not None:
            with sources.measuring_on(verify_on, boards, settings) as measure:
                results = search_verified(plan, budgets_ms, measure, finalists)
        else:
            results = plan.run(budgets_ms)
    lines = to_ofa_lines(results) if ofa else to_subnet_lines(results)
    for path, text in ((output, lines), (csv_file, to_csv(results))):
        if path is not None:
            with atomic_write(path) as stream:
                stream.write(text)
    click.echo(to_json(results) if as_json else to_table(results))


def _parse_budgets(text: str | None, *, pareto: bool, verify: bool) -> list[float]:
    from edgeprof.base.errors import SearchError

    if pareto and verify:
        raise click.UsageError("--pareto and --verify-on do not go together")
    if text is None:
        if pareto:
            return []
        raise click.UsageError("Missing option '--budget-ms' (or '--pareto').")
    try:
        budgets_ms = [float(part) for part in text.split(",")]
    except ValueError:
        raise SearchError(f"--budget-ms {text!r} is no list of milliseconds") from None
    return budgets_ms


def _parse_source_limit(text: str) -> tuple[Path, float]:
    path, equals, limit = text.rpartition("=")
    try:
        if equals:
            return Path(path), float(limit)
    except ValueError:
        pass
    raise click.BadParameter(f"{text!r}, want SOURCE=MS", param_hint="--also-latency")
