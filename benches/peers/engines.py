"""The engines, each in a process of its own: `engines.py ENGINE build|ask WORK STORE THREADS`, one line of JSON at the end.

An engine builds an index of WORK in the folder STORE, or opens it and answers what it can; what it cannot is left out."""

import glob
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from truth import FILTERS, K, SQL

REPEATS = 5


def batches(work, columns, rows=10_000):
    return pq.ParquetFile(work / "corpus.parquet").iter_batches(rows, columns=columns)


def timed(queries, ask):
    """Answers of the first, untimed round, and microseconds of each call of the others."""
    answers = [[int(row) for row in ask(query)] for query in queries]
    us = []
    for _ in range(REPEATS):
        for query in queries:
            began = time.perf_counter()
            ask(query)
            us.append((time.perf_counter() - began) * 1e6)
    return {"us": us, "answers": answers}


def near(queries, settings, ask, filters=FILTERS):
    """Every setting, unfiltered and filtered: cells `vector` and `filtered/…`, tried until all rows are found."""
    cells = {}
    for name, share in [("vector", None), *((f"filtered/{name}", share) for name, share in filters.items())]:
        cells[name] = {json.dumps(setting): timed(queries, lambda q: ask(q, setting, share)) for setting in settings}
    return cells


def statements(ask):
    """Each statement of SQL; answers are rows."""
    cells = {}
    for name, sql in SQL.items():
        rows = [list(row) for row in ask(sql)]
        us = []
        for _ in range(20):
            began = time.perf_counter()
            ask(sql)
            us.append((time.perf_counter() - began) * 1e6)
        cells[f"sql/{name}"] = {"us": us, "rows": rows}
    return cells


class Data:
    def __init__(self, work):
        self.work = work
        self.near = np.load(work / "queries.npy")
        self.text = json.loads((work / "queries.json").read_text())

    @property
    def vectors(self):
        return np.load(self.work / "vectors.npy")

    @property
    def num(self):
        return pq.read_table(self.work / "corpus.parquet", columns=["num"]).column("num").to_numpy()


class Tantivy:
    def build(self, data, store, threads):
        import tantivy

        schema = tantivy.SchemaBuilder()
        schema.add_integer_field("id", stored=False, indexed=False, fast=True)
        schema.add_text_field("text", stored=True, tokenizer_name="default", index_option="position")
        writer = tantivy.Index(schema.build(), store).writer(256_000_000 * threads, threads)
        for batch in batches(data.work, ["id", "text"], 1000):
            for id, text in zip(batch.column("id").to_pylist(), batch.column("text").to_pylist()):
                writer.add_document(tantivy.Document(id=id, text=text))
        writer.commit()
        writer.wait_merging_threads()

    def ask(self, data, store, threads):
        from tantivy import Index, Occur, Query

        index = Index.open(store)
        searcher, schema = index.searcher(), index.schema

        def query(kind, words):
            if kind == "phrase2":
                return Query.phrase_query(schema, "text", words)
            occur = Occur.Must if kind == "and2" else Occur.Should
            clauses = [(occur, Query.term_query(schema, "text", word, "freq")) for word in words]
            return clauses[0][1] if len(clauses) == 1 else Query.boolean_query(clauses)

        def ask(query):
            hits = searcher.search(query, K, count=False).hits
            return searcher.fast_field_values("id", [address for _, address in hits])

        return {f"text/{kind}": timed([query(kind, words) for words in queries], ask) for kind, queries in data.text.items()}


class Faiss:
    """An inverted file of residual codes and one of scalar codes, whichever reaches the recall first."""

    def build(self, data, store, threads):
        import faiss

        faiss.omp_set_num_threads(threads)
        vectors = data.vectors
        lists = int(4 * np.sqrt(len(vectors)))
        index = faiss.index_factory(vectors.shape[1], f"IVF{lists},SQ8", faiss.METRIC_INNER_PRODUCT)
        index.train(vectors[: 100 * lists])
        index.add(vectors)
        faiss.write_index(index, store + "/index")

    def ask(self, data, store, threads):
        import faiss

        faiss.omp_set_num_threads(threads)
        index, num = faiss.read_index(store + "/index"), data.num
        selectors = {
            share: faiss.IDSelectorBatch(np.flatnonzero(num < share * len(num))) for share in FILTERS.values()
        }

        def ask(query, nprobe, share):
            parameters = faiss.SearchParametersIVF(nprobe=nprobe, sel=selectors.get(share))
            return index.search(query[None, :], K, params=parameters)[1][0]

        return near(data.near, [1, 2, 4, 8, 16, 32, 64, 128], ask)


class Hnswlib:
    def build(self, data, store, threads):
        import hnswlib

        vectors = data.vectors
        index = hnswlib.Index("ip", vectors.shape[1])
        index.init_index(len(vectors), M=16, ef_construction=200)
        index.set_num_threads(threads)
        index.add_items(vectors)
        index.save_index(store + "/index")

    def ask(self, data, store, threads):
        import hnswlib

        index = hnswlib.Index("ip", data.near.shape[1])
        index.load_index(store + "/index")
        index.set_num_threads(1)

        def ask(query, ef, _):
            index.set_ef(ef)
            return index.knn_query(query, K)[0][0]

        return near(data.near, [10, 20, 40, 80, 160, 320], ask, {})


class Usearch:
    def build(self, data, store, threads):
        from usearch.index import Index

        vectors = data.vectors
        index = Index(ndim=vectors.shape[1], metric="ip", dtype="f32")
        index.add(np.arange(len(vectors)), vectors, threads=threads)
        index.save(store + "/index")

    def ask(self, data, store, threads):
        from usearch.index import Index

        index = Index.restore(store + "/index")

        def ask(query, ef, _):
            index.expansion_search = ef
            return index.search(query, K).keys

        return near(data.near, [10, 20, 40, 80, 160, 320], ask, {})


class Lancedb:
    def build(self, data, store, threads):
        import lancedb
        from lancedb.index import FTS

        columns = ["id", "num", "tag", "text", "vec"]
        file = pq.ParquetFile(data.work / "corpus.parquet")
        rows = pa.RecordBatchReader.from_batches(file.schema_arrow, file.iter_batches(10_000, columns=columns))
        table = lancedb.connect(store).create_table("docs", rows)
        plain = dict(stem=False, remove_stop_words=False, ascii_folding=False, max_token_length=None)
        table.create_index("text", config=FTS(with_position=True, num_workers=threads, **plain))
        lists = int(np.sqrt(table.count_rows()))
        table.create_index(metric="cosine", vector_column_name="vec", index_type="IVF_RQ", num_partitions=lists, num_bits=1)
        table.create_scalar_index("num")

    def ask(self, data, store, threads):
        import lancedb
        from lancedb import query as q

        table = lancedb.connect(store).open_table("docs")
        table.prewarm_index("text_idx")
        total = table.count_rows()

        def query(kind, words):
            if kind == "phrase2":
                return q.PhraseQuery(" ".join(words), "text")
            return q.MatchQuery(" ".join(words), "text", operator=q.FullTextOperator["AND" if kind == "and2" else "OR"])

        def text(query):
            return table.search(query).limit(K).select(["id", "_score"]).to_arrow().column("id").to_pylist()

        def ask(vector, setting, share):
            search = table.search(vector, vector_column_name="vec").distance_type("cosine")
            search = search.nprobes(setting[0]).refine_factor(setting[1]).limit(K).select(["id"])
            if share is not None:
                search = search.where(f"num < {int(np.ceil(share * total))}", prefilter=True)
            return search.to_arrow().column("id").to_pylist()

        cells = {f"text/{kind}": timed([query(kind, words) for words in queries], text) for kind, queries in data.text.items()}
        return cells | near(data.near, [(4, 4), (16, 4), (32, 10), (64, 10)], ask)


class Infino011:
    """The published 0.11, which picks its own search settings."""

    def build(self, data, store, threads):
        import infino

        columns = ["id", "num", "tag", "text", "vec"]
        dim = data.near.shape[1]
        vec = pa.list_(pa.field("item", pa.float32(), False), dim)
        schema = pa.schema(
            [pa.field("id", pa.int64(), False), pa.field("num", pa.int64(), False), pa.field("tag", pa.large_utf8(), False)]
            + [pa.field("text", pa.large_utf8(), False), pa.field("vec", vec, False)]
        )
        spec = infino.IndexSpec().fts("text", positions=True).vector("vec", dim, "cosine")
        table = infino.connect(store).create_table("docs", schema, spec)
        for batch in batches(data.work, columns, 50_000):
            flat = pa.FixedSizeListArray.from_arrays(batch.column("vec").flatten(), type=vec)
            rest = [batch.column("id"), batch.column("num"), batch.column("tag").cast(pa.large_utf8())]
            rest += [batch.column("text").cast(pa.large_utf8()), flat]
            table.append(pa.RecordBatch.from_arrays(rest, schema=schema))
        table.optimize()

    def ask(self, data, store, threads):
        import infino

        db = infino.connect(store, cache_dir=os.path.join(store, "cache"), cache_budget_bytes=64 << 30)
        table = db.open_table("docs")
        total = len(data.num)

        def query(kind, words):
            quoted = '"%s"' % " ".join(words)
            return (quoted, "or") if kind == "phrase2" else (" ".join(words), "and" if kind == "and2" else "or")

        def text(query):
            hits = table.bm25_search("text", query[0], K, mode=query[1], projection=["id", "score"])
            return hits.column("id").to_pylist()

        def ask(vector, _, share):
            hits = table.vector_search("vec", vector.tolist(), K, projection=["id"])
            return hits.column("id").to_pylist()

        cells = {f"text/{kind}": timed([query(kind, words) for words in queries], text) for kind, queries in data.text.items()}
        cells |= near(data.near, ["default"], ask, {})
        return cells | statements(lambda sql: rows_of(db.query_sql(sql)))


def rows_of(table):
    return zip(*(column.to_pylist() for column in table.columns))


class Duckdb:
    def connect(self, store, threads):
        import duckdb
        import duckdb_extension_fts as extension

        db = duckdb.connect(store + "/docs.db", config={"threads": threads})
        (path,) = glob.glob(os.path.dirname(extension.__file__) + "/extensions/*/fts.duckdb_extension")
        db.execute(f"LOAD '{path}'")
        return db

    def build(self, data, store, threads):
        db = self.connect(store, threads)
        corpus = data.work / "corpus.parquet"
        db.execute(f"CREATE TABLE docs AS SELECT id, num, tag, text FROM read_parquet('{corpus}')")
        plain = "stemmer='none', stopwords='none', ignore='[^a-z0-9]+', strip_accents=0, lower=1"
        db.execute(f"PRAGMA create_fts_index('docs', 'id', 'text', {plain})")
        db.execute("CHECKPOINT")
        db.close()

    def ask(self, data, store, threads):
        db = self.connect(store, threads)

        def text(query):
            words, all = query
            sql = f"SELECT id, fts_main_docs.match_bm25(id, ?, conjunctive := {all}) AS s FROM docs WHERE s IS NOT NULL"
            return [row[0] for row in db.execute(f"{sql} ORDER BY s DESC, id LIMIT {K}", [words]).fetchall()]

        kinds = {kind: data.text[kind] for kind in ("term", "or3", "and2")}
        cells = {
            f"text/{kind}": timed([(" ".join(words), int(kind == "and2")) for words in queries[:10]], text)
            for kind, queries in kinds.items()
        }
        return cells | statements(lambda sql: db.execute(sql).fetchall())


class Datafusion:
    """On the Parquet file as it was given; there is nothing to build."""

    def build(self, data, store, threads):
        pass

    def ask(self, data, store, threads):
        from datafusion import SessionConfig, SessionContext

        context = SessionContext(SessionConfig().with_target_partitions(threads))
        context.register_parquet("docs", str(data.work / "corpus.parquet"))
        ask = lambda sql: rows_of(pa.Table.from_batches(context.sql(sql).collect()))
        return statements(ask)


ENGINES = {
    "tantivy": Tantivy,
    "faiss": Faiss,
    "hnswlib": Hnswlib,
    "usearch": Usearch,
    "lancedb": Lancedb,
    "infino-0.11": Infino011,
    "duckdb": Duckdb,
    "datafusion": Datafusion,
}


def main():
    engine, phase, work, store, threads = sys.argv[1:]
    data, os.environ["OMP_NUM_THREADS"] = Data(Path(work)), threads
    began = time.perf_counter()
    outcome = getattr(ENGINES[engine](), phase)(data, store, int(threads))
    print(json.dumps({"seconds": time.perf_counter() - began, "cells": outcome or {}}))


if __name__ == "__main__":
    main()
