"""One computation per view, shared by everyone in this process who looks at it.

A view is a live board (``View``) or what instances do with a policy (``Rollout``). A
``Stream`` keeps the journal of one (project, view) while somebody looks and a little
longer, so that a viewer who reconnects catches up by changes. It computes again when
there is news for it, at most once a second, and by itself when time moves the window
or news may have been lost. The ``Hub`` of an event loop subscribes to news once and
loops over its own streams: a viewer costs a set entry, not a channel-layer group.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from django.utils import timezone

from controlplane import hints
from controlplane.hints import Hint, Topic
from dashboards import panels, rollout
from dashboards.address import View
from dashboards.live import Journal
from dashboards.rollout import Rollout
from ingest import live as announcements

logger = logging.getLogger(__name__)

MOST_STREAMS = 200
EVERY_S = 1.0  # at most, for windows of an hour
REFRESHES_PER_STEP = 60
LONGEST_WAIT_S = 10.0  # a hint may be lost: look again after this
# Rollouts are read from one small table, and two seconds are promised for them.
ROLLOUT_EVERY_S = 0.5
ROLLOUT_LONGEST_S = 1.5
LINGER_S = 60.0  # with nobody looking
RESUBSCRIBE_S = 3600.0

# One thread each, so that boards never take more than one core from ingest, and of
# their own, so that a slow question keeps no page, no log-in and no rollout waiting.
_threads = {
    View: ThreadPoolExecutor(max_workers=1, thread_name_prefix="boards"),
    Rollout: ThreadPoolExecutor(max_workers=1, thread_name_prefix="rollouts"),
}

Look = View | Rollout
Compute = Callable[[int, Any], Awaitable[dict[str, Any]]]


class TooManyViews(Exception):
    """This process already keeps as many different views as it may."""


async def compute(project_id: int, view: Look) -> dict[str, Any]:
    thread = _threads[type(view)]
    ask = database_sync_to_async(_state, thread_sensitive=False, executor=thread)
    state: dict[str, Any] = await ask(project_id, view)
    return state


def _state(project_id: int, view: Look) -> dict[str, Any]:
    now = timezone.now()
    if isinstance(view, Rollout):
        return rollout.state(project_id, view, now=now)
    return panels.live(project_id, view, now=now.timestamp())


class Rhythm(NamedTuple):
    """How often a view is computed while there is news, and while there is none."""

    every_s: float
    longest_s: float


def rhythm(view: Look) -> Rhythm:
    if isinstance(view, Rollout):
        return Rhythm(ROLLOUT_EVERY_S, ROLLOUT_LONGEST_S)
    step_s = view.window(timezone.now().timestamp()).step_s
    every_s = max(EVERY_S, step_s / REFRESHES_PER_STEP)
    # Without news a window that slides still moves, and a fixed one does not.
    return Rhythm(every_s, max(every_s, LONGEST_WAIT_S) if view.live else LINGER_S)


class Stream:
    """The journal of one view and whoever waits for its next number."""

    def __init__(self, project_id: int, view: Look, compute: Compute) -> None:
        self.project_id = project_id
        self.view = view
        self.journal = Journal(secrets.token_hex(4))
        self.trouble = False
        self.waiting: set[asyncio.Event] = set()
        self.task: asyncio.Task[None] | None = None
        self._compute = compute
        self._news = asyncio.Event()
        self._first = asyncio.Event()
        self.every_s, self.longest_s = rhythm(view)

    async def ready(self) -> None:
        await self._first.wait()

    def news(self) -> None:
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
        try:
            async with asyncio.timeout(self.longest_s):
                await self._news.wait()
        except TimeoutError:
            return


class Hub:
    """The streams of one event loop."""

    def __init__(self, compute: Compute = compute) -> None:
        self._compute = compute
        self._streams: dict[tuple[int, Look], Stream] = {}
        self._listening: asyncio.Task[None] | None = None
        self._unsubscribe: list[Callable[[], None]] = []

    async def stream(self, project_id: int, view: Look) -> Stream:
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
            if stream.project_id in projects and isinstance(stream.view, View):
                stream.news()

    def policy_changed(self, hint: Hint) -> None:
        """A version is news for charts too: they mark it. An acknowledgement is not."""
        for stream in self._streams.values():
            concerned = hint.topic is Topic.POLICY or isinstance(stream.view, Rollout)
            if stream.project_id == hint.project_id and concerned:
                stream.news()

    async def close(self) -> None:
        while self._unsubscribe:
            self._unsubscribe.pop()()
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
            if not self._unsubscribe:
                self._unsubscribe = [
                    hints.subscribe(topic, self.policy_changed) for topic in Topic
                ]

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
