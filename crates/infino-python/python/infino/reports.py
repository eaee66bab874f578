"""What calls report."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timezone

__all__ = [
    "AlterReport",
    "Deleted",
    "FileInfo",
    "OptimizeReport",
    "Receipt",
    "Stats",
    "VerifyReport",
    "VersionInfo",
]


@dataclasses.dataclass(frozen=True)
class Receipt:
    """What a commit of rows did."""

    version: int
    """The version of the table that shows it; the one before if there was nothing to commit."""
    rows: int
    """Rows that came in, those in the place of others included."""
    inserted: int
    """Rows given that came in beside those that were there."""
    updated: int
    """Rows given that took the place of others."""
    deleted: int
    """Rows taken out."""
    unchanged: int
    """Rows given that changed nothing."""
    replayed: bool
    """Whether the token was committed before, and nothing now."""


@dataclasses.dataclass(frozen=True)
class Deleted:
    """What a deletion or a replacement did."""

    version: int
    """The version of the table that shows it."""
    matched: int
    """Rows that the condition held for."""


@dataclasses.dataclass(frozen=True)
class OptimizeReport:
    """What an optimisation did."""

    version: int
    files_removed: int
    files_added: int
    rows_reclaimed: int
    objects_removed: int
    bytes_removed: int


@dataclasses.dataclass(frozen=True)
class AlterReport:
    """What a change of columns or indexes did."""

    version: int
    files_rewritten: int
    bytes_written: int


@dataclasses.dataclass(frozen=True)
class FileInfo:
    """A superfile: an ordinary Parquet file with the indexes of its rows inside."""

    path: str
    """Where it is, under the store's root."""
    bytes: int
    rows: int
    """Its rows, dead ones included."""
    dead_rows: int
    """Rows that a deletion or an update took out; ``optimize`` reclaims them."""


@dataclasses.dataclass(frozen=True)
class VersionInfo:
    """A version of a table."""

    version: int
    time_ms: int
    """When it was made, in milliseconds since 1970."""
    operation: str
    """``create``, ``append``, ``delete``, ``update``, ``merge``, ``compact``, ``schema``, ``property`` or ``restore``."""
    token: str | None
    rows_added: int
    files_added: int
    files_removed: int

    @property
    def time(self) -> datetime:
        """When it was made, by the clock of its writer."""
        return datetime.fromtimestamp(self.time_ms / 1000, tz=timezone.utc)


@dataclasses.dataclass(frozen=True)
class Stats:
    """What a table is made of."""

    version: int
    rows: int
    dead_rows: int
    files: int
    bytes: int


@dataclasses.dataclass(frozen=True)
class VerifyReport:
    """What a reading of all that a table names found."""

    version: int
    superfiles: int
    bytes: int
    """Bytes read."""
    problems: list[tuple[str, str]]
    """Which object, and what is wrong with it; empty if nothing is."""
