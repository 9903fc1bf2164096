"""What a client tells is what happened, and the server understands it."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import random
import sys

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased

from switchgear import Refused, current_call, telemetry
from switchgear.telemetry import Telemetry
from switchgear.testing import fixed_policy
from tests.sdk.rules import breaker, fallback, kill_switch, retry, rule
from tests.sdk.told import Listening, counted, derived

SOAK = os.environ.get("SWITCHGEAR_SOAK") == "1"


@pytest.fixture
def heard(client):
    return Listening(client)


def test_a_call_is_one_span_with_one_inside_it_per_attempt(client, heard):
    left = [2]

    @client.tool("search", idempotent=True)
    def search():
        if left[0]:
            left[0] -= 1
            raise ConnectionError("down")

    with fixed_policy(client, retry()), client.run(tenant="acme"):
        search()

    *attempts, call = heard.spans()
    assert call.name == "execute_tool search"
    assert dict(call.attributes) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "search",
        "tenant.id": "acme",
        "switchgear.call.id": call.attributes["switchgear.call.id"],
        "switchgear.outcome": "recovered",
        "switchgear.decision": "allow",
        "switchgear.rule": "retry",
        "switchgear.policy.version": 1,
    }
    assert call.status.is_ok or call.status.is_unset
    assert [one.parent.span_id for one in attempts] == [call.context.span_id] * 3
    assert [one.attributes["switchgear.attempt"] for one in attempts] == [1, 2, 3]
    assert [one.attributes.get("switchgear.backoff_ms") for one in attempts] == [
        *(None, 200.0, 400.0)
    ]
    assert [one.attributes.get("switchgear.failure_class") for one in attempts] == [
        *("transport", "transport", None)
    ]
    assert [len(one.events) for one in attempts] == [1, 1, 0]


def test_a_call_without_any_policy_says_nothing_of_one(client, heard):
    client.tool("search")(lambda: None)()

    attempt, call = heard.spans()
    assert dict(call.attributes) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "search",
        "switchgear.call.id": attempt.attributes["switchgear.call.id"],
        "switchgear.outcome": "ok",
        "switchgear.decision": "allow",
    }


def test_a_refused_call_says_by_which_rule_and_why(client, heard):
    search = client.tool("search")(lambda: None)

    with fixed_policy(client, kill_switch("search")), pytest.raises(Refused):
        search()

    (call,) = heard.spans()
    said = {key.removeprefix("switchgear."): v for key, v in call.attributes.items()}
    assert said["outcome"] == "refused"
    assert said["decision"] == "refuse"
    assert said["refusal_reason"] == "kill_switch"
    assert said["failure_class"] == "refused"
    assert said["rule"] == "kill"
    assert "Switched off by an operator" in call.status.description


def test_what_happens_inside_an_attempt_is_inside_its_span(client, heard):
    inner = []

    @client.tool("search", idempotent=True)
    def search():
        with heard.tracer.start_as_current_span("GET") as span:
            inner.append(span.parent.span_id)

    @client.tool("letters")
    def letters():
        for _ in range(2):
            with heard.tracer.start_as_current_span("GET") as span:
                inner.append(span.parent.span_id)
            yield

    async def task():
        async with client.acall("block"):
            with heard.tracer.start_as_current_span("GET") as span:
                inner.append(span.parent.span_id)

    with fixed_policy(client):
        search()
        for _ in letters():
            assert not trace.get_current_span().get_span_context().is_valid
        asyncio.run(task())

    attempts = [one for one in heard.spans() if "switchgear.attempt" in one.attributes]
    first, second, third = (one.context.span_id for one in attempts)
    assert inner == [first, second, second, third]
    assert not trace.get_current_span().get_span_context().is_valid


def test_a_call_that_is_not_sampled_lets_nothing_inside_be(client, heard):
    heard.provider.sampler = ParentBased(ALWAYS_OFF)
    client._core.telemetry._tracer = heard.provider.get_tracer("switchgear.x")

    @client.tool("search")
    def search():
        assert trace.get_current_span().get_span_context().is_valid
        heard.tracer.start_span("GET").end()

    with fixed_policy(client):
        search()

    assert heard.spans() == []


def test_without_opentelemetry_nothing_is_told_and_nothing_breaks(client, monkeypatch):
    monkeypatch.setattr("switchgear.telemetry.HERE", False)
    client._core.telemetry = Telemetry("0", client._core.trouble)

    with fixed_policy(client) as seen:
        client.tool("search")(lambda: None)()

    assert seen.calls[0].outcome == "ok"


def test_opentelemetry_need_not_be_there(monkeypatch):
    for name in ("opentelemetry", "opentelemetry.context", "opentelemetry.trace"):
        monkeypatch.setitem(sys.modules, name, None)
    spec = importlib.util.spec_from_file_location("alone", telemetry.__file__)
    module = importlib.util.module_from_spec(spec)

    spec.loader.exec_module(module)

    assert (telemetry.HERE, module.HERE) == (True, False)


def test_subjects_without_number_are_not_kept_without_bound(client, heard, monkeypatch):
    monkeypatch.setattr(telemetry, "_REMEMBERED", 2)

    with fixed_policy(client):
        for name in "abcabc":
            with client.call(name):
                pass

    assert len(client._core.telemetry._known) <= 2
    names = [
        one.name for one in heard.spans() if "switchgear.outcome" in one.attributes
    ]
    assert names == [f"execute_tool {name}" for name in "abcabc"]


class Broken(SpanProcessor):
    """Somebody else's processor that breaks on every span."""

    def __init__(self, when: str) -> None:
        self._when = when

    def on_start(self, span, parent_context=None) -> None:
        if self._when == "start":
            raise RuntimeError("exporter")

    def on_end(self, span) -> None:
        if self._when == "end":
            raise RuntimeError("exporter")


@pytest.mark.parametrize("when", ["start", "end"])
def test_a_broken_processor_does_not_break_a_call(client, heard, when, caplog):
    heard.provider.add_span_processor(Broken(when))
    search = client.tool("search")(lambda: "answer")

    with fixed_policy(client) as seen:
        assert [search(), search()] == ["answer", "answer"]

    assert [call.outcome for call in seen.calls] == ["ok", "ok"]
    ours = [one for one in caplog.records if one.name == "switchgear"]
    assert len(ours) == 1


def test_a_breaker_that_opens_is_an_event(client, heard):
    @client.tool("search")
    def search():
        raise ConnectionError

    with fixed_policy(client, breaker()):
        for _ in range(6):
            with pytest.raises((ConnectionError, Refused)):
                search()

    calls = [one for one in heard.spans() if "switchgear.outcome" in one.attributes]
    events = [(place, one) for place, call in enumerate(calls) for one in call.events]
    ((place, event),) = events
    assert place == 4
    assert event.name == "circuit_breaker.state_change"
    assert event.attributes["switchgear.breaker.from"] == "closed"
    assert event.attributes["switchgear.breaker.to"] == "open"
    states = [call.attributes["switchgear.breaker.state"] for call in calls]
    assert states == ["closed"] * 4 + ["open"] * 2


KINDS = ["tool", "model", "embedding", "retrieval", "guardrail"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_server_counts_every_kind_as_the_client_does(client, heard, kind):
    chance = random.Random(kind)

    def sometimes(*args):
        current_call().used(input_tokens=3, output_tokens=4)
        if chance.random() < 0.5:
            raise ConnectionError("down")

    client.guard(kind, "second", idempotent=True)(sometimes)
    first = client.guard(kind, "first", idempotent=True, fallback="second")(sometimes)

    with fixed_policy(client, retry(max_attempts=2, retry_budget_percent=1000)) as seen:
        for _ in range(40):
            with heard.tracer.start_as_current_span("request"):
                try:
                    first()
                except ConnectionError:
                    continue

    assert {call.outcome for call in seen.calls} == {
        *("ok", "recovered", "fallback", "failed")
    }
    assert derived(heard.calls()) == counted(seen.calls)


def test_a_framework_that_tells_of_the_same_call_does_not_double_it(client, heard):
    search = client.tool("search", idempotent=True)(lambda: "answer")
    framework = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "search",
        "gen_ai.tool.call.id": "call_abc",
    }

    with fixed_policy(client) as seen:
        for _ in range(3):
            with heard.tracer.start_as_current_span("tool", attributes=framework):
                search()

    assert len(seen.calls) == 3
    assert derived(heard.calls()) == counted(seen.calls)


def test_a_tool_that_calls_itself_is_called_twice(client, heard):
    @client.tool("count")
    def count(left):
        return count(left - 1) if left else 0

    with fixed_policy(client) as seen:
        count(2)

    assert len(seen.calls) == 3
    assert derived(heard.calls()) == counted(seen.calls)


class World:
    """A service under random faults: sync, async, streams, blocks, refusals."""

    ERRORS = (ConnectionError, TimeoutError, ValueError, PermissionError, RuntimeError)

    def __init__(self, client, seed: int) -> None:
        self.client, self.chance = client, random.Random(seed)
        offer = {"idempotent": True}
        self.cached = client.tool("cached", **offer)(self.work(0.1))
        self.search = client.tool("search", **offer)(self.work(0.4))
        self.fetch = client.tool("fetch", **offer)(self.task(0.4))
        self.lines = client.tool("lines", fallback=self.cached)(self.stream(0.3))
        self.ask = client.model("large-1", named_by="model")(self.model(0.4))
        self.killed = client.tool("killed", fallback="cached")(self.work(0.0))

    def work(self, failing: float):
        def work(question):
            if self.chance.random() < failing:
                raise self.chance.choice(self.ERRORS)("no")
            return question

        return work

    def task(self, failing: float):
        work = self.work(failing)

        async def task(question):
            await asyncio.sleep(0)
            if self.chance.random() < 0.05:
                raise asyncio.CancelledError
            return work(question)

        return task

    def stream(self, failing: float):
        work = self.work(failing)

        def stream(question):
            for place in range(3):
                work(question)
                yield place

        return stream

    def model(self, failing: float):
        work = self.work(failing)

        def ask(question, model="large-1"):
            current_call().used(input_tokens=5, output_tokens=2)
            return work(question)

        return ask

    def once(self) -> None:
        match self.chance.randrange(7):
            case 0:
                self.search("q")
            case 1:
                asyncio.run(self.fetch("q"))
            case 2:
                items = self.lines("q")
                for _ in range(self.chance.randrange(5)):
                    next(items, None)
                items.close()
            case 3:
                self.ask("q")
            case 4:
                self.killed("q")
            case 5:
                with self.client.call("block", tenant=self.chance.choice(["a", "b"])):
                    self.work(0.3)("q")
            case 6:
                with self.client.call("limited"):
                    self.work(0.1)("q")


RULES = (
    retry(
        max_attempts=3, retry_budget_percent=300, selector={"target": {"not": ["x"]}}
    ),
    fallback("cached", selector={"target": ["search", "fetch"]}, max_hops=2),
    {**fallback("small-1", selector={"model": "large-1"}), "id": "models"},
    breaker(
        selector={"target": ["fetch", "block"]},
        failure_rate_threshold=20,
        wait_duration_in_open_state_ms=2000,
        max_wait_duration_in_open_state_ms=4000,
    ),
    kill_switch("killed"),
    rule("rate_limit", id="rate", limit=5, period_s=1, selector={"target": "limited"}),
)


def walk(client, seed: int, times: int) -> None:
    world = World(client, seed)
    for _ in range(times):
        try:
            with client.run(tenant=world.chance.choice(["acme", "globex", None])):
                world.once()
        except (*World.ERRORS, Refused, asyncio.CancelledError):
            pass
        client._core.sleep(0.05)  # time passes


def test_what_the_server_derives_equals_what_the_client_counted(client, heard):
    """10,000 guarded calls under random faults; not one is lost or doubled."""
    with fixed_policy(client, *RULES) as seen:
        walk(client, seed=7, times=10_000 if SOAK else 1_500)

    found, said = derived(heard.calls()), counted(seen.calls)
    assert {call.outcome for call in seen.calls} == {
        *("ok", "recovered", "fallback", "cancelled", "refused", "failed")
    }
    assert {call.refusal_reason for call in seen.calls} == {
        *(None, "kill_switch", "rate_limit", "breaker")
    }
    assert found == said
