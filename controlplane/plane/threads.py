"""Where the plane touches the database: on threads of its own, never in its loop.

A busy ingest or a slow page takes none of these threads. Writes have one, because
SQLite lets one in at a time anyway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connection

T = TypeVar("T")

_readers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="plane-read")
_writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="plane-write")


async def reading(read: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(_readers, _closing(read))


async def writing(write: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(_writer, _closing(write))


def _closing(work: Callable[[], T]) -> Callable[[], T]:
    def run() -> T:
        # These threads are not Django's: nobody else would close their connections.
        try:
            return work()
        finally:
            connection.close()

    return run
