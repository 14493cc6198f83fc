"""A batch of jobs as it travels to a board.

Owns: the archive (a gzipped tar): job lines, models, checksums, the environment, and which shared
weights belong beside which models. Names in it are numbers of ours: what a user calls a file never
reaches the board's shell or file system, except for the name by which a model asks for its
weights.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeprof.base.errors import BoardSetupError, OutputError
from edgeprof.boards.deploy import Payload
from edgeprof.boards.transport.base import unreadable
from edgeprof.networks.layers import Network
from edgeprof.networks.subnet import Subnet

_CHUNK_BYTES = 1 << 18
_IN_MEMORY_BYTES = 4 << 20


@dataclass(frozen=True)
class Item:
    """One model to measure.

    Attributes:
        key: names the item in the store; comes back as the record's ``job_id``.
        model: the model file here.
        weights: the file of weights that the model asks for beside it, shared with others.
        job: further fields of the job line (threads, cpus, seed ...).
        name: what its record calls the model, by default the name of its file; the path on the
            board helps nobody.
        subnet: the subnet that the model is of, if any.
        model_kind: format, precision and batch of the model, if known.
        network: the layers of a model of no subnet, if they could be read.
        library: of the item's runtime, where that is not the batch's.
    """

    key: str
    model: Path | None
    weights: Payload | None
    job: Mapping[str, Any]
    name: str = ""
    subnet: Subnet | None = None
    model_kind: str | None = None
    network: Network | None = None
    library: Payload | None = None

    def library_on(self, folder: str, *, in_place: bool) -> str | None:
        """Return where the item's own library lies, if it has one."""
        if self.library is None:
            return None
        if in_place or self.library.is_there:
            return str(self.library.source.absolute())
        return f"{folder}/objects/{self.library.address}"


@dataclass(frozen=True)
class Batch:
    """Items that travel together.

    Attributes:
        name: of its folder in the board's queue.
        campaign: how the items are measured in turns (see ``csrc/board/campaign.h``); one after
            the other where it is ``None``.
    """

    name: str
    items: tuple[Item, ...]
    environment: Mapping[str, str]
    campaign: Mapping[str, object] | None = None

    @property
    def shared_files(self) -> tuple[Payload, ...]:
        """The distinct files of weights that the models share, and libraries of items."""
        files = [file for item in self.items for file in (item.weights, item.library) if file]
        return tuple(dict.fromkeys(file for file in files if not file.is_there))

    def archive(
        self, folder: str, library: str | None, *, in_place: bool = False
    ) -> Iterator[bytes]:
        """Yield the archive for a board.

        Args:
            folder: the board's private folder.
            library: path of the runtime's library there.
            in_place: the models are used where they lie instead of being packed.
        """
        # Models are packed on disk, not in memory: fifty boards are served at the same time.
        try:
            with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as spool:
                with tarfile.open(fileobj=spool, mode="w:gz", compresslevel=6) as tar:
                    self._fill(_Archive(tar), folder, library, in_place=in_place)
                spool.seek(0)
                while chunk := spool.read(_CHUNK_BYTES):
                    yield chunk
        except OSError as error:
            raise OutputError(
                f"{tempfile.gettempdir()}: a batch cannot be packed: {error.strerror}; "
                "set TMPDIR to a place with space"
            ) from error

    def _fill(self, archive: _Archive, folder: str, library: str | None, *, in_place: bool) -> None:
        place = f"{folder}/queue/{self.name}"
        jobs, links = [], {}
        for number, item in enumerate(self.items):
            job = {**item.job, "job_id": item.key}
            if opened := item.library_on(folder, in_place=in_place) or library:
                job["library"] = opened
            if item.model is not None and in_place:
                job["model"] = str(item.model.absolute())
            elif item.model is not None:
                name = self._model_name(number, item)
                archive.add_file(name, item.model)
                job["model"] = f"{place}/{name}"
                if item.weights is not None:
                    links[f"{Path(name).parent}/{item.weights.source.name}"] = item.weights.address
            jobs.append(json.dumps(job, separators=(",", ":")))
        archive.add_text("jobs.jsonl", "".join(f"{job}\n" for job in jobs))
        archive.add_text("environment.json", json.dumps(dict(self.environment)))
        if self.campaign is not None:
            archive.add_text("campaign.json", json.dumps(dict(self.campaign)))
        archive.add_text("links", "".join(f"{address}\t{at}\n" for at, address in links.items()))
        archive.add_sums()

    @staticmethod
    def _model_name(number: int, item: Item) -> str:
        assert item.model is not None
        suffix = item.model.suffix if item.model.suffix[1:].isalnum() else ""
        if item.weights is None:
            return f"m/{number}{suffix}"
        if not item.weights.source.name.isprintable():
            raise BoardSetupError(f"{item.weights.source}: the name cannot be sent to a board")
        return f"m/{item.weights.sha256[:16]}/{number}{suffix}"


class _Archive:
    """A tar that remembers the checksum of all it was given."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._sums: list[str] = []

    def add_text(self, name: str, text: str) -> None:
        self.add_bytes(name, text.encode())

    def add_file(self, name: str, source: Path) -> None:
        try:
            # Read once: what is summed is what is sent.
            self.add_bytes(name, source.read_bytes())
        except OSError as error:
            raise unreadable(source, error) from error

    def add_bytes(self, name: str, content: bytes) -> None:
        self._sums.append(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
        info = tarfile.TarInfo(name)
        info.size = len(content)
        info.mode = 0o600
        self._tar.addfile(info, io.BytesIO(content))

    def add_sums(self) -> None:
        self.add_text("SHA256SUMS", "".join(self._sums))


def parse_records(content: bytes) -> dict[str, dict[str, Any]]:
    """Parse the lines of ``records.jsonl`` by job id; a torn or damaged line is passed over."""
    whole, _, _ = content.rpartition(b"\n")
    records: dict[str, dict[str, Any]] = {}
    for line in whole.split(b"\n"):
        record = _parse_object(line)
        if "job_id" in record:
            records.setdefault(str(record["job_id"]), record)
    return records


def job_ids_of(lines: Sequence[str]) -> list[str]:
    """Return the job ids of job lines."""
    jobs = (_parse_object(line) for line in lines)
    return [str(job["job_id"]) for job in jobs if "job_id" in job]


def _parse_object(line: str | bytes) -> dict[str, Any]:
    """Parse a line; what a failing disk left there is taken for nothing."""
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
