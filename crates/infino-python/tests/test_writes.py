"""Rows change and go."""

from __future__ import annotations

import datetime

import pytest

import infino


@pytest.fixture
def prices(db: infino.Connection) -> infino.Table:
    rows = {"sku": ["a", "b", "c"], "price": [1.0, 2.0, 3.0], "note": ["it's", None, "x"]}
    return db.create_table("prices", rows, key="sku")


def rows_of(table: infino.Table) -> dict[str, float]:
    found = table.to_arrow()
    return dict(zip(found["sku"].to_pylist(), found["price"].to_pylist()))


def test_upsert(prices: infino.Table) -> None:
    receipt = prices.upsert([{"sku": "b", "price": 20.0}, {"sku": "d", "price": 4.0}])
    assert (receipt.updated, receipt.inserted) == (1, 1)
    assert rows_of(prices) == {"a": 1.0, "b": 20.0, "c": 3.0, "d": 4.0}
    with pytest.raises(infino.AlreadyExistsError):
        prices.append([{"sku": "a", "price": 0.0}])
    assert rows_of(prices)["a"] == 1.0


def test_merge_insert(prices: infino.Table) -> None:
    data = [{"sku": "b", "price": 20.0}, {"sku": "e", "price": 5.0}]
    only_new = prices.merge_insert("sku").when_not_matched_insert_all().execute(data)
    assert (only_new.inserted, only_new.updated, only_new.unchanged) == (1, 0, 1)
    only_old = prices.merge_insert(["sku"]).when_matched_update_all().execute(data)
    assert only_old.inserted == 0 and rows_of(prices)["b"] == 20.0
    gone = prices.merge_insert("sku").when_matched_delete().execute([{"sku": "b"}, {"sku": "z"}])
    assert gone.deleted == 1
    both = prices.merge_insert("sku").when_matched_update_all().when_not_matched_insert_all()
    assert both.execute([{"sku": "a", "price": 9.0}]).version == prices.version
    assert rows_of(prices) == {"a": 9.0, "c": 3.0, "e": 5.0}
    with pytest.raises(infino.InvalidError, match="its key is sku"):
        prices.merge_insert("price").when_matched_delete().execute(data)
    with pytest.raises(infino.InvalidError, match="say what becomes"):
        prices.merge_insert("sku").execute(data)


def test_tables_without_a_key_are_not_merged(db: infino.Connection) -> None:
    table = db.create_table("t", {"n": [1]})
    with pytest.raises(infino.InvalidError, match="without a key"):
        table.merge_insert("n").when_matched_delete().execute({"n": [1]})
    with pytest.raises(infino.InvalidError, match="key"):
        table.upsert({"n": [1]})


def test_update(prices: infino.Table) -> None:
    assert prices.update("price > 1.5", values_sql={"price": "price * 10"}) == 2
    assert rows_of(prices) == {"a": 1.0, "b": 20.0, "c": 30.0}
    hostile = "Robert'); DROP TABLE prices;--"
    assert prices.update("sku = 'a'", {"note": hostile, "price": 7}) == 1
    assert prices.search().where("sku = 'a'").to_list()[0]["note"] == hostile
    assert prices.update(values={"note": None}) == 3
    assert prices.count_rows("note IS NULL") == 3
    assert prices.update("sku = 'nothing'", {"price": 1.0}) == 0
    with pytest.raises(infino.InvalidError, match="at least one"):
        prices.update("true", {})
    with pytest.raises(infino.InvalidError, match="no literal"):
        prices.update("true", {"note": object()})


def test_values_of_every_kind_are_set(db: infino.Connection) -> None:
    day = datetime.date(2024, 2, 29)
    at = datetime.datetime(2024, 2, 29, 12, 30, 1, 250_000)
    table = db.create_table("t", {"b": [True], "i": [1], "f": [1.5], "day": [day], "at": [at], "raw": [b"a"]})
    new = {
        "b": False,
        "i": -(2**63) + 1,
        "f": 1e-300,
        "day": day + datetime.timedelta(1),
        "at": at + datetime.timedelta(1),
        "raw": b"\x00'\xff",
    }
    table.update(values=new)
    assert table.to_arrow().to_pylist() == [new]


def test_replace_and_delete(prices: infino.Table) -> None:
    assert prices.replace("sku IN ('a', 'c')", {"sku": ["A", "C"], "price": [1.0, 3.0]}).matched == 2
    assert sorted(rows_of(prices)) == ["A", "C", "b"]
    with pytest.raises(infino.InvalidError):
        prices.replace("sku = 'b'", {"sku": ["x", "y"], "price": [1.0, 3.0]})
    assert prices.delete("price >= 2").matched == 2
    assert prices.delete("price >= 2").matched == 0
    assert rows_of(prices) == {"A": 1.0}


def test_insert(docs: infino.Table) -> None:
    docs.insert([{"body": "fresh fox", "lang": "en"}])
    assert "fresh fox" in docs.search("fox").to_arrow()["body"].to_pylist()
    assert docs.stats().rows == 4


def test_a_token_commits_once(prices: infino.Table) -> None:
    first = prices.append([{"sku": "t", "price": 1.0}], token="load-1")
    again = prices.append([{"sku": "t", "price": 1.0}], token="load-1")
    assert not first.replayed and again.replayed
    assert prices.count_rows() == 4


def test_optimize(prices: infino.Table) -> None:
    for i in range(4):
        prices.append([{"sku": f"n{i}", "price": 0.0}])
    prices.delete("sku = 'n1'")
    before = rows_of(prices)
    assert len(prices.files()) == 5
    assert sum(file.dead_rows for file in prices.files()) == 1
    report = prices.optimize()
    assert report.files_removed == 5 and report.files_added == 1 and report.rows_reclaimed == 1
    assert rows_of(prices) == before
    stats = prices.stats()
    assert (stats.files, stats.rows, stats.dead_rows) == (1, 6, 0)
    assert prices.retention is None
    prices.retention = datetime.timedelta(days=2)
    assert prices.retention == datetime.timedelta(days=2)
    with pytest.raises(infino.InvalidError, match="seconds"):
        prices.retention = datetime.timedelta(seconds=-1)
