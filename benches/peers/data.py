"""What every engine is given: rows with a text, a tag, a number and a vector, and the queries.

A folder of real data is used as it is: the largest .parquet (its longest string column is the text), the largest .f32.npy
beside it (row i belongs to row i; the shorter of the two decides), and queries*.f32.npy. Without one, words follow Zipf's law
and vectors lie in clusters."""

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

QUERIES = 50


def prepare(work, rows, dim, source=None):
    """Writes corpus.parquet, vectors.npy, queries.npy and queries.json into `work`."""
    work.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(7)
    texts, vectors, near = real(Path(source), rows) if source else made(random, rows, dim)
    rows = len(texts)
    tags = [f"tag-{tag}" for tag in random.integers(0, 1000, rows)]
    item = pa.field("item", pa.float32())
    columns = {
        "id": pa.array(np.arange(rows), pa.int64()),
        "num": pa.array(random.permutation(rows), pa.int64()),
        "tag": pa.array(tags, pa.string()),
        "text": pa.array(texts, pa.string()),
        "vec": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), type=pa.list_(item, vectors.shape[1])),
    }
    pq.write_table(pa.table(columns), work / "corpus.parquet", row_group_size=10_000)
    np.save(work / "vectors.npy", vectors)
    np.save(work / "queries.npy", near[:QUERIES])
    (work / "queries.json").write_text(json.dumps(text_queries(random, texts)))


def plain(text):
    """ASCII words without punctuation, so that all tokenizers agree."""
    return " ".join(re.findall(r"[a-z0-9]{1,32}", text.lower()))


def real(folder, rows):
    largest = lambda pattern: max(folder.glob(pattern), key=lambda path: path.stat().st_size)
    table = pq.read_table(largest("*.parquet"))
    strings = [name for name in table.column_names if pa.types.is_string(table.schema.field(name).type)]
    text = max(strings, key=lambda name: table.column(name).nbytes)
    vectors = np.load(largest("*.f32.npy")).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    near = sorted(folder.glob("queries*.f32.npy"))
    near = np.load(near[0]).astype(np.float32) if near else vectors[-QUERIES:]
    rows = min(rows, len(vectors), table.num_rows)
    texts = [plain(text or "") for text in table.column(text).to_pylist()[:rows]]
    return texts, vectors[:rows], near


def made(random, rows, dim):
    words = [word(rank) for rank in range(200_000)]
    lengths = np.clip(np.exp(4 + 0.7 * random.standard_normal(rows)), 3, 2000).astype(int)
    ranks = (200_000 ** random.random(lengths.sum())).astype(int) - 1
    ends = np.cumsum(lengths)
    texts = [" ".join(words[rank] for rank in ranks[end - n : end]) for end, n in zip(ends, lengths)]
    centres = random.standard_normal((500, dim)).astype(np.float32)
    all = centres[random.integers(0, 500, rows + QUERIES)]
    all += 0.7 * random.standard_normal(all.shape).astype(np.float32)
    all /= np.linalg.norm(all, axis=1, keepdims=True)
    return texts, all[:rows], all[rows:]


def word(rank):
    text, rank = "", rank + 1
    while rank:
        text += chr(97 + rank % 26)
        rank //= 26
    return text


def text_queries(random, texts):
    """Queries by kind, each of words of one document, so that every query has an answer."""
    kinds = {"term": [], "or3": [], "and2": [], "phrase2": []}
    while len(kinds["term"]) < QUERIES:
        words = texts[random.integers(len(texts))].split()
        if len(words) < 8:
            continue
        at = random.integers(len(words) - 1)
        some = lambda n: [words[i] for i in random.choice(len(words), n, replace=False)]
        kinds["term"].append(some(1))
        kinds["or3"].append(some(3))
        kinds["and2"].append(some(2))
        kinds["phrase2"].append(words[at : at + 2])
    return kinds
