"""Statuses on their way to rows: what is new at once and together, the rest seldom.

Most statuses repeat what the instance said before: they only say that it lives, are
answered from memory, and cost one UPDATE for all of them every few seconds. Those that
say something new are gathered for a moment, written in one transaction, and answered
when that is committed.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping

from controlplane.acks import Key, Report

logger = logging.getLogger(__name__)

GATHER_S = 0.02
SELDOM_S = 2.0
MOST_WAITING = 10_000
MOST_KNOWN = 20_000

WriteReports = Callable[[Mapping[Key, Report]], Awaitable[Collection[Key]]]
WriteStreams = Callable[[Collection[Key], Collection[Key]], Awaitable[Collection[Key]]]


class Crowded(Exception):
    """This process has as many statuses to write as it takes."""


class NoRoom(Exception):
    """The project has as many instances as it may."""


class Inbox:
    def __init__(self, reports: WriteReports, streams: WriteStreams) -> None:
        self._write_reports = reports
        self._write_streams = streams
        self._said: OrderedDict[Key, Report] = OrderedDict()  # last written, per key
        self._news: dict[Key, Report] = {}
        self._waiting: dict[Key, asyncio.Future[None]] = {}
        self._alive: dict[Key, Report] = {}
        self._streams: Counter[Key] = Counter()
        self._opened: set[Key] = set()
        self._closed: set[Key] = set()
        self._unknown: set[Key] = set()  # have a stream, and have said nothing yet
        self._work = asyncio.Event()
        self._writing = asyncio.Lock()
        self._alarm: asyncio.TimerHandle | None = None

    async def hand_in(self, key: Key, report: Report) -> None:
        """Returns when what is new in the report is committed."""
        if key not in self._news and self._said.get(key) == report:
            self._alive[key] = report
            self._seldom()
            return
        if len(self._news) >= MOST_WAITING:
            raise Crowded
        self._alive.pop(key, None)
        self._news[key] = report
        if key in self._unknown:
            self._unknown.discard(key)
            self._opened.add(key)
        if key not in self._waiting:
            self._waiting[key] = asyncio.get_running_loop().create_future()
        self._work.set()
        # One who gives up must not take the answer from the others.
        await asyncio.shield(self._waiting[key])

    def opened(self, key: Key) -> None:
        self._streams[key] += 1
        self._closed.discard(key)
        self._opened.add(key)
        self._seldom()

    def closed(self, key: Key) -> None:
        self._streams[key] -= 1
        if not self._streams[key]:
            del self._streams[key]
            self._opened.discard(key)
            self._unknown.discard(key)
            self._closed.add(key)
            self._seldom()

    def say_streams_again(self) -> None:
        """Another process may have seen the end of an older stream after our begin."""
        self._opened |= self._streams.keys()
        self._work.set()

    async def run(self) -> None:
        while True:
            await self._work.wait()
            await asyncio.sleep(GATHER_S)
            self._work.clear()
            await self.flush()

    async def flush(self) -> None:
        async with self._writing:
            await self._flush_reports()
            await self._flush_streams()

    async def _flush_reports(self) -> None:
        news, waiting, alive = self._news, self._waiting, self._alive
        self._news, self._waiting, self._alive = {}, {}, {}
        if not (news or alive):
            return
        try:
            refused = await self._write_reports(alive | news)
        except Exception as error:
            logger.exception("plane.statuses_failed")
            for future in waiting.values():
                future.set_exception(error)
                future.exception()  # they may all be gone
            return
        for key, future in waiting.items():
            if key in refused:
                future.set_exception(NoRoom())
                future.exception()
            else:
                future.set_result(None)
                self._remember(key, news[key])

    async def _flush_streams(self) -> None:
        opened, closed = self._opened, self._closed
        self._opened, self._closed = set(), set()
        if not (opened or closed):
            return
        try:
            unknown = await self._write_streams(opened, closed)
        except Exception:
            logger.exception("plane.streams_failed")
            unknown = opened
            self._closed |= closed - self._streams.keys()
        # Their rows come with their first status, and streams are written after it.
        missing = set(unknown) & self._streams.keys()
        self._opened |= missing & self._news.keys()
        self._unknown |= missing - self._news.keys()

    def _remember(self, key: Key, report: Report) -> None:
        self._said[key] = report
        self._said.move_to_end(key)
        if len(self._said) > MOST_KNOWN:
            self._said.popitem(last=False)

    def _seldom(self) -> None:
        if self._alarm is None:
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(SELDOM_S, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._work.set()
