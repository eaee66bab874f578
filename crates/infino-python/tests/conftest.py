from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import infino

BODIES = ["the quick brown fox", "a lazy dog", "der Fuchs und der fox"]


def make_docs(db: infino.Connection) -> infino.Table:
    """The table that the documentation of `infino.Table` speaks of."""
    return db.create_table(
        "docs",
        {"body": BODIES, "lang": ["en", "en", "de"], "embedding": np.eye(3, 16, dtype="float32")},
        index={"body": "fts", "lang": "keyword", "embedding": "vector"},
    )


@pytest.fixture
def db() -> Iterator[infino.Connection]:
    yield infino.connect("memory://")


@pytest.fixture
def docs(db: infino.Connection) -> infino.Table:
    return make_docs(db)
