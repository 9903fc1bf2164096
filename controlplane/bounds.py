"""No body of a page or of REST is larger than a form, and none is read beyond that.

Django writes whatever arrives to disk before a view can refuse it, so the limit is
kept here, in front of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]

MAX_BODY_BYTES = 1024 * 1024
_REFUSAL = (
    b'{"type":"about:blank","title":"Body too large","status":413,'
    b'"code":"body_too_large","detail":"A request body is at most 1 MiB here."}'
)


async def bounded(
    app: App, scope: dict[str, Any], receive: Receive, send: Send
) -> None:
    """Hand the request to ``app`` once its body is here; answer 413 to a larger one."""
    ahead = await _read(receive)
    if ahead is None:
        await _refuse(send)
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


async def _refuse(send: Send) -> None:
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(_REFUSAL)).encode()),
        # What is left of the body is not read.
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": _REFUSAL})
