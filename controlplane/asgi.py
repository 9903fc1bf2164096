"""The composition root: what the server answers, and in which order it is asked.

Spans and policy never reach Django: the receiver is asked first, then the service
plane, then health, then sockets, and the rest is pages and REST. Only this module knows
all rooms.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
pages: Any = get_asgi_application()

# Imported after Django is set up: they import models.
from controlplane import health, plane  # noqa: E402
from controlplane.bounds import bounded  # noqa: E402
from controlplane.routing import websocket  # noqa: E402
from ingest import live, receiver, writer  # noqa: E402

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
PROBES: dict[str, health.Probe] = {"writer": writer.trouble}


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await http(scope, receive, send)
    elif scope["type"] == "websocket":
        await websocket(scope, receive, send)
    else:
        await lifespan(receive, send)


async def http(scope: Scope, receive: Receive, send: Send) -> None:
    path = scope["path"]
    if path in receiver.PATHS:
        await receiver.app(scope, receive, send)
    elif path in plane.PATHS:
        await plane.app(scope, receive, send)
    elif path == "/healthz":
        await health.answer_alive(send)
    elif path == "/readyz":
        await health.answer_ready(send, PROBES)
    else:
        await bounded(pages, scope, receive, send)


# How long a thread may keep the interpreter while others wait for it. Ingest keeps
# two of them busy, and a page needs dozens of turns: 5 ms each, the default, is long.
TURN_S = 0.001


def settle_interpreter() -> None:
    """Keep the collector off what lives as long as the server, and turns short.

    Ingest makes many short-lived objects. With the default thresholds the collector
    walked all modules again and again for them: a third of the cost of a span.
    """
    sys.setswitchinterval(TURN_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 50, 1_000)


async def lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            settle_interpreter()
            live.attach()
            plane.start()
            # Not with the first export: what an earlier process left is due now.
            writer.start()
            await send({"type": "lifespan.startup.complete"})
        else:
            # No request is running any more; what was accepted is written now.
            await plane.stop()
            await asyncio.to_thread(writer.drain)
            await send({"type": "lifespan.shutdown.complete"})
            return
