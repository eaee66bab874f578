"""SQL, full-text, vector and hybrid search over one copy of your data, kept as Parquet on object storage, on disk or in memory.

>>> import infino, numpy as np
>>> db = infino.connect("memory://")  # or a folder, s3://bucket/prefix, az://…, gs://…
>>> docs = db.create_table(
...     "docs",
...     {"body": ["the quick brown fox", "a lazy dog"], "embedding": np.eye(2, 16)},
...     index={"body": "fts", "embedding": "vector"},
... )
>>> docs.search("fox").to_list()[0]["body"]
'the quick brown fox'
>>> docs.search(np.eye(2, 16)[1]).where("body LIKE '%dog%'").limit(1).to_pandas()["body"].tolist()
['a lazy dog']
>>> db.query_sql("SELECT count(*) AS n FROM docs WHERE match(body, 'fox OR dog')").to_pylist()
[{'n': 2}]
"""

from infino._infino import __version__
from infino.async_table import AsyncMergeInsert, AsyncTable
from infino.connection import AsyncConnection, Connection, connect, connect_async
from infino.errors import (
    AlreadyExistsError,
    ConflictError,
    CorruptError,
    Error,
    InternalError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)
from infino.index import IndexSpec
from infino.query import AsyncQuery, Query
from infino.reports import (
    AlterReport,
    Deleted,
    FileInfo,
    OptimizeReport,
    Receipt,
    Stats,
    VerifyReport,
    VersionInfo,
)
from infino.table import MergeInsert, Table, Tags

__all__ = [
    "AlreadyExistsError",
    "AlterReport",
    "AsyncConnection",
    "AsyncMergeInsert",
    "AsyncQuery",
    "AsyncTable",
    "ConflictError",
    "Connection",
    "CorruptError",
    "Deleted",
    "Error",
    "FileInfo",
    "IndexSpec",
    "InternalError",
    "InvalidError",
    "MergeInsert",
    "NotFoundError",
    "OptimizeReport",
    "Query",
    "Receipt",
    "Stats",
    "Table",
    "Tags",
    "UnavailableError",
    "VerifyReport",
    "VersionInfo",
    "__version__",
    "connect",
    "connect_async",
]
