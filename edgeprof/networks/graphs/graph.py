"""A model file's graph in one form, whatever the file's format.

Owns: ``Graph``, its nodes and tensors, and who reads what. The readers of formats make it,
``fusion`` simplifies it, ``measures`` counts the work of its nodes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.errors import InvalidModel

Value = NDArray[Any]

UNKNOWN_OPERATOR = "unknown operator"
RUN_TIME_SHAPE = "shape known at run time only"
WEIGHTS_ARE_INPUTS = "weights that are inputs of the graph, too, which runtimes cannot prepare"
TURNS_UNKNOWN = "number of turns unknown"
RUN_TIME_BRANCH = "branch chosen at run time"

SMALL = 1024
"""Constants of up to so many elements are kept with their values: shapes are worked out of them."""


@dataclass
class Tensor:
    """What flows along an edge.

    Attributes:
        shape: sizes; every one known (or assumed, see ``Node.doubt``).
        type: of the elements, as numpy names it.
        constant: the same in every inference.
    """

    name: str
    shape: tuple[int, ...] = ()
    type: str = "float32"
    constant: bool = False

    @property
    def elements(self) -> int:
        """Number of values."""
        return prod(self.shape)


@dataclass
class Node:
    """One operator.

    Attributes:
        operator: its name; of a domain beside the standard's ``"domain::name"``.
        inputs: names of tensors, ``""`` where an optional one is left out.
        turns: how often it runs in one inference (the body of a loop).
        doubt: why its shapes or turns are a guess, else ``""``.
        fused: operators that are computed with it, and their operations.
        fusable_into: output of the convolution or product that could compute it too.
    """

    operator: str
    name: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)
    turns: int = 1
    doubt: str = ""
    fused: list[str] = field(default_factory=list)
    fused_operations: int = 0
    fusable_into: str = ""


@dataclass
class Graph:
    """Nodes in the order of execution, and the tensors between them.

    Attributes:
        channels_last: whether feature maps are (batch, height, width, channels).
        sources: of tensors that hold the values of another under a new name or shape: that other.
        notes: what the reader chose where the file leaves a choice.
    """

    path: Path
    channels_last: bool
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def source(self, name: str) -> str:
        """Return the tensor that holds the values of this one."""
        while name in self.sources:
            name = self.sources[name]
        return name

    def tensor(self, name: str) -> Tensor:
        """Return a tensor; of the name ``""`` an empty one."""
        return self.tensors.get(name) or Tensor(name, (0,), constant=True)

    def is_computed(self, name: str) -> bool:
        """Tell whether a tensor is given and no constant."""
        return bool(name) and not self.tensor(name).constant

    def computed(self, node: Node) -> list[Tensor]:
        """Return the distinct tensors that a node reads and that are no constants."""
        names = dict.fromkeys(name for name in node.inputs if self.is_computed(name))
        return [self.tensor(name) for name in names]

    def constants(self, node: Node) -> list[Tensor]:
        """Return the distinct constants that a node reads."""
        names = dict.fromkeys(node.inputs)
        return [self.tensor(name) for name in names if name and self.tensor(name).constant]

    def readers(self) -> dict[str, list[Node]]:
        """Return who reads each tensor, by its source."""
        found: dict[str, list[Node]] = defaultdict(list)
        for node in self.nodes:
            for name in dict.fromkeys(self.source(name) for name in node.inputs):
                found[name].append(node)
        return found

    def producers(self) -> dict[str, Node]:
        """Return who computes each tensor."""
        return {name: node for node in self.nodes for name in node.outputs}


class Step(NamedTuple):
    """A node of a file before it is read: what it needs, what it gives, the format's own form."""

    label: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    source: Any


def in_order(path: Path, steps: Iterable[Step], known: Iterable[str]) -> list[Step]:
    """Return steps so that each comes after those it reads.

    Args:
        path: of the model, for messages.
        steps: in any order.
        known: names of the tensors that are there before the first step.

    Raises:
        InvalidModel: a cycle, or an input that nothing computes.
    """
    there, waiting, ordered = {"", *known}, list(steps), []
    computed = {name for step in waiting for name in step.writes}
    while waiting:
        late: list[Step] = []
        for step in waiting:
            if there.issuperset(step.reads):
                ordered.append(step)
                there.update(step.writes)
            else:
                late.append(step)
        if len(late) == len(waiting):
            missing = next(name for name in late[0].reads if name not in there)
            reason = "the graph has a cycle" if missing in computed else "nothing computes it"
            raise InvalidModel(f"{path}: node {late[0].label} reads {missing!r}: {reason}")
        waiting = late
    return ordered


def as_sizes(values: Sequence[Any]) -> tuple[int, ...]:
    """Return sizes as plain integers."""
    return tuple(int(value) for value in np.asarray(values).reshape(-1))
