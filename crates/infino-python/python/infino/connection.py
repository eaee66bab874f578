"""A place with tables in it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal, Union

import pyarrow as pa

from infino import _infino
from infino._jobs import arrive
from infino.async_table import AsyncTable
from infino.data import params_of, rows_of, schema_for
from infino.errors import AlreadyExistsError, InvalidError, NotFoundError
from infino.index import Indexes, raw_spec, spec_of
from infino.query import plan_text
from infino.reports import VerifyReport
from infino.table import Table

__all__ = ["AsyncConnection", "Connection", "connect", "connect_async"]

ReadConsistency = Union[Literal["strong", "manual"], timedelta]
Mode = Literal["create", "overwrite", "exist_ok"]


def _options(
    storage_options: Mapping[str, str] | None,
    read_consistency: ReadConsistency,
    threads: int | None,
    cache_dir: str | os.PathLike[str] | None,
    cache_bytes: int,
    cache_memory_bytes: int | None,
    sql_memory_bytes: int | None,
    write_buffer_bytes: int | None,
    scratch_dir: str | os.PathLike[str] | None,
) -> dict[str, Any]:
    age = read_consistency
    return {
        "storage": [(str(key), str(value)) for key, value in (storage_options or {}).items()],
        "read_consistency": age.total_seconds() if isinstance(age, timedelta) else age,
        "threads": threads,
        "cache_dir": cache_dir,
        "cache_bytes": cache_bytes,
        "cache_memory_bytes": cache_memory_bytes,
        "sql_memory_bytes": sql_memory_bytes,
        "write_buffer_bytes": write_buffer_bytes,
        "scratch_dir": scratch_dir,
    }


def connect(
    uri: str | os.PathLike[str],
    *,
    storage_options: Mapping[str, str] | None = None,
    read_consistency: ReadConsistency = "strong",
    threads: int | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    cache_bytes: int = 10 << 30,
    cache_memory_bytes: int | None = None,
    sql_memory_bytes: int | None = None,
    write_buffer_bytes: int | None = None,
    scratch_dir: str | os.PathLike[str] | None = None,
) -> Connection:
    """Connects to a folder, ``s3://bucket/prefix``, ``az://…``, ``gs://…`` or ``memory://``.

    ``storage_options`` are the store's (``region``, ``endpoint``, ``access_key_id``, …); what they leave open comes from the
    environment. ``read_consistency`` is ``"strong"``: every query first asks the store whether there is a newer version,
    a ``timedelta``: it does if it last asked longer ago, or ``"manual"``: when ``refresh`` is called. ``cache_dir`` is a
    folder on a local disk for what was read, of at most ``cache_bytes``. The other limits are of memory and threads.

    >>> import infino
    >>> db = infino.connect("memory://")
    >>> db.table_names()
    []
    """
    options = _options(
        storage_options,
        read_consistency,
        threads,
        cache_dir,
        cache_bytes,
        cache_memory_bytes,
        sql_memory_bytes,
        write_buffer_bytes,
        scratch_dir,
    )
    return Connection(_infino.connect(os.fspath(uri), options).wait())


async def connect_async(
    uri: str | os.PathLike[str],
    *,
    storage_options: Mapping[str, str] | None = None,
    read_consistency: ReadConsistency = "strong",
    threads: int | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    cache_bytes: int = 10 << 30,
    cache_memory_bytes: int | None = None,
    sql_memory_bytes: int | None = None,
    write_buffer_bytes: int | None = None,
    scratch_dir: str | os.PathLike[str] | None = None,
) -> AsyncConnection:
    """:func:`connect`, for callers on an event loop.

    >>> import asyncio, infino
    >>> async def main():
    ...     db = await infino.connect_async("memory://")
    ...     docs = await db.create_table("docs", {"body": ["a fox"]}, index={"body": "fts"})
    ...     return await docs.search("fox").to_list()
    >>> asyncio.run(main())[0]["body"]
    'a fox'
    """
    options = _options(
        storage_options,
        read_consistency,
        threads,
        cache_dir,
        cache_bytes,
        cache_memory_bytes,
        sql_memory_bytes,
        write_buffer_bytes,
        scratch_dir,
    )
    return AsyncConnection(await arrive(_infino.connect(os.fspath(uri), options)))


def _new_table(
    name: str,
    data: object,
    schema: pa.Schema | None,
    index: Indexes,
    key: str | Sequence[str] | None,
    replace: bool,
) -> dict[str, Any]:
    """A table to be made, as the Rust side takes it."""
    if schema is None and isinstance(data, pa.Schema):
        data, schema = None, data
    if schema is None and data is None:
        raise InvalidError("a new table takes rows or a schema")
    spec = spec_of(index)
    rows = None if data is None else rows_of(data, schema)
    if schema is None:
        schema, rows = schema_for(rows, spec)
    elif not isinstance(schema, pa.Schema):
        schema = pa.schema(schema)
    keys = [key] if isinstance(key, str) else list(key or ())
    return {
        "name": name,
        "schema": schema,
        "indexes": raw_spec(spec, keys, schema),
        "rows": rows,
        "replace": replace,
    }


class _Place:
    def __init__(self, raw: _infino.Connection) -> None:
        self._raw = raw

    @property
    def uri(self) -> str:
        """Where it is, without secrets."""
        return self._raw.uri()

    def __repr__(self) -> str:
        return f"infino.{type(self).__name__}({self.uri!r})"


class Connection(_Place):
    """A place with tables in it. Made by :func:`infino.connect`; any number of threads may use it."""

    def create_table(
        self,
        name: str,
        data: object = None,
        *,
        schema: pa.Schema | None = None,
        index: Indexes = None,
        key: str | Sequence[str] | None = None,
        mode: Mode = "create",
        exist_ok: bool = False,
    ) -> Table:
        """Makes a table of rows, or of a schema, which ``data`` may be too.

        Rows are a table, batch, reader or dataset of pyarrow, a frame of pandas or Polars, a dictionary of columns, or a
        list of dictionaries; vectors are arrays of numpy or lists of floats. Nobody sees the table before all its rows
        are in it.

        ``index`` says which columns are searched, as a dictionary or an :class:`infino.IndexSpec`; ``key`` names columns
        whose values together are unique, which :meth:`infino.Table.upsert` goes by. With ``mode="overwrite"`` the table
        takes the place of the one of this name, with ``exist_ok`` that one is opened as it is.

        >>> import infino, numpy as np
        >>> db = infino.connect("memory://")
        >>> docs = db.create_table(
        ...     "docs",
        ...     {"body": ["a fox", "a dog"], "embedding": np.eye(2, 16)},
        ...     index={"body": "fts:english-v1", "embedding": "vector:cosine"},
        ... )
        >>> docs.schema.field("embedding").type
        FixedSizeListType(fixed_size_list<item: float>[16])
        """
        if exist_ok or mode == "exist_ok":
            try:
                return self.open_table(name)
            except NotFoundError:
                pass
        raw = _new_table(name, data, schema, index, key, mode == "overwrite")
        try:
            return self._table(self._raw.create_table(raw).wait())
        except AlreadyExistsError:
            if not exist_ok and mode != "exist_ok":
                raise
            return self.open_table(name)

    def open_table(self, name: str) -> Table:
        """Opens a table by name."""
        return self._table(self._raw.open_table(name).wait())

    def __getitem__(self, name: str) -> Table:
        return self.open_table(name)

    def __contains__(self, name: object) -> bool:
        return name in self.table_names()

    def __iter__(self) -> Iterator[str]:
        return iter(self.table_names())

    def table_names(self) -> list[str]:
        """The names of all tables, in order."""
        return self._raw.table_names().wait()

    list_tables = table_names

    def drop_table(self, name: str, *, ignore_missing: bool = False) -> None:
        """Drops a table: its name at once, then its objects."""
        try:
            self._raw.drop_table(name).wait()
        except NotFoundError:
            if not ignore_missing:
                raise

    def query_sql(self, sql: str, params: Sequence[object] | None = None) -> pa.Table:
        """The answer of a SQL statement; ``params`` stand for ``$1``, ``$2``, …, and a list of numbers is a vector.

        >>> import infino
        >>> db = infino.connect("memory://")
        >>> docs = db.create_table("docs", {"body": ["a fox", "a dog"]}, index={"body": "fts"})
        >>> sql = "SELECT body FROM bm25_search('docs', 'body', $1, k => 10) ORDER BY score DESC"
        >>> db.query_sql(sql, ["fox"])["body"].to_pylist()
        ['a fox']
        """
        return self._raw.sql(sql, params_of(params)).wait()

    sql = query_sql

    def query_sql_batches(
        self, sql: str, params: Sequence[object] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The answer of a SQL statement batch by batch, as it is computed."""
        rows = self._raw.sql_rows(sql, params_of(params)).wait()
        while (batch := rows.next().wait()) is not None:
            yield batch

    def explain(self, sql: str, params: Sequence[object] | None = None, *, analyze: bool = False) -> str:
        """How a statement is answered; with ``analyze`` it is run, and the text says what that took.

        >>> import infino
        >>> db = infino.connect("memory://")
        >>> docs = db.create_table("docs", {"n": [1, 2, 3]})
        >>> "DataSourceExec" in db.explain("SELECT n FROM docs WHERE n > 1")
        True
        """
        return self._explained(f"EXPLAIN {'ANALYZE ' if analyze else ''}{sql}", params)

    def verify_table(self, name: str) -> VerifyReport:
        """Reads all that a table names, every byte of it, and says what is not as it was written."""
        return VerifyReport(**self._raw.verify_table(name).wait())

    def _explained(self, sql: str, params: Sequence[object] | None) -> str:
        return plan_text(self.query_sql(sql, params))

    def _table(self, raw: _infino.Table) -> Table:
        return Table(raw, self._explained)


class AsyncConnection(_Place):
    """:class:`infino.Connection`, whose methods are awaited. Made by :func:`infino.connect_async`."""

    async def create_table(
        self,
        name: str,
        data: object = None,
        *,
        schema: pa.Schema | None = None,
        index: Indexes = None,
        key: str | Sequence[str] | None = None,
        mode: Mode = "create",
        exist_ok: bool = False,
    ) -> AsyncTable:
        """See :meth:`infino.Connection.create_table`."""
        if exist_ok or mode == "exist_ok":
            try:
                return await self.open_table(name)
            except NotFoundError:
                pass
        raw = _new_table(name, data, schema, index, key, mode == "overwrite")
        try:
            return self._table(await arrive(self._raw.create_table(raw)))
        except AlreadyExistsError:
            if not exist_ok and mode != "exist_ok":
                raise
            return await self.open_table(name)

    async def open_table(self, name: str) -> AsyncTable:
        """Opens a table by name."""
        return self._table(await arrive(self._raw.open_table(name)))

    async def table_names(self) -> list[str]:
        """The names of all tables, in order."""
        return await arrive(self._raw.table_names())

    list_tables = table_names

    async def drop_table(self, name: str, *, ignore_missing: bool = False) -> None:
        """Drops a table: its name at once, then its objects."""
        try:
            await arrive(self._raw.drop_table(name))
        except NotFoundError:
            if not ignore_missing:
                raise

    async def query_sql(self, sql: str, params: Sequence[object] | None = None) -> pa.Table:
        """See :meth:`infino.Connection.query_sql`."""
        return await arrive(self._raw.sql(sql, params_of(params)))

    sql = query_sql

    async def query_sql_batches(
        self, sql: str, params: Sequence[object] | None = None
    ) -> AsyncIterator[pa.RecordBatch]:
        """The answer of a SQL statement batch by batch, as it is computed."""
        rows = await arrive(self._raw.sql_rows(sql, params_of(params)))
        while (batch := await arrive(rows.next())) is not None:
            yield batch

    async def explain(
        self, sql: str, params: Sequence[object] | None = None, *, analyze: bool = False
    ) -> str:
        """See :meth:`infino.Connection.explain`."""
        return await self._explained(f"EXPLAIN {'ANALYZE ' if analyze else ''}{sql}", params)

    async def verify_table(self, name: str) -> VerifyReport:
        """See :meth:`infino.Connection.verify_table`."""
        return VerifyReport(**await arrive(self._raw.verify_table(name)))

    async def _explained(self, sql: str, params: Sequence[object] | None) -> str:
        return plan_text(await self.query_sql(sql, params))

    def _table(self, raw: _infino.Table) -> AsyncTable:
        return AsyncTable(raw, self._explained)
