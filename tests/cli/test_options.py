"""An option that several commands have means the same in each of them."""

from collections import defaultdict
from dataclasses import dataclass

import click
import pytest
from click.testing import CliRunner

from edgeprof.cli import cli, options
from edgeprof.cli.groups import CONTEXT
from edgeprof.cli.values import Choice

OWN_DEFAULT = {
    "--batch": "of models that are written; of a file the one that it has",
    "--boards": "given, the boards measure and not this machine; else they are in boards.yaml",
    "--format": "search counts the larger of the formats",
    "--models": "see below",
    "--max-secs": "how long depends on how many models wait their turn",
    "--space": "drawn from the usual space; of files, the one that they name",
    "--store": "probes go into lab.db, which later commands are told to read",
    "--threads": "doctor judges the machine whatever runs there",
    "-k": "how many are usual: finalists, probes, or the best to compare",
    "-n": "how many is usual",
    "-o": "where the result goes",
}
OWN_WORDS = {
    "--base": "train takes one, compare-predictors judges several",
    "--batch": "of models that are written, or of one that is read",
    "--lut": "the model that is trained, or one that is judged beside the others",
    "--dask": "the workers do the work, or reach the boards",
    "--device": "of the rows, or the name of this machine",
    "--models": "profile writes them there; onboard takes those of the user; of predictors, kinds",
    "--predictor": "report takes FILE=DEVICE",
    "--space": "see above",
    "--to": "each command converts to forms of its own",
    "-k": "how many of what are measured",
    "-n": "of what, rows or subnets",
    "-o": "what is written",
}
OWN_VALUES = {
    "--base": "see above",
    "--input": "onboard checks it, and types it again in the commands that it prints",
    "--models": "see above",
    "-n": "quickstart and onboard need enough to learn from",
    "-o": "a file or a folder",
    "--predictor": "see above",
    "--runtime": "lut build also takes the null runtime, which its tests time",
    "--to": "see above",
}


def commands(command, path=()):
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from commands(command.get_command(context, name), (*path, name))
    else:
        yield " ".join(path), command


def uses_of_options():
    uses = defaultdict(dict)
    for name, command in commands(cli):
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                uses[parameter.opts[0]][name] = parameter
    return {option: found for option, found in uses.items() if len(found) > 1}


USES = uses_of_options()


def values_of(option):
    kind = option.type
    bounds = [getattr(kind, name, None) for name in ("choices", "min", "max", "min_open")]
    return type(kind).__name__, str(bounds), option.multiple, option.nargs


@pytest.mark.parametrize("option", USES)
def test_an_option_has_the_same_words_everywhere(option):
    if option not in OWN_WORDS:
        assert len({use.help for use in USES[option].values()}) == 1, USES[option]


@pytest.mark.parametrize("option", USES)
def test_an_option_takes_the_same_values_everywhere(option):
    if option not in OWN_VALUES:
        kinds = {name: values_of(use) for name, use in USES[option].items()}
        assert len(set(kinds.values())) == 1, kinds


@pytest.mark.parametrize("option", USES)
def test_an_option_has_the_same_default_everywhere(option):
    if option not in OWN_DEFAULT:
        defaults = {name: repr(use.default) for name, use in USES[option].items()}
        assert len(set(defaults.values())) == 1, defaults


@dataclass(frozen=True)
class _Base:
    seed: int = options.seed()


@dataclass(frozen=True)
class _Arguments(_Base):
    files: tuple[str, ...] = options.argument(nargs=-1)
    count: int = options.count(default=3)


def test_a_command_gets_one_object_with_the_fields_of_its_base_class():
    got = []
    command = click.command()(options.takes(_Arguments)(got.append))
    result = CliRunner().invoke(command, ["a", "b", "--seed", "7"])
    assert result.exit_code == 0, result.output
    assert got == [_Arguments(seed=7, files=("a", "b"), count=3)]
    assert [parameter.name for parameter in command.params] == ["seed", "files", "count"]


@pytest.mark.parametrize("typed", ["tflite_c", "tflite-c"])
def test_a_choice_is_told_as_it_is_written_however_it_is_typed(typed):
    got = []

    @click.command(context_settings=CONTEXT)
    @click.option("--runtime", type=Choice(["tflite_c", "onnxruntime"]))
    def command(runtime):
        got.append(runtime)

    assert CliRunner().invoke(command, ["--runtime", typed]).exit_code == 0
    assert got == ["tflite_c"]
    told = CliRunner().invoke(command, ["--help"]).output
    assert "[tflite_c|onnxruntime]" in told
    refused = CliRunner().invoke(command, ["--runtime", "x"]).output
    assert "'tflite_c'" in refused


def test_options_that_differ_are_found():
    """The three tests above can fail."""
    kinds = [click.Option(["-x"], type=click.IntRange(1)), click.Option(["-x"], type=int)]
    assert len({values_of(kind) for kind in kinds}) == 2


def test_exceptions_are_no_longer_than_needed():
    """An option that has become the same everywhere leaves the lists."""
    for own, of_use in (
        (OWN_DEFAULT, lambda use: repr(use.default)),
        (OWN_WORDS, lambda use: use.help),
        (OWN_VALUES, values_of),
    ):
        for option in own:
            assert len({of_use(use) for use in USES[option].values()}) > 1, option
