"""Tables come to be, are found, and go."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

import infino


def test_names(db: infino.Connection) -> None:
    db.create_table("b", {"n": [1]})
    db.create_table("a", schema=pa.schema({"n": pa.int64()}))
    assert db.table_names() == ["a", "b"]
    assert list(db) == ["a", "b"]
    assert "a" in db and "c" not in db
    assert db["b"].to_arrow()["n"].to_pylist() == [1]
    db.drop_table("a")
    assert db.table_names() == ["b"]
    with pytest.raises(infino.NotFoundError, match="tables here: b"):
        db.drop_table("a")
    db.drop_table("a", ignore_missing=True)


def test_a_name_that_is_taken(db: infino.Connection) -> None:
    db.create_table("t", {"n": [1]})
    with pytest.raises(infino.AlreadyExistsError):
        db.create_table("t", {"n": [2]})
    with pytest.raises(infino.AlreadyExistsError):
        db.create_table("t", pa.schema({"n": pa.int64()}))
    assert db.create_table("t", {"n": [2]}, exist_ok=True).to_arrow()["n"].to_pylist() == [1]
    assert db.create_table("t", {"n": [2]}, mode="exist_ok").count_rows() == 1
    over = db.create_table("t", {"m": ["x"]}, mode="overwrite")
    assert over.schema.names == ["m"]
    assert db.open_table("t").to_arrow()["m"].to_pylist() == ["x"]
    assert db.table_names() == ["t"]


def test_rows_that_cannot_be_read_leave_no_table(db: infino.Connection) -> None:
    def rows() -> object:
        schema = pa.schema({"n": pa.int64()})

        def batches() -> object:
            yield pa.record_batch({"n": [1]}, schema=schema)
            raise RuntimeError("the source broke")

        return pa.RecordBatchReader.from_batches(schema, batches())  # type: ignore[arg-type]

    with pytest.raises(infino.Error, match="the source broke"):
        db.create_table("t", rows())
    assert db.table_names() == []
    db.create_table("t", {"n": [7]})
    with pytest.raises(infino.Error, match="the source broke"):
        db.create_table("t", rows(), mode="overwrite")
    assert db.open_table("t").to_arrow()["n"].to_pylist() == [7]


def test_schemas(db: infino.Connection) -> None:
    schema = pa.schema({"body": pa.string(), "v": pa.list_(pa.float32(), 16)})
    made = db.create_table("t", schema, index={"body": "fts", "v": "vector:cosine"}, key="body")
    assert made.schema == schema
    assert made.key == ["body"]
    assert made.indexes == infino.IndexSpec().fts("body").vector("v", 16, metric="cosine")
    assert made.to_arrow().schema == schema and made.count_rows() == 0
    with pytest.raises(infino.InvalidError, match="rows or a schema"):
        db.create_table("u")
    with pytest.raises(infino.InvalidError, match="no such column"):
        db.create_table("u", schema, index={"nothing": "fts"})
    with pytest.raises(infino.InvalidError, match="none of"):
        db.create_table("u", schema, index={"body": "btree"})
    with pytest.raises(infino.InvalidError, match="no metric"):
        db.create_table("u", schema, index={"v": "vector:manhattan"})
    assert db.table_names() == ["t"]


def test_a_folder_keeps_tables(tmp_path: Path) -> None:
    infino.connect(tmp_path / "store").create_table("t", {"n": [1, 2]})
    again = infino.connect(str(tmp_path / "store"))
    assert again.open_table("t").count_rows() == 2
    assert "store" in again.uri and "store" in repr(again)
    assert again.verify_table("t").problems == []


def test_options(tmp_path: Path) -> None:
    from datetime import timedelta

    store, cache = tmp_path / "store", tmp_path / "cache"
    writer = infino.connect(store)
    writer.create_table("t", {"n": [1]})
    lazy = infino.connect(
        store,
        read_consistency="manual",
        cache_dir=cache,
        threads=1,
        sql_memory_bytes=64 << 20,
        write_buffer_bytes=1 << 20,
        scratch_dir=tmp_path,
        cache_memory_bytes=0,
    ).open_table("t")
    writer.open_table("t").append({"n": [2]})
    assert lazy.count_rows() == 1
    lazy.refresh()
    assert lazy.count_rows() == 2
    bounded = infino.connect(store, read_consistency=timedelta(hours=1)).open_table("t")
    writer.open_table("t").append({"n": [3]})
    assert bounded.count_rows() == 2
    with pytest.raises(infino.InvalidError, match="read_consistency"):
        infino.connect(store, read_consistency="weekly")  # type: ignore[arg-type]
    with pytest.raises(infino.InvalidError, match="seconds"):
        infino.connect(store, read_consistency=timedelta(seconds=-1))
    with pytest.raises(infino.Error):
        infino.connect("ftp://nowhere")


def test_indexes_come_and_go(db: infino.Connection) -> None:
    import numpy as np

    table = db.create_table("t", {"body": ["a fox", "a dog"], "v": np.eye(2, 16)})
    with pytest.raises(infino.InvalidError, match="no full-text index"):
        table.search("fox").to_arrow()
    table.create_fts_index("body", analyzer="english-v1")
    assert table.search("foxes").to_arrow()["body"].to_pylist() == ["a fox"]
    table.create_index(metric="cosine")
    assert table.search(np.eye(2, 16)[1]).limit(1).to_arrow()["body"].to_pylist() == ["a dog"]
    table.drop_index("body")
    table.create_scalar_index("body")
    assert table.exact_match("body", "a dog").num_rows == 1
    with pytest.raises(infino.InvalidError, match="has no index"):
        table.drop_index("nothing")


def test_columns_come_and_go(db: infino.Connection) -> None:
    table = db.create_table("t", {"n": pa.array([1, 2], pa.int32())})
    table.add_columns({"stars": 5, "note": pa.string()})
    table.add_columns(pa.field("more", pa.date32()))
    table.widen_column("n", pa.int64())
    table.rename_column("stars", "rating")
    table.drop_columns(["more"])
    assert table.to_arrow().to_pylist() == [
        {"n": 1, "rating": 5, "note": None},
        {"n": 2, "rating": 5, "note": None},
    ]
    assert table.schema.field("n").type == pa.int64()
    with pytest.raises(infino.InvalidError):
        table.drop_columns(["nothing"])
