"""What a board is and has: one command finds out.

Owns: the questions, and the judgement whether the board can be used at all. The machine's state
(governor, temperature, load) is ``measuring/machine.py``'s; the program that reads it is deployed
first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgeprof.base.cpu_list import parse_cpus
from edgeprof.base.errors import BoardSetupError
from edgeprof.base.text import printable
from edgeprof.boards.folder import TRUST, mistrusted
from edgeprof.boards.inventory import FIND, BoardSpec
from edgeprof.boards.transport import Transport, script
from edgeprof.measuring.runtimes import RUNTIMES, entry_of

PROBE_DEADLINE_S = 30.0
_PYTHON_FOLDERS = (
    ("/usr/local/lib", "dist-packages"),
    ("/usr/local/lib", "site-packages"),
    ("/usr/lib", "dist-packages"),
)
_LIBRARY_FOLDERS = ("/usr/local/lib", "/usr/lib/*-linux-gnu*", "/usr/lib")
"""Where a board's own runtime may lie, for ``own_library: find``."""

_NEEDED_TOOLS = ("find", "gzip", "mkdir", "mv", "rm", "sha256sum", "tar")

# Parameters: the folder and the lock, as the inventory has them; patterns of paths of the runtime's
# library, between spaces; then the tools to look for.
# Answers with lines ``key=value``; what a board does not have stays empty. Nothing is left behind:
# the folder is made by what is put there. Nothing heavy is done while somebody measures there: the
# content of objects is hashed on an idle board only.
_PROBE = (
    TRUST
    + """
folder=$1 lock=$2 libraries=$3
shift 3
case $folder in "~/"*) folder=$HOME/${folder#"~/"} ;; esac
case $lock in "~/"*) lock=$HOME/${lock#"~/"} ;; esac
printf 'folder=%s\\n' "$folder"
reason=$(mistrust "$folder")
if [ "$reason" ]; then
  echo "unsafe=$reason"
  exit
fi
echo "machine=$(uname -m)"
echo "kernel=$(uname -r)"
echo "bits=$(getconf LONG_BIT 2>/dev/null)"
echo "libc=$(getconf GNU_LIBC_VERSION 2>/dev/null)"
echo "cores=$(getconf _NPROCESSORS_ONLN 2>/dev/null)"
echo "online=$(cat /sys/devices/system/cpu/online 2>/dev/null)"
{ echo "model=$(tr -d '\\000' < /proc/device-tree/model)"; } 2>/dev/null
for tool; do command -v "$tool" > /dev/null || echo "missing=$tool"; done
umask 077
set -C  # an existing file, perhaps another user's link, is not written to
# Where there is no folder yet, the one that it would be made in answers for it.
place=$folder
while [ ! -e "$place" ] && [ ! -L "$place" ]; do place=$(dirname -- "$place"); done
probe=$place/.edgeprof-probe.$$
if [ ! -d "$place" ]; then
  echo "unwritable=$place: Not a directory"
elif error=$({ printf '#!/bin/sh\\nexit 0\\n' > "$probe" && chmod 700 "$probe"; } 2>&1); then
  "$probe" 2>/dev/null || echo "noexec=1"
else
  echo "unwritable=$(echo "$error" | tail -n 1)"
fi
rm -f -- "$probe" 2>/dev/null
echo "free_kib=$(df -Pk -- "$place" 2>/dev/null | awk 'END { print $(NF - 2) }')"
for path in $libraries; do
  if [ -f "$path" ]; then
    printf 'library=%s %s\\n' "$(sha256sum < "$path" | cut -c 1-64)" "$path"
    break
  fi
done
is_idle=1
for path in "$folder/worker.lock" "$lock"; do
  if command -v flock > /dev/null && [ -r "$path" ] && ! flock -n -s 9 9< "$path"; then
    is_idle=
    printf 'holder=%s\\n' "$(head -n 1 -- "$path")"
  fi
done
for object in "$folder"/objects/*/*; do
  if [ -f "$object" ]; then
    name=${object#"$folder"/objects/}
    digest=${name%%/*}
    if [ "$is_idle" ]; then digest=$(sha256sum < "$object" | cut -c 1-64); fi
    printf 'object=%s %s\\n' "$digest" "$name"
  fi
done
"""
)


@dataclass(frozen=True)
class BoardFacts:
    """What the board answered.

    Attributes:
        folder: the private folder, absolute.
        architecture: of its programs, as ``uname -m`` names it: ``aarch64``, ``armv7l`` ...
        glibc: version, e.g. ``(2, 36)``; ``None`` on musl and the like.
        model: of the device tree, e.g. ``Raspberry Pi 4 Model B Rev 1.4``.
        free_bytes: free space where the folder is.
        objects: deployed files, ``<sha256>/<name>``; on an idle board their content was checked.
        online: numbers of the cores that can be used; empty where that is not known.
        library: SHA-256 and path of the runtime's library that the board has, where it was asked
            for and is there.
        holders: lines of the lock files that are held; empty on an idle board.
    """

    folder: str
    architecture: str
    kernel: str
    glibc: tuple[int, int] | None
    cores: int | None
    model: str | None
    free_bytes: int | None
    objects: frozenset[str]
    holders: tuple[str, ...] = ()
    online: tuple[int, ...] = ()
    library: tuple[str, str] | None = None

    @property
    def glibc_text(self) -> str:
        """Version of the C library for people."""
        return "none (musl?)" if self.glibc is None else "{}.{}".format(*self.glibc)


async def read_facts(transport: Transport, board: BoardSpec) -> BoardFacts:
    """Ask a board what it is.

    Raises:
        BoardUnreachable: it does not answer; a retry may help.
        BoardSetupError: no place to write to or run programs from, or tools are missing.
    """
    argv = script(_PROBE, board.folder, board.lock, _library_patterns(board), *_NEEDED_TOOLS)
    completed = await transport.run(argv, deadline_s=PROBE_DEADLINE_S)
    if completed.status != 0:
        raise board.error(
            f"cannot run a shell script: {completed.complaint}",
            status=completed.status,
        )
    return parse_facts(completed.text, board)


def _library_patterns(board: BoardSpec) -> str:
    if board.own_library != FIND:
        return board.own_library or ""
    runtime = entry_of(board.runtime or RUNTIMES[0])
    folders = [
        f"{root}/python3*/{packages}/{module}/{inside}"
        for root, packages in _PYTHON_FOLDERS
        for module, inside in runtime.modules
    ]
    places = (*folders, *_LIBRARY_FOLDERS)
    return " ".join(f"{place}/{name}" for place in places for name in runtime.patterns)


def parse_facts(text: str, board: BoardSpec) -> BoardFacts:
    """Parse the answer of a board; see :func:`read_facts`."""
    answers: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            answers.setdefault(key, []).append(value.strip())
    first = {key: values[0] for key, values in answers.items()}
    _refuse_unusable(first, answers.get("missing", []), board)
    libc = re.fullmatch(r"glibc (\d+)\.(\d+).*", first.get("libc", ""))
    return BoardFacts(
        folder=first["folder"],
        architecture=_architecture(first.get("machine", ""), first.get("bits", "")),
        kernel=printable(first.get("kernel", "")),
        glibc=(int(libc[1]), int(libc[2])) if libc else None,
        cores=_integer(first.get("cores")),
        model=printable(first.get("model", "")) or None,
        free_bytes=None if (kib := _integer(first.get("free_kib"))) is None else kib * 1024,
        objects=frozenset(_whole_objects(answers.get("object", []))),
        holders=tuple(answers.get("holder", [])),
        online=_cpus(first.get("online", "")),
        library=_pair(first.get("library", "")),
    )


def _refuse_unusable(first: dict[str, str], missing: list[str], board: BoardSpec) -> None:
    where = f"board {board.name}: {first.get('folder', board.folder)}"
    remedy = (
        "set 'folder' of this board to another place in boards.yaml (for this machine: the "
        "variable EDGEPROF_CACHE)"
    )
    if "folder" not in first:
        raise board.error("no answer to the probe")
    if "unsafe" in first:
        raise mistrusted(board, first["folder"], first["unsafe"])
    if "unwritable" in first:
        # The shell's own prefix (edgeprof: line 1: /path:) says nothing new.
        reason = first["unwritable"].rpartition(": ")[2]
        raise BoardSetupError(f"{where}: cannot be written: {reason}; {remedy}", board=board.name)
    if "noexec" in first:
        raise BoardSetupError(
            f"{where}: no program can be run from there (mounted noexec); {remedy}",
            board=board.name,
        )
    if missing:
        raise board.error(f"{', '.join(missing)} not found; install coreutils, gzip and tar")


def _architecture(machine: str, bits: str) -> str:
    # Raspberry Pi OS (32-bit) runs a 64-bit kernel: uname says aarch64, the programs are armv7l.
    return "armv7l" if machine in ("aarch64", "armv8l") and bits == "32" else machine


def _whole_objects(lines: list[str]) -> list[str]:
    pairs = (line.partition(" ")[::2] for line in lines)
    return [path for digest, path in pairs if path.startswith(f"{digest}/")]


def _pair(text: str) -> tuple[str, str] | None:
    sha256, space, path = text.partition(" ")
    return (sha256, path) if space else None


def _cpus(text: str) -> tuple[int, ...]:
    try:
        return tuple(parse_cpus(text))
    except ValueError:
        return ()


def _integer(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None
