"""Other libraries read a table as it is."""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import infino


@pytest.fixture
def numbers(db: infino.Connection) -> infino.Table:
    table = db.create_table("numbers", {"n": pa.array(range(100)), "word": [f"w{i % 7}" for i in range(100)]})
    table.append({"n": pa.array(range(100, 150)), "word": ["late"] * 50})
    table.delete("n % 10 = 3")
    return table


def test_readers(numbers: infino.Table) -> None:
    whole = numbers.to_arrow()
    assert whole["n"].to_pylist() == [n for n in range(150) if n % 10 != 3]
    assert pa.table(numbers) == whole
    assert pl.DataFrame(numbers).to_arrow().cast(whole.schema) == whole
    assert numbers.to_polars().equals(pl.DataFrame(numbers))
    pd.testing.assert_frame_equal(numbers.to_pandas(), whole.to_pandas())
    assert pa.RecordBatchReader.from_stream(numbers).read_all() == whole
    assert pa.schema(numbers) == whole.schema


def test_duckdb_reads_by_name(numbers: infino.Table) -> None:
    sql = "SELECT word, count(*) AS c, sum(n) AS s FROM numbers GROUP BY word ORDER BY word"
    frame = numbers.to_pandas().groupby("word")["n"].agg(["count", "sum"])
    wanted = [(word, int(row["count"]), int(row["sum"])) for word, row in frame.iterrows()]
    assert duckdb.sql(sql).fetchall() == wanted
    # Each statement reads the table anew.
    numbers.delete("word = 'late'")
    assert duckdb.sql("SELECT count(*) FROM numbers").fetchall() == [(90,)]
    found = numbers.search().where("n < 5").select(["n"])
    assert duckdb.sql("SELECT sum(n) FROM found").fetchall() == [(0 + 1 + 2 + 4,)]


def test_lazy_polars(numbers: infino.Table) -> None:
    lazy = numbers.lazy()
    assert lazy.collect().equals(numbers.to_polars())
    late = lazy.filter(pl.col("word") == "late").select((pl.col("n") * 2).alias("m")).head(3)
    assert late.collect()["m"].to_list() == [200, 202, 204]
    assert lazy.select("n").head(2).collect()["n"].to_list() == [0, 1]
    assert lazy.select(pl.len()).collect().item() == 135
    numbers.delete("word = 'late'")
    assert lazy.select(pl.len()).collect().item() == 90


def test_scanner(numbers: infino.Table) -> None:
    reader = numbers.scanner(["word", "_id"], "n >= 100", limit=3)
    assert reader.schema.names == ["word", "_id"]
    assert reader.read_all()["word"].to_pylist() == ["late"] * 3
    with pytest.raises(infino.InvalidError, match="lacks"):
        numbers.scanner(["nothing"])
    with pytest.raises(infino.InvalidError):
        numbers.scanner(filter="nothing = 1")
    with pytest.raises(infino.InvalidError):
        numbers.scanner(filter="n + 1")
    assert numbers.head(2)["n"].to_pylist() == [0, 1]
    assert len(numbers) == 135
    assert numbers.count_rows("word = 'late' AND n < 110") == 9


def test_batches_come_as_they_are_asked_for(db: infino.Connection) -> None:
    table = db.create_table("t", {"n": pa.array(range(100_000))})
    batches = table.search().to_batches()
    first = next(batches)
    assert 0 < first.num_rows < 100_000
    assert first["n"][0].as_py() == 0
    batches.close()
    assert sum(batch.num_rows for batch in table.search().where("n % 2 = 0").to_batches()) == 50_000
    assert [b.num_rows for b in table.search().limit(5).offset(10).to_batches()] == [5]


def test_results_share_memory_with_arrow(docs: infino.Table) -> None:
    vectors = docs.to_arrow()["embedding"].combine_chunks().flatten()
    view = vectors.to_numpy(zero_copy_only=True)
    assert np.array_equal(view.reshape(3, 16), np.eye(3, 16, dtype="float32"))
    assert not view.flags.writeable


def test_results_outlive_what_they_came_from() -> None:
    db = infino.connect("memory://")
    table = db.create_table("t", {"n": pa.array(range(1000))})
    reader, found = table.scanner(), table.to_arrow()
    del db, table
    assert reader.read_all() == found
    assert found["n"].to_pylist() == list(range(1000))
