"""What the two kinds of tables have in common: the work of each call, not begun."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pyarrow as pa

from infino import _infino
from infino.data import literal, rows_of
from infino.errors import InvalidError
from infino.index import KEYWORD, IndexSpec, metric_named, raw_spec

Change = Mapping[str, Any]


class Handle:
    """A table, or a version of one."""

    def __init__(self, raw: _infino.Table) -> None:
        self._raw = raw
        self._newest = raw

    @property
    def name(self) -> str:
        """Its name."""
        return self._raw.name()

    @property
    def schema(self) -> pa.Schema:
        """Its columns, without ``_id``.

        >>> docs.schema.names
        ['body', 'lang', 'embedding']
        """
        return self._raw.schema()

    @property
    def indexes(self) -> IndexSpec:
        """What is indexed, and how.

        >>> [index.column for index in docs.indexes.text]
        ['body', 'lang']
        """
        indexes = self._raw.indexes()
        spec = IndexSpec()
        for index in indexes["text"]:
            if index["analyzer"] == KEYWORD:
                spec = spec.keyword(index["column"], stored=index["stored"])
            else:
                spec = spec.fts(**index)
        for index in indexes["vectors"]:
            spec = spec.vector(**index)
        return spec

    @property
    def key(self) -> list[str]:
        """The columns whose values together are unique; empty without a key."""
        key: list[str] = self._raw.indexes()["key"]
        return key

    def _rows(self, data: object) -> Any:
        return rows_of(data, self._raw.schema())

    def _merge(
        self, data: object, on: Sequence[str], matched: str | None, not_matched: str | None
    ) -> _infino.Job[dict[str, Any]]:
        key = self.key
        if on and sorted(on) != sorted(key):
            has = f"its key is {', '.join(key)}" if key else "it was made without a key"
            raise InvalidError(f"rows cannot be merged on {', '.join(on)}: {has}")
        if matched is None and not_matched is None:
            raise InvalidError("say what becomes of rows: when_matched_… or when_not_matched_…")
        return self._raw.merge_insert(self._rows(data), matched, not_matched)

    def _update(
        self,
        where: str | None,
        values: Mapping[str, object] | None,
        values_sql: Mapping[str, str] | None,
    ) -> _infino.Job[int]:
        assignments = [(column, literal(value)) for column, value in (values or {}).items()]
        assignments += list((values_sql or {}).items())
        if not assignments:
            raise InvalidError("an update sets at least one column")
        return self._raw.update("true" if where is None else where, assignments)

    def _optimize(self, keep: timedelta | None) -> _infino.Job[dict[str, Any]]:
        return self._raw.optimize(None if keep is None else keep.total_seconds())

    def _at(self, version: int | str | datetime) -> _infino.Job[_infino.Table]:
        if isinstance(version, str):
            return self._newest.at_tag(version)
        if isinstance(version, datetime):
            # One without a zone is local time, as everywhere in Python.
            return self._newest.at_time(version.astimezone(timezone.utc).timestamp())
        return self._newest.at_version(version)

    def _alter(self, changes: Iterable[Change]) -> _infino.Job[dict[str, Any]]:
        return self._raw.alter(list(changes))

    def _add_columns(self, columns: object) -> list[Change]:
        """Columns to add: a schema, fields, or names with types or values."""
        if isinstance(columns, pa.Schema):
            return [{"add_column": field, "default": None} for field in columns]
        if isinstance(columns, pa.Field):
            return [{"add_column": columns, "default": None}]
        if not isinstance(columns, Mapping):
            raise InvalidError("columns are a schema, a field, or a dictionary of types or values")
        changes: list[Change] = []
        for name, what in columns.items():
            if isinstance(what, pa.DataType):
                changes.append({"add_column": pa.field(name, what), "default": None})
            else:
                default = pa.array([what.as_py()], what.type) if isinstance(what, pa.Scalar) else pa.array([what])
                changes.append({"add_column": pa.field(name, default.type), "default": default})
        return changes

    def _text_index(self, spec: IndexSpec) -> list[Change]:
        return [{"text_index": raw_spec(spec, (), self._raw.schema())["text"][0]}]

    def _vector_index(
        self, column: str | None, metric: str, rerank: str, target_recall: float
    ) -> list[Change]:
        schema = self._raw.schema()
        if column is None:
            vectors = [f.name for f in schema if pa.types.is_fixed_size_list(f.type)]
            if len(vectors) != 1:
                raise InvalidError("say which column: vector_column_name=…")
            column = vectors[0]
        spec = IndexSpec().vector(
            column, metric=metric_named(metric), rerank=rerank, target_recall=target_recall
        )
        return [{"vector_index": raw_spec(spec, (), schema)["vectors"][0]}]

    def _drop_indexes(self, column: str) -> list[Change]:
        indexes = self._raw.indexes()
        changes: list[Change] = []
        if any(index["column"] == column for index in indexes["text"]):
            changes.append({"drop_text_index": column})
        if any(index["column"] == column for index in indexes["vectors"]):
            changes.append({"drop_vector_index": column})
        if not changes:
            raise InvalidError(f"column {column!r} has no index")
        return changes
