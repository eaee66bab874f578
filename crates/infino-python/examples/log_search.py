"""Logs: small batches that are searchable at once, words and SQL over them, old ones deleted, files merged."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

import numpy as np

import infino

MESSAGES = [
    "connection to {host} timed out after {n} ms",
    "GET /api/items/{n} answered 200",
    "GET /api/items/{n} answered 500: upstream {host} refused",
    "user {n} logged in from {host}",
    "disk on {host} is {n} percent full",
]
LEVELS = ["warn", "info", "error", "info", "warn"]
START = datetime.datetime(2024, 3, 1)


def batches(count: int, rows: int) -> Iterator[list[dict[str, object]]]:
    """Log lines as they come, always the same ones."""
    draw = np.random.default_rng(3)
    for batch in range(count):
        lines: list[dict[str, object]] = []
        for row in range(rows):
            kind = int(draw.integers(len(MESSAGES)))
            text = MESSAGES[kind].format(host=f"node-{draw.integers(12)}", n=draw.integers(1000))
            at = START + datetime.timedelta(seconds=60 * batch + row)
            lines.append({"at": at, "level": LEVELS[kind], "message": text})
        yield lines


def main() -> None:
    """Writes a few minutes of logs and looks into them."""
    db = infino.connect("log-data")
    logs = None
    for lines in batches(20, 200):
        if logs is None:
            logs = db.create_table(
                "logs", lines, index={"message": "fts", "level": "keyword"}, mode="overwrite"
            )
        else:
            logs.append(lines)
    assert logs is not None
    print(f"{logs.count_rows()} lines in {len(logs.files())} files")

    since = "at >= TIMESTAMP '2024-03-01 00:10:00'"
    refused = logs.search("upstream refused").mode("all").where(since).limit(3)
    for row in refused.select(["at", "message"]).to_list():
        print(row["at"], row["message"])
    phrase = logs.search('+"timed out" +node').mode("query").limit(1000).to_arrow()
    print(f"{phrase.num_rows} lines say that something timed out")

    by_minute = db.query_sql(
        """
        SELECT date_trunc('minute', at) AS minute, count(*) AS errors
        FROM logs WHERE level = 'error' AND match(message, 'refused')
        GROUP BY 1 ORDER BY errors DESC, minute LIMIT 3
        """
    )
    print(by_minute.to_pandas().to_string(index=False))

    gone = logs.delete("at < TIMESTAMP '2024-03-01 00:05:00'").matched
    report = logs.optimize()
    print(f"{gone} old lines deleted, {report.files_removed} files became {report.files_added}")
    assert logs.count_rows() == 20 * 200 - gone


if __name__ == "__main__":
    main()
