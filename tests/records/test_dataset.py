"""Reading and checking rows for learning."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from edgeprof.base.errors import DatasetError
from edgeprof.networks.spaces import get_space
from edgeprof.records.dataset import Dataset, devices_of, parse_rows, read_dataset

SPACE = "ofa-mbv3-w1.0"


def rows_of(n: int = 6, device: str = "board") -> list[dict[str, object]]:
    subnets = get_space(SPACE).sample(n, np.random.default_rng(7))
    return [
        {
            "device": device,
            "space": SPACE,
            "resolution": subnet.r,
            "ks": json.dumps(subnet.ks),
            "e": json.dumps(subnet.e),
            "d": json.dumps(subnet.d),
            "latency_ms": 10.0 + index,
        }
        for index, subnet in enumerate(subnets)
    ]


def write_csv(path: Path, rows: list[dict[str, object]]) -> Path:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_csv_and_compressed_csv_read_alike(tmp_path: Path) -> None:
    plain = read_dataset(write_csv(tmp_path / "a.csv", rows_of()))
    packed = read_dataset(write_csv(tmp_path / "a.csv.gz", rows_of()))
    assert len(plain) == 6
    assert plain.device == "board"
    assert plain.space == SPACE
    assert plain.subnets == packed.subnets
    assert plain.sha256 == packed.sha256
    np.testing.assert_array_equal(plain.latency_ms, [10, 11, 12, 13, 14, 15])


@pytest.mark.parametrize("lists_as_json", [True, False])
def test_parquet_reads_like_csv(tmp_path: Path, lists_as_json: bool) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    rows = rows_of()
    if not lists_as_json:
        rows = [{**row, **{k: json.loads(str(row[k])) for k in ("ks", "e", "d")}} for row in rows]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    expected = read_dataset(write_csv(tmp_path / "a.csv", rows_of()))
    assert read_dataset(tmp_path / "a.parquet").sha256 == expected.sha256


def test_rows_are_selected_by_position_without_a_row_column(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", rows_of(3, "other") + rows_of(6))
    dataset = read_dataset(path, device="board", rows=(2, 4))
    assert dataset.rows.tolist() == [2, 3]
    assert dataset.latency_ms.tolist() == [12, 13]


def test_rows_are_selected_by_the_row_column_where_there_is_one(tmp_path: Path) -> None:
    rows = [{**row, "row": 100 + 10 * i} for i, row in enumerate(rows_of())]
    dataset = read_dataset(write_csv(tmp_path / "a.csv", rows), rows=(110, 131))
    assert dataset.rows.tolist() == [110, 120, 130]


def test_a_draw_is_reproducible_and_has_no_repetition(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", rows_of(30))
    first, again = (read_dataset(path, n=10, seed=3) for _ in range(2))
    other = read_dataset(path, n=10, seed=4)
    assert first.rows.tolist() == again.rows.tolist()
    assert len(set(first.rows.tolist())) == 10
    assert first.rows.tolist() != other.rows.tolist()


def test_drawing_more_rows_than_there_are_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="6 rows to draw from, want -n 7"):
        read_dataset(write_csv(tmp_path / "a.csv", rows_of()), n=7)


BAD_VALUES = [
    ("latency_ms", "nan"),
    ("latency_ms", "inf"),
    ("latency_ms", "0"),
    ("latency_ms", "-3.5"),
    ("latency_ms", ""),
    ("latency_ms", "fast"),
    ("ks", "[3,3,3]"),
    ("ks", "3,3,3"),
    ("ks", json.dumps([9] * 20)),
    ("ks", json.dumps(["a"] * 20)),
    ("e", json.dumps([3] * 21)),
    ("e", json.dumps([5] * 20)),
    ("d", "[2,2,2,2]"),
    ("d", "[2,2,2,2,5]"),
    ("d", "{}"),
    ("resolution", "225"),
    ("resolution", "big"),
    ("space", "no-such-space"),
    ("space", "ofa-mbv3-w1.2"),
]


@pytest.mark.parametrize(("column", "value"), BAD_VALUES)
def test_a_bad_value_is_an_error_with_file_line_and_column(
    tmp_path: Path, column: str, value: str
) -> None:
    rows = rows_of()
    rows[3][column] = value
    path = write_csv(tmp_path / "bad.csv", rows)
    with pytest.raises(DatasetError) as caught:
        read_dataset(path)
    assert str(caught.value).startswith(f"{path}, line 5, column {column}: ")


@pytest.mark.parametrize(("column", "value"), BAD_VALUES)
def test_drop_invalid_leaves_the_bad_row_out_and_counts_it(
    tmp_path: Path, column: str, value: str
) -> None:
    rows = rows_of()
    rows[3][column] = value
    dataset = read_dataset(write_csv(tmp_path / "bad.csv", rows), drop_invalid=True)
    assert dataset.rows.tolist() == [0, 1, 2, 4, 5]
    assert dict(dataset.dropped) == {column: 1}


def test_an_unreadable_row_number_is_an_invalid_row_of_its_device_only(tmp_path: Path) -> None:
    rows = [{**row, "row": i} for i, row in enumerate(rows_of() + rows_of(device="other"))]
    rows[8]["row"] = "eight"
    path = write_csv(tmp_path / "d.csv", rows)
    assert len(read_dataset(path, device="board")) == 6
    with pytest.raises(DatasetError, match="column row: 'eight', want an integer"):
        read_dataset(path, device="other")
    kept = read_dataset(path, device="other", rows=(7, 10), drop_invalid=True)
    assert (list(kept.rows), dict(kept.dropped)) == ([7, 9], {"row": 1})


def test_the_row_column_stands_in_the_message(tmp_path: Path) -> None:
    rows = [{**row, "row": 40 + i} for i, row in enumerate(rows_of())]
    rows[2]["latency_ms"] = "nan"
    with pytest.raises(DatasetError, match=r"line 4 \(row 42\), column latency_ms: 'nan'"):
        read_dataset(write_csv(tmp_path / "bad.csv", rows))


def test_several_devices_need_a_choice(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", rows_of(2, "pi") + rows_of(2, "nano"))
    assert devices_of(path) == ["pi", "nano"]
    with pytest.raises(DatasetError, match=r"column device: rows of 2 devices \(pi, nano\)"):
        read_dataset(path)
    with pytest.raises(DatasetError, match="no rows of 'phone'; found pi, nano"):
        read_dataset(path, device="phone")


def test_contradicting_repetitions_are_an_error_or_are_dropped(tmp_path: Path) -> None:
    rows = rows_of()
    rows.append({**rows[2], "latency_ms": 24.0})
    path = write_csv(tmp_path / "a.csv", rows)
    with pytest.raises(DatasetError, match="line 8, column latency_ms: 24 ms, but line 4 has 12"):
        read_dataset(path)
    dataset = read_dataset(path, drop_invalid=True)
    assert dataset.rows.tolist() == [0, 1, 3, 4, 5]
    assert dict(dataset.dropped) == {"contradicting": 2}


def test_repetitions_that_agree_are_kept(tmp_path: Path) -> None:
    rows = rows_of()
    rows.append({**rows[2], "latency_ms": 12.2})
    assert len(read_dataset(write_csv(tmp_path / "a.csv", rows))) == 7


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    rows = [{k: v for k, v in row.items() if k != "latency_ms"} for row in rows_of()]
    with pytest.raises(DatasetError, match="column latency_ms is missing"):
        read_dataset(write_csv(tmp_path / "a.csv", rows))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "column device is missing"),
        ("a.csv", b"device,space,resolution,ks,e,d,latency_ms\n", "has no rows"),
        ("a.csv", b"\xff\xfe\x00", "is no UTF-8 text"),
        ("a.csv.gz", b"not gzip", "cannot be read"),
        ("a.txt", b"", "want a .csv, .csv.gz or .parquet file"),
        ("a.db", b"", "edgeprof dataset export"),
        ("a.parquet", b"PAR?", "is no Parquet file"),
    ],
)
def test_a_file_that_is_none_of_ours_is_named(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=message) as caught:
        read_dataset(path)
    assert name in str(caught.value)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"absent\.csv: cannot be read"):
        read_dataset(tmp_path / "absent.csv")


def test_only_invalid_rows_leave_nothing(tmp_path: Path) -> None:
    rows = [{**row, "latency_ms": 0} for row in rows_of()]
    with pytest.raises(DatasetError, match="no valid rows are left of 6"):
        read_dataset(write_csv(tmp_path / "a.csv", rows), drop_invalid=True)


@pytest.mark.parametrize("text", ["5", "a:b", "3:3", "4:2", "-1:4", ":"])
def test_a_row_range_that_is_none_is_an_error(text: str) -> None:
    with pytest.raises(DatasetError, match="want"):
        parse_rows(text)


def test_a_row_range_is_parsed() -> None:
    assert parse_rows("8500:10000") == (8500, 10000)


def test_taking_rows_keeps_them_together(tmp_path: Path) -> None:
    dataset: Dataset = read_dataset(write_csv(tmp_path / "a.csv", rows_of()))
    part = dataset.take([4, 1])
    assert part.rows.tolist() == [4, 1]
    assert part.subnets == (dataset.subnets[4], dataset.subnets[1])
    np.testing.assert_array_equal(get_space(SPACE).encode(part.subnets), part.codes)


@pytest.mark.parametrize("resolution", ["{}.0", "[{}]", "[{}.0]", " {} "])
def test_resolutions_are_read_as_excel_pandas_and_ofa_write_them(
    tmp_path: Path, resolution: str
) -> None:
    rows = rows_of()
    plain = read_dataset(write_csv(tmp_path / "a.csv", rows))
    for row in rows:
        row["resolution"] = resolution.format(row["resolution"])
    odd = write_csv(tmp_path / "b.csv", rows)
    odd.write_text(odd.read_text(), encoding="utf-8-sig")
    assert read_dataset(odd).subnets == plain.subnets


@pytest.mark.parametrize("resolution", ["192.5", "[192, 224]", "[]", "[", "{}", "1e999"])
def test_a_resolution_that_is_none_names_its_column(tmp_path: Path, resolution: str) -> None:
    rows = rows_of(1)
    rows[0]["resolution"] = resolution
    with pytest.raises(DatasetError, match="line 2, column resolution"):
        read_dataset(write_csv(tmp_path / "a.csv", rows))


@pytest.mark.parametrize("depths", ["[" + "9" * 400 + "]", "[" + "9" * 5000 + "]", "[" * 100_000])
def test_absurd_lists_name_their_column(tmp_path: Path, depths: str) -> None:
    rows = rows_of(1)
    rows[0]["d"] = depths
    with pytest.raises(DatasetError, match="line 2, column d"):
        read_dataset(write_csv(tmp_path / "a.csv", rows))


def test_a_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", rows_of(1))
    header, row = path.read_text().splitlines()
    path.write_text(f"{header},latency_ms,,\n{row},99,,\n")
    with pytest.raises(DatasetError, match="column latency_ms stands twice"):
        read_dataset(path)


def test_a_row_of_a_model_file_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(
        "device,space,resolution,ks,e,d,latency_ms,model\nboard,,,,,,1.5,m.onnx\n", "utf-8"
    )
    with pytest.raises(DatasetError, match=r"line 2, column model: a network that is no subnet"):
        read_dataset(path)
