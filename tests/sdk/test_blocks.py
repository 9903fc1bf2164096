"""Calls that are written down as blocks."""

from __future__ import annotations

import asyncio
import gc

import pytest

from switchgear import Refused, current_call
from switchgear.testing import fixed_policy
from tests.sdk.rules import fallback, kill_switch, rule

ONE_SLOT = rule("concurrency", id="slots", max_concurrent_calls=1)


def test_a_block_is_one_call(client):
    with fixed_policy(client, rule("timeout", id="t", timeout_ms=700)) as seen:
        with client.call("search", tenant="acme", kind="tool") as call:
            assert current_call() is call
            assert (call.target, call.timeout_s) == ("search", 0.7)
        assert current_call() is None

    assert [(call.target, call.tenant, call.outcome) for call in seen.calls] == [
        ("search", "acme", "ok")
    ]


def test_a_block_that_raises_has_failed_and_raises(client):
    with fixed_policy(client) as seen, pytest.raises(TimeoutError, match="slow"):
        with client.call("search"):
            raise TimeoutError("slow")

    assert seen.calls[0].failure_class == "timeout"


def test_a_refused_block_is_not_entered(client):
    with fixed_policy(client, kill_switch("search")) as seen:
        with pytest.raises(Refused), client.call("search"):
            raise AssertionError("entered")

    assert seen.calls[0].outcome == "refused"


def test_a_refused_block_names_what_else_could_be_asked(client):
    rules = kill_switch("search"), fallback("cached", "model:small-1")

    with fixed_policy(client, *rules), pytest.raises(Refused) as raised:
        with client.call("search"):
            pass

    assert raised.value.alternatives == ("cached", "model:small-1")


def test_a_block_of_a_task_is_ended_when_its_time_is_over(client):
    async def main():
        async with client.acall("search"):
            await asyncio.sleep(30)

    with fixed_policy(client, rule("timeout", id="t", timeout_ms=20)) as seen:
        with pytest.raises(TimeoutError):
            asyncio.run(main())

    assert seen.calls[0].failure_class == "timeout"


def test_a_block_of_a_task_that_raises_raises_that(client):
    async def main():
        async with client.acall("search", tenant="acme") as call:
            call.used(input_tokens=1)
            raise KeyError("x")

    with fixed_policy(client) as seen, pytest.raises(KeyError):
        asyncio.run(main())

    assert seen.calls[0].failure_class == "tool_error"


def test_an_awaited_call_lasts_until_it_is_closed(client):
    async def main():
        call = await client.acall("search")
        with pytest.raises(Refused):
            await client.acall("search")
        call.close()
        async with client.acall("search"):
            pass

    with fixed_policy(client, ONE_SLOT) as seen:
        asyncio.run(main())

    assert [call.outcome for call in seen.calls] == ["refused", "ok", "ok"]


def test_a_call_that_is_never_closed_gives_its_slot_back(client):
    async def main():
        await client.acall("search")
        gc.collect()
        async with client.acall("search"):
            pass

    with fixed_policy(client, ONE_SLOT) as seen:
        asyncio.run(main())

    assert [call.outcome for call in seen.calls] == ["cancelled", "ok"]


def test_a_call_that_was_never_begun_is_no_call(client):
    with fixed_policy(client) as seen:
        call = client.call("search")
        call.used(input_tokens=3)
        call.failed()
        assert (call.timeout_s, call.outcome) == (None, None)
        del call

    assert seen.calls == []


def test_estimates_are_held_until_it_is_said_what_was_used(client):
    tokens = rule("rate_limit", id="t", limit=100, period_s=3600, unit="tokens_total")

    with fixed_policy(client, tokens):
        with client.call("large-1", kind="model", tokens=90) as call:
            with (
                pytest.raises(Refused),
                client.call("large-1", kind="model", tokens=90),
            ):
                pass
            call.used(input_tokens=5, output_tokens=5)
        with client.call("large-1", kind="model", tokens=90):
            pass


def test_a_call_is_over_by_its_deadline(client):
    with fixed_policy(client):
        with client.call("search", deadline_s=2.0) as call:
            assert call.timeout_s == pytest.approx(2.0)
        with client.run(deadline_s=5.0), client.run(deadline_s=9.0):
            with client.call("search") as call:
                assert call.timeout_s == pytest.approx(5.0)


def test_a_run_is_a_block_of_a_task_as_well(client):
    async def main():
        async with client.run("run-1", tenant="acme") as run:
            assert run.id == "run-1"
            async with client.acall("search"):
                pass

    with fixed_policy(client) as seen:
        asyncio.run(main())

    assert seen.calls[0].tenant == "acme"


def test_priced_calls_are_counted_in_money(client):
    quota = rule("quota", id="usd", unit="usd", limit="1")

    with fixed_policy(client, quota):
        with client.call("search", cost_usd=0.9):
            pass
        with pytest.raises(Refused), client.call("search", cost_usd=0.2):
            pass
