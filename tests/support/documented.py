"""The commands that stand in the README, in CONTRIBUTING and in the docs.

In these texts an indented block, and a fenced one of a shell, holds shell commands: all of its
lines, or where it shows a prompt those behind the prompt, with what they print. Everything else
stands in a fence with its language. Of a workflow the steps that run something are taken, and
Python is one command.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tree import ROOT

PAGES = tuple(
    sorted([*ROOT.glob("README.md"), *ROOT.glob("CONTRIBUTING.md"), *ROOT.glob("docs/*.md")])
)
SHELLS = ("sh", "console")
INDENT = "    "
PROMPT = "$ "
# What a command says to type next is a command, too; not so a line of output that is a name.
TO_TYPE_NEXT = re.compile(r"\s+(?:\.venv/bin/)?edgeprof (?=\S)")
STEP = re.compile(r"\s+-? ?run: (.*)")
MENTION = re.compile(
    r"(?<!`)`((?:\.venv/bin/)?(?:edgeprof|edgeprof-harness|pip|pytest|python3?) [^`]+)`"
)
PYTHON_BLOCK = "python-block"
BETWEEN = ("&&", "||", "|", ";")


@dataclass(frozen=True)
class Documented:
    """One command as it stands in a text.

    Attributes:
        page: name of the text.
        line: where it stands.
        words: program and arguments; the program without the folder of the environment. Of Python
            the word ``python-block`` and the code.
        output: file that its output goes to.
        source: file that it reads as its input.
        fails: whether the text shows that it fails.
    """

    page: str
    line: int
    words: tuple[str, ...]
    output: str | None = None
    source: str | None = None
    fails: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"

    @property
    def text(self) -> str:
        """The command in one line."""
        return " ".join(self.words)


@dataclass
class Block:
    """Some lines of a text that belong together; the language of a fence."""

    line: int
    language: str
    lines: list[str] = field(default_factory=list)


def blocks_of(text: str) -> Iterator[Block]:
    """Return the fenced and the indented blocks of a Markdown text; of the latter the language is
    empty.
    """
    block: Block | None = None
    before = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("```"):
            if block is not None and block.language:
                yield block
                block = None
            else:
                block = Block(number + 1, line[3:].strip() or "none")
        elif block is not None and block.language:
            block.lines.append(line)
        elif line.startswith(INDENT) and (block is not None or not before):
            block = block or Block(number, "")
            block.lines.append(line[len(INDENT) :])
        elif block is not None and line:
            yield block
            block = None
        elif block is not None:
            block.lines.append("")
        before = line.strip()
    if block is not None:
        yield block


def commands_of(path: Path) -> list[Documented]:
    """Return the commands in the blocks of a text, in order."""
    found = []
    for block in blocks_of(path.read_text(encoding="utf-8")):
        if block.language == "python":
            words = (PYTHON_BLOCK, "\n".join(block.lines))
            found.append(Documented(path.name, block.line, words))
        for offset, line in lines_to_type(block):
            after = block.lines[offset + 1 : offset + 2]
            fails = bool(after) and after[0].startswith("edgeprof: ")
            found += parse_line(line, path.name, block.line + offset, fails=fails)
    return found


def lines_to_type(block: Block) -> Iterator[tuple[int, str]]:
    """Return the lines of a block that are typed, with their places."""
    if block.language == "yaml":
        for offset, line in enumerate(block.lines):
            if step := STEP.fullmatch(line):
                yield offset, step.group(1)
    elif block.language in ("", *SHELLS):
        has_prompt = any(line.startswith(PROMPT) for line in block.lines)
        for offset, line in enumerate(block.lines):
            if line.startswith(PROMPT):
                yield offset, line.removeprefix(PROMPT)
            elif (has_prompt and TO_TYPE_NEXT.match(line)) or (not has_prompt and line):
                yield offset, line


def mentions_of(path: Path) -> list[Documented]:
    """Return what stands in the sentences of a text as a program with arguments."""
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.startswith(INDENT):
            for mention in MENTION.findall(line):
                found += parse_line(mention.replace("\\|", "|"), path.name, number)
    return found


def parse_line(line: str, page: str, number: int, *, fails: bool = False) -> Iterator[Documented]:
    """Return the commands of a line as a shell takes it apart."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, BETWEEN[0]]:
        if word not in BETWEEN:
            words.append(word)
        elif words:
            yield parse_words(words, page, number, fails=fails)
            words = []


def parse_words(words: list[str], page: str, number: int, *, fails: bool) -> Documented:
    """Return a command, with its redirections apart and without variables that are set for it."""
    files: dict[str, str] = {}
    plain = []
    rest = iter(words)
    for word in rest:
        if word in (">", "<"):
            files[word] = next(rest)
        elif plain or not re.match(r"\w+=", word):
            plain.append(word)
    plain[:1] = [word.removeprefix(".venv/bin/") for word in plain[:1]]
    return Documented(page, number, tuple(plain), files.get(">"), files.get("<"), fails)
