"""What unpickling would need, found out without doing it.

Owns: bounds that follow from a pickle's size. A few bytes can ask for gigabytes (a place in the
memo far out) or for years (a tuple of a tuple, each twice, forty times over, to be hashed).
"""

from __future__ import annotations

import io
import pickletools

_CONSTANTS = (
    "NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE SHORT_BINUNICODE "
    "BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES GLOBAL EMPTY_DICT EMPTY_LIST EMPTY_TUPLE"
)
_PUSHED = frozenset(_CONSTANTS.split())
_TAKEN = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3, "REDUCE": 2, "STACK_GLOBAL": 2, "BINPERSID": 1}
_ADDED = {"SETITEM": 2, "APPEND": 1, "BUILD": 1}
_MOST_REPEATS = 64


class _Object:
    """Something on the stack: how many objects it holds, repeated ones each time."""

    def __init__(self, size: int = 1) -> None:
        self.size = size


class _Stack:
    """The stack and memo of an unpickler, with sizes instead of objects."""

    def __init__(self) -> None:
        self._objects: list[_Object] = []
        self._marks: list[int] = []
        self._memo: dict[int, _Object] = {}

    def step(self, name: str, argument: int | None) -> _Object | None:
        """Take a step; return what has grown. ``ValueError``: none that a checkpoint has."""
        objects = self._objects
        if name in _PUSHED:
            objects.append(_Object())
        elif name in _TAKEN:
            objects.append(self._sum(len(objects) - _TAKEN[name]))
        elif name in _ADDED:
            self._add(len(objects) - _ADDED[name])
        elif name in ("TUPLE", "LIST", "DICT"):
            objects.append(self._sum(self._marks.pop()))
        elif name in ("SETITEMS", "APPENDS"):
            self._add(self._marks.pop())
        elif name == "MARK":
            self._marks.append(len(objects))
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self._memo[len(self._memo) if argument is None else argument] = objects[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            objects.append(self._memo[argument or 0])
        elif name == "DUP":
            objects.append(objects[-1])
        elif name == "POP" and self._marks and self._marks[-1] == len(objects):
            self._marks.pop()
        elif name in ("POP", "POP_MARK"):
            self._sum(len(objects) - 1 if name == "POP" else self._marks.pop())
        elif name not in ("PROTO", "FRAME", "STOP"):
            raise ValueError(f"the opcode {name}, which PyTorch never writes")
        return objects[-1] if objects else None

    def _sum(self, start: int) -> _Object:
        """Take what lies from there on off the stack, as one object."""
        if start < 0:
            raise ValueError("a pickle takes more than it has")
        taken = self._objects[start:]
        del self._objects[start:]
        return _Object(1 + sum(one.size for one in taken))

    def _add(self, start: int) -> None:
        grown = self._sum(start).size
        self._objects[-1].size += grown


def check_pickle(stream: io.BytesIO) -> None:
    """Go through the next pickle of a stream.

    Raises:
        ValueError: it would need more memory or time than in proportion to the stream's size, or
            has opcodes that no checkpoint has.
        LookupError: it is broken.
    """
    size = len(stream.getbuffer())
    stack = _Stack()
    for opcode, argument, _ in pickletools.genops(stream):
        place = argument if isinstance(argument, int) else None
        if opcode.name == "LONG_BINPUT" and (place or 0) > size:
            raise ValueError(f"a memo of {place} places in a file of {size} bytes")
        grown = stack.step(opcode.name, place)
        if grown is not None and grown.size > _MOST_REPEATS * size:
            raise ValueError("objects that hold each other over and over")
