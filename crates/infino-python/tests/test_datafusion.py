"""DataFusion's own Python package reads our tables, and both give the same answers."""

from __future__ import annotations

import datafusion
import pytest

import infino

STATEMENTS = [
    "SELECT count(*) AS c FROM t",
    "SELECT n, word FROM t WHERE n % 10 = 1 ORDER BY n",
    "SELECT word, sum(n) AS s, avg(f) AS a FROM t GROUP BY word ORDER BY word",
    "SELECT n FROM t WHERE word = 'w3' AND n BETWEEN 100 AND 400 ORDER BY n DESC LIMIT 5",
    "SELECT n FROM t WHERE word IN ('w1', 'w2') AND f IS NULL ORDER BY n",
    "SELECT a.n FROM t a JOIN t b ON a.n = b.n + 1 WHERE b.word LIKE 'w%' ORDER BY a.n LIMIT 7",
    "SELECT min(n) AS lo, max(n) AS hi, count(f) AS c FROM t WHERE n > 5000",
]


@pytest.fixture(scope="module")
def both() -> tuple[infino.Connection, datafusion.SessionContext]:
    db = infino.connect("memory://")
    rows = {
        "n": list(range(1000)),
        "word": [f"w{i % 7}" for i in range(1000)],
        "f": [None if i % 3 == 0 else i / 4 for i in range(1000)],
    }
    table = db.create_table("t", rows, index={"word": "keyword"})
    table.append({"n": [1000, 1001], "word": ["late", None]})
    table.delete("n % 100 = 50")
    context = datafusion.SessionContext()
    context.from_arrow(table, name="t")
    return db, context


@pytest.mark.parametrize("sql", STATEMENTS)
def test_the_same_answers(both: tuple[infino.Connection, datafusion.SessionContext], sql: str) -> None:
    db, context = both
    theirs = context.sql(sql).to_arrow_table().to_pylist()
    assert theirs == db.query_sql(sql).to_pylist()
    assert theirs
