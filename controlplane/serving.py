"""Run ASGI applications on ports, in one event loop, until a signal asks to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple

import uvicorn

logger = logging.getLogger(__name__)

BACKLOG = 2048
STOP_S = 10


class Port(NamedTuple):
    application: str  # import path
    listener: socket.socket
    lifespan: bool = False


class Server(uvicorn.Server):
    """Leaves signals alone: of several servers in one loop only the last would stop."""

    def __init__(self, port: Port) -> None:
        super().__init__(config(port))
        self.is_up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """A bound listener; ``OSError`` when the port is busy."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def serve(
    ports: Sequence[Port],
    *,
    started: Callable[[], Any],
    leaving: Callable[[], Any] = lambda: None,
) -> None:
    """Serve until SIGTERM or SIGINT; the first port is the last to stop.

    So its application's lifespan ends after all requests of every port. ``leaving``
    runs in the loop before: it ends what would otherwise never end by itself.
    """
    with asyncio.Runner(loop_factory=uvicorn.Config("").get_loop_factory()) as runner:
        runner.run(serve_in_loop(ports, started=started, leaving=leaving))


async def serve_in_loop(
    ports: Sequence[Port],
    *,
    started: Callable[[], Any],
    leaving: Callable[[], Any],
) -> None:
    servers = [Server(port) for port in ports]
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    running = [
        asyncio.create_task(server.serve(sockets=[port.listener]))
        for server, port in zip(servers, ports, strict=True)
    ]
    stopping = asyncio.create_task(stop.wait())
    announcing = asyncio.create_task(announce(servers, started))
    await asyncio.wait([stopping, *running], return_when=asyncio.FIRST_COMPLETED)
    announcing.cancel()
    leaving()
    for server, task in reversed(list(zip(servers, running, strict=True))):
        server.should_exit = True
        await task


async def announce(servers: Sequence[Server], started: Callable[[], Any]) -> None:
    for server in servers:
        await server.is_up.wait()
    started()


def config(port: Port) -> uvicorn.Config:
    return uvicorn.Config(
        port.application,
        http="httptools",
        ws="websockets-sansio",
        lifespan="on" if port.lifespan else "off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        # Longer than the export interval of common SDKs, so that they keep their
        # connection.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=STOP_S,
    )
