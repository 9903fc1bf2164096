"""The course of a guarded call: its attempts, the waits between them, its fallbacks.

    admit -> attempt -> settle -> wait -> admit ...      of one call
    the call -> what stands in for it -> ...             along its chain

``conduct`` says what is to be done next and is told what became of it. It neither runs
nor waits, so ``drive`` and ``drive_async`` are all that differs between two worlds.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Generator
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from types import AsyncGeneratorType, GeneratorType
from typing import Any

from switchgear.call import Call
from switchgear.core import Core
from switchgear.policy.facts import CallFacts
from switchgear.policy.frozen import frozen

Work = Callable[[], Any]
# Who can answer a hop, and how; ``None``: nobody here.
Finder = Callable[[CallFacts, Call], "tuple[Call, Work] | None"]
OVER = object()


@frozen
class Wait:
    """Let some time pass."""

    seconds: float


@frozen
class Try:
    """Make one attempt."""

    call: Call
    work: Work


@frozen
class Done:
    """What became of an attempt, or of it all."""

    value: Any = None
    error: BaseException | None = None


@frozen
class Begun:
    """A stream whose first item is there: its calls end when it does."""

    items: Any
    head: object  # ``OVER``: it was empty
    calls: tuple[Call, ...] = ()  # the caller's, and the one that answers it


Course = Generator[Wait | Try, Done, Done]


def conduct(begin: Callable[[], Call], work: Work, find: Finder) -> Course:
    """Make a call and, where the rules say so, what stands in for it."""
    first = begin()
    calls = [first]
    try:
        done = missed = yield from _attempts(first, work)
        while not calls[-1].succeeded:
            found = _elsewhere(calls[-1], first, find)
            if calls[-1] is not first:
                calls.pop().end()
            if found is None:
                break
            calls.append(found[0])
            done = yield from _attempts(*found)
    except BaseException:
        for call in calls:
            call.give_up()
        raise
    if not calls[-1].succeeded:
        refused = first.refused()
        first.end()
        return Done(missed.value, refused or missed.error)
    if isinstance(done.value, Begun):
        return Done(replace(done.value, calls=tuple(calls)))
    end(calls)
    return done


def _attempts(call: Call, work: Work) -> Generator[Wait | Try, Done, Done]:
    """Try until it succeeds or the rules say that it is over."""
    done = Done()
    while call.admit() is None:
        done = yield Try(call, work)
        if done.error is None and isinstance(done.value, Begun):
            break
        if done.error is None and _says_error(done.value):
            call.failed()
        if call.settle(done.error):
            break
        wait_s = call.wait_to_try_again()
        if wait_s is None:
            break
        yield Wait(wait_s)
    return done


def _says_error(value: object) -> bool:
    """Whether a tool's answer is the failure that the MCP lets it answer with."""
    if isinstance(value, dict):
        return value.get("isError") is True
    return getattr(value, "isError", None) is True


def _elsewhere(call: Call, first: Call, find: Finder) -> tuple[Call, Work] | None:
    """The next target of the chain that can be called from here."""
    hop = call.onward
    while hop is not None:
        found = find(hop, first)
        if found is not None:
            return found
        hop = call.beyond(hop)
    return None


def end(calls: list[Call] | tuple[Call, ...]) -> None:
    """The last of these calls answered; it answers the first one, too."""
    calls[-1].end()
    calls[0].end(answered=len(calls) > 1)


def drive(core: Core, course: Course, work: Work) -> Any:
    """Walk a course in this thread. If our part breaks, ``work`` is still done."""
    done: Done | None = None
    try:
        step = next(course)
        while True:
            if isinstance(step, Try):
                done = _tried(step.work, step.call)
                step = course.send(done)
                continue
            try:
                core.sleep(step.seconds)
            except BaseException as error:  # noqa: BLE001  the course raises it again
                step = course.throw(error)
            else:
                step = next(course)
    except StopIteration as over:
        done = over.value
    except Exception as error:  # noqa: BLE001  what the work raises is in `done`
        core.trouble.say("call", f"a call went on unguarded: {error!r}")
    return _outcome(_tried(work) if done is None else done)


async def drive_async(core: Core, course: Course, work: Work) -> Any:
    """The same, in a task."""
    done: Done | None = None
    try:
        step = next(course)
        while True:
            if isinstance(step, Try):
                done = await _tried_async(step.work, step.call)
                step = course.send(done)
                continue
            try:
                await core.sleep_async(step.seconds)
            except BaseException as error:  # noqa: BLE001  the course raises it again
                step = course.throw(error)
            else:
                step = next(course)
    except StopIteration as over:
        done = over.value
    except Exception as error:  # noqa: BLE001  what the work raises is in `done`
        core.trouble.say("call", f"a call went on unguarded: {error!r}")
    return _outcome(await _tried_async(work) if done is None else done)


def _tried(work: Work, call: Call | None = None) -> Done:
    if call is not None:
        call.enter()
    try:
        value = work()
        if type(value) is GeneratorType:
            value = Begun(value, next(value, OVER))
        return Done(value)
    except BaseException as error:  # noqa: BLE001  whoever walks the course raises it
        return Done(error=error)
    finally:
        if call is not None:
            call.leave()


async def _tried_async(work: Work, call: Call | None = None) -> Done:
    if call is not None:
        call.enter()
    try:
        async with bounded(call.timeout_s if call else None):
            value = work()
            if inspect.isawaitable(value):
                value = await value
            return Done(await _begun(value, call))
    except BaseException as error:  # noqa: BLE001  whoever walks the course raises it
        return Done(error=error)
    finally:
        if call is not None:
            call.leave()


def bounded(seconds: float | None) -> AbstractAsyncContextManager[object]:
    """So much time, if it is bounded at all: else it need not even be a task."""
    return nullcontext() if seconds is None else asyncio.timeout(seconds)


async def _begun(value: Any, call: Call | None) -> Any:
    """A stream with its first item, or the value itself."""
    if type(value) is AsyncGeneratorType:
        async with bounded(call.item_s() if call else None):
            return Begun(value, await anext(value, OVER))
    return Begun(value, next(value, OVER)) if type(value) is GeneratorType else value


def _outcome(done: Done) -> Any:
    if done.error is None:
        return done.value
    try:
        raise done.error
    finally:
        del done  # else the error would hold this frame, and the frame the error
