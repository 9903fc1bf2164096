"""Trouble of our own is never the caller's: whatever breaks, the function runs."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections import deque
from contextlib import suppress

import pytest

from switchgear import Client, Refused
from switchgear.policy.documents.snapshot import read_snapshot
from switchgear.policy.precedence import Index
from switchgear.testing import fixed_policy
from tests.sdk.plane import snapshot_body
from tests.sdk.rules import kill_switch, retry, rule


def bodies(client):
    """The same answer in every way there is to guard it."""

    @client.tool("plain")
    def plain():
        return "answer"

    @client.tool("task")
    async def task():
        return "answer"

    @client.tool("stream")
    def stream():
        yield "answer"

    @client.tool("stream of a task")
    async def tasks():
        yield "answer"

    def block():
        with client.call("block"):
            return "answer"

    async def all_of():
        return [item async for item in tasks()]

    return (
        plain,
        lambda: asyncio.run(task()),
        lambda: next(iter(stream())),
        lambda: asyncio.run(all_of())[0],
        block,
    )


KERNEL = ["decide", "attempt_ended"]


@pytest.mark.parametrize("broken", KERNEL)
def test_a_kernel_that_breaks_governs_nobody(client, monkeypatch, broken, caplog):
    monkeypatch.setattr(f"switchgear.policy.decide.{broken}", lambda *a, **k: 1 / 0)

    with fixed_policy(client, rule("concurrency", id="slots")):
        assert [body() for body in bodies(client) * 3] == ["answer"] * 15

    (record,) = caplog.records
    assert "ZeroDivisionError" in record.message


def test_a_failure_that_nobody_governed_is_raised(client, monkeypatch):
    monkeypatch.setattr("switchgear.policy.decide.decide", lambda *a, **k: 1 / 0)

    @client.tool("search", fallback=lambda: "offered")
    def search():
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        search()


def test_a_kernel_that_breaks_after_a_failure_leaves_the_failure(client, monkeypatch):
    monkeypatch.setattr("switchgear.policy.decide.next_step", lambda *a, **k: 1 / 0)

    @client.tool("search", idempotent=True)
    def search():
        raise KeyError("mine")

    with fixed_policy(client, retry()), pytest.raises(KeyError, match="mine"):
        search()


@pytest.mark.parametrize("error", [KeyError, asyncio.CancelledError])
def test_an_unguarded_task_raises_what_it_raises(client, monkeypatch, error):
    monkeypatch.setattr("switchgear.way.Way.admit", lambda *a: 1 / 0)

    @client.tool("task")
    async def task():
        raise error

    with pytest.raises(error):
        asyncio.run(task())


PARTS = ["core.Core.tidy", "guarded.CallFacts", "way.Way.admit", "way.Attempt"]


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_ours_that_breaks_does_not_stop_a_function(
    client, monkeypatch, part, caplog
):
    monkeypatch.setattr(f"switchgear.{part}", lambda *a, **k: 1 / 0)

    assert [body() for body in bodies(client)[:4]] == ["answer"] * 4

    assert len(caplog.records) == 1


def test_a_machine_without_a_thread_to_spare_costs_one_line(monkeypatch, caplog):
    def start(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)

    with Client(endpoint="http://127.0.0.1:1", service="shop") as client:
        assert client.tool("search")(lambda: "answer")() == "answer"

    assert len(caplog.records) == 1


def test_a_listener_that_breaks_is_heard_of_once(client, caplog):
    client._core.listeners.append(lambda ended: 1 / 0)

    assert [body() for body in bodies(client)] == ["answer"] * 5

    assert len(caplog.records) == 1


def test_a_function_is_not_called_twice_because_we_broke_after_it(
    client, monkeypatch, caplog
):
    made = []
    monkeypatch.setattr("switchgear.way.Way.end", lambda *a, **k: 1 / 0)

    @client.tool("charge")
    def charge():
        made.append(1)
        raise ConnectionError("after the charge")

    @client.tool("charge later")
    async def later():
        made.append(1)
        return "charged"

    with pytest.raises(ConnectionError):
        charge()
    assert asyncio.run(later()) == "charged"

    assert made == [1, 1]


def test_a_run_ends_whatever_we_make_of_it(client, monkeypatch, caplog):
    monkeypatch.setattr("switchgear.policy.decide.run_keys", lambda *a: 1 / 0)

    with client.run():
        pass

    assert len(caplog.records) == 1


def test_arguments_that_cannot_be_shown_are_no_trouble(client):
    class Shy:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    search = client.tool("search")(lambda what: "answer")
    budget = rule("run_budget", id="run", loop_threshold=2)

    with fixed_policy(client, budget), client.run():
        assert [search(Shy()) for _ in range(2)] == ["answer"] * 2


def test_arguments_that_cannot_be_shown_are_governed_all_the_same(client):
    class Shy:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    search = client.tool("search")(lambda what: "answer")
    budget = rule("run_budget", id="run", loop_threshold=2)

    with fixed_policy(client, budget, kill_switch("search")), client.run():
        with pytest.raises(Refused):
            search(Shy())


def test_a_policy_that_breaks_at_work_is_left_for_the_last_good_one(
    client, monkeypatch
):
    governor = client._core.governor
    from switchgear.policy.decide import decide

    def decide_or_break(policy, *args, **kwargs):
        if governor.version == 2:
            raise KeyError("rule")
        return decide(policy, *args, **kwargs)

    monkeypatch.setattr("switchgear.policy.decide.decide", decide_or_break)
    search = client.tool("search")(lambda: "answer")

    governor.adopt(read_snapshot(snapshot_body(1, kill_switch("search"))))
    governor.trust()
    governor.adopt(read_snapshot(snapshot_body(2, kill_switch("search"))))
    assert search() == "answer"

    assert governor.broken() == "KeyError('rule')"
    assert governor.fall_back().version == 1
    assert governor.broken() is None
    with pytest.raises(Refused):
        search()


def test_many_threads_share_one_budget(client):
    """Eight at a barrier, one unit: exactly one is let through."""
    search = client.tool("search")(lambda: "answer")
    one = rule("rate_limit", id="one", limit=1, period_s=3600)
    for _ in range(20):
        answers, barrier = [], threading.Barrier(8)

        def ask(answers=answers, barrier=barrier):
            barrier.wait()
            try:
                answers.append(search())
            except Refused:
                answers.append(None)

        with fixed_policy(client, one):
            threads = [threading.Thread(target=ask) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        assert sorted(answers, key=str) == [*[None] * 7, "answer"]


def test_an_edit_keeps_what_was_counted(client):

    search = client.tool("search")(lambda: "answer")
    one = rule("rate_limit", id="one", limit=1, period_s=3600)
    governor = client._core.governor

    governor.adopt(read_snapshot(snapshot_body(1, one)))
    search()
    governor.adopt(read_snapshot(snapshot_body(2, one, {**retry()})))

    with pytest.raises(Refused):
        search()


def test_what_nobody_counts_any_more_is_forgotten(client):
    search = client.tool("search")(lambda: "answer")
    per = rule("rate_limit", id="per", limit=1000, period_s=60, per=["tenant"])

    with fixed_policy(client, per) as seen:
        for number in range(300):
            with client.run(tenant=f"t{number}"):
                search()
        held = len(client._core.governor._state)
        seen.waits.append(86_400.0)
        search()

        assert held >= 300
        assert len(client._core.governor._state) < 5


def test_a_refusal_says_what_a_model_can_do_about_it(client):
    rules = (
        rule("rate_limit", id="per-minute", limit=1, period_s=60),
        {
            "kind": "fallback",
            "id": "fb",
            "selector": {},
            "chain": [{"target": "cached"}],
        },
    )

    with fixed_policy(client, *rules):
        with client.call("search"):
            pass
        with pytest.raises(Refused) as raised, client.call("search"):
            pass

    refused = raised.value
    assert (refused.reason, refused.rule) == ("rate_limit", "per-minute")
    assert refused.retry_after == pytest.approx(60, abs=1)
    assert refused.retryable
    text = str(refused)
    assert "search" in text
    assert "60 s" in text
    assert "cached" in text


def test_a_budget_that_is_used_up_says_that_waiting_does_not_help(client):
    with fixed_policy(client, rule("run_budget", id="run", max_tool_calls=1)):
        with client.run():
            with client.call("search"):
                pass
            with pytest.raises(Refused) as raised, client.call("search"):
                pass

    assert not raised.value.retryable
    assert "Finish with what you have" in str(raised.value)


ENVIRONMENT = {
    "SWITCHGEAR_ENDPOINT": "",
    "SWITCHGEAR_ENVIRONMENT": "staging",
    "OTEL_SERVICE_NAME": "till",
    "OTEL_RESOURCE_ATTRIBUTES": "service.name=x,deployment.environment.name=prod,odd",
}


@pytest.mark.parametrize(
    ("given", "service", "environment"),
    [
        ({}, "till", "staging"),
        ({"OTEL_SERVICE_NAME": ""}, "x", "staging"),
        ({"SWITCHGEAR_ENVIRONMENT": ""}, "till", "prod"),
        (
            {
                "OTEL_SERVICE_NAME": "",
                "SWITCHGEAR_ENVIRONMENT": "",
                "OTEL_RESOURCE_ATTRIBUTES": "service.name=a%20b,"
                "deployment.environment=old",
            },
            "a b",
            "old",
        ),
        (
            {
                "OTEL_SERVICE_NAME": "",
                "SWITCHGEAR_ENVIRONMENT": "",
                "OTEL_RESOURCE_ATTRIBUTES": "",
            },
            "unknown_service",
            "default",
        ),
    ],
    ids=["ours first", "resource", "environment", "older names", "nothing said"],
)
def test_what_is_not_given_is_taken_from_the_environment(
    monkeypatch, given, service, environment
):
    for name, value in {**ENVIRONMENT, **given}.items():
        monkeypatch.setenv(name, value)

    core = Client()._core

    assert (core.service, core.environment) == (service, environment)


def test_what_is_given_comes_first(monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)

    core = Client(service="shop", environment="dev")._core

    assert (core.service, core.environment) == ("shop", "dev")


def test_fixed_rules_end_with_their_block(client):
    search = client.tool("search")(lambda: "answer")

    with fixed_policy(client, kill_switch("search")) as seen:
        with pytest.raises(Refused):
            search()
    assert search() == "answer"

    assert len(seen.calls) == 1
    assert client.policy_version is None


def test_a_wrong_rule_is_refused_by_the_test_kit(client):
    with pytest.raises(ValueError, match="max_attempts"):
        with fixed_policy(client, retry(max_attempts=99)):
            pass


def test_two_threads_that_tidy_up_at_once_do_not_trip_over_each_other(client):
    class Raced(deque):
        def popleft(self):
            super().popleft()
            return super().popleft()  # the last one is gone by now

    client._core.left = Raced([int])

    with client.call("search") as call:
        pass

    assert call.outcome == "ok"


def test_a_run_may_end_in_another_context_than_it_began_in(client):
    def request():
        with client.run(tenant="acme"):
            yield

    begun = request()
    contextvars.copy_context().run(next, begun)

    assert next(begun, "over") == "over"


@pytest.mark.parametrize("said", [float("nan"), float("inf"), -1, "many", 10**400])
def test_a_usage_that_cannot_be_counted_is_not(client, said):
    with fixed_policy(client, rule("quota", unit="usd", limit="5")) as seen:
        with client.call("search", kind="model") as call:
            call.used(input_tokens=said, output_tokens=said, cost_usd=said)

    assert [each.outcome for each in seen.calls] == ["ok"]


def test_a_rule_of_the_code_and_a_snapshot_that_come_at_once_both_run(
    client, monkeypatch
):
    governor = client._core.governor
    meeting = threading.Barrier(2)

    def slowly(rules):
        with suppress(threading.BrokenBarrierError):  # nobody else is changing it
            meeting.wait(0.3)
        return Index(rules)

    monkeypatch.setattr("switchgear.governor.Index", slowly)
    came = threading.Thread(
        target=governor.adopt, args=[read_snapshot(snapshot_body(1, retry()))]
    )
    came.start()
    search = client.tool("search", fallback=lambda: "kept")(lambda: 1 / 0)
    came.join()

    assert governor.version == 1
    assert search() == "kept"


def test_who_hears_of_our_trouble_may_make_calls(client, monkeypatch):
    monkeypatch.setattr("switchgear.policy.decide.decide", lambda *a, **k: 1 / 0)
    tell = client.tool("tell")(lambda: "told")
    told = []

    class Handler(logging.Handler):
        def emit(self, record):
            told.append(tell())

    handler = Handler()
    logging.getLogger("switchgear").addHandler(handler)
    caller = threading.Thread(target=tell, daemon=True)
    caller.start()
    caller.join(5)
    logging.getLogger("switchgear").removeHandler(handler)

    assert told == ["told"]


def test_a_coroutine_that_no_loop_runs_is_guarded_all_the_same(client):
    @client.tool("search")
    async def search():
        return "answer"

    with pytest.raises(StopIteration) as done:
        search().send(None)

    assert done.value.value == "answer"
