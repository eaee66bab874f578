"""What a vector index costs and reaches on your own queries, and how a table's files are laid out, as pictures.

The cells run in an editor that knows `# %%`, or as a script.
"""

# %% A table with vectors
from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

import infino
from infino import plot

draw = np.random.default_rng(5)
rows = draw.normal(size=(8000, 64)).astype("float32")
db = infino.connect("picture-data")
table = db.create_table(
    "items",
    {"name": [f"item number {i}" for i in range(6000)], "v": rows[:6000]},
    index={"name": "fts", "v": "vector"},
    mode="overwrite",
)
for start in range(6000, 8000, 500):
    names = [f"late item {i}" for i in range(start, start + 500)]
    table.append({"name": names, "v": rows[start : start + 500]})
table.delete("match(name, 'late') AND name LIKE '%1'")

# %% Recall and latency: a star where the index was calibrated to be, dots for each number of clusters probed
queries = draw.normal(size=(20, 64))
plot.recall_latency(table, queries, nprobes=(1, 2, 4, 8, 16, 32))
plt.savefig("recall.png", dpi=120)

# %% The layout of its files
plot.layout(table, "picture-data")
plt.savefig("layout.png", dpi=120)

# %% What there is to see
for point in plot.measure_recall(table, queries, nprobes=(1, 8), repeat=1):
    print(f"{point.setting:>10}  recall {point.recall:.3f}  {point.latency_ms:.2f} ms")
print(table.stats())
