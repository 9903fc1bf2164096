"""No body of a page or of REST is larger than a form, and none is waited for in vain.

Django writes whatever arrives to disk before a view can refuse it, so the limit is
kept here, in front of it.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]

MAX_BODY_BYTES = 1024 * 1024
READ_SECONDS = 60.0
TOO_LARGE = {
    "type": "about:blank",
    "title": "Body too large",
    "status": 413,
    "code": "body_too_large",
    "detail": "A request body is at most 1 MiB here.",
}
TOO_SLOW = {
    "type": "about:blank",
    "title": "Body too slow",
    "status": 408,
    "code": "body_too_slow",
    "detail": "The body took longer than a minute to arrive.",
}


async def bounded(
    app: App, scope: dict[str, Any], receive: Receive, send: Send
) -> None:
    """Hand the request to ``app`` once its body is here, and refuse what never ends."""
    try:
        async with asyncio.timeout(READ_SECONDS):
            ahead = await _read(receive)
    except TimeoutError:
        await _refuse(send, TOO_SLOW)
        return
    if ahead is None:
        await _refuse(send, TOO_LARGE)
        return

    async def replay() -> Message:
        return ahead.popleft() if ahead else await receive()

    await app(scope, replay, send)


async def _read(receive: Receive) -> deque[Message] | None:
    """The messages of the body, or ``None`` when there is more than we read."""
    ahead: deque[Message] = deque()
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if size > MAX_BODY_BYTES:
            return None
        ahead.append(message)
        if not message.get("more_body"):
            return ahead


async def _refuse(send: Send, problem: dict[str, Any]) -> None:
    body = json.dumps(problem).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        # What is left of the body is not read.
        (b"connection", b"close"),
    ]
    await send(
        {"type": "http.response.start", "status": problem["status"], "headers": headers}
    )
    await send({"type": "http.response.body", "body": body})
