"""The right answers, by looking at every row: BM25 with exact lengths in double precision, distances by numpy, SQL by hand."""

import json
from collections import Counter, defaultdict

import numpy as np
import pyarrow.parquet as pq

K = 10
K1, B = 1.2, 0.75
FILTERS = {"10%": 0.1, "1%": 0.01}


class Truth:
    def __init__(self, work):
        table = pq.read_table(work / "corpus.parquet", columns=["num", "tag", "text"])
        self.num = table.column("num").to_numpy()
        self.tag = np.array(table.column("tag").to_pylist())
        self.docs = [text.split() for text in table.column("text").to_pylist()]
        self.vectors, self.near = np.load(work / "vectors.npy"), np.load(work / "queries.npy")
        self.text = json.loads((work / "queries.json").read_text())
        self.lengths = np.array([len(doc) for doc in self.docs], float)
        wanted = {word for queries in self.text.values() for query in queries for word in query}
        self.postings = defaultdict(dict)
        for row, doc in enumerate(self.docs):
            for word, count in Counter(doc).items():
                if word in wanted:
                    self.postings[word][row] = count

    def scores(self, kind, words):
        """Score of every row that matches."""
        total, average = len(self.docs), self.lengths.mean()
        saturated = lambda row, count: count / (count + K1 * (1 - B + B * self.lengths[row] / average))
        idf = lambda df: np.log(1 + (total - df + 0.5) / (df + 0.5))
        if kind == "phrase2":
            weight = sum(idf(len(self.postings[word])) for word in words)
            both = self.postings[words[0]].keys() & self.postings[words[1]].keys()
            pairs = ((row, zip(self.docs[row], self.docs[row][1:])) for row in both)
            found = {row: sum(pair == tuple(words) for pair in pairs_) for row, pairs_ in pairs}
            return {row: weight * saturated(row, count) for row, count in found.items() if count}
        scores = Counter()
        for word in words:
            weight = idf(len(self.postings[word]))
            for row, count in self.postings[word].items():
                scores[row] += weight * saturated(row, count)
        if kind == "and2":
            return {row: score for row, score in scores.items() if all(row in self.postings[w] for w in words)}
        return scores

    def judge_text(self, kind, answers):
        """Share of the true best that came; a row that scores as the true k-th counts."""
        found, right = 0, 0
        for words, answer in zip(self.text[kind], answers):
            scores = self.scores(kind, words)
            best = sorted(scores.values(), reverse=True)[:K]
            right += len(best)
            found += sum(scores.get(row, 0) >= best[-1] * (1 - 1e-5) for row in set(answer[: len(best)])) if best else 0
        return found / max(right, 1)

    def judge_near(self, share, answers):
        """Recall of the nearest among the rows that pass."""
        allowed = np.flatnonzero(self.num < share * len(self.num))
        products = self.near @ self.vectors[allowed].T
        found = 0
        for product, answer in zip(products, answers):
            best = set(allowed[np.argpartition(-product, K)[:K]].tolist())
            found += len(best & set(answer[:K]))
        return found / (K * len(self.near))

    def sql(self, name):
        """What a statement must give."""
        if name == "range":
            return [[int(((self.num >= 1000) & (self.num < 2000)).sum())]]
        if name == "point":
            return [[int(np.flatnonzero(self.num == 1234)[0])]]
        counts = sorted(Counter(self.tag.tolist()).items(), key=lambda pair: (-pair[1], pair[0]))
        return [list(pair) for pair in counts[:10]]


SQL = {
    "range": "SELECT count(*) FROM docs WHERE num >= 1000 AND num < 2000",
    "point": "SELECT id FROM docs WHERE num = 1234",
    "group": "SELECT tag, count(*) AS n FROM docs GROUP BY tag ORDER BY n DESC, tag LIMIT 10",
}
