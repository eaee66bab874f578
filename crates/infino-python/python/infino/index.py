"""Which columns of a table are indexed, and how."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Union

import pyarrow as pa

from infino.errors import InvalidError

__all__ = ["IndexSpec", "Indexes"]

KEYWORD = "keyword-v1"

_METRICS = {
    "l2": "l2",
    "euclidean": "l2",
    "cosine": "cosine",
    "dot": "inner_product",
    "ip": "inner_product",
    "inner_product": "inner_product",
    "hamming": "hamming",
}


def metric_named(name: str) -> str:
    """The engine's name of a metric."""
    try:
        return _METRICS[name.lower()]
    except KeyError:
        raise InvalidError(f"no metric is called {name!r}; known are {', '.join(_METRICS)}") from None


@dataclasses.dataclass(frozen=True)
class TextIndex:
    """A text column that is searched by words, or by its whole value."""

    column: str
    analyzer: str = "standard-v1"
    positions: bool = True
    stored: bool = True


@dataclasses.dataclass(frozen=True)
class VectorIndex:
    """A vector column that is searched for nearest neighbours."""

    column: str
    dim: int | None = None
    metric: str = "l2"
    rerank: str = "sq8"
    target_recall: float = 0.95
    stored: bool = True


@dataclasses.dataclass(frozen=True)
class IndexSpec:
    """The indexes of a table; each method returns another spec with one index more.

    >>> import infino
    >>> spec = infino.IndexSpec().fts("body", analyzer="english-v1").vector("embedding", metric="cosine")
    >>> [index.column for index in spec.text]
    ['body']

    Wherever a spec is taken, a dictionary of columns will do: ``{"body": "fts:english-v1", "sku": "keyword",
    "embedding": "vector:cosine"}``.
    """

    text: tuple[TextIndex, ...] = ()
    vectors: tuple[VectorIndex, ...] = ()

    def fts(
        self,
        column: str,
        *,
        analyzer: str = "standard-v1",
        positions: bool = True,
        stored: bool = True,
    ) -> IndexSpec:
        """Indexes a text column for BM25 and token queries.

        ``positions`` are what phrases need. ``stored=False`` keeps the text out of the Parquet columns.
        """
        index = TextIndex(column, analyzer, positions, stored)
        return dataclasses.replace(self, text=(*self.text, index))

    def keyword(self, column: str, *, stored: bool = True) -> IndexSpec:
        """Indexes a text column by its whole value, for exact matches."""
        index = TextIndex(column, KEYWORD, False, stored)
        return dataclasses.replace(self, text=(*self.text, index))

    def vector(
        self,
        column: str,
        dim: int | None = None,
        *,
        metric: str = "l2",
        rerank: str = "sq8",
        target_recall: float = 0.95,
        stored: bool = True,
    ) -> IndexSpec:
        """Indexes a column of vectors of 16 to 4096 floats; ``dim`` is read off the column unless it is given.

        ``metric`` is ``"l2"``, ``"cosine"``, ``"dot"`` or ``"hamming"``; ``rerank`` says what candidates are compared
        by: ``"sq8"`` (2 bytes a dimension), ``"f32"`` or ``"none"``; ``target_recall`` is the recall@10 that a search
        reaches unless it asks for another.
        """
        index = VectorIndex(column, dim, metric_named(metric), rerank, target_recall, stored)
        return dataclasses.replace(self, vectors=(*self.vectors, index))


Indexes = Union[IndexSpec, Mapping[str, str], None]
"""What is taken for a spec of indexes."""


def spec_of(index: Indexes) -> IndexSpec:
    """The spec that ``index`` stands for."""
    if index is None:
        return IndexSpec()
    if isinstance(index, IndexSpec):
        return index
    if not isinstance(index, Mapping):
        raise InvalidError(f"index is a dictionary of columns or an IndexSpec, not {type(index).__name__}")
    spec = IndexSpec()
    for column, described in index.items():
        kind, _, rest = str(described).partition(":")
        if kind == "fts":
            spec = spec.fts(column, analyzer=rest or "standard-v1")
        elif kind == "keyword" and not rest:
            spec = spec.keyword(column)
        elif kind == "vector":
            spec = spec.vector(column, metric=rest or "l2")
        else:
            raise InvalidError(
                f"index of {column!r}: {described!r} is none of 'fts', 'fts:ANALYZER', 'keyword', 'vector', 'vector:METRIC'"
            )
    return spec


def raw_spec(spec: IndexSpec, key: Sequence[str], schema: pa.Schema) -> dict[str, Any]:
    """The spec as the Rust side takes it; dimensions come from ``schema`` where they are not given."""
    return {
        "text": [dataclasses.asdict(index) for index in spec.text],
        "vectors": [
            {**dataclasses.asdict(index), "dim": _dim(index, schema)} for index in spec.vectors
        ],
        "key": list(key),
    }


def _dim(index: VectorIndex, schema: pa.Schema) -> int:
    at = schema.get_field_index(index.column)
    found = schema.field(at).type if at >= 0 else None
    if isinstance(found, pa.FixedSizeListType) and index.dim is None:
        return int(found.list_size)
    if found is not None and index.dim is None:
        raise InvalidError(f"vector index on {index.column!r}: it is {found}, and not vectors of one length")
    return index.dim or 0
