"""Answers in parts: however a stream ends, its slot is given back."""

from __future__ import annotations

import asyncio
import gc

import pytest

from switchgear import Refused, current_call
from switchgear.testing import fixed_policy
from tests.sdk.rules import breaker, fallback, retry, rule

ONE_SLOT = rule("concurrency", id="slots", max_concurrent_calls=1)


@pytest.fixture
def numbers(client):
    @client.tool("numbers")
    def numbers(count, fail_at=None):
        for number in range(count):
            if number == fail_at:
                raise ConnectionError("cut")
            yield number

    return numbers


@pytest.fixture
def letters(client):
    @client.tool("letters", idempotent=True)
    async def letters(text, fail_at=None, pause=0.0):
        for place, letter in enumerate(text):
            if place == fail_at:
                raise ConnectionError("cut")
            await asyncio.sleep(pause)
            yield letter

    return letters


async def all_of(stream) -> list[str]:
    return [item async for item in stream]


def test_items_come_as_they_are(client, numbers, letters):
    with fixed_policy(client, ONE_SLOT) as seen:
        assert list(numbers(3)) == [0, 1, 2]
        assert list(numbers(0)) == []
        assert asyncio.run(all_of(letters("abc"))) == ["a", "b", "c"]
        assert asyncio.run(all_of(letters(""))) == []

    assert {call.outcome for call in seen.calls} == {"ok"}


@pytest.mark.parametrize("taken", range(5))
def test_a_stream_gives_its_slot_back_wherever_it_is_closed(client, numbers, taken):
    with fixed_policy(client, ONE_SLOT) as seen:
        stream = numbers(4)
        for _ in range(taken):
            next(stream)
        stream.close()
        assert list(stream) == []
        assert list(numbers(2)) == [0, 1]

    started = [] if taken == 0 else ["cancelled"]
    assert [call.outcome for call in seen.calls] == [*started, "ok"]


@pytest.mark.parametrize("taken", range(1, 5))
def test_a_stream_gives_its_slot_back_wherever_it_is_dropped(client, numbers, taken):
    with fixed_policy(client, ONE_SLOT) as seen:
        stream = numbers(4)
        for _ in range(taken):
            next(stream)
        del stream
        gc.collect()
        assert list(numbers(2)) == [0, 1]

    assert [call.outcome for call in seen.calls] == ["cancelled", "ok"]


@pytest.mark.parametrize("taken", range(4))
def test_a_stream_of_a_task_gives_its_slot_back_wherever_it_ends(
    client, letters, taken
):
    async def main():
        stream = letters("abc")
        for _ in range(taken):
            await anext(stream)
        await stream.aclose()
        assert await all_of(stream) == []
        dropped = letters("abc")
        for _ in range(taken):
            await anext(dropped)
        del dropped
        gc.collect()
        return await all_of(letters("xy"))

    with fixed_policy(client, ONE_SLOT) as seen:
        assert asyncio.run(main()) == ["x", "y"]

    assert [call.outcome for call in seen.calls] == ["cancelled"] * 2 * bool(taken) + [
        "ok"
    ]


def test_a_cancelled_consumer_gives_the_slot_back(client, letters):
    async def main():
        task = asyncio.create_task(all_of(letters("abc", pause=0.01)))
        await asyncio.sleep(0.015)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await all_of(letters("xy"))

    with fixed_policy(client, ONE_SLOT) as seen:
        assert asyncio.run(main()) == ["x", "y"]

    assert [call.outcome for call in seen.calls] == ["cancelled", "ok"]


def test_the_slot_is_held_while_a_stream_flows(client, numbers):
    with fixed_policy(client, ONE_SLOT):
        stream = numbers(3)
        next(stream)

        with pytest.raises(Refused):
            list(numbers(3))

        assert list(stream) == [1, 2]


def test_a_stream_that_breaks_fails_its_call(client, numbers, letters):
    with fixed_policy(client, ONE_SLOT, retry()) as seen:
        with pytest.raises(ConnectionError, match="cut"):
            list(numbers(3, fail_at=1))
        with pytest.raises(ConnectionError, match="cut"):
            asyncio.run(all_of(letters("abc", fail_at=2)))
        assert list(numbers(1)) == [0]

    assert [call.outcome for call in seen.calls] == ["failed", "failed", "ok"]
    assert [call.failure_class for call in seen.calls][:2] == ["transport"] * 2


def test_a_stream_is_tried_again_until_its_first_item(client):
    left = [2]

    @client.tool("numbers", idempotent=True)
    def numbers():
        if left[0]:
            left[0] -= 1
            raise ConnectionError
        yield from (1, 2)

    with fixed_policy(client, retry()) as seen:
        assert list(numbers()) == [1, 2]

    assert [(call.outcome, call.attempts) for call in seen.calls] == [("recovered", 3)]


def test_a_stream_falls_back_to_a_stream_or_to_an_answer_in_one_piece(client):
    @client.tool("more")
    def more():
        yield from "xyz"

    client.tool("whole")(lambda: "whole")

    @client.tool("numbers")
    def numbers():
        raise ConnectionError
        yield

    with fixed_policy(client, fallback("more")) as seen:
        assert list(numbers()) == ["x", "y", "z"]
    with fixed_policy(client, fallback("whole")):
        assert list(numbers()) == ["whole"]

    assert [(call.target, call.outcome) for call in seen.calls] == [
        ("more", "ok"),
        ("numbers", "fallback"),
    ]


def test_a_task_falls_back_to_a_stream_of_any_sort(client):
    @client.tool("plain")
    def plain():
        yield from "xy"

    @client.tool("letters", fallback=plain)
    async def letters():
        raise ConnectionError
        yield

    with fixed_policy(client):
        assert asyncio.run(all_of(letters())) == ["x", "y"]


def test_a_fallback_that_breaks_midway_answers_nobody(client):
    @client.tool("more")
    def more():
        yield 1
        raise ConnectionError("cut")

    @client.tool("numbers", fallback=more)
    def numbers():
        raise TimeoutError
        yield

    with fixed_policy(client) as seen, pytest.raises(ConnectionError):
        list(numbers())

    assert [call.outcome for call in seen.calls] == ["failed", "failed"]


def test_a_function_that_returns_a_stream_holds_its_slot_until_the_end(client):
    @client.tool("numbers")
    def numbers():
        return (number for number in range(3))

    @client.tool("letters")
    async def letters():
        async def inner():
            yield "a"

        return inner()

    @client.tool("mixed")
    async def mixed():
        return (number for number in range(2))

    async def main():
        assert await all_of(await letters()) == ["a"]
        return list(await mixed())

    with fixed_policy(client, ONE_SLOT) as seen:
        stream = numbers()
        with pytest.raises(Refused):
            numbers()
        assert list(stream) == [0, 1, 2]
        assert asyncio.run(main()) == [0, 1]

    assert [call.outcome for call in seen.calls] == ["refused", "ok", "ok", "ok"]


def test_nothing_happens_before_the_first_item_is_wanted(client, numbers):
    with fixed_policy(client, ONE_SLOT) as seen:
        numbers(3)
        numbers(3).close()

    assert seen.calls == []


@pytest.mark.parametrize(
    ("bound", "pause_at"),
    [("first_byte_ms", 0), ("idle_stream_ms", 1), ("timeout_ms", 1)],
)
def test_a_stream_that_falls_silent_is_given_up(client, bound, pause_at):
    @client.tool("letters")
    async def letters():
        for place in range(3):
            if place == pause_at:
                await asyncio.sleep(30)
            yield place

    times = {"timeout_ms": 60_000} | {bound: 20}
    with fixed_policy(client, rule("timeout", id="t", **times)) as seen:
        with pytest.raises(TimeoutError):
            asyncio.run(all_of(letters()))

    assert [call.failure_class for call in seen.calls] == ["timeout"]


def test_a_stream_that_never_began_is_over(client):
    @client.tool("numbers")
    def numbers():
        raise ConnectionError
        yield

    @client.tool("letters")
    async def letters():
        raise ConnectionError
        yield

    async def main(stream):
        with pytest.raises(ConnectionError):
            await anext(stream)
        assert await all_of(stream) == []

    with fixed_policy(client) as seen:
        stream = numbers()
        with pytest.raises(ConnectionError):
            next(stream)
        assert list(stream) == []
        asyncio.run(main(letters()))

    assert [call.outcome for call in seen.calls] == ["failed", "failed"]


def test_the_producer_is_inside_its_call_and_the_consumer_is_not(client):
    @client.tool("names")
    def names():
        for _ in range(2):
            yield current_call().target

    with fixed_policy(client):
        for name in names():
            assert name == "names"
            assert current_call() is None


def test_a_broken_stream_counts_for_the_breaker(client, numbers):
    with fixed_policy(client, breaker()):
        for _ in range(5):
            with pytest.raises(ConnectionError):
                list(numbers(3, fail_at=1))
        with pytest.raises(Refused) as raised:
            list(numbers(3))

    assert raised.value.reason == "breaker"
