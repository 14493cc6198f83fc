"""Layer lists of networks beside the rows of a table, so that learning needs no model files.

Owns: the file beside the table (``rows.csv`` has ``rows.networks.jsonl.gz``: a network a line, with
its id), the ids, and where the list of a stored measurement comes from.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeprof.base.errors import DatasetError, EdgeprofError, InvalidModel
from edgeprof.base.files import atomic_write, has_sha256, make_folder
from edgeprof.base.parse import parse_json
from edgeprof.measuring.measurement import Record
from edgeprof.networks import read_network
from edgeprof.networks.layers import Network
from edgeprof.networks.listed import network_from_dict, network_to_dict
from edgeprof.records.store import Store, further_signature

_TABLE_SUFFIXES = (".gz", ".csv", ".parquet")
_GZIP = 16 + zlib.MAX_WBITS
_MOST_INFLATED, _SURELY_FINE_BYTES = 200, 1 << 26


@dataclass(frozen=True)
class ListedNetwork:
    """A network that was measured.

    Attributes:
        model: path of its file, as it was given.
        layers: its layer list as ``network_to_dict`` makes it.
    """

    model: str
    layers: dict[str, Any]

    @property
    def id(self) -> str:
        """Short hash of the layer list, and of the model's name: networks may have equal layers."""
        text = json.dumps([Path(self.model).name, self.layers], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def listed_network(store: Store, record: Record) -> ListedNetwork | None:
    """Return the network of a record as a layer list; ``None`` as of ``measured_network``."""
    network = measured_network(store, record)
    if network is None:
        return None
    return ListedNetwork(str(Path(str(record["model"].get("path", "")))), network_to_dict(network))


def measured_network(store: Store, record: Record) -> Network | None:
    """Return the network of a record: as the store has it, else from the model file.

    ``None`` where the file is not the one that was measured any more, or cannot be read, or where
    another signature was measured than the first, which is the one that is read.
    """
    if further_signature(record) is not None:
        return None
    model = record["model"]
    network = store.network_of(record)
    path = Path(str(model.get("path", "")))
    if network is None and has_sha256(path, str(model.get("sha256", ""))):
        try:
            network = read_network(path, shapes=model.get("shapes"))
        except EdgeprofError:
            return None
    return network


def lists_beside(table: Path) -> Path:
    """Return where the layer lists of a table's networks stand."""
    name = table.name
    for suffix in _TABLE_SUFFIXES:
        name = name.removesuffix(suffix)
    return table.with_name(f"{name}.networks.jsonl.gz")


def write_lists(path: Path, networks: Sequence[ListedNetwork]) -> None:
    """Write layer lists, a line each.

    Raises:
        OutputError: the file cannot be written.
    """
    make_folder(path.parent)
    lines = [json.dumps({"id": listed.id, **listed.layers}) + "\n" for listed in networks]
    with atomic_write(path, binary=True) as stream:
        stream.write(gzip.compress("".join(lines).encode(), mtime=0))


def read_lists(path: Path) -> dict[str, Network]:
    """Read layer lists by id; none where there is no such file.

    Raises:
        DatasetError: it is damaged, or a list is of a later version.
    """
    if not path.exists():
        return {}
    try:
        lines = _unpacked(path.read_bytes()).decode().splitlines()
        listed = [parse_json(line) for line in lines]
        return {str(data.pop("id")): network_from_dict(data) for data in listed}
    except (OSError, zlib.error, ValueError, AttributeError, KeyError, TypeError) as error:
        raise DatasetError(f"{path}: is no file of layer lists: {error}") from error
    except InvalidModel as error:
        raise DatasetError(f"{path}: {error}") from error


def _unpacked(content: bytes) -> bytes:
    """Return what a gzip file holds.

    Raises:
        ValueError: it is cut off, goes on behind its end, or would unpack to far more than layer
            lists do.
        zlib.error: it is damaged.
    """
    most = max(_MOST_INFLATED * len(content), _SURELY_FINE_BYTES)
    unpacking = zlib.decompressobj(wbits=_GZIP)
    unpacked = unpacking.decompress(content, most)
    if unpacking.unconsumed_tail:
        raise ValueError(f"{len(content)} bytes unpack to more than {most}")
    if not unpacking.eof or unpacking.unused_data:
        raise ValueError("it is cut off, or goes on behind its end")
    return unpacked
