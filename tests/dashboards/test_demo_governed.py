"""What the first rules of the demo do to a service; no server, and no time passes."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from django.utils import timezone
from opentelemetry.trace import NoOpTracer

from dashboards.demo import governed, world
from dashboards.demo.governed import Governed, Toolbox
from dashboards.demo.rules import first_rules
from switchgear import Client
from switchgear.testing import fixed_policy

CUSTOMER = world.Customer("acme", "session", "user")


@pytest.fixture(autouse=True)
def simple_world(monkeypatch):
    """It takes no time, and nothing fails but what is down."""

    async def at_once(seconds):
        """Nobody waits."""

    monkeypatch.setattr(governed.asyncio, "sleep", at_once)
    monkeypatch.setattr(world, "chance", lambda rng, share: share > 0.5)


def rules(**changes):
    """The first rules, with what a visitor made of some of them."""
    for document, _ in first_rules(timezone.now()):
        edits = changes.get(document["id"].replace("-", "_"), {})
        yield {
            name: value for name, value in document.items() if name != "owner"
        } | edits


def calls_of(job, *, down="", times=1, **changes):
    """How the calls of some runs ended."""
    client = Client(endpoint="", service="research-agent", environment="production")
    rng = Random(1)
    run = Governed(Toolbox(client, rng, lambda: down), NoOpTracer(), rng, CUSTOMER)

    async def runs():
        for _ in range(times):
            with run.agent("tester"):
                await job(run)

    with fixed_policy(client, *rules(**changes)) as seen:
        asyncio.run(runs())
    return seen.calls


async def ask(run):
    await run.think("gpt-4o-mini")


async def refund(run):
    await run.use("payments.refund", order=1)


async def circle(run):
    for _ in range(5):
        await run.use("docs.lookup", query="the same question again")


def test_another_provider_answers_during_an_outage_and_the_breaker_opens():
    calls = calls_of(ask, down="openai", times=30)

    asked = [call for call in calls if call.target == "gpt-4o-mini"]
    stood_in = [call for call in calls if call.target == "claude-haiku-4-5"]
    assert {call.outcome for call in asked[-10:]} == {"fallback"}
    assert {call.attempts for call in asked[-10:]} == {0}
    assert asked[0].attempts > 0
    assert stood_in[-1].fallback_from == "gpt-4o-mini"


def test_a_refund_is_never_repeated():
    calls = calls_of(refund, down="payments", times=10)

    assert {call.attempts for call in calls} <= {0, 1}
    assert [call.outcome for call in calls] == ["failed"] * 5 + ["refused"] * 5
    assert calls[-1].rule == "breaker-payments"


def test_openai_can_be_switched_off_without_an_outage():
    asked, stood_in = calls_of(ask, openai_off={"mode": "enforce"})[::-1]

    assert (asked.outcome, asked.attempts) == ("fallback", 0)
    assert asked.refusal_reason == "kill_switch"
    assert (stood_in.target, stood_in.outcome) == ("claude-haiku-4-5", "ok")


def test_a_run_in_circles_is_stopped_once_somebody_enforces_that():
    watched = calls_of(circle)
    stopped = calls_of(circle, research_in_circles={"mode": "enforce"})

    assert [call.outcome for call in watched] == ["ok"] * 5
    assert [call.rule for call in watched[2:]] == ["research-in-circles"] * 3
    assert [call.outcome for call in stopped] == ["ok"] * 2 + ["refused"] * 3
    assert {call.refusal_reason for call in stopped[2:]} == {"run_budget"}


def test_a_tenant_that_is_too_fast_waits():
    async def hurry(run):
        await run.use("code.run", program="job")

    calls = calls_of(hurry, times=4)

    assert [call.refusal_reason for call in calls[2:]] == ["rate_limit"] * 2
