"""Errors say what the caller can do."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

import infino


def test_the_hierarchy() -> None:
    kinds = [
        infino.NotFoundError,
        infino.AlreadyExistsError,
        infino.InvalidError,
        infino.ConflictError,
        infino.UnavailableError,
        infino.CorruptError,
        infino.InternalError,
    ]
    assert all(issubclass(kind, infino.Error) for kind in kinds)
    assert issubclass(infino.InvalidError, ValueError)
    again = pickle.loads(pickle.dumps(infino.ConflictError("who", retryable=True)))
    assert type(again) is infino.ConflictError and str(again) == "who"
    assert again.retryable and not again.outcome_unknown


def test_damage_is_found(tmp_path: Path) -> None:
    table = infino.connect(tmp_path).create_table("t", {"body": ["a fox"] * 1000}, index={"body": "fts"})
    path = tmp_path / table.files()[0].path
    sound = path.read_bytes()
    for at in range(0, len(sound), max(len(sound) // 50, 1)):
        path.write_bytes(sound[:at] + bytes([sound[at] ^ 0x20]) + sound[at + 1 :])
        fresh = infino.connect(tmp_path)
        try:
            assert fresh.open_table("t").search("fox").limit(3).to_arrow().num_rows == 3
            assert fresh.query_sql("SELECT body FROM t").num_rows == 1000
        except infino.CorruptError as error:
            assert str(path.name) in str(error) or "superfile" in str(error)
        assert infino.connect(tmp_path).verify_table("t").problems != []
    path.write_bytes(sound[: len(sound) // 2])
    with pytest.raises(infino.CorruptError):
        infino.connect(tmp_path).open_table("t").to_arrow()
    path.unlink()
    with pytest.raises(infino.CorruptError):
        infino.connect(tmp_path).open_table("t").to_arrow()


def test_a_store_that_does_not_answer() -> None:
    options = {
        "endpoint": "http://127.0.0.1:9",
        "allow_http": "true",
        "access_key_id": "x",
        "secret_access_key": "y",
        "region": "us-east-1",
    }
    with pytest.raises(infino.UnavailableError):
        infino.connect("s3://bucket/prefix", storage_options=options).table_names()


def test_two_updates_of_one_row(tmp_path: Path) -> None:
    """Both happen: the later one works on what the earlier left."""
    here = infino.connect(tmp_path).create_table("t", {"n": [1]})
    there = infino.connect(tmp_path).open_table("t")
    here.update(values_sql={"n": "n + 1"})
    there.update(values_sql={"n": "n * 10"})
    assert here.to_arrow()["n"].to_pylist() == [20]


def test_a_dropped_table(db: infino.Connection) -> None:
    table = db.create_table("t", {"n": [1]})
    db.drop_table("t")
    with pytest.raises(infino.Error):
        table.append({"n": [2]})
    with pytest.raises(infino.NotFoundError):
        table.update(values={"n": 1})
