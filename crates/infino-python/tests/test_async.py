"""The twins that are awaited."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import infino


def run(work: Any) -> Any:
    return asyncio.run(work)


def test_the_same_answers() -> None:
    async def main() -> None:
        db = await infino.connect_async("memory://")
        rows = {"body": ["a fox", "a dog", "two foxes"], "sku": ["a", "b", "c"], "v": np.eye(3, 16)}
        index = {"body": "fts:english-v1", "sku": "keyword", "v": "vector"}
        table = await db.create_table("t", rows, index=index, key="sku")
        assert await db.table_names() == ["t"]
        assert (await table.append([{"body": "late", "sku": "d"}])).rows == 1
        assert (await table.insert([{"body": "later", "sku": "e"}])).inserted == 1
        assert (await table.upsert([{"body": "latest", "sku": "e"}])).updated == 1
        merge = table.merge_insert("sku").when_matched_delete()
        assert (await merge.execute([{"sku": "e"}])).deleted == 1
        assert await table.update("sku = 'd'", {"body": "the fox"}) == 1
        assert (await table.bm25_search("body", "fox", 2, ["sku"])).num_rows == 2
        assert (await table.vector_search("v", np.eye(3, 16)[1], 1))["sku"].to_pylist() == ["b"]
        assert (await table.hybrid_search("body", "fox", "v", np.eye(3, 16)[1], 9)).num_rows == 4
        assert (await table.token_match("body", "dog")).num_rows == 1
        assert (await table.exact_match("sku", "c")).num_rows == 1
        assert (await table.search("fox").limit(1).to_pandas()).shape[0] == 1
        assert len(await table.search(np.eye(3, 16)[1]).where("sku <> 'b'").limit(2).to_list()) == 2
        assert "physical_plan" in await table.search("fox").explain()
        batches = [batch async for batch in table.search().select(["sku"]).to_batches()]
        assert pa.Table.from_batches(batches)["sku"].to_pylist() == ["a", "b", "c", "d"]
        assert sum([batch.num_rows async for batch in table.scanner(["sku"], "sku > 'a'")]) == 3
        assert (await table.to_arrow()).num_rows == await table.count_rows() == 4
        sql = "SELECT sku FROM t WHERE match(body, $1) ORDER BY sku"
        assert (await db.query_sql(sql, ["dog"]))["sku"].to_pylist() == ["b"]
        assert [b.num_rows async for b in db.query_sql_batches("SELECT 1 AS one")] == [1]
        version = await table.version()
        assert (await table.delete("true")).matched == 4
        await table.checkout(version)
        assert await table.count_rows() == 4
        await table.create_tag("full")
        assert await table.tags() == {"full": version}
        await table.restore()
        assert await table.count_rows() == 4
        assert (await table.history(1))[0].operation == "restore"
        assert (await table.optimize()).version
        assert (await table.stats()).rows == 4
        assert (await db.verify_table("t")).problems == []
        with pytest.raises(infino.NotFoundError):
            await db.open_table("nothing")
        with pytest.raises(infino.AlreadyExistsError):
            await db.create_table("t", rows)
        assert await (await db.create_table("t", rows, exist_ok=True)).count_rows() == 4
        await db.drop_table("t")

    run(main())


def test_many_at_once_do_not_wait_for_each_other() -> None:
    async def main() -> None:
        db = await infino.connect_async("memory://")
        table = await db.create_table("t", {"n": list(range(100))})
        done = await asyncio.gather(*(table.count_rows(f"n < {i}") for i in range(100)))
        assert done == list(range(100))
        await asyncio.gather(*(table.insert([{"n": 1000 + i}]) for i in range(20)))
        assert await table.count_rows("n >= 1000") == 20

    run(main())


def test_the_loop_runs_meanwhile() -> None:
    async def main() -> int:
        db = await infino.connect_async("memory://")
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.001)

        ticker = asyncio.create_task(tick())
        await db.query_sql("SELECT count(*) FROM generate_series(1, 20000) a, generate_series(1, 500) b")
        ticker.cancel()
        return ticks

    assert run(main()) > 3


def test_a_task_can_be_cancelled() -> None:
    async def main() -> None:
        db = await infino.connect_async("memory://")
        endless = "SELECT sum(a.value * b.value) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b"
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(db.query_sql(endless), 0.2)
        table = await db.create_table("t", {"n": [1]})
        assert await table.count_rows() == 1

    run(main())


def test_one_connection_serves_one_loop_after_another() -> None:
    db = run(infino.connect_async("memory://"))
    table = run(db.create_table("t", {"n": [1]}))
    assert run(table.count_rows()) == 1


def test_twins_have_the_same_names() -> None:
    """Whatever one kind offers the other does, but for what Python's own protocols cannot await."""
    for one, other, apart in [
        (infino.Connection, infino.AsyncConnection, set()),
        (infino.Query, infino.AsyncQuery, {"to_reader"}),
        (infino.MergeInsert, infino.AsyncMergeInsert, set()),
        (infino.Table, infino.AsyncTable, {"at", "head", "lazy", "to_pandas", "to_polars"}),
    ]:
        public = {n for n, m in inspect.getmembers(one) if not n.startswith("_") and callable(m)}
        twins = {n for n, m in inspect.getmembers(other) if not n.startswith("_") and callable(m)}
        assert public - twins <= apart, one
        for name in public & twins:
            mine, theirs = (inspect.signature(getattr(kind, name)) for kind in (one, other))
            assert list(mine.parameters) == list(theirs.parameters), name
