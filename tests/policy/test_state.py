"""The state as a whole: its names, its age, its clock."""

from __future__ import annotations

from time import perf_counter

import pytest

from switchgear.policy.decision import Verdict
from switchgear.policy.machines.state import expire, name_of, steady, waiting
from switchgear.policy.rules import CircuitBreaker, Concurrency, RateLimit, Retry
from switchgear.policy.vocabulary import FailureClass
from tests.policy.service import Service, facts


def test_names_of_keys_are_never_alike_by_accident():
    keys = [
        ("breaker", "cb", "target=a/b"),
        ("breaker", "cb", "target=a", "b"),
        ("breaker", "cb", "target=a%2Fb"),
    ]

    assert [name_of(key) for key in keys] == [
        "cb/target=a%2Fb",
        "cb/target=a/b",
        "cb/target=a%252Fb",
    ]


@pytest.mark.parametrize(
    ("now", "time"), [(101.0, 101.0), (99.5, 100.0), (90.0, 100.0), (89.0, 89.0)]
)
def test_time_stands_still_rather_than_run_back(now, time):
    assert steady(now, 100.0, 10.0) == time


@pytest.mark.parametrize(
    ("now", "still"),
    [(90.0, True), (109.9, True), (110.0, False), (89.9, False), (1e9, False)],
)
def test_a_wait_is_never_longer_than_twice_what_it_was_set_to(now, still):
    assert waiting(100.0, 110.0, now) is still


def crowd(count):
    """A service that has served so many tenants, one call each."""
    per = ("tenant",)
    service = Service(
        CircuitBreaker(id="cb", scope=per, minimum_number_of_calls=5),
        RateLimit(id="rl", limit=60, period_s=60, per=per),
        Concurrency(id="cc", per=per),
    )
    for number in range(count):
        service.call(call=facts(tenant=f"t{number}"))
    return service


def test_ten_thousand_tenants_leave_nothing_behind():
    service = crowd(10_000)
    assert len(service.state) == 30_000

    soon = expire(service.state, service.now + 1)
    began = perf_counter()
    later = expire(service.state, service.now + 3600)

    assert perf_counter() - began < 1
    assert {key[0] for key in soon} == {"slots", "rate"}
    assert set(later) == set(service.state)


def test_what_is_dropped_says_no_more_than_its_absence():
    kept, pruned = crowd(50), crowd(50)
    for each in (kept, pruned):
        each.now += 30
        each.call(FailureClass.SERVER_ERROR, facts(tenant="t1"))
        each.decide(facts(tenant="t2"))

    for key in expire(pruned.state, pruned.now):
        del pruned.state[key]

    assert len(pruned.state) < len(kept.state)
    for number in range(50):
        call = facts(tenant=f"t{number}")
        mine, other = kept.decide(call), pruned.decide(call)
        assert (mine.verdict, mine.retry_after) == (other.verdict, other.retry_after)


def test_what_is_still_needed_is_not_dropped():
    service = Service(
        CircuitBreaker(id="cb", minimum_number_of_calls=5),
        Retry(id="r", max_attempts=2),
    )
    safe = facts(idempotent=True)
    service.after(service.decide(safe), FailureClass.RATE_LIMITED, call=safe)
    for _ in range(5):
        service.now += 1
        service.call(FailureClass.SERVER_ERROR)

    gone = {key[0] for key in expire(service.state, service.now)}

    # The throttle is over and the reserve is full again; the open breaker stays.
    assert gone == {"throttle", "retries"}
    assert {key[0] for key in service.state} == gone | {"breaker"}


@pytest.mark.parametrize("jump_s", [-1e9, -3600.0, -1.0, 0.0, 3600.0, 1e9])
def test_whatever_the_clock_does_calls_pass_again_within_a_minute(jump_s):
    service = Service(
        CircuitBreaker(id="cb", minimum_number_of_calls=5, wait_jitter_percent=0),
        RateLimit(id="rl", limit=5, period_s=10),
        Concurrency(id="cc", max_concurrent_calls=1, slot_ttl_s=10),
        now=1.7e9,
    )
    for _ in range(5):
        service.call(FailureClass.SERVER_ERROR)
    service.call(FailureClass.RATE_LIMITED, retry_after=5.0)

    service.now += jump_s
    verdicts = []
    for _ in range(60):
        service.now += 1
        verdicts.append(service.call().verdict)

    assert Verdict.ALLOW in verdicts
