"""What is asked of a table, put together step by step."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

from infino import _infino
from infino._jobs import arrive
from infino.data import is_vector, literal, vector_bytes
from infino.errors import InvalidError
from infino.index import KEYWORD

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

__all__ = ["AsyncQuery", "Query"]

Q = TypeVar("Q", bound="_Asked")


@dataclasses.dataclass(frozen=True)
class _Asked:
    """A question, and the table it is asked of. The raw table is looked up when it is asked: a checkout moves it."""

    _raw: Callable[[], _infino.Table]
    _explain: Callable[[str, list[Any]], Any]
    text_query: str | None = None
    vector_query: object = None
    text_column: str | None = None
    vector_column: str | None = None
    condition: str | None = None
    columns: tuple[str, ...] | None = None
    k: int | None = None
    skip: int = 0
    text_mode: str | None = None
    is_exact: bool = False
    probes: int | None = None
    recall: float | None = None
    fused: Mapping[str, Any] | None = None

    def text(self: Q, query: str, column: str | None = None) -> Q:
        """Asks for these words; beside a vector that makes a hybrid search."""
        return dataclasses.replace(self, text_query=query, text_column=column or self.text_column)

    def vector(self: Q, vector: object, column: str | None = None) -> Q:
        """Asks for what is near to this vector; beside words that makes a hybrid search."""
        return dataclasses.replace(
            self, vector_query=vector, vector_column=column or self.vector_column
        )

    def where(self: Q, condition: str, prefilter: bool = True) -> Q:
        """Lets only rows through that a SQL condition holds for; several conditions must all hold.

        The condition comes before the ranking: min(k, such rows) rows come back. So there is no postfilter.
        """
        if not prefilter:
            raise InvalidError("conditions come before the ranking; filter the result for the other order")
        both = f"({self.condition}) AND ({condition})" if self.condition else condition
        return dataclasses.replace(self, condition=both)

    def select(self: Q, columns: Sequence[str]) -> Q:
        """The columns of the answer, beside ``_id`` and ``score`` or ``distance`` of a search.

        Without it they are all columns but those with a vector index.
        """
        if isinstance(columns, str):
            raise InvalidError("select takes a list of columns")
        return dataclasses.replace(self, columns=tuple(columns))

    def limit(self: Q, k: int) -> Q:
        """At most so many rows; 10 for a search and all for a scan unless it is said."""
        return dataclasses.replace(self, k=k)

    def offset(self: Q, rows: int) -> Q:
        """Passes over the first rows."""
        return dataclasses.replace(self, skip=rows)

    def mode(self: Q, mode: str) -> Q:
        """How text is understood: ``any`` or ``all`` of its words, ``phrase``, ``prefix``, or ``query`` for the query language."""
        return dataclasses.replace(self, text_mode=mode)

    def exact(self: Q) -> Q:
        """Compares the vector with every row's, whatever the index says."""
        return dataclasses.replace(self, is_exact=True)

    def bypass_vector_index(self: Q) -> Q:
        """The same as :meth:`exact`."""
        return self.exact()

    def nprobes(self: Q, nprobes: int) -> Q:
        """Clusters to probe in each file, in place of what the index was calibrated for."""
        return dataclasses.replace(self, probes=nprobes)

    def target_recall(self: Q, recall: float) -> Q:
        """Recall@10 to aim for, in place of the column's own."""
        return dataclasses.replace(self, recall=recall)

    def fusion(
        self: Q,
        method: str = "rrf",
        *,
        k: float = 60.0,
        text_weight: float = 1.0,
        vector_weight: float = 1.0,
        depth: int = 100,
    ) -> Q:
        """How a hybrid search makes one ranking of two: ``rrf`` (reciprocal ranks) or ``linear`` (scaled scores).

        ``depth`` rows are taken from each ranking, or more if more are asked for.
        """
        fused = {
            "method": method,
            "k": k,
            "text_weight": text_weight,
            "vector_weight": vector_weight,
            "depth": depth,
        }
        return dataclasses.replace(self, fused=fused)

    def _kind(self) -> str | None:
        if self.text_query is not None:
            return "bm25" if self.vector_query is None else "hybrid"
        return None if self.vector_query is None else "vector"

    def _search(self, raw: _infino.Table) -> dict[str, Any]:
        kind = self._kind()
        assert kind is not None, "a scan is no search"
        k = 10 if self.k is None else self.k
        return search_of(
            raw,
            kind,
            text_column=self.text_column,
            text=self.text_query,
            vector_column=self.vector_column,
            vector=self.vector_query,
            k=k + self.skip,
            columns=self.columns,
            filter=self.condition,
            mode=self.text_mode,
            fusion=self.fused,
            exact=self.is_exact,
            nprobe=self.probes,
            target_recall=self.recall,
        )

    def _searched(self) -> _infino.Job[pa.Table]:
        raw = self._raw()
        return raw.search(self._search(raw))

    def _cut(self, found: pa.Table) -> pa.Table:
        return found.slice(self.skip) if self.skip else found

    def _scanned(self) -> _infino.Job[_infino.Rows]:
        raw = self._raw()
        return raw.scan(columns_of(raw, self.columns), self.condition, self.skip, self.k)

    def _sql(self) -> tuple[str, list[Any]]:
        """The statement that asks the same, and its parameters."""
        raw = self._raw()
        names = columns_of(raw, self.columns)
        columns = ", ".join(quoted(name) for name in names) or "1"
        table = literal(raw.name())
        kind = self._kind()
        if kind is None:
            sql = f"SELECT {columns} FROM {quoted(raw.name())}"
            sql += f" WHERE {self.condition}" if self.condition else ""
            sql += f" LIMIT {self.k}" if self.k is not None else ""
            return sql + (f" OFFSET {self.skip}" if self.skip else ""), []
        asked = self._search(raw)
        args = [table]
        if kind != "vector":
            args += [literal(asked["text_column"]), literal(asked["text"])]
        if kind != "bm25":
            args += [literal(asked["vector_column"]), "$1"]
        args.append(f"k => {asked['k']}")
        named = {"filter": asked["filter"]}
        if kind != "vector":
            named["mode"] = asked["mode"]
        if kind == "vector":
            named.update(nprobe=asked["nprobe"], target_recall=asked["target_recall"])
            named["exact"] = True if asked["exact"] else None
        if kind == "hybrid" and self.fused is not None:
            sql_names = {"method": "fusion", "k": "rrf_k"}
            named.update({sql_names.get(name, name): x for name, x in self.fused.items()})
        args += [f"{name} => {literal(value)}" for name, value in named.items() if value is not None]
        value = "distance" if kind == "vector" else "score"
        columns = ", ".join(["_id", value, *(quoted(name) for name in names if name != "_id")])
        sql = f"SELECT {columns} FROM {kind}_search({', '.join(args)})"
        return sql, [self.vector_query] if kind != "bm25" else []


def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def columns_of(raw: _infino.Table, columns: Sequence[str] | None) -> list[str]:
    """The columns to read: those named, or all but those with a vector index."""
    if columns is not None and list(columns) != ["*"]:
        return list(columns)
    names: list[str] = raw.schema().names
    if columns is not None:
        return names
    vectors = {index["column"] for index in raw.indexes()["vectors"]}
    return [name for name in names if name not in vectors]


def search_of(
    raw: _infino.Table,
    kind: str,
    *,
    text_column: str | None = None,
    text: str | None = None,
    vector_column: str | None = None,
    vector: object = None,
    k: int = 10,
    columns: Sequence[str] | None = None,
    filter: str | None = None,
    mode: str | None = None,
    fusion: Mapping[str, Any] | None = None,
    exact: bool = False,
    nprobe: int | None = None,
    target_recall: float | None = None,
) -> dict[str, Any]:
    """A search as the Rust side takes it. A column that is not named is the only one that can be meant."""
    indexes = raw.indexes()
    if kind != "vector" and text_column is None:
        words = [index["column"] for index in indexes["text"] if index["analyzer"] != KEYWORD]
        text_column = _only(words, "full-text")
    if kind in ("vector", "hybrid") and vector_column is None:
        vector_column = _only([index["column"] for index in indexes["vectors"]], "vector")
    if k < 0:
        raise InvalidError(f"{k} rows cannot be asked for")
    return {
        "kind": kind,
        "text_column": text_column,
        "text": text,
        "vector_column": vector_column,
        "vector": None if vector is None else vector_bytes(vector),
        "k": k,
        # An answer always begins with the row's id.
        "columns": [name for name in columns_of(raw, columns) if name != "_id"],
        "filter": filter,
        "mode": mode,
        "fusion": fusion,
        "exact": exact,
        "nprobe": nprobe,
        "target_recall": target_recall,
    }


def _only(columns: list[str], what: str) -> str:
    if len(columns) == 1:
        return columns[0]
    if not columns:
        raise InvalidError(f"the table has no {what} index; give it one with index= or create_index")
    raise InvalidError(f"the table has {what} indexes on {', '.join(columns)}; say which column")


def asked(
    query: Q,
    given: object,
    vector: object,
    query_type: str,
    column: str | None,
    vector_column: str | None,
) -> Q:
    """What :meth:`Table.search` was called with, as a question."""
    if query_type not in ("auto", "vector", "fts", "hybrid"):
        raise InvalidError(f"query_type {query_type!r} is none of auto, vector, fts, hybrid")
    text: str | None = None
    if isinstance(given, tuple) and len(given) == 2 and any(isinstance(x, str) for x in given):
        text, vector = given if isinstance(given[0], str) else (given[1], given[0])
    elif isinstance(given, str):
        text = given
    elif given is not None:
        if not is_vector(given):
            raise InvalidError(f"a query is text or a vector, not a {type(given).__name__}")
        vector = given
    if text is not None and vector is None:
        if query_type == "vector":
            raise InvalidError("a vector search takes a vector; embed the text first")
    names_vector = vector is not None and text is None and query_type != "hybrid"
    if names_vector and vector_column is None:
        column, vector_column = None, column
    return dataclasses.replace(
        query,
        text_query=text,
        vector_query=vector,
        text_column=column,
        vector_column=vector_column,
    )


@dataclasses.dataclass(frozen=True)
class Query(_Asked):
    """A question; one of the ``to_`` methods asks it. Each other method returns another question.

    >>> docs.search("fox").where("lang = 'en'").select(["body"]).limit(2).to_list()[0]["body"]
    'the quick brown fox'
    """

    def to_arrow(self) -> pa.Table:
        """The rows as ``pyarrow.Table``, best first."""
        if self._kind() is None:
            return _table_of(self._scanned().wait())
        return self._cut(self._searched().wait())

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """The rows batch by batch; a scan reads them as they are asked for."""
        if self._kind() is not None:
            yield from self.to_arrow().to_batches()
            return
        rows = self._scanned().wait()
        while (batch := rows.next().wait()) is not None:
            yield batch

    def to_reader(self) -> pa.RecordBatchReader:
        """The rows as ``pyarrow.RecordBatchReader``."""
        if self._kind() is None:
            return self._scanned().wait().reader()
        return self.to_arrow().to_reader()

    def to_pandas(self) -> pd.DataFrame:
        """The rows as a frame of pandas."""
        return self.to_arrow().to_pandas()

    def to_polars(self) -> pl.DataFrame:
        """The rows as a frame of Polars."""
        return polars_of(self.to_arrow())

    def to_list(self) -> list[dict[str, Any]]:
        """The rows as dictionaries."""
        rows: list[dict[str, Any]] = self.to_arrow().to_pylist()
        return rows

    def explain(self, analyze: bool = False) -> str:
        """How the question is answered: files ruled out, indexes used; with ``analyze`` also what that took."""
        sql, params = self._sql()
        text: str = self._explain(f"EXPLAIN {'ANALYZE ' if analyze else ''}{sql}", params)
        return text

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return stream_of(self.to_reader(), requested_schema)


@dataclasses.dataclass(frozen=True)
class AsyncQuery(_Asked):
    """A question, for callers on an event loop; see :class:`Query`."""

    async def to_arrow(self) -> pa.Table:
        """The rows as ``pyarrow.Table``, best first."""
        if self._kind() is not None:
            return self._cut(await arrive(self._searched()))
        rows = await arrive(self._scanned())
        batches = []
        while (batch := await arrive(rows.next())) is not None:
            batches.append(batch)
        return pa.Table.from_batches(batches, rows.schema())

    async def to_batches(self) -> AsyncIterator[pa.RecordBatch]:
        """The rows batch by batch; a scan reads them as they are asked for."""
        if self._kind() is not None:
            for batch in (await self.to_arrow()).to_batches():
                yield batch
            return
        rows = await arrive(self._scanned())
        while (found := await arrive(rows.next())) is not None:
            yield found

    async def to_pandas(self) -> pd.DataFrame:
        """The rows as a frame of pandas."""
        return (await self.to_arrow()).to_pandas()

    async def to_polars(self) -> pl.DataFrame:
        """The rows as a frame of Polars."""
        return polars_of(await self.to_arrow())

    async def to_list(self) -> list[dict[str, Any]]:
        """The rows as dictionaries."""
        rows: list[dict[str, Any]] = (await self.to_arrow()).to_pylist()
        return rows

    async def explain(self, analyze: bool = False) -> str:
        """How the question is answered; see :meth:`Query.explain`."""
        sql, params = self._sql()
        text: str = await self._explain(f"EXPLAIN {'ANALYZE ' if analyze else ''}{sql}", params)
        return text


def _table_of(rows: _infino.Rows) -> pa.Table:
    batches = []
    while (batch := rows.next().wait()) is not None:
        batches.append(batch)
    return pa.Table.from_batches(batches, rows.schema())


def stream_of(reader: Any, requested_schema: object) -> object:
    """A reader as a capsule of Arrow's C stream."""
    return reader.__arrow_c_stream__(requested_schema)


def polars_of(table: pa.Table) -> pl.DataFrame:
    """A table as a frame of Polars, which shares its memory."""
    import polars as pl

    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame), "a table becomes a frame"
    return frame


def plan_text(plan: pa.Table) -> str:
    """What EXPLAIN answered, as text."""
    rows = plan.to_pylist()
    return "\n\n".join(f"{row['plan_type']}\n{row['plan']}".rstrip() for row in rows)
