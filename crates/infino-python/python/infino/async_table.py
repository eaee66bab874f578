"""A table, for callers on an event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from infino import _infino
from infino._handle import Handle
from infino._jobs import arrive
from infino.index import IndexSpec
from infino.query import AsyncQuery, asked, search_of
from infino.reports import (
    AlterReport,
    Deleted,
    FileInfo,
    OptimizeReport,
    Receipt,
    Stats,
    VersionInfo,
)

__all__ = ["AsyncMergeInsert", "AsyncTable"]


class AsyncTable(Handle):
    """:class:`infino.Table`, whose methods are awaited.

    Cancelling a task gives up what it awaits; a commit that was under way happened or did not, never by half.
    """

    def __init__(
        self, raw: _infino.Table, explain: Callable[[str, list[Any]], Awaitable[str]]
    ) -> None:
        super().__init__(raw)
        self._explain = explain

    def __repr__(self) -> str:
        return f"infino.AsyncTable({self.name!r})"

    async def append(self, data: object, *, token: str | None = None) -> Receipt:
        """See :meth:`infino.Table.append`."""
        return Receipt(**await arrive(self._raw.append(self._rows(data), token)))

    add = append

    async def insert(self, data: object) -> Receipt:
        """See :meth:`infino.Table.insert`."""
        return Receipt(**await arrive(self._raw.insert(self._rows(data))))

    async def upsert(self, data: object) -> Receipt:
        """See :meth:`infino.Table.upsert`."""
        return Receipt(**await arrive(self._merge(data, (), "update", "insert")))

    def merge_insert(self, on: str | Sequence[str] = ()) -> AsyncMergeInsert:
        """See :meth:`infino.Table.merge_insert`."""
        return AsyncMergeInsert(self, [on] if isinstance(on, str) else list(on))

    async def update(
        self,
        where: str | None = None,
        values: Mapping[str, object] | None = None,
        *,
        values_sql: Mapping[str, str] | None = None,
    ) -> int:
        """See :meth:`infino.Table.update`."""
        return await arrive(self._update(where, values, values_sql))

    async def replace(self, where: str, data: object) -> Deleted:
        """See :meth:`infino.Table.replace`."""
        return Deleted(**await arrive(self._raw.replace(where, self._rows(data))))

    async def delete(self, where: str) -> Deleted:
        """See :meth:`infino.Table.delete`."""
        return Deleted(**await arrive(self._raw.delete(where)))

    def search(
        self,
        query: object = None,
        *,
        vector: object = None,
        column: str | None = None,
        vector_column: str | None = None,
        vector_column_name: str | None = None,
        query_type: str = "auto",
    ) -> AsyncQuery:
        """See :meth:`infino.Table.search`: ``await docs.search("fox").limit(5).to_arrow()``."""
        query_of = AsyncQuery(lambda: self._raw, self._explain)
        vector_column = vector_column or vector_column_name
        return asked(query_of, query, vector, query_type, column, vector_column)

    def query(self) -> AsyncQuery:
        """See :meth:`infino.Table.query`."""
        return self.search()

    async def bm25_search(
        self,
        column: str,
        query: str,
        k: int = 10,
        columns: Sequence[str] | None = None,
        *,
        filter: str | None = None,
        mode: str = "any",
    ) -> pa.Table:
        """See :meth:`infino.Table.bm25_search`."""
        search = search_of(
            self._raw,
            "bm25",
            text_column=column,
            text=query,
            k=k,
            columns=columns,
            filter=filter,
            mode=mode,
        )
        return await arrive(self._raw.search(search))

    async def vector_search(
        self,
        column: str,
        vector: object,
        k: int = 10,
        columns: Sequence[str] | None = None,
        *,
        filter: str | None = None,
        exact: bool = False,
        nprobe: int | None = None,
        target_recall: float | None = None,
    ) -> pa.Table:
        """See :meth:`infino.Table.vector_search`."""
        search = search_of(
            self._raw,
            "vector",
            vector_column=column,
            vector=vector,
            k=k,
            columns=columns,
            filter=filter,
            exact=exact,
            nprobe=nprobe,
            target_recall=target_recall,
        )
        return await arrive(self._raw.search(search))

    async def hybrid_search(
        self,
        text_column: str,
        query: str,
        vector_column: str,
        vector: object,
        k: int = 10,
        columns: Sequence[str] | None = None,
        *,
        filter: str | None = None,
        mode: str = "any",
    ) -> pa.Table:
        """See :meth:`infino.Table.hybrid_search`."""
        search = search_of(
            self._raw,
            "hybrid",
            text_column=text_column,
            text=query,
            vector_column=vector_column,
            vector=vector,
            k=k,
            columns=columns,
            filter=filter,
            mode=mode,
        )
        return await arrive(self._raw.search(search))

    async def token_match(
        self,
        column: str,
        tokens: str,
        limit: int = 10,
        columns: Sequence[str] | None = None,
        *,
        filter: str | None = None,
    ) -> pa.Table:
        """See :meth:`infino.Table.token_match`."""
        search = search_of(
            self._raw,
            "tokens",
            text_column=column,
            text=tokens,
            k=limit,
            columns=columns,
            filter=filter,
        )
        return await arrive(self._raw.search(search))

    async def exact_match(
        self,
        column: str,
        value: str,
        limit: int = 10,
        columns: Sequence[str] | None = None,
        *,
        filter: str | None = None,
    ) -> pa.Table:
        """See :meth:`infino.Table.exact_match`."""
        search = search_of(
            self._raw,
            "exact",
            text_column=column,
            text=value,
            k=limit,
            columns=columns,
            filter=filter,
        )
        return await arrive(self._raw.search(search))

    async def count_rows(self, filter: str | None = None) -> int:
        """See :meth:`infino.Table.count_rows`."""
        return await arrive(self._raw.count_rows(filter))

    async def scanner(
        self,
        columns: Sequence[str] | None = None,
        filter: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[pa.RecordBatch]:
        """The rows batch by batch: ``async for batch in docs.scanner(["body"])``."""
        names = list(columns) if columns is not None else self.schema.names
        rows = await arrive(self._raw.scan(names, filter, 0, limit))
        while (batch := await arrive(rows.next())) is not None:
            yield batch

    async def to_arrow(self) -> pa.Table:
        """All rows as ``pyarrow.Table``."""
        return await self.search().select(self.schema.names).to_arrow()

    async def version(self) -> int:
        """The version that this handle reads."""
        return await arrive(self._raw.version())

    async def history(self, limit: int = 100) -> list[VersionInfo]:
        """See :meth:`infino.Table.history`."""
        return [VersionInfo(**info) for info in await arrive(self._raw.history(limit))]

    list_versions = history

    async def checkout(self, version: int | str | datetime) -> None:
        """See :meth:`infino.Table.checkout`."""
        self._raw = await arrive(self._at(version))

    async def checkout_latest(self) -> None:
        """See :meth:`infino.Table.checkout_latest`."""
        self._raw = self._newest
        await arrive(self._raw.refresh())

    async def restore(self, version: int | str | datetime | None = None) -> int:
        """See :meth:`infino.Table.restore`."""
        raw = self._raw if version is None else await arrive(self._at(version))
        made = await arrive(self._newest.restore(await arrive(raw.version())))
        self._raw = self._newest
        return made

    async def refresh(self) -> int:
        """See :meth:`infino.Table.refresh`."""
        return await arrive(self._raw.refresh())

    async def tags(self) -> dict[str, int]:
        """The tags by name, each with its version."""
        tags = await arrive(self._raw.tags())
        return dict(tags)

    async def create_tag(self, tag: str, version: int | None = None) -> None:
        """Keeps a version under a name, the one that this handle reads unless said."""
        raw = self._raw if version is None else await arrive(self._at(version))
        await arrive(raw.create_tag(tag))

    async def delete_tag(self, tag: str) -> None:
        """Lets go of a tag."""
        await arrive(self._raw.delete_tag(tag))

    async def add_columns(self, columns: object) -> AlterReport:
        """See :meth:`infino.Table.add_columns`."""
        return AlterReport(**await arrive(self._alter(self._add_columns(columns))))

    async def drop_columns(self, columns: Sequence[str]) -> AlterReport:
        """See :meth:`infino.Table.drop_columns`."""
        names = [columns] if isinstance(columns, str) else columns
        return AlterReport(**await arrive(self._alter([{"drop_column": name} for name in names])))

    async def rename_column(self, column: str, to: str) -> AlterReport:
        """See :meth:`infino.Table.rename_column`."""
        return AlterReport(**await arrive(self._alter([{"rename_column": column, "to": to}])))

    async def widen_column(self, column: str, to: pa.DataType) -> AlterReport:
        """See :meth:`infino.Table.widen_column`."""
        change = {"widen_column": column, "field": pa.field(column, to)}
        return AlterReport(**await arrive(self._alter([change])))

    async def create_fts_index(
        self, column: str, *, analyzer: str = "standard-v1", positions: bool = True
    ) -> AlterReport:
        """See :meth:`infino.Table.create_fts_index`."""
        spec = IndexSpec().fts(column, analyzer=analyzer, positions=positions)
        return AlterReport(**await arrive(self._alter(self._text_index(spec))))

    async def create_scalar_index(self, column: str) -> AlterReport:
        """See :meth:`infino.Table.create_scalar_index`."""
        spec = IndexSpec().keyword(column)
        return AlterReport(**await arrive(self._alter(self._text_index(spec))))

    async def create_index(
        self,
        metric: str = "l2",
        *,
        vector_column_name: str | None = None,
        rerank: str = "sq8",
        target_recall: float = 0.95,
    ) -> AlterReport:
        """See :meth:`infino.Table.create_index`."""
        changes = self._vector_index(vector_column_name, metric, rerank, target_recall)
        return AlterReport(**await arrive(self._alter(changes)))

    async def drop_index(self, column: str) -> AlterReport:
        """See :meth:`infino.Table.drop_index`."""
        return AlterReport(**await arrive(self._alter(self._drop_indexes(column))))

    async def optimize(self, cleanup_older_than: timedelta | None = None) -> OptimizeReport:
        """See :meth:`infino.Table.optimize`."""
        return OptimizeReport(**await arrive(self._optimize(cleanup_older_than)))

    async def retention(self) -> timedelta | None:
        """How long versions are kept; None for an hour."""
        seconds = await arrive(self._raw.retention())
        return None if seconds is None else timedelta(seconds=seconds)

    async def set_retention(self, keep: timedelta | None) -> None:
        """Sets, for all handles, how long versions are kept."""
        await arrive(self._raw.set_retention(None if keep is None else keep.total_seconds()))

    async def files(self) -> list[FileInfo]:
        """See :meth:`infino.Table.files`."""
        return [FileInfo(**info) for info in await arrive(self._raw.files())]

    async def stats(self) -> Stats:
        """See :meth:`infino.Table.stats`."""
        files = await self.files()
        return Stats(
            version=await self.version(),
            rows=await self.count_rows(),
            dead_rows=sum(file.dead_rows for file in files),
            files=len(files),
            bytes=sum(file.bytes for file in files),
        )


class AsyncMergeInsert:
    """A merge that is put together; :meth:`execute` does it. See :class:`infino.MergeInsert`."""

    def __init__(self, table: Handle, on: Sequence[str]) -> None:
        self._table = table
        self._on = on
        self._matched: str | None = None
        self._not_matched: str | None = None

    def when_matched_update_all(self) -> AsyncMergeInsert:
        """Where a row with the key is there, the row given takes its place, and its ``_id``."""
        self._matched = "update"
        return self

    def when_matched_delete(self) -> AsyncMergeInsert:
        """Where a row with the key is there, it goes, and the row given does not come in."""
        self._matched = "delete"
        return self

    def when_not_matched_insert_all(self) -> AsyncMergeInsert:
        """Where no row with the key is there, the row given comes in."""
        self._not_matched = "insert"
        return self

    async def execute(self, data: object) -> Receipt:
        """Merges rows, in one commit."""
        job = self._table._merge(data, self._on, self._matched, self._not_matched)
        return Receipt(**await arrive(job))
