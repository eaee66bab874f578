"""A table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from infino import _infino
from infino._handle import Handle
from infino._polars import lazy_polars
from infino.index import IndexSpec
from infino.query import Query, asked, polars_of, search_of, stream_of
from infino.reports import (
    AlterReport,
    Deleted,
    FileInfo,
    OptimizeReport,
    Receipt,
    Stats,
    VersionInfo,
)

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

__all__ = ["MergeInsert", "Table", "Tags"]


class Table(Handle):
    """A table. Made by :meth:`infino.Connection.create_table` and :meth:`infino.Connection.open_table`.

    What reads runs on one snapshot, what writes is one atomic commit. The examples below are about this table:

    >>> import infino, numpy as np
    >>> db = infino.connect("memory://")
    >>> bodies = ["the quick brown fox", "a lazy dog", "der Fuchs und der fox"]
    >>> docs = db.create_table(
    ...     "docs",
    ...     {"body": bodies, "lang": ["en", "en", "de"], "embedding": np.eye(3, 16, dtype="float32")},
    ...     index={"body": "fts", "lang": "keyword", "embedding": "vector"},
    ... )

    It has ``__arrow_c_stream__``, so what reads Arrow reads it: ``pa.table(docs)``, ``pl.DataFrame(docs)``,
    ``duckdb.sql("SELECT count(*) FROM docs")``.
    """

    def __init__(self, raw: _infino.Table, explain: Callable[[str, list[Any]], str]) -> None:
        super().__init__(raw)
        self._explain = explain

    def __repr__(self) -> str:
        return f"infino.Table({self.name!r})"

    def __len__(self) -> int:
        return self.count_rows()

    # Rows in.

    def append(self, data: object, *, token: str | None = None) -> Receipt:
        """Adds rows in one commit; they are durable and visible to every process on return.

        Columns are matched by name, nullable ones may be missing. With a ``token`` the commit happens exactly once,
        however often it is tried.

        >>> docs.append([{"body": "one more", "lang": "en"}]).rows
        1
        """
        return Receipt(**self._raw.append(self._rows(data), token).wait())

    add = append

    def insert(self, data: object) -> Receipt:
        """Adds a few rows at the price of one compare-and-swap, which callers that insert at the same time share.

        For many rows :meth:`append` makes better files.

        >>> docs.insert([{"body": "a small fox"}]).inserted
        1
        """
        return Receipt(**self._raw.insert(self._rows(data)).wait())

    def upsert(self, data: object) -> Receipt:
        """Puts each row in the place of the one with the same key, or beside the others where there is none.

        >>> prices = db.create_table("prices", {"sku": ["a", "b"], "price": [1, 2]}, key="sku")
        >>> receipt = prices.upsert({"sku": ["b", "c"], "price": [20, 30]})
        >>> receipt.updated, receipt.inserted
        (1, 1)
        """
        return Receipt(**self._merge(data, (), "update", "insert").wait())

    def merge_insert(self, on: str | Sequence[str] = ()) -> MergeInsert:
        """Merges rows by key; ``on`` names the key, as the table was made with it.

        >>> prices = db.create_table("stock", {"sku": ["a"], "price": [1]}, key="sku")
        >>> merge = prices.merge_insert("sku").when_not_matched_insert_all()
        >>> merge.execute({"sku": ["a", "b"], "price": [9, 9]}).inserted
        1
        """
        return MergeInsert(self, [on] if isinstance(on, str) else list(on))

    def update(
        self,
        where: str | None = None,
        values: Mapping[str, object] | None = None,
        *,
        values_sql: Mapping[str, str] | None = None,
    ) -> int:
        """Sets columns of the rows that a SQL condition holds for, of all without one; how many that was.

        ``values`` are Python values, ``values_sql`` SQL expressions over the row as it was.

        >>> docs.update("lang = 'de'", values_sql={"body": "upper(body)"})
        1
        """
        return self._update(where, values, values_sql).wait()

    def replace(self, where: str, data: object) -> Deleted:
        """Replaces the rows that a condition holds for, in the order of their ids, by as many others."""
        return Deleted(**self._raw.replace(where, self._rows(data)).wait())

    def delete(self, where: str) -> Deleted:
        """Takes out every row that a SQL condition holds for.

        >>> docs.delete("body LIKE '%dog%'").matched
        1
        """
        return Deleted(**self._raw.delete(where).wait())

    # Rows out.

    def search(
        self,
        query: object = None,
        *,
        vector: object = None,
        column: str | None = None,
        vector_column: str | None = None,
        vector_column_name: str | None = None,
        query_type: str = "auto",
    ) -> Query:
        """A question about the table: text, a vector, or both; without any of them all rows.

        The columns asked need no name where only one can be meant.

        >>> docs.search("fox").where("lang = 'en'").limit(5).to_arrow()["body"].to_pylist()
        ['the quick brown fox']
        >>> near = np.eye(3, 16)[1]
        >>> docs.search(near).limit(1).to_list()[0]["body"]
        'a lazy dog'
        >>> docs.search("fox", vector=near).limit(3).to_arrow().num_rows
        3
        """
        query_of = Query(lambda: self._raw, self._explain)
        vector_column = vector_column or vector_column_name
        return asked(query_of, query, vector, query_type, column, vector_column)

    def query(self) -> Query:
        """A question about all rows: ``docs.query().where("lang = 'en'").to_pandas()``."""
        return self.search()

    def bm25_search(
        self,
        column: str,
        query: str,
        k: int = 10,
        columns: Sequence[str] | None = None,
        *,
        filter: str | None = None,
        mode: str = "any",
    ) -> pa.Table:
        """The ``k`` rows whose ``column`` best answers ``query`` by BM25, best first: ``_id``, ``score``, ``columns``.

        ``mode`` is ``any`` or ``all`` of the words, ``phrase``, ``prefix``, or ``query`` for the query language.

        >>> docs.bm25_search("body", "fox", 1, ["body"])["body"].to_pylist()
        ['the quick brown fox']
        """
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
        return self._raw.search(search).wait()

    def vector_search(
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
        """The ``k`` rows nearest to ``vector``, nearest first: ``_id``, ``distance``, ``columns``.

        >>> docs.vector_search("embedding", np.eye(3, 16)[2], 1, ["lang"])["lang"].to_pylist()
        ['de']
        """
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
        return self._raw.search(search).wait()

    def hybrid_search(
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
        """The ``k`` rows that best answer both text and vector, by reciprocal ranks: ``_id``, ``score``, ``columns``.

        Other fusions: ``docs.search(query, vector=vector).fusion("linear", text_weight=2)``.

        >>> docs.hybrid_search("body", "dog", "embedding", np.eye(3, 16)[1], 1)["body"].to_pylist()
        ['a lazy dog']
        """
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
        return self._raw.search(search).wait()

    def token_match(
        self,
        column: str,
        tokens: str,
        limit: int = 10,
        columns: Sequence[str] | None = None,
        *,
        filter: str | None = None,
    ) -> pa.Table:
        """Up to ``limit`` rows whose ``column`` holds every word of ``tokens``, unranked: ``_id``, ``columns``.

        >>> docs.token_match("body", "fox quick")["body"].to_pylist()
        ['the quick brown fox']
        """
        search = search_of(
            self._raw,
            "tokens",
            text_column=column,
            text=tokens,
            k=limit,
            columns=columns,
            filter=filter,
        )
        return self._raw.search(search).wait()

    def exact_match(
        self,
        column: str,
        value: str,
        limit: int = 10,
        columns: Sequence[str] | None = None,
        *,
        filter: str | None = None,
    ) -> pa.Table:
        """Up to ``limit`` rows whose ``column`` equals ``value``: ``_id``, ``columns``.

        >>> docs.exact_match("lang", "de").num_rows
        1
        """
        search = search_of(
            self._raw,
            "exact",
            text_column=column,
            text=value,
            k=limit,
            columns=columns,
            filter=filter,
        )
        return self._raw.search(search).wait()

    def count_rows(self, filter: str | None = None) -> int:
        """Rows, of which a SQL condition holds if one is given.

        >>> docs.count_rows("lang = 'en'")
        2
        """
        return self._raw.count_rows(filter).wait()

    def scanner(
        self,
        columns: Sequence[str] | None = None,
        filter: str | None = None,
        limit: int | None = None,
    ) -> pa.RecordBatchReader:
        """The rows as they are read; ``_id`` is one of the columns to ask for.

        They come in the order in which they were added, but where updates and :meth:`optimize` put them elsewhere.

        >>> docs.scanner(["lang"], "body LIKE '%fox%'").read_all()["lang"].to_pylist()
        ['en', 'de']
        """
        names = list(columns) if columns is not None else self.schema.names
        return self._raw.scan(names, filter, 0, limit).wait().reader()

    def to_arrow(self) -> pa.Table:
        """All rows as ``pyarrow.Table``."""
        return self.search().select(self.schema.names).to_arrow()

    def to_pandas(self) -> pd.DataFrame:
        """All rows as a frame of pandas."""
        return self.to_arrow().to_pandas()

    def to_polars(self) -> pl.DataFrame:
        """All rows as a frame of Polars."""
        return polars_of(self.to_arrow())

    def lazy(self) -> pl.LazyFrame:
        """All rows as a lazy frame of Polars, which reads only the columns and as many rows as its query needs.

        >>> import polars as pl
        >>> docs.lazy().filter(pl.col("lang") == "de").select("body").collect().item()
        'der Fuchs und der fox'
        """
        return lazy_polars(self.schema, lambda columns, limit: self.scanner(columns, limit=limit))

    def head(self, rows: int = 5) -> pa.Table:
        """The first rows."""
        return self.search().select(self.schema.names).limit(rows).to_arrow()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return stream_of(self.scanner(), requested_schema)

    def __arrow_c_schema__(self) -> object:
        return self.schema.__arrow_c_schema__()

    # Versions.

    @property
    def version(self) -> int:
        """The version that this handle reads; every commit makes one."""
        return self._raw.version().wait()

    def history(self, limit: int = 100) -> list[VersionInfo]:
        """The last versions that are kept, newest first.

        >>> [version.operation for version in docs.history()]
        ['append', 'create']
        """
        return [VersionInfo(**info) for info in self._raw.history(limit).wait()]

    list_versions = history

    def checkout(self, version: int | str | datetime) -> None:
        """Makes this handle read a version: by number, by tag, or the newest of a time. It cannot write then.

        >>> before = docs.version
        >>> docs.delete("lang = 'en'").matched
        2
        >>> docs.checkout(before)
        >>> docs.count_rows()
        3
        >>> docs.checkout_latest()
        >>> docs.count_rows()
        1
        """
        self._raw = self._at(version).wait()

    def checkout_latest(self) -> None:
        """Makes this handle read the newest version again."""
        self._raw = self._newest
        self._raw.refresh().wait()

    def at(self, version: int | str | datetime) -> Table:
        """Another handle, that reads a version."""
        other = Table(self._newest, self._explain)
        other.checkout(version)
        return other

    def restore(self, version: int | str | datetime | None = None) -> int:
        """Makes the table what it was at a version, the one checked out unless said; the version that this makes."""
        raw = self._raw if version is None else self._at(version).wait()
        made = self._newest.restore(raw.version().wait()).wait()
        self._raw = self._newest
        return made

    def refresh(self) -> int:
        """Reads what was committed elsewhere; for connections that do not look by themselves."""
        return self._raw.refresh().wait()

    @property
    def tags(self) -> Tags:
        """Versions that are kept under a name.

        >>> released = docs.version
        >>> docs.tags.create("release")
        >>> docs.tags.list() == {"release": released}
        True
        """
        return Tags(self)

    # Columns and indexes.

    def add_columns(self, columns: object) -> AlterReport:
        """Adds columns: a schema or field, whose columns are null, or a dictionary of types or of values.

        >>> docs.add_columns({"stars": 0, "note": pa.string()}).files_rewritten
        1
        """
        return AlterReport(**self._alter(self._add_columns(columns)).wait())

    def drop_columns(self, columns: Sequence[str]) -> AlterReport:
        """Takes columns out, and their indexes."""
        names = [columns] if isinstance(columns, str) else columns
        return AlterReport(**self._alter([{"drop_column": name} for name in names]).wait())

    def rename_column(self, column: str, to: str) -> AlterReport:
        """Gives a column another name."""
        return AlterReport(**self._alter([{"rename_column": column, "to": to}]).wait())

    def widen_column(self, column: str, to: pa.DataType) -> AlterReport:
        """Gives a column a type that holds all values of the one it has."""
        change = {"widen_column": column, "field": pa.field(column, to)}
        return AlterReport(**self._alter([change]).wait())

    def create_fts_index(
        self, column: str, *, analyzer: str = "standard-v1", positions: bool = True
    ) -> AlterReport:
        """Gives a text column a full-text index, or another one in place of the one it has; it is there on return."""
        spec = IndexSpec().fts(column, analyzer=analyzer, positions=positions)
        return AlterReport(**self._alter(self._text_index(spec)).wait())

    def create_scalar_index(self, column: str) -> AlterReport:
        """Gives a text column an index of whole values."""
        spec = IndexSpec().keyword(column)
        return AlterReport(**self._alter(self._text_index(spec)).wait())

    def create_index(
        self,
        metric: str = "l2",
        *,
        vector_column_name: str | None = None,
        rerank: str = "sq8",
        target_recall: float = 0.95,
    ) -> AlterReport:
        """Gives a column of vectors an index, or another one in place of the one it has; it is there on return.

        >>> plain = db.create_table("plain", {"v": np.eye(4, 16, dtype="float32")})
        >>> plain.create_index("cosine").files_rewritten
        1
        >>> plain.search(np.eye(4, 16)[3]).limit(1).to_arrow().num_rows
        1
        """
        changes = self._vector_index(vector_column_name, metric, rerank, target_recall)
        return AlterReport(**self._alter(changes).wait())

    def drop_index(self, column: str) -> AlterReport:
        """Takes the indexes of a column away."""
        return AlterReport(**self._alter(self._drop_indexes(column)).wait())

    # Upkeep.

    def optimize(self, cleanup_older_than: timedelta | None = None) -> OptimizeReport:
        """Merges small files, reclaims deleted rows, and removes what no kept version needs.

        Versions are kept for :attr:`retention`, an hour unless it was set, or for ``cleanup_older_than``.

        >>> docs.optimize().version >= docs.version - 1
        True
        """
        return OptimizeReport(**self._optimize(cleanup_older_than).wait())

    @property
    def retention(self) -> timedelta | None:
        """How long versions are kept; None for an hour. Setting it holds for all handles."""
        seconds = self._raw.retention().wait()
        return None if seconds is None else timedelta(seconds=seconds)

    @retention.setter
    def retention(self, keep: timedelta | None) -> None:
        self._raw.set_retention(None if keep is None else keep.total_seconds()).wait()

    def files(self) -> list[FileInfo]:
        """The superfiles of the version that this handle reads."""
        return [FileInfo(**info) for info in self._raw.files().wait()]

    def stats(self) -> Stats:
        """What the table is made of.

        >>> docs.stats().rows
        3
        """
        files = self.files()
        return Stats(
            version=self.version,
            rows=self.count_rows(),
            dead_rows=sum(file.dead_rows for file in files),
            files=len(files),
            bytes=sum(file.bytes for file in files),
        )


class MergeInsert:
    """A merge that is put together; :meth:`execute` does it."""

    def __init__(self, table: Handle, on: Sequence[str]) -> None:
        self._table = table
        self._on = on
        self._matched: str | None = None
        self._not_matched: str | None = None

    def when_matched_update_all(self) -> MergeInsert:
        """Where a row with the key is there, the row given takes its place, and its ``_id``."""
        self._matched = "update"
        return self

    def when_matched_delete(self) -> MergeInsert:
        """Where a row with the key is there, it goes, and the row given does not come in."""
        self._matched = "delete"
        return self

    def when_not_matched_insert_all(self) -> MergeInsert:
        """Where no row with the key is there, the row given comes in."""
        self._not_matched = "insert"
        return self

    def execute(self, data: object) -> Receipt:
        """Merges rows, in one commit."""
        job = self._table._merge(data, self._on, self._matched, self._not_matched)
        return Receipt(**job.wait())


class Tags:
    """The tags of a table: versions that are kept under a name until the tag is deleted."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def list(self) -> dict[str, int]:
        """The tags by name, each with its version."""
        return dict(self._table._raw.tags().wait())

    def create(self, tag: str, version: int | None = None) -> None:
        """Keeps a version, the one that the table's handle reads unless said."""
        raw = self._table._raw if version is None else self._table._at(version).wait()
        raw.create_tag(tag).wait()

    def delete(self, tag: str) -> None:
        """Lets go of a tag."""
        self._table._raw.delete_tag(tag).wait()

    def get_version(self, tag: str) -> int:
        """The version that a tag keeps."""
        return self._table._at(tag).wait().version().wait()
