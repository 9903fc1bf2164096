"""One read at a time per key, shared by all who asked before it began.

A thousand instances that fetch the same snapshot cost a handful of reads, and still
nobody is told what was already old when they asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class SharedReads(Generic[K, V]):
    def __init__(self, read: Callable[[K], Awaitable[V]]) -> None:
        self._read = read
        # Per key that is being read: who waits for the read after this one.
        self._next: dict[K, asyncio.Future[V] | None] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def get(self, key: K) -> V:
        loop = asyncio.get_running_loop()
        if key not in self._next:
            shared: asyncio.Future[V] = loop.create_future()
            self._next[key] = None
            task = loop.create_task(self._run(key, shared))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            # The read that runs may have begun before what the caller knows of.
            shared = self._next[key] = self._next[key] or loop.create_future()
        # One who gives up must not take the answer from the others.
        return await asyncio.shield(shared)

    async def _run(self, key: K, shared: asyncio.Future[V] | None) -> None:
        while shared is not None:
            try:
                value = await self._read(key)
            except Exception as error:  # noqa: BLE001  told to all who wait for it
                shared.set_exception(error)
                shared.exception()  # they may all be gone
            else:
                shared.set_result(value)
            shared, self._next[key] = self._next[key], None
        del self._next[key]
