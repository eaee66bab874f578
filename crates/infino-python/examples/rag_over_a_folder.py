"""Answers a question from a folder of texts: passages are found by words and by meaning, and make up the prompt.

    python rag_over_a_folder.py [FOLDER] [QUESTION]

Without arguments it reads the sources of Python's own `email` package.
"""

from __future__ import annotations

import email
import sys
from collections.abc import Iterator
from pathlib import Path

from embedding import embed

import infino

LINES = 25
SUFFIXES = {".md", ".py", ".rst", ".txt"}


def passages(folder: Path) -> Iterator[dict[str, object]]:
    """Pieces of every text in the folder, of a few lines each."""
    for path in sorted(folder.rglob("*")):
        if path.suffix not in SUFFIXES or not path.is_file():
            continue
        lines = path.read_text(errors="replace").splitlines()
        for at in range(0, len(lines), LINES):
            text = "\n".join(lines[at : at + LINES]).strip()
            if text:
                yield {"path": str(path.relative_to(folder)), "line": at + 1, "text": text}


def main(folder: Path, question: str) -> None:
    """Indexes the folder and prints what a language model would be asked."""
    db = infino.connect("rag-data")
    rows = list(passages(folder))
    vectors = embed([str(row["text"]) for row in rows])
    for row, vector in zip(rows, vectors):
        row["embedding"] = vector
    docs = db.create_table(
        "passages",
        rows,
        index={"text": "fts:english-v1", "path": "keyword", "embedding": "vector:cosine"},
        mode="overwrite",
    )
    found = docs.search(question, vector=embed([question])[0]).limit(4).to_list()
    context = "\n\n".join(f"[{row['path']}:{row['line']}]\n{row['text']}" for row in found)
    print(f"{docs.count_rows()} passages of {folder}")
    print(f"\nAnswer from these passages, naming them.\n\n{context}\n\nQuestion: {question}")


if __name__ == "__main__":
    given = sys.argv[1:]
    main(
        Path(given[0]) if given else Path(str(email.__file__)).parent,
        given[1] if len(given) > 1 else "How is the charset of a header decoded?",
    )
