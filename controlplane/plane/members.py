"""The two kinds of connections that wait for news: a stream, and a long poll.

Memory per connection is bounded: nothing is queued, the latest snapshot takes the
place of the one before, and a reader that is slow gets that one when it is ready.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from controlplane.plane.snapshots import Snapshot

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

COMMENT_EVERY_S = 15.0
GREETING = b": connected\n\n"
COMMENT = b": still here\n\n"
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store, no-transform"),
    # Proxies that would collect events until a buffer is full.
    (b"x-accel-buffering", b"no"),
]


class Stream:
    """Events as they come, a comment when none do, until one side leaves."""

    def __init__(self, key: str, instance: str | None) -> None:
        self.key = key
        self._instance = instance
        self._offered = 0
        self._event: bytes | None = None
        self._last_words: bytes | None = None
        self._ended = False
        self._news = asyncio.Event()

    def offer(self, snapshot: Snapshot) -> None:
        if snapshot.version <= self._offered:
            return
        self._offered = snapshot.version
        if self._instance not in snapshot.refused_by:
            self._event = snapshot.event
            self._news.set()

    def leave(self, reconnect_after_ms: tuple[int, int] | None) -> None:
        if reconnect_after_ms is not None:
            self._last_words = drain_event(reconnect_after_ms)
        self._ended = True
        self._news.set()

    async def run(self, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        watching = asyncio.create_task(self._leave_with_client(receive))
        try:
            await write(send, GREETING)
            while not self._ended:
                await write(send, await self._next())
            await write(send, self._last_words or b"", more=False)
        finally:
            watching.cancel()

    async def _next(self) -> bytes:
        try:
            async with asyncio.timeout(COMMENT_EVERY_S):
                await self._news.wait()
        except TimeoutError:
            return COMMENT
        self._news.clear()
        event, self._event = self._event, None
        return event or b""

    async def _leave_with_client(self, receive: Receive) -> None:
        await disconnected(receive)
        self.leave(None)


class LongPoll:
    """One request that waits until there is something new for it."""

    def __init__(self, key: str, is_new: Callable[[Snapshot], bool]) -> None:
        self.key = key
        self._is_new = is_new
        self._done = asyncio.Event()
        self.latest: Snapshot | None = None
        self.drained: tuple[int, int] | None = None

    def offer(self, snapshot: Snapshot) -> None:
        if self.latest is None or snapshot.version >= self.latest.version:
            self.latest = snapshot
        if self._is_new(snapshot):
            self._done.set()

    def leave(self, reconnect_after_ms: tuple[int, int] | None) -> None:
        self.drained = reconnect_after_ms
        self._done.set()

    async def run(self, receive: Receive, wait_s: float) -> None:
        watching = asyncio.create_task(self._leave_with_client(receive))
        try:
            async with asyncio.timeout(wait_s):
                await self._done.wait()
        except TimeoutError:
            return
        finally:
            watching.cancel()

    async def _leave_with_client(self, receive: Receive) -> None:
        await disconnected(receive)
        self._done.set()


async def disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def write(send: Send, body: bytes, *, more: bool = True) -> None:
    if body or not more:
        message = {"type": "http.response.body", "body": body, "more_body": more}
        await send(message)


def drain_event(reconnect_after_ms: tuple[int, int]) -> bytes:
    data = json.dumps({"reconnect_after_ms": reconnect_after_ms}, separators=(",", ":"))
    return f"event: drain\ndata: {data}\n\n".encode()
