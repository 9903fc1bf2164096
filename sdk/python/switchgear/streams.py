"""Answers that come in parts: the call lasts until the last part was taken.

A stream begins with its first item: until then it is tried again and stood in for like
any call, afterwards a failure is its consumer's. Whichever way it ends (exhausted,
broken, closed, dropped), what its call held is given back.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import AsyncGeneratorType
from typing import Any

from switchgear.call import Call
from switchgear.course import OVER, Begun, bounded, end


class _Flow:
    """What flows, and the calls that are open meanwhile."""

    def __init__(self, answer: object) -> None:
        # What stands in for a stream may answer in one piece.
        begun = answer if isinstance(answer, Begun) else Begun(iter(()), answer)
        self.items, self._head, self._calls = begun.items, begun.head, begun.calls
        if self._head is OVER:
            self.end(None)

    @property
    def call(self) -> Call | None:
        return self._calls[-1] if self._calls else None

    def head(self) -> Any:
        """The first item when it is asked for, then ``OVER``."""
        head, self._head = self._head, OVER
        return head

    @contextmanager
    def inside(self) -> Iterator[None]:
        """What the producer does for one item happens inside the call."""
        call = self.call
        if call is not None:
            call.enter()
        try:
            yield
        except BaseException as error:
            self.end(error)
            raise
        finally:
            if call is not None:
                call.leave()

    def end(self, error: BaseException | None) -> None:
        calls, self._calls = self._calls, ()
        if calls and calls[-1].settle(error):
            end(calls)
        for call in calls:
            call.end()

    def give_up(self) -> None:
        calls, self._calls = self._calls, ()
        for call in calls:
            call.give_up()


class Stream(Iterator[Any]):
    """The items of a guarded generator. Nothing happens until the first is wanted."""

    def __init__(self, begin: Callable[[], object]) -> None:
        self._begin = begin
        self._flow: _Flow | None = None

    def __next__(self) -> Any:
        if self._flow is None:
            self._flow = self._begun()
        flow = self._flow
        item = flow.head()
        if item is not OVER:
            return item
        with flow.inside():
            item = next(flow.items, OVER)
        if item is not OVER:
            return item
        flow.end(None)
        raise StopIteration

    def _begun(self) -> _Flow:
        try:
            return _Flow(self._begin())
        except BaseException:
            self.close()  # like any generator that raised
            raise

    def close(self) -> None:
        """Take no more."""
        if self._flow is None:
            self._flow = _Flow(Begun(iter(()), OVER))
        self._flow.head()
        if hasattr(self._flow.items, "close"):
            self._flow.items.close()
        self._flow.give_up()


class AsyncStream(AsyncIterator[Any]):
    """The same, for tasks; each item may take as long as the rules allow."""

    def __init__(self, begin: Callable[[], Awaitable[object]]) -> None:
        self._begin = begin
        self._flow: _Flow | None = None

    async def __anext__(self) -> Any:
        if self._flow is None:
            self._flow = await self._begun()
        flow = self._flow
        item = flow.head()
        if item is not OVER:
            return item
        with flow.inside():
            async with bounded(flow.call.item_s() if flow.call else None):
                item = await _next(flow.items)
        if item is not OVER:
            return item
        flow.end(None)
        raise StopAsyncIteration

    async def _begun(self) -> _Flow:
        try:
            return _Flow(await self._begin())
        except BaseException:
            await self.aclose()  # like any generator that raised
            raise

    async def aclose(self) -> None:
        """Take no more."""
        if self._flow is None:
            self._flow = _Flow(Begun(iter(()), OVER))
        self._flow.head()
        items = self._flow.items
        if isinstance(items, AsyncGeneratorType):
            await items.aclose()
        self._flow.give_up()


async def _next(items: Any) -> Any:
    if isinstance(items, AsyncGeneratorType):
        return await anext(items, OVER)
    return next(items, OVER)  # what stands in for it is not asynchronous
