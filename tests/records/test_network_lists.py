"""Layer lists beside a table: what is written is read again, what is damaged is refused."""

import gzip
import json
import sqlite3

import pytest

from edgeprof.base.errors import DatasetError, StoreError
from edgeprof.networks.layers import Shape
from edgeprof.networks.listed import network_of_layers, network_to_dict
from edgeprof.networks.work import Kind, NetworkLayer
from edgeprof.records.network_lists import ListedNetwork, lists_beside, read_lists, write_lists
from edgeprof.records.store import Store

LAYER = NetworkLayer("a", "Conv", Kind.CONV, inputs=("x",), macs=9, kernel=(3, 3), fused=("Relu",))
NETWORK = network_of_layers("n", [LAYER], Shape(3, 8, 8))


@pytest.fixture
def file(tmp_path):
    path = lists_beside(tmp_path / "rows.csv.gz")
    write_lists(path, [ListedNetwork("n.onnx", network_to_dict(NETWORK))])
    return path


def test_lists_are_read_again(file):
    assert file.name == "rows.networks.jsonl.gz"
    (network,) = read_lists(file).values()
    assert network.work == (LAYER,)
    assert read_lists(file.with_name("none.networks.jsonl.gz")) == {}


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda content: content[:-9],
        lambda content: content[:20] + b"\xff\x00\xff" + content[23:],
        lambda content: content + b"more",
        lambda _: gzip.compress(b"[" * 100_000),
        lambda _: gzip.compress(b"\xff"),
        lambda _: gzip.compress(b"[]"),
        lambda _: gzip.compress(b"{}"),
        lambda _: gzip.compress(json.dumps({"id": "a", "version": 9}).encode()),
    ],
)
def test_a_damaged_file_is_one_clear_error(file, damage):
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DatasetError, match=r"rows\.networks\.jsonl\.gz"):
        read_lists(file)


def test_a_small_file_cannot_ask_for_all_memory(file):
    file.write_bytes(gzip.compress(bytes(1 << 27)))
    with pytest.raises(DatasetError, match="unpack to more than"):
        read_lists(file)


@pytest.mark.parametrize("content", [b"no zlib", b""])
def test_a_damaged_list_of_a_store_is_one_clear_error(tmp_path, content):
    record = {"model": {"sha256": "ab"}}
    with Store(tmp_path / "s.db") as store:
        store.append_network("ab", NETWORK)
        assert store.network_of(record).work == (LAYER,)
    with sqlite3.connect(tmp_path / "s.db") as connection:
        for (name,) in list(
            connection.execute("SELECT name FROM sqlite_master WHERE type='trigger'")
        ):
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("UPDATE networks SET layers = ?", (content,))
    with (
        Store(tmp_path / "s.db") as store,
        pytest.raises(StoreError, match="layer list is damaged"),
    ):
        store.network_of(record)
