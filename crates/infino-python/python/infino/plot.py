"""Pictures of a table: how its vector index trades recall for time, and how its files are laid out.

Needs matplotlib and numpy: ``pip install infino[plot]``.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infino.errors import InvalidError
from infino.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FileLayout", "RecallPoint", "layout", "layout_of", "measure_recall", "recall_latency"]


@dataclasses.dataclass(frozen=True)
class RecallPoint:
    """What one setting of a search reached."""

    setting: str
    """``nprobe=8``, or ``default`` for what the index was calibrated for."""
    recall: float
    """The share of the nearest rows that were found."""
    latency_ms: float
    """The median time of a query."""


@dataclasses.dataclass(frozen=True)
class FileLayout:
    """A superfile, and what its bytes are."""

    path: str
    rows: int
    dead_rows: int
    bytes: int
    parts: dict[str, int]
    """Bytes by what they hold: columns, indexes, the rest. Only ``file`` where the file cannot be looked into."""


def measure_recall(
    table: Table,
    queries: Iterable[Any],
    *,
    column: str | None = None,
    k: int = 10,
    nprobes: Sequence[int] = (1, 2, 4, 8, 16, 32, 64),
    filter: str | None = None,
    repeat: int = 3,
) -> list[RecallPoint]:
    """Measures recall@k and median latency on ``queries``, by default and for each of ``nprobes``.

    The truth is an exact search by this table, under the same ``filter``. A query counts with the fastest of ``repeat``
    runs, after one that is not counted.
    """
    asked = list(queries)
    if not asked:
        raise InvalidError("recall is measured on at least one query")
    if column is None:
        vectors = [index.column for index in table.indexes.vectors]
        if len(vectors) != 1:
            raise InvalidError("say which column has the vector index that is to be measured")
        column = vectors[0]

    def ids(query: Any, **how: Any) -> list[Any]:
        found = table.vector_search(column, query, k, [], filter=filter, **how)
        listed: list[Any] = found["_id"].to_pylist()
        return listed

    truth = [set(ids(query, exact=True)) for query in asked]

    def point(setting: str, **how: Any) -> RecallPoint:
        times, hits = [], 0
        for query, nearest in zip(asked, truth):
            hits += len(nearest.intersection(ids(query, **how)))
            fastest = float("inf")
            for _ in range(repeat):
                began = time.perf_counter()
                ids(query, **how)
                fastest = min(fastest, time.perf_counter() - began)
            times.append(fastest)
        wanted = sum(map(len, truth))
        return RecallPoint(setting, hits / wanted if wanted else 1.0, statistics.median(times) * 1e3)

    return [point("default"), *(point(f"nprobe={n}", nprobe=n) for n in nprobes)]


def recall_latency(
    table: Table,
    queries: Iterable[Any],
    *,
    column: str | None = None,
    k: int = 10,
    nprobes: Sequence[int] = (1, 2, 4, 8, 16, 32, 64),
    filter: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws the recall-latency curve of a table's vector index on your queries; see :func:`measure_recall`."""
    points = measure_recall(table, queries, column=column, k=k, nprobes=nprobes, filter=filter)
    ax = _axes(ax, (6.4, 4.4))
    default, curve = points[0], points[1:]
    ax.plot([p.latency_ms for p in curve], [p.recall for p in curve], "o-", label="by nprobe")
    for point in curve:
        ax.annotate(
            point.setting.partition("=")[2],
            (point.latency_ms, point.recall),
            textcoords="offset points",
            xytext=(0, -12),
            ha="center",
            fontsize=8,
        )
    ax.plot([default.latency_ms], [default.recall], "*", markersize=14, label="default")
    ax.set_xlabel("median latency, ms")
    ax.set_ylabel(f"recall@{k}")
    lowest = min(point.recall for point in points)
    ax.set_ylim(max(lowest - 0.05 - (1 - lowest) * 0.1, -0.05), 1.01 + (1 - lowest) * 0.03)
    ax.set_xlim(left=0)
    ax.set_title(f"{table.name}: vector search" + (f" where {filter}" if filter else ""))
    ax.grid(alpha=0.3)
    ax.legend(loc="best")
    return ax


def layout_of(table: Table, store: str | Path | None = None) -> list[FileLayout]:
    """The files of a table and, where they lie in a local folder, what their bytes are.

    ``store`` is that folder; without it no file is looked into.
    """
    layouts = []
    for file in table.files():
        path = None if store is None else Path(store) / file.path
        parts = _parts(path, file.bytes) if path is not None and path.is_file() else {"file": file.bytes}
        layouts.append(FileLayout(file.path, file.rows, file.dead_rows, file.bytes, parts))
    return layouts


def _parts(path: Path, size: int) -> dict[str, int]:
    import pyarrow.parquet as pq

    footer = pq.read_metadata(path)
    parts: dict[str, int] = {}
    for group in range(footer.num_row_groups):
        row_group = footer.row_group(group)
        for at in range(row_group.num_columns):
            chunk = row_group.column(at)
            name = f"column {chunk.path_in_schema.partition('.')[0]}"
            parts[name] = parts.get(name, 0) + chunk.total_compressed_size
    for name, length in _sections(footer.metadata or {}):
        parts[name] = parts.get(name, 0) + length
    parts["footer and other"] = max(size - sum(parts.values()), 0)
    return parts


def _sections(metadata: dict[bytes, bytes]) -> list[tuple[str, int]]:
    """The sections that a superfile's footer lists, and their lengths; docs/format/superfile.md has the words."""
    names = {"text": "text index", "vector": "vector index"}
    found = []
    for line in metadata.get(b"inf.sections", b"").decode().splitlines():
        kind, *fields = line.split(" ")
        said = dict(field.partition("=")[::2] for field in fields)
        found.append((names.get(kind, kind), int(said.get("len", "0"))))
    return found


def layout(table: Table, store: str | Path | None = None, *, ax: Axes | None = None) -> Axes:
    """Draws the files of a table, largest first: a bar a file, as long as its bytes, rows and dead rows beside it.

    With ``store``, the local folder that the table is in, bars are divided into columns and indexes.
    """
    files = sorted(layout_of(table, store), key=lambda file: file.bytes, reverse=True)
    alone = ax is None
    ax = _axes(ax, (7.2, 2.2 + 0.34 * max(len(files), 1)))
    names: dict[str, int] = {}
    for file in files:
        for name, length in file.parts.items():
            names[name] = names.get(name, 0) + length
    ordered = sorted(names, key=lambda name: names[name], reverse=True)
    colours = _colours(len(ordered))
    places = range(len(files))
    ends = [0.0] * len(files)
    for name, colour in zip(ordered, colours):
        widths = [file.parts.get(name, 0) / 1e6 for file in files]
        ax.barh(places, widths, left=ends, color=colour, label=name, height=0.75)
        ends = [end + width for end, width in zip(ends, widths)]
    for place, file, end in zip(places, files, ends):
        dead = f", {file.dead_rows:,} dead" if file.dead_rows else ""
        ax.annotate(
            f" {file.rows:,} rows{dead}", (end, place), va="center", ha="left", fontsize=8
        )
    ax.set_yticks(list(places), [Path(file.path).stem[:12] for file in files], fontsize=8)
    ax.invert_yaxis()
    ax.margins(x=0.25)
    ax.set_xlim(left=0)
    ax.set_xlabel("MB")
    ax.set_title(f"{table.name}: {len(files)} files, {sum(file.bytes for file in files) / 1e6:,.1f} MB")
    if len(ordered) > 1 and alone:
        # Below the picture: nothing in it is covered.
        ax.figure.legend(fontsize=8, loc="outside lower center", ncols=4, frameon=False)
    elif len(ordered) > 1:
        ax.legend(fontsize=8, loc="lower right")
    return ax


def _colours(count: int) -> list[Any]:
    import matplotlib

    palette = matplotlib.colormaps["tab20"]
    return [palette(at % 20) for at in range(count)]


def _axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("infino.plot draws with matplotlib: pip install infino[plot]") from error
    _, made = plt.subplots(figsize=size, layout="constrained")
    axes: Axes = made
    return axes
