"""Pictures say what is so."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pytest

import infino
from infino import plot

matplotlib.use("Agg")


@pytest.fixture
def table(tmp_path: Path) -> infino.Table:
    draw = np.random.default_rng(1)
    db = infino.connect(tmp_path / "store")
    rows = {"body": ["some words"] * 3000, "v": draw.normal(size=(3000, 16)).astype("float32")}
    table = db.create_table("docs", rows, index={"body": "fts", "v": "vector"})
    table.append({"body": ["more"] * 100, "v": draw.normal(size=(100, 16)).astype("float32")})
    table.delete("body = 'more'")
    return table


def test_recall(table: infino.Table, tmp_path: Path) -> None:
    queries = np.random.default_rng(2).normal(size=(5, 16))
    points = plot.measure_recall(table, queries, nprobes=(1, 10_000), repeat=1)
    assert [point.setting for point in points] == ["default", "nprobe=1", "nprobe=10000"]
    assert points[2].recall >= 0.98 and points[1].recall <= points[2].recall
    assert all(point.latency_ms > 0 for point in points)
    ax = plot.recall_latency(table, queries, nprobes=(1, 4, 16))
    assert ax.get_ylabel() == "recall@10"
    ax.figure.savefig(tmp_path / "recall.png")
    assert (tmp_path / "recall.png").stat().st_size > 5000
    with pytest.raises(infino.InvalidError, match="at least one query"):
        plot.measure_recall(table, [])


def test_layout(table: infino.Table, tmp_path: Path) -> None:
    files = plot.layout_of(table, tmp_path / "store")
    assert [file.rows for file in files] == [3000, 100]
    assert [file.dead_rows for file in files] == [0, 100]
    for file in files:
        assert file.bytes == sum(file.parts.values()) == (tmp_path / "store" / file.path).stat().st_size
        assert {"column _id", "column body", "column v", "text index", "vector index"} <= set(file.parts)
    assert plot.layout_of(table)[0].parts == {"file": files[0].bytes}
    ax = plot.layout(table, tmp_path / "store")
    assert "2 files" in ax.get_title()
    ax.figure.savefig(tmp_path / "layout.png")
