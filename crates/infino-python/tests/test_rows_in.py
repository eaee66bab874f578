"""Rows come in from whatever a user has."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import infino

PLAIN = pa.table({"n": [1, 2, 3], "body": ["a fox", None, "größer"]})


def batches() -> Iterator[pa.RecordBatch]:
    yield from PLAIN.to_batches(max_chunksize=2)


class Streams:
    """Something of another library that speaks Arrow."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        reader: Any = PLAIN.to_reader()
        return reader.__arrow_c_stream__(requested_schema)


class Model:
    def __init__(self, row: dict[str, object]) -> None:
        self.row = row

    def model_dump(self) -> dict[str, object]:
        return self.row


SOURCES: dict[str, Callable[[], object]] = {
    "table": lambda: PLAIN,
    "batch": lambda: PLAIN.combine_chunks().to_batches()[0],
    "reader": lambda: PLAIN.to_reader(),
    "dataset": lambda: ds.dataset(PLAIN),
    "scanner": lambda: ds.dataset(PLAIN).scanner(),
    "pandas": lambda: PLAIN.to_pandas(),
    "pandas with an index": lambda: PLAIN.to_pandas().set_axis([7, 8, 9]),
    "polars": lambda: pl.from_arrow(PLAIN),
    "lazy polars": lambda: pl.DataFrame(PLAIN).lazy(),
    "dictionaries": lambda: PLAIN.to_pylist(),
    "columns": lambda: PLAIN.to_pydict(),
    "columns of numpy": lambda: {"n": np.array([1, 2, 3]), "body": PLAIN["body"]},
    "batches": lambda: list(batches()),
    "an iterator of batches": lambda: batches(),
    "an iterator of dictionaries": lambda: iter(PLAIN.to_pylist()),
    "a stream": lambda: Streams(),
    "models": lambda: [Model(row) for row in PLAIN.to_pylist()],
    "tuples of dictionaries": lambda: tuple(PLAIN.to_pylist()),
}


@pytest.mark.parametrize("source", SOURCES)
def test_sources(db: infino.Connection, source: str) -> None:
    table = db.create_table("t", SOURCES[source](), index={"body": "fts"})
    assert table.schema == PLAIN.schema
    assert table.to_arrow() == PLAIN
    assert table.append(SOURCES[source]()).rows == 3
    assert table.to_arrow().to_pylist() == PLAIN.to_pylist() * 2


def test_a_table_of_ours_is_a_source(db: infino.Connection, docs: infino.Table) -> None:
    copy = db.create_table("copy", docs, index={"body": "fts"})
    assert copy.to_arrow() == docs.to_arrow()
    found = db.create_table("found", docs.search("fox").select(["body"]).to_arrow().drop(["_id"]))
    assert found.count_rows() == 2


def test_files(db: infino.Connection, tmp_path: Path) -> None:
    pq.write_table(PLAIN, tmp_path / "rows.parquet")
    table = db.create_table("t", pq.ParquetFile(tmp_path / "rows.parquet").iter_batches())
    table.append(ds.dataset(tmp_path / "rows.parquet"))
    assert table.count_rows() == 6


@pytest.mark.parametrize(
    "vectors",
    [
        np.arange(32, dtype="float32").reshape(2, 16),
        np.arange(32, dtype="float64").reshape(2, 16),
        np.asfortranarray(np.arange(32, dtype="float32").reshape(2, 16)),
        np.arange(64, dtype="float32").reshape(2, 32)[:, ::2] / 2,
        [list(map(float, range(16))), list(map(float, range(16, 32)))],
        [np.arange(16, dtype="float64"), np.arange(16, 32, dtype="float64")],
        pa.array([list(range(16)), list(range(16, 32))], pa.list_(pa.float64())),
        pa.array([list(range(16)), list(range(16, 32))], pa.large_list(pa.float32())),
        pa.array([list(range(16)), list(range(16, 32))], pa.list_(pa.float16(), 16)),
    ],
    ids=lambda value: f"{type(value).__name__}",
)
def test_vectors(db: infino.Connection, vectors: Any) -> None:
    table = db.create_table("t", {"v": vectors}, index={"v": "vector"})
    assert table.schema.field("v").type == pa.list_(pa.float32(), 16)
    table.append({"v": vectors})
    wanted = np.arange(32, dtype="float32").reshape(2, 16).tolist()
    assert table.to_arrow()["v"].to_pylist() == wanted * 2
    assert table.search(wanted[1]).limit(1).select(["v"]).to_list()[0]["v"] == wanted[1]


def test_vectors_in_frames_and_dictionaries(db: infino.Connection) -> None:
    rows = [{"id": i, "v": np.eye(3, 16)[i]} for i in range(3)]
    made = [
        db.create_table("dicts", rows, index={"v": "vector"}),
        db.create_table("frame", pd.DataFrame(rows), index={"v": "vector"}),
        db.create_table("polars", pl.DataFrame(rows), index={"v": "vector"}),
        db.create_table("stream", iter(pa.Table.from_pylist(rows).to_batches()), index={"v": "vector"}),
    ]
    for table in made:
        assert table.search(np.eye(3, 16)[2]).limit(1).to_list()[0]["id"] == 2, table
        table.append(rows)
        table.append(pd.DataFrame(rows))
        assert table.count_rows() == 9


def test_types_come_back(db: infino.Connection) -> None:
    now = datetime.datetime(2024, 2, 29, 12, 30, 1, 5, tzinfo=datetime.timezone.utc)
    rows = pa.table(
        {
            "i8": pa.array([1, None], pa.int8()),
            "u64": pa.array([2**64 - 1, 0], pa.uint64()),
            "f": pa.array([float("nan"), 1.5]),
            "b": pa.array([True, None]),
            "bytes": pa.array([b"\x00\xff", b""]),
            "day": pa.array([now.date(), None]),
            "at": pa.array([now, None], pa.timestamp("us", "UTC")),
            "price": pa.array([decimal.Decimal("1.25"), None]),
            "tags": pa.array([["a", "b"], None]),
            "inner": pa.array([{"x": 1, "y": "z"}, {"x": 2, "y": None}]),
            "kind": pa.array(["x", "x"]).dictionary_encode(),
        }
    )
    table = db.create_table("t", rows)
    got = table.to_arrow()
    assert got.schema == rows.schema
    assert str(got.to_pylist()) == str(rows.to_pylist())


def test_layouts_of_polars_become_plain(db: infino.Connection) -> None:
    frame = pl.DataFrame({"tags": [["a", "b"], []], "inner": [{"x": "y", "l": ["z"]}, {"x": None, "l": None}]})
    table = db.create_table("t", frame)
    assert table.to_arrow().to_pylist() == frame.to_dicts()
    assert table.schema.field("tags").type.value_type == pa.string()
    assert table.append(frame).rows == 2
    assert table.to_arrow().to_pylist() == frame.to_dicts() * 2


def test_rows_that_do_not_fit(db: infino.Connection) -> None:
    table = db.create_table("t", pa.schema([pa.field("n", pa.int32(), nullable=False), pa.field("s", pa.string())]))
    bad: list[tuple[object, str]] = [
        ([{"n": 1, "stranger": 2}], "stranger"),
        ([{"s": "x"}], "not nullable"),
        ({"n": ["x"]}, "n"),
        ({"n": [2**40]}, "n"),
        ([{"n": None}], "null"),
        ("text", "list of dictionaries"),
        (7, "list of dictionaries"),
        ([1, 2], "row 0 is a int"),
        ({"n": [1], "_id": [1]}, "_id"),
    ]
    for data, message in bad:
        with pytest.raises(infino.InvalidError, match=message):
            table.append(data)
    assert table.count_rows() == 0
    with pytest.raises(infino.InvalidError, match="how many dimensions"):
        db.create_table("u", {"v": [None, None]}, index={"v": "vector"})
    with pytest.raises(infino.InvalidError, match="not vectors of one length"):
        db.create_table("u", {"v": [1, 2]}, index={"v": "vector"})
    vectors = db.create_table("u", {"v": [None, None]}, index=infino.IndexSpec().vector("v", 16))
    assert vectors.append({"v": np.eye(2, 16)}).rows == 2
    with pytest.raises(infino.InvalidError, match="dimensions"):
        vectors.append({"v": np.eye(2, 17)})
    with pytest.raises(infino.InvalidError, match="finite"):
        vectors.append({"v": np.full((1, 16), np.nan)})


def test_nothing_is_added_by_no_rows(db: infino.Connection) -> None:
    table = db.create_table("t", PLAIN)
    before = table.version
    assert table.append([]).rows == 0
    assert table.append(PLAIN.slice(0, 0)).rows == 0
    assert table.version == before


def test_a_long_stream_is_one_commit(db: infino.Connection) -> None:
    schema = pa.schema({"n": pa.int64()})
    numbers = (pa.array(np.arange(1000) + 1000 * i) for i in range(50))
    many = (pa.record_batch([column], schema=schema) for column in numbers)
    table = db.create_table("t", schema)
    receipt = table.append(many)
    assert receipt.rows == 50_000 and receipt.version == table.version
    assert len(table.history()) == 2
    assert table.to_arrow()["n"].to_pylist() == list(range(50_000))
