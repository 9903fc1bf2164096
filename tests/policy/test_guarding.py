"""Breakers and throttles as a call meets them."""

from __future__ import annotations

import pytest

from switchgear.policy.decision import Verdict
from switchgear.policy.rules import (
    CircuitBreaker,
    Mode,
)
from switchgear.policy.vocabulary import FailureClass as F
from switchgear.policy.vocabulary import RefusalReason as R
from tests.policy.service import Service

OPEN = CircuitBreaker(id="cb", operator_state="forced_open")


def test_an_open_breaker_says_when_to_try_again():
    service = Service(CircuitBreaker(id="cb", minimum_number_of_calls=5))
    for _ in range(5):
        service.call(F.SERVER_ERROR)

    refused = service.decide()

    assert (refused.reason, refused.breaker_state) == (R.BREAKER, "open")
    assert (refused.retry_after, refused.retryable) == (30.0, True)
    assert refused.message == (
        "search is failing and is left alone (cb). Try again in 30 s."
    )


def test_an_operators_breaker_says_that_retries_are_vain():
    refused = Service(OPEN).decide()

    assert (refused.retry_after, refused.retryable) == (None, False)
    assert refused.message == "search is switched off by an operator (cb)."


@pytest.mark.parametrize(
    ("failure_class", "limit"), [(F.RATE_LIMITED, "rate"), (F.UPSTREAM_QUOTA, "quota")]
)
def test_a_throttled_target_says_which_limit_and_how_long(failure_class, limit):
    service = Service(CircuitBreaker(id="cb"))
    service.call(failure_class, retry_after=12.0)

    refused = service.decide()

    assert (refused.reason, refused.retry_after) == (R.BREAKER, 12.0)
    assert refused.breaker_state == "closed"
    assert refused.message == (
        f"search says that its {limit} limit is reached. Try again in 12 s."
    )


@pytest.mark.parametrize("state", ["disabled", "metrics_only"])
def test_a_breaker_that_does_not_act_does_not_throttle_either(state):
    service = Service(CircuitBreaker(id="cb"))
    service.call(F.RATE_LIMITED, retry_after=12.0)

    service.obey(CircuitBreaker(id="cb", operator_state=state))

    assert service.call(F.RATE_LIMITED).verdict is Verdict.ALLOW
    assert service.call().breaker_state == state


def test_transitions_are_told_with_their_cause_by_whoever_causes_them():
    service = Service(
        CircuitBreaker(
            id="cb",
            minimum_number_of_calls=5,
            permitted_calls_in_half_open=1,
            wait_jitter_percent=0,
        )
    )
    for _ in range(5):
        service.call(F.SERVER_ERROR)
    service.now += 30
    service.call()

    told = [
        (each.before, each.after, each.generation, each.cause, each.at, each.shadow)
        for each in service.transitions
    ]

    assert told == [
        ("closed", "open", 1, "failure_rate", 1000.0, False),
        ("open", "half_open", 2, "wait_over", 1030.0, False),
        ("half_open", "closed", 3, "probes_passed", 1030.0, False),
    ]


def test_a_breaker_in_shadow_opens_and_closes_for_itself_only():
    shadow = CircuitBreaker(
        id="shadow",
        minimum_number_of_calls=5,
        permitted_calls_in_half_open=1,
        wait_jitter_percent=0,
        mode=Mode.SHADOW,
        priority=1,
    )
    service = Service(shadow, CircuitBreaker(id="cb"))
    for _ in range(5):
        service.call(F.SERVER_ERROR)

    told = service.call()
    service.now += 30
    probe = service.call()

    assert (told.verdict, told.rule) == (Verdict.SHADOW_REFUSE, "shadow")
    assert (told.breaker_state, probe.breaker_state) == ("closed", "closed")
    assert probe.verdict is Verdict.ALLOW
    assert [each.after for each in service.transitions] == [
        "open",
        "half_open",
        "closed",
    ]
    assert all(each.shadow for each in service.transitions)


def test_a_rule_edit_keeps_the_breaker_and_another_scope_begins_anew():
    service = Service(CircuitBreaker(id="cb", minimum_number_of_calls=5))
    for _ in range(5):
        service.call(F.SERVER_ERROR)

    service.obey(CircuitBreaker(id="cb", rev=2, minimum_number_of_calls=50))
    assert service.decide().verdict is Verdict.REFUSE

    service.obey(CircuitBreaker(id="cb", rev=3, scope=("target",)))
    assert service.decide().verdict is Verdict.ALLOW


def test_time_moves_two_breakers_at_once_each_for_itself():
    opening = {"minimum_number_of_calls": 5, "wait_jitter_percent": 0}
    shadow = CircuitBreaker(id="shadow", mode=Mode.SHADOW, priority=1, **opening)
    service = Service(shadow, CircuitBreaker(id="cb", **opening))
    for _ in range(5):
        service.call(F.SERVER_ERROR)
    service.obey(shadow, CircuitBreaker(id="cb", rev=2, operator_state="metrics_only"))

    told = service.call()

    assert (told.verdict, told.rule) == (Verdict.SHADOW_REFUSE, "shadow")
    assert told.breaker_state == "metrics_only"
    assert [(each.key[1], each.after) for each in told.transitions] == [
        ("cb", "metrics_only")
    ]
    assert len(told.permits) == 1
