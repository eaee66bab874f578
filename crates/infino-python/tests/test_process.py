"""Threads, signals and forks."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import infino

SLOW = "SELECT sum(a.value * b.value) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b"


def child(source: str, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(source), *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_threads_share_a_table(db: infino.Connection) -> None:
    table = db.create_table("t", {"n": list(range(1000))}, index={})
    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda i: table.count_rows(f"n < {i}"), range(200)))
        assert counts == list(range(200))
        list(pool.map(lambda i: table.append({"n": [1000 + i]}), range(16)))
    assert table.count_rows("n >= 1000") == 16


def test_other_threads_run_while_one_waits(db: infino.Connection) -> None:
    ticks = 0
    stop = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not stop.is_set():
            ticks += 1
            time.sleep(0.001)

    ticker = threading.Thread(target=tick)
    ticker.start()
    before = ticks
    db.query_sql("SELECT count(*) FROM generate_series(1, 20000) a, generate_series(1, 500) b")
    waited = ticks - before
    stop.set()
    ticker.join()
    assert waited > 3


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_an_interrupt_ends_a_statement() -> None:
    done = child(
        """
        import os, signal, sys, threading, time
        import infino
        db = infino.connect("memory://")
        threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        began = time.monotonic()
        try:
            db.query_sql(sys.argv[1])
        except KeyboardInterrupt:
            print("interrupted", time.monotonic() - began < 20)
        print(db.query_sql("SELECT 1 AS one").to_pylist())
        """,
        SLOW,
    )
    assert done.stdout.splitlines() == ["interrupted True", "[{'one': 1}]"], done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_is_told(tmp_path: Path) -> None:
    done = child(
        """
        import os, sys, warnings
        warnings.simplefilter("ignore")
        import infino
        db = infino.connect(sys.argv[1])
        table = db.create_table("t", {"n": [1, 2]})
        query = table.search()
        pid = os.fork()
        if pid == 0:
            for ask in (table.count_rows, db.table_names, query.to_arrow, lambda: table.append({"n": [3]})):
                try:
                    ask()
                    print("worked")
                except infino.Error as error:
                    print("told" if "fork" in str(error) else error)
            anew = infino.connect(sys.argv[1]).open_table("t")
            anew.append({"n": [3]})
            print(anew.count_rows(), flush=True)
            del db, table, query
            os._exit(0)
        status = os.waitpid(pid, 0)[1]
        print(status, table.count_rows())
        """,
        str(tmp_path),
    )
    assert done.stdout.split() == ["told"] * 4 + ["3", "0", "3"], done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_multiprocessing_by_fork_and_by_spawn(tmp_path: Path) -> None:
    infino.connect(tmp_path).create_table("t", {"n": [1]})
    script = tmp_path / "work.py"
    script.write_text(
        textwrap.dedent(
            """
            import multiprocessing, sys, warnings
            warnings.simplefilter("ignore")
            import infino

            def work(n):
                return infino.connect(sys.argv[1]).open_table("t").append({"n": [n]}).rows

            if __name__ == "__main__":
                infino.connect(sys.argv[1]).open_table("t").count_rows()
                for method in ("fork", "spawn"):
                    with multiprocessing.get_context(method).Pool(2) as pool:
                        print(sum(pool.map(work, range(4))))
            """
        )
    )
    command = [sys.executable, str(script), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["4", "4"], done.stderr
    assert infino.connect(tmp_path).open_table("t").count_rows() == 9


def test_an_exit_in_the_middle_of_things() -> None:
    done = child(
        """
        import asyncio, threading, sys
        import infino
        db = infino.connect("memory://")
        threading.Thread(target=lambda: db.query_sql(sys.argv[1]), daemon=True).start()
        async def main():
            other = await infino.connect_async("memory://")
            asyncio.ensure_future(other.query_sql(sys.argv[1]))
            await asyncio.sleep(0.1)
        asyncio.run(main())
        print("out")
        """,
        SLOW,
    )
    assert (done.stdout, done.returncode) == ("out\n", 0), done.stderr
