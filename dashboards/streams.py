"""One computation per view, shared by everyone in this process who looks at it.

A ``Stream`` keeps the journal of one (project, view) while somebody looks and a little
longer, so that a viewer who reconnects catches up by changes. It computes again when
its project has new numbers, at most once a second, and by itself when time moves the
window. The ``Hub`` of an event loop subscribes to announcements once and loops over
its own streams: a viewer costs a set entry, not a channel-layer group.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from django.utils import timezone

from dashboards import panels
from dashboards.address import View
from dashboards.live import Journal
from ingest import live as announcements

logger = logging.getLogger(__name__)

MOST_STREAMS = 200
EVERY_S = 1.0  # at most, for windows of an hour
REFRESHES_PER_STEP = 60
LONGEST_WAIT_S = 10.0  # a hint may be lost: look again after this
LINGER_S = 60.0  # with nobody looking
RESUBSCRIBE_S = 3600.0

# One thread, so that boards never take more than one core from ingest, and of its own,
# so that a slow question keeps no page and no log-in waiting.
_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="boards")

Compute = Callable[[int, View], Awaitable[dict[str, Any]]]


class TooManyViews(Exception):
    """This process already keeps as many different views as it may."""


async def compute(project_id: int, view: View) -> dict[str, Any]:
    ask = database_sync_to_async(_state, thread_sensitive=False, executor=_thread)
    state: dict[str, Any] = await ask(project_id, view)
    return state


def _state(project_id: int, view: View) -> dict[str, Any]:
    return panels.live(project_id, view, now=timezone.now().timestamp())


class Stream:
    """The journal of one view and whoever waits for its next number."""

    def __init__(self, project_id: int, view: View, compute: Compute) -> None:
        self.project_id = project_id
        self.view = view
        self.journal = Journal(secrets.token_hex(4))
        self.trouble = False
        self.waiting: set[asyncio.Event] = set()
        self.task: asyncio.Task[None] | None = None
        self._compute = compute
        self._news = asyncio.Event()
        self._first = asyncio.Event()
        step = view.window(timezone.now().timestamp()).step_s
        self.every_s = max(EVERY_S, step / REFRESHES_PER_STEP)

    async def ready(self) -> None:
        await self._first.wait()

    def numbers_changed(self) -> None:
        self._news.set()

    async def run(self) -> None:
        unwatched_s = 0.0
        loop = asyncio.get_running_loop()
        while unwatched_s < LINGER_S:
            began = loop.time()
            self._news.clear()
            await self.refresh()
            # A slow question is asked less often: half of the thread stays free.
            await asyncio.sleep(max(self.every_s, 2 * (loop.time() - began)))
            await self._wait_for_news()
            unwatched_s = 0.0 if self.waiting else unwatched_s + loop.time() - began

    async def refresh(self) -> None:
        try:
            state = await self._compute(self.project_id, self.view)
        except Exception:
            # The store may be busy or down; viewers keep what they have and are told.
            logger.exception("board.compute_failed")
            changed = not self.trouble
            self.trouble = True
        else:
            changed = self.journal.push(state) or self.trouble
            self.trouble = False
        self._first.set()
        if changed:
            for viewer in self.waiting:
                viewer.set()

    async def _wait_for_news(self) -> None:
        # Without news a window that slides still moves, and a fixed one does not.
        longest = max(self.every_s, LONGEST_WAIT_S) if self.view.live else LINGER_S
        try:
            async with asyncio.timeout(longest):
                await self._news.wait()
        except TimeoutError:
            return


class Hub:
    """The streams of one event loop."""

    def __init__(self, compute: Compute = compute) -> None:
        self._compute = compute
        self._streams: dict[tuple[int, View], Stream] = {}
        self._listening: asyncio.Task[None] | None = None

    async def stream(self, project_id: int, view: View) -> Stream:
        """The stream of a view, with a first state in it."""
        self._listen()
        key = (project_id, view)
        stream = self._streams.get(key)
        if stream is None:
            if len(self._streams) >= MOST_STREAMS:
                raise TooManyViews
            stream = self._streams[key] = Stream(project_id, view, self._compute)
            stream.task = asyncio.create_task(stream.run())
            stream.task.add_done_callback(lambda _: self._streams.pop(key, None))
        await stream.ready()
        return stream

    def numbers_changed(self, project_ids: list[int]) -> None:
        projects = set(project_ids)
        for stream in self._streams.values():
            if stream.project_id in projects:
                stream.numbers_changed()

    async def close(self) -> None:
        tasks = [stream.task for stream in self._streams.values() if stream.task]
        if self._listening is not None:
            tasks.append(self._listening)
            self._listening = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _listen(self) -> None:
        if self._listening is None or self._listening.done():
            announcements.attach()
            self._listening = asyncio.create_task(self._hear())

    async def _hear(self) -> None:
        """Subscribed once for the process, and again whenever the layer fails."""
        while True:
            try:
                await self._hear_for_a_while()
            except Exception:
                logger.exception("board.subscription_failed")
                await asyncio.sleep(EVERY_S)

    async def _hear_for_a_while(self) -> None:
        layer = get_channel_layer()
        channel = await layer.new_channel("boards")
        await layer.group_add(announcements.GROUP, channel)
        try:
            # Group memberships of the in-memory layer expire after a day.
            async with asyncio.timeout(RESUBSCRIBE_S):
                while True:
                    message = await layer.receive(channel)
                    self.numbers_changed(message["projects"])
        except TimeoutError:
            return
        finally:
            await layer.group_discard(announcements.GROUP, channel)


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub() -> Hub:
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub()
    return _hubs[loop]
