"""Statements, and what stands for $1."""

from __future__ import annotations

import datetime
import decimal

import numpy as np
import pyarrow as pa
import pytest

import infino


@pytest.mark.parametrize(
    "value",
    [
        1,
        -(2**62),
        1.5,
        "it's",
        True,
        b"\x00\xff",
        datetime.date(2024, 2, 29),
        datetime.datetime(2024, 2, 29, 1, 2, 3, 4),
        decimal.Decimal("1.25"),
        None,
    ],
)
def test_parameters(db: infino.Connection, value: object) -> None:
    assert db.query_sql("SELECT $1 AS x", [value])["x"].to_pylist() == [value]


def test_parameters_of_numpy_and_pyarrow(db: infino.Connection) -> None:
    db.create_table("t", {"n": [1, 2, 3]})
    for two in (np.int64(2), np.float32(2), pa.scalar(2, pa.int8())):
        assert db.sql("SELECT n FROM t WHERE n = $1", [two])["n"].to_pylist() == [2]
    assert db.sql("SELECT n FROM t WHERE n > $1 AND n < $2", (1, 3))["n"].to_pylist() == [2]
    with pytest.raises(infino.InvalidError, match=r"\$1"):
        db.sql("SELECT n FROM t WHERE n = $1", {"n": 1})  # type: ignore[arg-type]
    with pytest.raises(infino.Error):
        db.sql("SELECT n FROM t WHERE n = $1")
    with pytest.raises(infino.InvalidError, match="parameter"):
        db.sql("SELECT $1", [object()])


@pytest.mark.parametrize("vector", [np.eye(3, 16)[1], np.eye(3, 16)[1].tolist(), tuple([0, 1] + [0] * 14)])
def test_vectors_are_parameters(db: infino.Connection, docs: infino.Table, vector: object) -> None:
    sql = "SELECT body, distance FROM vector_search('docs', 'embedding', $1, k => 1)"
    assert db.query_sql(sql, [vector])["body"].to_pylist() == ["a lazy dog"]
    sql = "SELECT body FROM docs WHERE match(body, $2) ORDER BY distance(embedding, $1) LIMIT 1"
    assert db.query_sql(sql, [vector, "dog"])["body"].to_pylist() == ["a lazy dog"]


def test_statements_change_tables(db: infino.Connection) -> None:
    db.query_sql("CREATE TABLE t (n BIGINT PRIMARY KEY, body TEXT) WITH (fts = 'body')")
    db.query_sql("INSERT INTO t VALUES (1, 'a fox'), (2, 'a dog')")
    assert db.query_sql("UPDATE t SET body = 'two foxes' WHERE n = 2").to_pylist() == [{"count": 1}]
    assert db.open_table("t").search("foxes").to_list()[0]["n"] == 2
    db.query_sql("DELETE FROM t WHERE n = 1")
    assert db.query_sql("SELECT count(*) AS c FROM t").to_pylist() == [{"c": 1}]
    db.query_sql("DROP TABLE t")
    assert db.table_names() == []


def test_answers(db: infino.Connection) -> None:
    db.create_table("t", {"n": pa.array(range(20_000))})
    empty = db.query_sql("SELECT n, n * 2 AS m FROM t WHERE n < 0")
    assert empty.num_rows == 0 and empty.schema.names == ["n", "m"]
    batches = list(db.query_sql_batches("SELECT n FROM t WHERE n % 2 = 0"))
    assert sum(batch.num_rows for batch in batches) == 10_000
    assert "TableScan" in db.explain("SELECT n FROM t") or "DataSourceExec" in db.explain("SELECT n FROM t")
    assert "output_rows" in db.explain("SELECT n FROM t", analyze=True)


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELEC 1", infino.InvalidError),
        ("SELECT * FROM nothing", infino.Error),
        ("SELECT nothing FROM t", infino.InvalidError),
        ("SELECT n FROM t; DROP TABLE t", infino.InvalidError),
        ("SELECT * FROM bm25_search('t', 'n', 'x')", infino.Error),
        ("SELECT 1/0 FROM t", infino.Error),
    ],
)
def test_statements_that_fail(db: infino.Connection, sql: str, error: type[infino.Error]) -> None:
    db.create_table("t", {"n": [1]})
    with pytest.raises(error):
        db.query_sql(sql)
    assert db.table_names() == ["t"]
