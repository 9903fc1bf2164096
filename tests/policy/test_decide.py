"""Whole calls: in which order they are asked, and what a refusal leaves behind."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from switchgear.policy.decide import attempt_ended, decide
from switchgear.policy.decision import Result, Verdict
from switchgear.policy.rules import (
    CircuitBreaker,
    Concurrency,
    KillSwitch,
    Mode,
    Quota,
    RateLimit,
    Retry,
    RunBudget,
    Timeout,
)
from switchgear.policy.vocabulary import FailureClass as F
from switchgear.policy.vocabulary import RefusalReason as R
from tests.policy.service import Service, facts

OPEN = CircuitBreaker(id="cb", operator_state="forced_open")
STOP = KillSwitch(id="ks", expires_at=2000.0)
# In the order in which they are asked; each refuses everything.
REFUSING = {
    R.KILL_SWITCH: STOP,
    R.RUN_BUDGET: RunBudget(id="rb", max_tool_calls=0),
    R.BREAKER: OPEN,
    R.CONCURRENCY: Concurrency(id="cc", max_concurrent_calls=1),
    R.RATE_LIMIT: RateLimit(id="rl", limit=1, period_s=3600),
    R.QUOTA: Quota(id="q", unit="calls", limit=Decimal(0)),
}
CALL = facts(run="run-1")


def exhausted(*rules):
    """A service whose slot is taken and whose bucket is empty."""
    service = Service(REFUSING[R.CONCURRENCY], REFUSING[R.RATE_LIMIT])
    service.decide(CALL)
    service.obey(*rules)
    return service


def test_without_rules_every_call_passes_and_nothing_is_remembered():
    service = Service()

    decision = service.call()

    assert decision.verdict is Verdict.ALLOW
    assert (decision.reason, decision.rule, decision.message) == (None, None, "")
    assert (decision.retry_after, decision.retryable) == (None, False)
    assert (decision.alternatives, decision.breaker_state) == ((), None)
    assert service.state == {}


@pytest.mark.parametrize("first", range(len(REFUSING)))
def test_the_first_to_refuse_is_the_one_that_is_told(first):
    reason, rule = list(REFUSING.items())[first]
    service = exhausted(*list(REFUSING.values())[first:])

    refused = service.decide(CALL)

    assert (refused.verdict, refused.reason) == (Verdict.REFUSE, reason)
    assert refused.rule == rule.id
    assert refused.message
    assert refused.permits == ()


@pytest.mark.parametrize("reason", REFUSING)
def test_a_refusal_takes_nothing_from_any_other_limit(reason):
    others = [
        RunBudget(id="a", max_steps=5),
        Concurrency(id="b"),
        RateLimit(id="c", limit=5),
        Quota(id="d", unit="calls", limit=Decimal(5)),
        Retry(id="e"),
    ]
    service = exhausted(*others, REFUSING[reason])
    before = dict(service.state)

    for _ in range(10):
        assert service.decide(CALL).verdict is Verdict.REFUSE

    counted = {key for key in service.state if key[0] != "breaker"}
    assert {key: service.state[key] for key in counted} == before


@pytest.mark.parametrize("reason", REFUSING)
def test_in_shadow_every_rule_tells_and_none_refuses(reason):
    rule = REFUSING[reason]
    shadow = replace(rule, mode=Mode.SHADOW)
    service = exhausted(shadow)

    told = service.call(call=CALL)

    assert told.verdict is Verdict.SHADOW_REFUSE
    assert [(each.reason, each.rule) for each in told.would_refuse] == [
        (reason, rule.id)
    ]
    assert (told.reason, told.rule, told.refusal) == (reason, rule.id, None)


def test_the_state_and_the_answer_given_are_never_changed():
    service = Service(*REFUSING.values(), Retry(id="r"))
    service.obey(
        CircuitBreaker(id="cb"),
        Concurrency(id="cc"),
        RateLimit(id="rl", limit=9),
        RunBudget(id="rb", max_steps=9),
    )
    service.call(F.SERVER_ERROR, CALL)
    before = dict(service.state)

    decision = decide(service.policy, CALL, service.state, 1001.0, 0.0)
    again = decide(service.policy, CALL, service.state, 1001.0, 0.0)
    attempt_ended(decision.permits, Result(None, 0.1), service.state, 1002.0, 0.0)

    assert service.state == before
    assert decision == again


def test_an_attempt_that_never_ran_gives_everything_back():
    service = Service(
        CircuitBreaker(id="cb"),
        Concurrency(id="cc", max_concurrent_calls=1),
        RateLimit(id="rl", limit=1),
        Quota(id="q", unit="calls", limit=Decimal(1)),
        RunBudget(id="rb", max_steps=1),
    )
    for _ in range(5):
        decision = service.decide(CALL)
        assert decision.verdict is Verdict.ALLOW
        service.drop(decision)

    service.end(service.decide(CALL))

    assert service.decide(CALL).verdict is Verdict.REFUSE


def test_a_kill_switch_says_what_the_operator_wrote_and_until_when():
    service = Service(KillSwitch(id="ks", expires_at=1060.0, message="Paused."))

    refused = service.decide()

    assert (refused.reason, refused.message) == (R.KILL_SWITCH, "Paused.")
    assert (refused.retry_after, refused.retryable) == (60.0, False)
    service.now = 1060.0
    assert service.decide().verdict is Verdict.ALLOW


@pytest.mark.parametrize(
    ("timeout_ms", "slot_ttl_s", "held_s"),
    [(None, None, 60.0), (5000, None, 10.0), (5000, 7, 7.0)],
)
def test_a_slot_is_held_for_twice_the_timeout(timeout_ms, slot_ttl_s, held_s):
    rules = [Concurrency(id="cc", max_concurrent_calls=1, slot_ttl_s=slot_ttl_s)]
    rules += [Timeout(id="t", timeout_ms=timeout_ms)] if timeout_ms else []
    service = Service(*rules)
    service.decide()

    service.now += held_s - 0.1
    assert service.decide().reason is R.CONCURRENCY
    service.now += 0.1
    assert service.decide().verdict is Verdict.ALLOW


def test_tokens_are_limited_by_estimate_and_then_by_truth():
    service = Service(RateLimit(id="rl", limit=100, period_s=10, unit="tokens_total"))
    call = facts(tokens=80)

    first = service.decide(call)
    assert service.decide(call).retry_after == pytest.approx(6.0)
    service.end(first, tokens=20)

    assert service.decide(facts(tokens=81)).retry_after == pytest.approx(0.1)
    assert service.decide(call).verdict is Verdict.ALLOW
    assert "100 tokens per 10 s are allowed (rl)" in service.decide(call).message


def test_tokens_nobody_counted_stay_as_they_were_estimated():
    service = Service(RateLimit(id="rl", limit=100, period_s=10, unit="tokens_total"))
    service.call(call=facts(tokens=80))

    assert service.decide(facts(tokens=80)).reason is R.RATE_LIMIT


def test_a_policy_that_changed_meanwhile_does_not_change_what_was_taken():
    service = Service(Concurrency(id="cc", max_concurrent_calls=1))
    running = service.decide()
    service.obey()

    service.end(running)

    service.obey(Concurrency(id="cc", max_concurrent_calls=1))
    assert service.decide().verdict is Verdict.ALLOW


def test_what_comes_back_when_all_was_forgotten_is_forgotten():
    service = Service(Concurrency(id="cc"))
    running = service.decide()
    service.state.clear()

    service.end(running)

    assert service.state == {}


@pytest.mark.parametrize(
    "limit",
    [
        RateLimit(id="x", limit=10, period_s=3600, unit="tokens_total"),
        Quota(id="x", unit="tokens_total", limit=Decimal(10)),
        Quota(id="x", unit="usd", limit=Decimal("0.000000010")),
        RunBudget(id="x", max_tokens=10),
        RunBudget(id="x", max_usd=Decimal("0.000000010")),
    ],
)
def test_nobody_earns_anything_by_using_less_than_nothing(limit):
    service = Service(limit)
    service.call(call=facts(run="run-1", tokens=10, cost_nano=10))

    for _ in range(20):
        absurd = facts(run="run-1", tokens=-100, cost_nano=-100)
        assert service.call(call=absurd).verdict is Verdict.REFUSE


def test_results_of_less_than_nothing_give_back_no_more_than_was_taken():
    service = Service(
        RateLimit(id="rl", limit=100, period_s=3600, unit="tokens_total"),
        Quota(id="q", unit="tokens_total", limit=Decimal(100)),
        RunBudget(id="rb", max_tokens=100),
    )
    call = facts(run="run-1", tokens=40)
    service.decide(call)

    for _ in range(5):
        service.end(service.decide(call), tokens=-1000, cost_nano=-1000)

    assert service.decide(call).verdict is Verdict.ALLOW
    assert service.decide(call).verdict is Verdict.REFUSE
    for rule in service.policy.index.rules:
        service.obey(rule)
        assert service.decide(call).verdict is Verdict.REFUSE
