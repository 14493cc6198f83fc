"""``edgeprof predict``."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeprof.base.units import NS_PER_MS, format_count, format_duration_ns
from edgeprof.cli import options
from edgeprof.cli.say import say
from edgeprof.measuring.runtimes import FORMAT_OF_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edgeprof.networks.layers import Network
    from edgeprof.networks.subnet import Subnet
    from edgeprof.predictors.bank.others import Others
    from edgeprof.predictors.base import LatencyInterval, LatencyPredictor
    from edgeprof.predictors.layers.model import LayerCosts


LEAST_FOR_A_RATE = 1000
"""A handful of subnets says nothing about how fast predictions are."""


@dataclass(frozen=True)
class PredictArguments:
    """What is to be predicted, and by what."""

    predictor: Path = options.argument(type=options.INPUT)
    subnets: Path | None = options.argument(type=options.INPUT, required=False)
    device: str | None = options.option(
        "--device",
        metavar="STORE.db:DEVICE",
        help="No PREDICTOR: what this store holds of a device, as `edgeprof probe` measures it.",
    )
    where: tuple[tuple[str, str], ...] = options.where()
    board_facts: Path | None = options.option(
        "--board-facts",
        type=options.INPUT,
        help="No PREDICTOR: what is known of a board, as `edgeprof doctor --json` prints it.",
    )
    probes: Path | None = options.option(
        "--probes",
        type=options.INPUT,
        help="Table of models that were measured on that board (device,model,latency_ms).",
    )
    bank: tuple[Path, ...] = options.bank()
    strategy: str = options.strategy()
    space: str | None = options.space_of_files()
    codes_only: bool = options.flag(
        "--codes",
        help="Print the subnets' codes, which `edgeprof-harness predict` reads on a board.",
    )
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = options.shapes()
    batch: int | None = options.batch_of_models()
    explain: bool = options.flag("--explain", help="Say which layers of a model cost most.")
    output: Path | None = options.subnet_output()

    def check(self) -> None:
        """Refuse what does not go together."""
        if self.board_facts is None and self.probes is not None:
            raise click.UsageError("--probes needs --board-facts")
        sources = (self.device, self.board_facts, self.subnets)
        if sum(source is not None for source in sources) != 1:
            raise click.UsageError(
                "want PREDICTOR SUBNETS, --device STORE.db:DEVICE MODEL, or --board-facts FILE "
                "MODEL"
            )
        if self.device is not None and ".db:" not in self.device:
            raise click.UsageError(f"--device {self.device}: want STORE.db:DEVICE")
        if self.board_facts is not None or self.is_of_model:
            options.refuse_given(("codes_only",), "is for subnets")
        else:
            options.refuse_given(("shapes", "batch", "explain"), "is for a model file")
        if self.subnets is None:
            options.refuse_given(("explain",), "needs a PREDICTOR")
        is_stored = self.board_facts is None and ".db:" in str(self.source)
        if not is_stored:
            options.refuse_given(("where",), "is for a device of a store, STORE.db:DEVICE")
        if not is_stored and self.board_facts is None:
            options.refuse_given(
                ("bank", "strategy"),
                "is for a device of a store, STORE.db:DEVICE, or --board-facts",
            )

    @property
    def is_of_model(self) -> bool:
        """Whether a model file is predicted, and not subnets."""
        return self.networks.suffix.lower() in FORMAT_OF_SUFFIX

    @property
    def others(self) -> Others:
        """What other devices teach."""
        from edgeprof.predictors.bank.others import Others

        return Others(self.bank, self.strategy)

    @property
    def source(self) -> Path:
        """The predictor."""
        return self.predictor if self.device is None else Path(self.device)

    @property
    def networks(self) -> Path:
        """The subnets or the model."""
        return self.predictor if self.subnets is None else self.subnets


@click.command()
@options.takes(PredictArguments)
def predict(arguments: PredictArguments) -> None:
    """Predict the latency of subnets; one JSON object a line: the subnet and its latency_ms.

    PREDICTOR is an .edgp file, a .host.npz, or a folder of lookup tables; SUBNETS is a file of
    JSON lines as `edgeprof sample` writes it. A .host.npz also says how sure it is: latency_low_ms
    and latency_high_ms (90 % interval). In place of SUBNETS, an .onnx or .tflite model is predicted
    by the .host.npz beside an .edgp; its weights are not read. A .host.npz that was trained on
    networks says on stderr what its answer rests on.

    With --device there is no PREDICTOR: models and subnets are predicted from what other boards
    took, and from all that a store holds of this one: probes, suites, models, subnets. With
    --board-facts, from what is known of a board and the measurements of --probes, if any. Other
    boards are those of public tables and of the stores of --bank; --strategy predicts in one of the
    paper's ways instead, for comparison.

    \b
    Example:
      edgeprof sample -n 5 -o subnets.jsonl
      edgeprof predict pi4.edgp subnets.jsonl
      edgeprof predict --device lab.db:pi4 model.onnx
      edgeprof predict --board-facts pi4.json model.onnx
      edgeprof predict --board-facts pi5.json --bank lab.db model.onnx
    """
    arguments.check()
    lines = [_board_line(arguments)] if arguments.board_facts else _lines(arguments)
    if arguments.output is None:
        for line in lines:
            click.echo(line)
        return
    from edgeprof.base.files import atomic_write

    with atomic_write(arguments.output) as stream:
        stream.writelines(line + "\n" for line in lines)


def _lines(arguments: PredictArguments) -> list[str]:
    """Return what a predictor says of a model or of subnets."""
    from edgeprof.predictors.load import load_base, load_predictor

    source, networks, where = arguments.source, arguments.networks, dict(arguments.where)
    if arguments.is_of_model:
        loaded = load_base(source, where=where, others=arguments.others)
        return [_model_line(loaded, networks, arguments)]
    loaded = load_predictor(source, space=arguments.space, where=where, others=arguments.others)
    if arguments.codes_only:
        return _code_lines(loaded, networks)
    return _subnet_lines(loaded, source, networks)


def _subnet_lines(loaded: LatencyPredictor, predictor: Path, subnets: Path) -> list[str]:
    from edgeprof.accuracy.base import ACCURACY_DEVICE
    from edgeprof.base.errors import PredictorFormatError
    from edgeprof.networks.subnet import read_subnets

    if loaded.device == ACCURACY_DEVICE:
        raise PredictorFormatError(f"{predictor}: is an accuracy model; want a latency predictor")
    listed = read_subnets(subnets, space=loaded.space or None)
    if not listed:
        return []
    names = ["latency_ms", "latency_low_ms", "latency_high_ms"]
    columns, seconds = _predicted(loaded, listed)
    if len(listed) >= LEAST_FOR_A_RATE:
        rate = format_count(len(listed) / seconds)
        say(f"{predictor}: {len(listed)} subnets, {rate} subnets/s", err=True)
    return [
        json.dumps(
            {**subnet.to_dict(), **dict(zip(names, row, strict=False))}, separators=(",", ":")
        )
        for subnet, row in zip(listed, columns.T.tolist(), strict=True)
    ]


def _predicted(
    loaded: LatencyPredictor, subnets: Sequence[Subnet]
) -> tuple[NDArray[np.float64], float]:
    """Return latencies, their bounds below them where there are any, and the seconds it took."""
    import numpy as np

    from edgeprof.networks.spaces import get_space
    from edgeprof.predictors.bank.stored import StoredDevice
    from edgeprof.predictors.base import IntervalPredictor, as_network
    from edgeprof.predictors.layers.compact import CompactLayerCosts
    from edgeprof.predictors.layers.model import LayerCosts

    if isinstance(loaded, (LayerCosts, CompactLayerCosts, StoredDevice)):  # of any spaces
        start_s = time.perf_counter()
        found = loaded.predict_networks([as_network(subnet) for subnet in subnets])
        return np.atleast_2d(np.array(found)), time.perf_counter() - start_s
    codes = get_space(loaded.space).encode(subnets)
    start_s = time.perf_counter()
    if isinstance(loaded, IntervalPredictor):
        columns = np.array(loaded.predict_interval(codes))
    else:
        columns = loaded.predict_codes(codes)[np.newaxis]
    return columns, time.perf_counter() - start_s


def _code_lines(loaded: LatencyPredictor, subnets: Path) -> list[str]:
    from edgeprof.networks.spaces import get_space
    from edgeprof.networks.subnet import read_subnets

    codes = get_space(loaded.space).encode(read_subnets(subnets, space=loaded.space))
    return [json.dumps(row.tolist(), separators=(",", ":")) for row in codes]


def _model_line(loaded: LatencyPredictor, model: Path, arguments: PredictArguments) -> str:
    from edgeprof.base.errors import PredictorFormatError
    from edgeprof.predictors.bank.stored import StoredDevice
    from edgeprof.predictors.gp.model import GaussianProcess
    from edgeprof.predictors.hardware.model import HardwareModel
    from edgeprof.predictors.layers.compact import CompactLayerCosts
    from edgeprof.predictors.layers.model import LayerCosts

    if arguments.explain and not isinstance(loaded, LayerCosts):
        raise PredictorFormatError(
            f"{arguments.predictor}: --explain needs the .host.npz of a predictor that was trained "
            "on networks"
        )
    if isinstance(loaded, CompactLayerCosts):
        network = _read_model(model, arguments)
        _say_doubts(model, network)
        latency_ms = float(loaded.predict_networks([network])[0])
        return json.dumps({"model": str(model), "latency_ms": latency_ms}, separators=(",", ":"))
    if not isinstance(loaded, (GaussianProcess, HardwareModel, LayerCosts, StoredDevice)):
        raise PredictorFormatError(
            f"{arguments.predictor}: predicts subnets of {loaded.space} only; {model} needs the "
            ".host.npz of a gp beside it"
        )
    network = _read_model(model, arguments)
    interval = loaded.predict_networks([network])
    if isinstance(loaded, LayerCosts):
        _say_basis(loaded, network, arguments)
        return _json_of(model, interval)
    if isinstance(loaded, StoredDevice):
        basis = f"{_counted(loaded.n_networks)} on {loaded.device} ({loaded.setting})"
        _say_interval(model, interval, _basis(basis, arguments))
    _say_doubts(model, network)
    return _json_of(model, interval)


def _json_of(model: Path, interval: LatencyInterval) -> str:
    fields = {
        "model": str(model),
        "latency_ms": float(interval.mean_ms[0]),
        "latency_low_ms": float(interval.low_ms[0]),
        "latency_high_ms": float(interval.high_ms[0]),
    }
    return json.dumps(fields, separators=(",", ":"))


def _read_model(model: Path, arguments: PredictArguments) -> Network:
    from edgeprof.measuring.inputs import fed_to_each
    from edgeprof.networks import read_network

    (fed,) = fed_to_each([model], dict(arguments.shapes), {})
    network = read_network(model, shapes=fed.shapes, batch=arguments.batch)
    for note in network.notes:
        say(f"{model}: {note}", err=True)
    return network


def _board_line(arguments: PredictArguments) -> str:
    """Predict a model from facts of a board, and from measurements of some models there."""
    from edgeprof.predictors.bank.from_files import read_device
    from edgeprof.predictors.bank.terms import Terms

    model, board = arguments.predictor, arguments.board_facts
    if board is None:
        raise click.UsageError("want --board-facts")
    device, n_probes = read_device(board, arguments.probes, arguments.others)
    network = _read_model(model, arguments)
    interval = device.predict(Terms.of([network.work]))
    basis = _counted(n_probes) if n_probes else "facts of the board alone: a guess"
    _say_interval(model, interval, _basis(basis, arguments))
    _say_doubts(model, network)
    return _json_of(model, interval)


def _basis(own: str, arguments: PredictArguments) -> str:
    """Say what an answer rests on besides what is known of the device itself."""
    stores = [str(path) for path in arguments.bank]
    if arguments.strategy == "bank":
        return f"from other boards{''.join(f' and {path}' for path in stores)} and {own}"
    return f"by {arguments.strategy} from {', '.join(stores)} and {own}"


def _counted(n_networks: int) -> str:
    return f"{n_networks} measured model{'s' * (n_networks != 1)}"


def _say_interval(model: Path, interval: LatencyInterval, basis: str) -> None:
    mean, low, high = (format_duration_ns(NS_PER_MS * float(part[0])) for part in interval)
    say(f"{model}: {mean} (90 %: {low} to {high}), {basis}", err=True)


def _say_doubts(model: Path, network: Network) -> None:
    """Name the layers whose numbers are a guess, where their share of the time is not known."""
    doubted: dict[str, list[str]] = {}
    for layer in network.work:
        if layer.doubt:
            doubted.setdefault(layer.doubt, []).append(layer.operator)
    for reason, operators in doubted.items():
        named = ", ".join(dict.fromkeys(operators))
        say(
            f"{model}: {len(operators)} of {len(network.work)} layers are a guess: {reason} "
            f"({named})",
            err=True,
            wrap=True,
        )


_MOST_EXPLAINED = 15


def _say_basis(loaded: LayerCosts, network: Network, arguments: PredictArguments) -> None:
    """Say for people what is predicted, what that rests on, and where the time goes."""
    interval, basis = loaded.predict_networks([network]), loaded.basis(network)
    model = arguments.networks
    _say_interval(model, interval, f"learned from {basis.n_networks} networks on {loaded.device}")
    for warning in basis.warnings:
        say(f"{model}: {warning}", err=True, wrap=True)
    if not arguments.explain:
        return
    costs = sorted(loaded.explain(network), key=lambda cost: -cost.latency_ms)
    for cost in costs[:_MOST_EXPLAINED]:
        share = cost.latency_ms / float(interval.mean_ms[0])
        part, layer = format_duration_ns(NS_PER_MS * cost.latency_ms), cost.layer
        say(f"{part:>10}  {share:>4.0%}  {layer.operator}  {layer.name}", err=True)
    if rest := costs[_MOST_EXPLAINED:]:
        left = format_duration_ns(NS_PER_MS * sum(cost.latency_ms for cost in rest))
        say(f"{left:>10}  in {len(rest)} other layers", err=True)
