"""Work with one board over one connection: deploy, submit, wait, collect, acknowledge.

Owns: the scripts that handle the board's queue from outside. Every step may be repeated: a batch
that is there already is not unpacked again, a worker that runs is not started twice, what was
acknowledged is gone. So after any interruption the controller simply connects again.

A batch costs two commands: one submits (and acknowledges what the controller has stored since),
one sleeps on the board until the worker is done and brings the records. Nothing is sent while jobs
are timed, keep-alives neither; a deadline guards the silence instead.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from edgeprof.base.errors import BoardSetupError, BoardUnreachable, EdgeprofError
from edgeprof.boards.batch import Batch, job_ids_of, parse_records
from edgeprof.boards.claim import Owner, busy
from edgeprof.boards.deploy import Payload, Software, check_space, deploy
from edgeprof.boards.exit_status import ExitStatus, was_killed
from edgeprof.boards.facts import BoardFacts
from edgeprof.boards.folder import MANIFEST, MANIFEST_FILE, REMOVE_OURS, claim_folder
from edgeprof.boards.inventory import BoardSpec
from edgeprof.boards.transport import Completed, Transport, script

COMMAND_DEADLINE_S = 60.0
SUBMIT_DEADLINE_S = 600.0

# Parameters: folder, then names of batches. A batch leaves the queue in one step.
_FORGET = """
forget() {
  for old; do
    if [ -e "queue/$old" ]; then
      mkdir -p trash
      rm -rf -- "trash/$old"
      mv -- "queue/$old" "trash/$old"
    fi
    rm -rf -- "trash/$old" "incoming/$old".*
  done
}
"""

# Parameters: folder, program, lock, owner, session, then the script's own.
_WORKER_PARAMETERS = """
set -eu
umask 077
folder=$1 program=$2 lock=$3 owner=$4 session=$5
shift 5
case $lock in "~/"*) lock=$HOME/${lock#"~/"} ;; esac
cd -- "$folder"
"""

# Answers with the worker's line: who holds the board.
_START = """
exec "$program" worker --detach --folder "$folder" --lock "$lock" \\
  --owner "$owner" --session "$session"
"""

# Further parameters: batch, names of batches to forget. Standard input: the archive.
_SUBMIT = (
    _WORKER_PARAMETERS
    + _FORGET
    + MANIFEST
    + f"""
batch=$1
shift
forget "$@"
mkdir -p queue
if [ ! -d "queue/$batch" ]; then
  list_as_ours "queue/$batch"
  new=incoming/$batch.$$  # an attempt whose connection was lost may still be at its own
  mkdir -p -- "$new"
  trap 'rm -rf -- "$new"' EXIT
  tar -xzf - -C "$new"
  if ! (cd -- "$new" && sha256sum -c SHA256SUMS) > "$new/check"; then
    tail -n 1 "$new/check" >&2
    exit {ExitStatus.DAMAGED}
  fi
  while IFS='\t' read -r object target; do
    ln -- "objects/$object" "$new/$target" 2>/dev/null || cp -- "objects/$object" "$new/$target"
  done < "$new/links"
  [ -d "queue/$batch" ] || mv -- "$new" "queue/$batch"
fi
"""
    + _START
)

# Parameters: folder, batch, program, session, and --stop to end the worker. Standard output: the
# records so far, gzipped; standard error: the worker's last words.
_COLLECT = f"""
"$3" wait --folder "$1" --session "$4" $5 || exit
# A log that is not listed was there before.
[ ! -f "$1/{MANIFEST_FILE}" ] || ! grep -qxF worker.log "$1/{MANIFEST_FILE}" ||
  tail -n 3 "$1/worker.log" >&2
cd -- "$1/queue/$2" 2>/dev/null || exit {ExitStatus.NO_BATCH}
if [ -f records.jsonl ]; then gzip -1c records.jsonl; fi
"""

# Parameters: folder, session. Answers with a line for each batch of the session: its name, a tab,
# and the number of its jobs; then its job lines.
_LEFTOVERS = """
cd -- "$1" || exit
for jobs in queue/"$2"*/jobs.jsonl; do
  if [ -f "$jobs" ]; then
    batch=${jobs%/jobs.jsonl}
    echo "${batch#queue/}"
    cat -- "$jobs"
    echo
  fi
done
"""

# Parameters: folder, then names of batches.
_ACKNOWLEDGE = f"""
set -eu
cd -- "$1"
shift
{_FORGET}
forget "$@"
"""

# Parameter: the folder, as the inventory has it. Ends this account's worker.
_STOP = """
set -eu
folder=$1
case $folder in "~/"*) folder=$HOME/${folder#"~/"} ;; esac
[ -d "$folder" ] || exit 0
cd -- "$folder"
for program in objects/*/edgeprof-harness; do
  if [ -x "$program" ]; then "./$program" wait --folder . --stop; break; fi
done
"""

# Parameter: as before. A folder that holds nothing else goes too.
_CLEAN = (
    _STOP
    + REMOVE_OURS
    + """
cd /
rmdir -- "$folder" 2>/dev/null || true
"""
)


@dataclass(frozen=True)
class Leftover:
    """A batch of this run that a board still holds."""

    name: str
    job_ids: tuple[str, ...]


@dataclass(frozen=True)
class Collected:
    """What a board has of a batch.

    Attributes:
        records: by job id.
        last_words: of the worker, where it ended early.
        is_there: whether the board has the batch at all.
    """

    records: dict[str, dict[str, Any]]
    last_words: str = ""
    is_there: bool = True


class BoardSession:
    """One board, connected, with all that measuring needs deployed."""

    def __init__(
        self,
        transport: Transport,
        board: BoardSpec,
        facts: BoardFacts,
        software: Software,
        owner: Owner,
    ) -> None:
        self.transport = transport
        self.board = board
        self.facts = facts
        self.software = software
        self._owner = owner
        self._objects = set(facts.objects)

    @property
    def program(self) -> str:
        """Path of the board program there."""
        return self._path_of(self.software.program)

    @property
    def library(self) -> str | None:
        """Path of the runtime's library there."""
        library = self.software.library
        return None if library is None else self._path_of(library)

    def _path_of(self, payload: Payload) -> str:
        is_here = self.transport.shares_files
        return str(payload.source.absolute()) if is_here else payload.path_on(self.facts)

    async def deploy(self) -> None:
        """Send program and library where they are missing; see :func:`deploy`."""
        if self.transport.shares_files:
            await claim_folder(self.transport, self.board, self.facts.folder, ())
            return
        sent = await deploy(self.transport, self.board, self.facts, self.software)
        self._objects |= {item.address for item in sent}

    async def leftovers(self) -> list[Leftover]:
        """Return the batches of this run that the board still holds."""
        completed = await self._run(_LEFTOVERS, self.facts.folder, self._owner.session)
        blocks = completed.text.strip().split("\n\n")
        lines = (block.strip().split("\n") for block in blocks if block.strip())
        return [Leftover(name, tuple(job_ids_of(jobs))) for name, *jobs in lines]

    async def submit(self, batch: Batch, forget: Sequence[str] = ()) -> None:
        """Hand a batch to the board and start the worker.

        Args:
            batch: is unpacked unless the board has it.
            forget: batches whose records are stored.

        Raises:
            BoardBusy: another owner measures there.
            BoardSetupError: no space, or damaged on the way.
            BoardUnreachable: connection lost; submit it again.
        """
        if not self.transport.shares_files:
            await self._send_shared(batch)
        archive = batch.archive(
            self.facts.folder, self.library, in_place=self.transport.shares_files
        )
        await self._start(batch.name, archive, forget)

    async def resume(self, batch_name: str) -> None:
        """Start the worker for a batch that the board has."""
        await self._start(batch_name, b"", ())

    async def collect(self, batch_name: str, *, deadline_s: float) -> Collected:
        """Wait until the worker is done, however it ended, and return what there is.

        Raises:
            BoardUnreachable: connection lost, or silence until the deadline; ask again.
        """
        return await self._collect(batch_name, "", deadline_s)

    async def stop(self, batch_name: str) -> Collected:
        """End the worker, and return what there is."""
        return await self._collect(batch_name, "--stop", COMMAND_DEADLINE_S)

    async def forget(self, batch_names: Sequence[str]) -> None:
        """Delete batches whose records are stored."""
        if batch_names:
            await self._run(_ACKNOWLEDGE, self.facts.folder, *batch_names)

    async def _send_shared(self, batch: Batch) -> None:
        missing = [item for item in batch.shared_files if item.address not in self._objects]
        check_space(self.board, self.facts, missing)
        if missing:
            addresses = [f"objects/{item.address}" for item in missing]
            await claim_folder(self.transport, self.board, self.facts.folder, addresses)
        for item in missing:
            await self.transport.put(
                item.source, item.path_on(self.facts), deadline_s=SUBMIT_DEADLINE_S
            )
            self._objects.add(item.address)

    async def _start(
        self, batch_name: str, archive: bytes | Iterable[bytes], forget: Sequence[str]
    ) -> None:
        argv = script(_SUBMIT, *self._worker_parameters(), batch_name, *forget)
        completed = await self.transport.run(argv, stdin=archive, deadline_s=SUBMIT_DEADLINE_S)
        self._check_started(completed, "a batch cannot be submitted")

    def _worker_parameters(self) -> tuple[str, ...]:
        owner = self._owner
        return self.facts.folder, self.program, self.board.lock, owner.name, owner.session

    def _check_started(self, completed: Completed, what: str) -> None:
        if completed.status == ExitStatus.BUSY:
            raise busy(self.board, completed.text)
        if completed.status != 0:
            raise self._error(what, completed)

    async def _collect(self, batch_name: str, stop: str, deadline_s: float) -> Collected:
        argv = script(
            _COLLECT, self.facts.folder, batch_name, self.program, self._owner.session, stop
        )
        completed = await self.transport.run(argv, deadline_s=deadline_s, silent=True)
        if completed.status == ExitStatus.NO_BATCH:
            return Collected({}, is_there=False)
        if completed.status != 0:
            raise self._error("records cannot be collected", completed)
        last_words = completed.stderr.decode("utf-8", "backslashreplace").strip()
        try:
            content = _unpacked(completed.stdout)
        except zlib.error as error:
            raise BoardUnreachable(
                f"board {self.board.name}: records arrived damaged: {error}", board=self.board.name
            ) from error
        return Collected(parse_records(content), last_words)

    async def _run(self, text: str, *parameters: str) -> Completed:
        completed = await self.transport.run(
            script(text, *parameters), deadline_s=COMMAND_DEADLINE_S
        )
        if completed.status != 0:
            raise self._error("the queue cannot be handled", completed)
        return completed

    def _error(self, what: str, completed: Completed) -> EdgeprofError:
        kind = BoardUnreachable if was_killed(completed.status) else BoardSetupError
        return kind(
            f"board {self.board.name}: {what}: {completed.complaint}",
            board=self.board.name,
            status=completed.status,
        )


async def stop_worker(transport: Transport, board: BoardSpec) -> None:
    """End the worker of this account, whatever its session.

    Raises:
        BoardSetupError: if it does not end.
    """
    await _run_alone(transport, board, _STOP, "its worker cannot be stopped")


async def clean_board(transport: Transport, board: BoardSpec) -> None:
    """Remove what edgeprof put on a board, and nothing else.

    Raises:
        BoardSetupError: if it cannot be removed.
    """
    await _run_alone(transport, board, _CLEAN, "cannot be cleaned")


async def _run_alone(transport: Transport, board: BoardSpec, text: str, what: str) -> None:
    completed = await transport.run(script(text, board.folder), deadline_s=COMMAND_DEADLINE_S)
    if completed.status != 0:
        raise board.error(f"{what}: {completed.complaint}")


def _unpacked(content: bytes) -> bytes:
    return zlib.decompress(content, 16 + zlib.MAX_WBITS) if content else b""
