"""Tables as lazy frames of Polars."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    import polars as pl

Read = Callable[[Sequence[str], "int | None"], pa.RecordBatchReader]


def lazy_polars(schema: pa.Schema, read: Read) -> pl.LazyFrame:
    """A lazy frame of what ``read`` gives, asked for columns and at most so many rows each time it is collected."""
    import polars as pl
    from polars.io.plugins import register_io_source

    def rows(
        with_columns: list[str] | None,
        predicate: pl.Expr | None,
        n_rows: int | None,
        batch_size: int | None,
    ) -> Iterator[pl.DataFrame]:
        columns = schema.names if with_columns is None else with_columns or schema.names[:1]
        # Rows are counted behind the predicate, which only Polars can read.
        left = n_rows
        for batch in read(columns, n_rows if predicate is None else None):
            frame = pl.DataFrame(batch)
            if predicate is not None:
                frame = frame.filter(predicate)
            if left is not None:
                frame = frame.head(left)
                left -= frame.height
            yield frame
            if left == 0:
                return

    return register_io_source(rows, schema=pl.DataFrame(schema.empty_table()).schema)
