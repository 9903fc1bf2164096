"""Tell open boards that projects have new numbers; boards fetch what they show.

The message carries numbers of projects, never data. It may be lost, doubled or late
without harm: boards look again by themselves every few seconds. At most one message
a second leaves a process, whatever the rate of commits, and the last one always does.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterable

from channels.layers import get_channel_layer

logger = logging.getLogger(__name__)

GROUP = "live"
EVERY_S = 1.0


class Announcer:
    """Carries announcements from the writer's thread to the event loop.

    The in-memory channel layer is not thread-safe and Redis connections belong to a
    loop, so sending happens on the loop that ``attach`` names and nowhere else.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: set[int] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._sending = False

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            if loop is self._loop:
                return
            self._loop = loop
            self._sending = False
            waiting = bool(self._waiting)
        if waiting:
            self.announce(())

    def announce(self, project_ids: Iterable[int]) -> None:
        with self._lock:
            self._waiting.update(project_ids)
            loop = self._loop
            if loop is None or loop.is_closed() or self._sending or not self._waiting:
                return
            self._sending = True
        try:
            loop.call_soon_threadsafe(self._start)
        except RuntimeError:  # the loop closed since we looked: the server stops
            self._sending = False

    def _start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._send())

    async def _send(self) -> None:
        while projects := self._take():
            message = {"type": "numbers.changed", "projects": projects}
            try:
                await get_channel_layer().group_send(GROUP, message)
            except Exception:
                # Boards look by themselves; a dead Redis must not stop the writer.
                logger.exception("live.announce_failed")
            await asyncio.sleep(EVERY_S)

    def _take(self) -> list[int]:
        with self._lock:
            projects = sorted(self._waiting)
            self._waiting.clear()
            self._sending = bool(projects)
            return projects


_announcer = Announcer()


def attach(loop: asyncio.AbstractEventLoop | None = None) -> None:
    """Send from this loop (the running one) from now on; the server does it once."""
    _announcer.attach(loop or asyncio.get_running_loop())


def announce(project_ids: Iterable[int]) -> None:
    """New numbers of these projects are committed. Cheap, from any thread."""
    _announcer.announce(project_ids)
