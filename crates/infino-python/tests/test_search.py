"""Searches answer what a plain computation answers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import infino

DIM = 24
ROWS = 600


@pytest.fixture(scope="module")
def corpus() -> infino.Table:
    draw = np.random.default_rng(7)
    vectors = draw.normal(size=(ROWS, DIM)).astype("float32")
    words = np.array(["red", "green", "blue", "cyan", "black"])
    bodies = [" ".join(draw.choice(words, size=draw.integers(1, 6))) for _ in range(ROWS)]
    db = infino.connect("memory://")
    table = db.create_table(
        "corpus",
        {"n": list(range(ROWS)), "body": bodies, "lang": [f"l{i % 3}" for i in range(ROWS)], "v": vectors},
        index={"body": "fts", "lang": "keyword", "v": "vector"},
    )
    table.delete("n % 50 = 0")
    return table


def test_exact_vector_search_is_exact(corpus: infino.Table) -> None:
    rows = corpus.to_pandas()
    vectors = np.stack(list(rows["v"]))
    for query in np.random.default_rng(8).normal(size=(10, DIM)):
        distances = ((vectors - query.astype("float32")) ** 2).sum(axis=1)
        wanted = rows["n"].to_numpy()[np.argsort(distances, kind="stable")[:7]].tolist()
        found = corpus.vector_search("v", query, 7, ["n"], exact=True)
        assert found["n"].to_pylist() == wanted
        assert np.allclose(found["distance"], np.sort(distances)[:7], rtol=1e-4)
        mine = [n for n in rows["n"].to_numpy()[np.argsort(distances)].tolist() if n % 3 == 1][:5]
        asked = corpus.search(query).where("lang = 'l1'").limit(5).exact()
        assert [row["n"] for row in asked.to_list()] == mine
        approximate = corpus.search(query).limit(7).target_recall(0.99).nprobes(1000).to_arrow()
        assert len(set(approximate["n"].to_pylist()) & set(wanted)) >= 6


def test_text_search_finds_what_holds_the_words(corpus: infino.Table) -> None:
    rows = corpus.to_pandas()
    holds = rows["body"].str.split().apply(set)
    for mode, wanted in [
        ("any", holds.apply(lambda words: bool(words & {"red", "cyan"}))),
        ("all", holds.apply(lambda words: {"red", "cyan"} <= words)),
        ("phrase", rows["body"].str.contains(r"\bred cyan\b")),
    ]:
        found = corpus.search("red cyan").mode(mode).limit(ROWS).to_arrow()
        assert sorted(found["n"].to_pylist()) == sorted(rows["n"][wanted]), mode
        scores = found["score"].to_pylist()
        assert scores == sorted(scores, reverse=True)
    query = corpus.search("+red -cyan").mode("query").limit(ROWS).to_arrow()
    red = holds.apply(lambda words: "red" in words and "cyan" not in words)
    assert sorted(query["n"].to_pylist()) == sorted(rows["n"][red])
    tokens = corpus.token_match("body", "red cyan", ROWS, ["n"])
    both = holds.apply(lambda words: {"red", "cyan"} <= words)
    assert tokens["n"].to_pylist() == sorted(rows["n"][both])
    some = corpus.exact_match("lang", "l2", ROWS, ["n"], filter="n < 100")
    assert some["n"].to_pylist() == [n for n in rows["n"] if n % 3 == 2 and n < 100]


def test_hybrid_search_is_the_fusion_of_both(corpus: infino.Table) -> None:
    query = np.random.default_rng(9).normal(size=DIM)
    text = corpus.bm25_search("body", "red", 100, ["n"])["n"].to_pylist()
    near = corpus.vector_search("v", query, 100, ["n"])["n"].to_pylist()
    worth: dict[int, float] = {}
    for ranking, weight in ((text, 2.0), (near, 1.0)):
        for rank, n in enumerate(ranking, start=1):
            worth[n] = worth.get(n, 0.0) + weight / (60 + rank)
    fused = corpus.search("red", vector=query).fusion("rrf", k=60, text_weight=2).limit(20).to_arrow()
    assert np.allclose(fused["score"], sorted(worth.values(), reverse=True)[:20], rtol=1e-5)
    assert [worth[n] for n in fused["n"].to_pylist()] == pytest.approx(fused["score"].to_pylist(), rel=1e-5)
    again = corpus.search(query_type="hybrid").text("red").vector(query).limit(20).to_arrow()
    pair = corpus.search((query, "red")).limit(20).to_arrow()
    assert pair == again == corpus.hybrid_search("body", "red", "v", query, 20)
    linear = corpus.search("red", vector=query).fusion("linear").limit(5).to_arrow()
    assert linear.num_rows == 5


def test_the_builder(corpus: infino.Table) -> None:
    query = corpus.search("red")
    assert query.limit(3).to_arrow().column_names == ["_id", "score", "n", "body", "lang"]
    assert query.select(["*"]).limit(1).to_arrow().column_names == ["_id", "score", "n", "body", "lang", "v"]
    assert query.select(["n", "_id"]).limit(1).to_arrow().column_names == ["_id", "score", "n"]
    assert query.select([]).limit(1).to_arrow().column_names == ["_id", "score"]
    assert query.to_arrow().num_rows == 10
    ten = query.limit(10).to_arrow()
    assert query.limit(4).offset(3).to_arrow() == ten.slice(3, 4)
    assert query.limit(0).to_arrow().num_rows == 0
    both = query.where("n > 100").where("lang = 'l0' OR lang = 'l1'").limit(ROWS).to_arrow()
    assert all(row["n"] > 100 and row["lang"] != "l2" for row in both.to_pylist())
    assert query.limit(2).to_pandas()["n"].tolist() == query.limit(2).to_polars()["n"].to_list()
    assert query.limit(2).to_list() == ten.slice(0, 2).to_pylist()
    assert pa.table(query.limit(2)) == ten.slice(0, 2)
    assert corpus.search().where("n < 5").select(["_id", "n"]).to_arrow()["n"].to_pylist() == [1, 2, 3, 4]
    assert "v" not in corpus.search().limit(1).to_arrow().column_names
    assert corpus.query().limit(3).to_arrow().num_rows == 3


def test_explain(corpus: infino.Table) -> None:
    near = np.zeros(DIM)
    for query in [
        corpus.search("red").where("n > 1").mode("all"),
        corpus.search(near).nprobes(3),
        corpus.search(near).exact(),
        corpus.search("red", vector=near).fusion("linear"),
        corpus.search().where("n > 1").limit(3).offset(1),
    ]:
        assert "physical_plan" in query.explain()
        assert "metrics" in query.explain(analyze=True) or "output_rows" in query.explain(analyze=True)


def test_questions_that_make_no_sense(corpus: infino.Table, docs: infino.Table) -> None:
    near = np.zeros(DIM)
    for ask, message in [
        (lambda: corpus.search(7), "text or a vector"),
        (lambda: corpus.search("red", query_type="vector"), "embed"),
        (lambda: corpus.search("red", query_type="magic"), "query_type"),
        (lambda: corpus.search(near[:3]).to_arrow(), "dimension"),
        (lambda: corpus.search([1.0] * 23 + [float("nan")]).to_arrow(), "finite"),
        (lambda: corpus.search("red", column="n").to_arrow(), "full-text index"),
        (lambda: corpus.search("red").where("nothing = 1").to_arrow(), "nothing"),
        (lambda: corpus.search("red").where("n > 1; DROP TABLE corpus").to_arrow(), "predicate"),
        (lambda: corpus.search("red").where("n", prefilter=False), "before the ranking"),
        (lambda: corpus.search("red").select(["nothing"]).to_arrow(), "nothing"),
        (lambda: corpus.search("red").select("n"), "list"),
        (lambda: corpus.search("red").mode("loud").to_arrow(), "text mode"),
        (lambda: corpus.search("red", vector=near).fusion("magic").to_arrow(), "fusion"),
        (lambda: corpus.search("(red").mode("query").to_arrow(), "query"),
        (lambda: corpus.search("red").limit(-1).to_arrow(), "-1"),
        (lambda: corpus.vector_search("v", np.zeros((2, DIM))), "one vector"),
        (lambda: corpus.vector_search("v", ["a"]), "numbers"),
        (lambda: corpus.vector_search("body", near), "vector index"),
    ]:
        with pytest.raises(infino.InvalidError, match=message):
            ask()
