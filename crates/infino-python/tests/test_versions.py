"""Tables as they were."""

from __future__ import annotations

import datetime

import pytest

import infino


@pytest.fixture
def table(db: infino.Connection) -> infino.Table:
    table = db.create_table("t", {"n": [1]})
    for n in (2, 3):
        table.append({"n": [n]})
    return table


def numbers(table: infino.Table) -> list[int]:
    found: list[int] = table.to_arrow()["n"].to_pylist()
    return found


def test_history(table: infino.Table) -> None:
    versions = table.list_versions()
    assert [v.operation for v in versions] == ["append", "append", "append", "create"]
    assert versions[0].version == table.version
    assert [v.rows_added for v in versions] == [1, 1, 1, 0]
    age = datetime.datetime.now(datetime.timezone.utc) - versions[0].time
    assert abs(age) < datetime.timedelta(minutes=5)
    assert len(table.history(2)) == 2


def test_checkout(table: infino.Table) -> None:
    newest = table.version
    table.checkout(newest - 1)
    assert numbers(table) == [1, 2] and table.version == newest - 1
    with pytest.raises(infino.InvalidError, match="version"):
        table.append({"n": [4]})
    with pytest.raises(infino.NotFoundError):
        table.checkout(newest + 10)
    assert numbers(table) == [1, 2]
    table.checkout_latest()
    assert numbers(table) == [1, 2, 3]
    assert numbers(table.at(newest - 2)) == [1] and numbers(table) == [1, 2, 3]
    later = datetime.datetime.now() + datetime.timedelta(hours=1)
    assert numbers(table.at(later)) == [1, 2, 3]
    with pytest.raises(infino.NotFoundError):
        table.at(datetime.datetime(2001, 1, 1))


def test_restore(table: infino.Table) -> None:
    newest = table.version
    table.checkout(newest - 1)
    made = table.restore()
    assert made > newest and numbers(table) == [1, 2]
    table.append({"n": [9]})
    assert numbers(table) == [1, 2, 9]
    table.restore(newest)
    assert numbers(table) == [1, 2, 3]


def test_tags(table: infino.Table) -> None:
    newest = table.version
    table.tags.create("now")
    table.tags.create("before", newest - 1)
    assert table.tags.list() == {"now": newest, "before": newest - 1}
    table.append({"n": [4]})
    assert numbers(table.at("now")) == [1, 2, 3]
    assert table.tags.get_version("before") == newest - 1
    table.checkout("before")
    assert numbers(table) == [1, 2]
    table.checkout_latest()
    table.tags.delete("now")
    with pytest.raises(infino.NotFoundError):
        table.checkout("now")
    with pytest.raises(infino.InvalidError):
        table.tags.create("before")


def test_another_process_is_seen(tmp_path: object) -> None:
    here = infino.connect(str(tmp_path)).create_table("t", {"n": [1]})
    there = infino.connect(str(tmp_path)).open_table("t")
    there.append({"n": [2]})
    assert here.count_rows() == 2
