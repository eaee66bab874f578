"""Work of the Rust side, for callers on an event loop."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from infino import _infino

T = TypeVar("T")


async def arrive(job: _infino.Job[T]) -> T:
    """Does the work without holding up the event loop; cancelling the task gives the work up."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(value: T, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)

    def done(value: T, error: BaseException | None) -> None:
        try:
            loop.call_soon_threadsafe(settle, value, error)
        except RuntimeError:
            # The loop is closed: nobody waits.
            pass

    running = job.start(done)
    try:
        return await future
    finally:
        running.cancel()
