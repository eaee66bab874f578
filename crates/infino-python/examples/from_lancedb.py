"""Moves a table from LanceDB: rows through Arrow, batch by batch, then indexes.

    python from_lancedb.py LANCE_URI TABLE INFINO_URI

Without arguments, or without the package `lancedb`, it shows the move on rows that look like LanceDB's.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from embedding import DIM, embed

import infino


def batches_of(uri: str, name: str) -> Iterator[pa.RecordBatch]:
    """The rows of a table of LanceDB."""
    import lancedb

    table: Any = lancedb.connect(uri).open_table(name)
    yield from table.to_lance().to_batches()


def stand_in() -> Iterator[pa.RecordBatch]:
    """Rows as LanceDB gives them: a vector column, text, numbers."""
    for start in range(0, 1000, 250):
        texts = [f"note {i} about topic {i % 17}" for i in range(start, start + 250)]
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(embed(texts).reshape(-1)), DIM)
        ids = pa.array(range(start, start + 250))
        yield pa.record_batch([ids, pa.array(texts), vectors], names=["id", "text", "vector"])


def move(batches: Iterator[pa.RecordBatch], uri: str, name: str) -> infino.Table:
    """Writes the rows as a table of infino. Nobody sees it before all of them are in it."""
    return infino.connect(uri).create_table(
        name,
        batches,
        # What create_fts_index and create_index did; here indexes are built as rows are written, and always complete.
        index={"text": "fts:english-v1", "vector": "vector:cosine"},
        # What merge_insert("id") goes by.
        key="id",
        mode="overwrite",
    )


def main(given: list[str]) -> None:
    """Moves, then asks the same things in the same words."""
    source = batches_of(given[0], given[1]) if len(given) == 3 else stand_in()
    table = move(source, given[2] if len(given) == 3 else "moved-data", given[1] if given else "notes")
    print(f"{table.count_rows()} rows moved")
    query = embed(["note about topic 5"])[0]
    print(table.search(query).where("id < 500").limit(3).to_pandas()[["id", "text", "distance"]])
    print(table.search("topic 5", query_type="fts").limit(3).to_pandas()[["id", "text", "score"]])
    hybrid = table.search(query_type="hybrid").vector(query).text("topic 5").limit(3)
    print(hybrid.to_pandas()[["id", "text", "score"]])
    again = [{"id": 7, "text": "note 7 again", "vector": np.ones(DIM, dtype="float32")}]
    merge = table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
    print(merge.execute(again))


if __name__ == "__main__":
    main(sys.argv[1:])
