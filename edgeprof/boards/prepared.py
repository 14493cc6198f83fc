"""A board's prepared state: set before measuring, restored after, whatever happens.

Owns: when ``firmware_scripts/setup_board.sh`` is run on a board and what its answers mean. What is
set, and that it can be undone after kill -9 in the middle, is the script's. The state is leased: a
watchdog on the board restores it when the controller has not renewed the lease in time, so a lost
controller leaves no board changed. What runs as root there is compared with its SHA-256 in a folder
of root's own, not in the account's. A lease outlasts the batch it was made for. Nothing is changed
while somebody measures there: the script runs under the board's locks.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from functools import cache
from typing import Any

from edgeprof.base.errors import BoardSetupError, BoardUnreachable
from edgeprof.base.files import packaged
from edgeprof.boards.claim import Owner, busy
from edgeprof.boards.exit_status import ExitStatus, was_killed
from edgeprof.boards.facts import BoardFacts
from edgeprof.boards.inventory import BoardSpec
from edgeprof.boards.transport import Completed, Transport, script

SETUP_DEADLINE_S = 120.0
_SCRIPTS = (
    "lib.sh",
    "setup_board.sh",
    "jetson_clocks.sh",
    "pin_clocks.sh",
    "pmu_access.sh",
    "quiet_board.sh",
)

# Run by root. Parameter: the SHA-256 of the archive of the scripts, which is the standard input.
# Answers with the folder that they lie in then: root's own, which no other user can write.
_UNPACK = """
set -eu
umask 077
place=$(mktemp -d /tmp/edgeprof.XXXXXX)
trap 'rm -rf -- "$place"' EXIT
cat > "$place/archive"
[ "$(sha256sum < "$place/archive" | cut -c 1-64)" = "$1" ]
tar -xzf "$place/archive" -C "$place"
echo "$place"
trap - EXIT
"""

# Parameters: folder, lock, owner, session, SHA-256 of the archive, the script above, arguments of
# setup_board.sh. Standard input: the archive. Where no program lies to take the locks, this account
# has not measured.
_SETUP = """
set -eu
folder=$1 lock=$2 owner=$3 session=$4 sha256=$5 unpack=$6
shift 6
case $lock in "~/"*) lock=$HOME/${lock#"~/"} ;; esac
root=
if [ "$(id -u)" != 0 ]; then
  root="sudo -n"
  if ! $root true 2>/dev/null; then
    echo "no root there (sudo -n is refused)" >&2
    exit NO_ROOT
  fi
fi
place=$($root sh -c "$unpack" edgeprof "$sha256") || {
  echo "the board scripts arrived damaged, or /tmp is full" >&2
  exit 1
}
trap '$root rm -rf -- "$place"' EXIT
set -- $root sh "$place/setup_board.sh" "$@"
for program in "$folder"/objects/*/edgeprof-harness; do
  if [ -x "$program" ]; then
    set -- "$program" hold --folder "$folder" --lock "$lock" \\
      --owner "$owner" --session "$session" -- "$@"
    break
  fi
done
"$@"
""".replace("NO_ROOT", str(int(ExitStatus.NO_ROOT)))


@dataclass(frozen=True)
class PreparedState:
    """What ``setup_board.sh`` says of a board.

    Attributes:
        is_prepared: whether anything is set that will have to be restored.
        status: its JSON answer; ``None`` where it cannot be run.
        reason: why the board could not be prepared.
    """

    is_prepared: bool
    status: dict[str, Any] | None = None
    reason: str | None = None


async def prepare(
    transport: Transport, board: BoardSpec, facts: BoardFacts, owner: Owner, *, lease_s: float
) -> PreparedState:
    """Set what ``setup_board.sh`` may set; a second call renews the lease.

    A board without root, or with nothing to set, is measured as it is, and the answer says why: the
    state stands beside every measurement in any case.

    Raises:
        BoardBusy: somebody measures there, a worker of this session included.
        BoardUnreachable: connection lost; the watchdog restores what was set.
    """
    arguments = ("apply", "--json", "--restore-after", str(round(lease_s)))
    completed = await _setup(transport, board, facts, owner, *arguments)
    if completed.status != 0:
        return PreparedState(False, None, completed.complaint)
    status = _parse_status(completed)
    return PreparedState(bool(status and status.get("prepared")), status)


async def restore(
    transport: Transport, board: BoardSpec, facts: BoardFacts, owner: Owner
) -> PreparedState:
    """Put everything back.

    Raises:
        BoardBusy: somebody measures there; the lease restores what was set.
        BoardSetupError: something could not be restored; the board keeps the journal.
    """
    completed = await _setup(transport, board, facts, owner, "restore", "--json")
    if completed.status == ExitStatus.NO_ROOT:
        return PreparedState(False, None, completed.complaint)
    if completed.status != 0:
        raise board.error(
            f"its state could not be restored: {completed.complaint}; "
            f"try again with `edgeprof boards restore {board.name}`"
        )
    return PreparedState(False, _parse_status(completed))


async def _setup(
    transport: Transport, board: BoardSpec, facts: BoardFacts, owner: Owner, *arguments: str
) -> Completed:
    archive, sha256 = _scripts()
    claim = (facts.folder, board.lock, owner.name, owner.session)
    argv = script(_SETUP, *claim, sha256, _UNPACK, *arguments)
    completed = await transport.run(argv, stdin=archive, deadline_s=SETUP_DEADLINE_S)
    if completed.status == ExitStatus.BUSY:
        raise busy(board, completed.text)
    if was_killed(completed.status):
        raise BoardUnreachable(
            f"board {transport.name}: setup_board.sh was killed", board=transport.name
        )
    return completed


def _parse_status(completed: Completed) -> dict[str, Any] | None:
    try:
        status = json.loads(completed.stdout)
    except ValueError:
        return None
    return status if isinstance(status, dict) else None


@cache
def _scripts() -> tuple[bytes, str]:
    """Return the scripts as a gzipped tar, and its SHA-256."""
    folder = packaged("firmware_scripts")
    paths = [folder / name for name in _SCRIPTS]
    if not all(path.is_file() for path in paths):
        raise BoardSetupError(f"{folder}: no board scripts in this installation of edgeprof")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for path in paths:
            content = path.read_bytes()
            info = tarfile.TarInfo(path.name)
            info.size, info.mode = len(content), 0o700
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue(), hashlib.sha256(buffer.getvalue()).hexdigest()
