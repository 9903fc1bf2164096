"""What others got wrong about limits and retries, with the thread it is known from."""

from __future__ import annotations

from decimal import Decimal

import pytest

from switchgear.policy.decision import Again, Halt, Stop, Verdict
from switchgear.policy.rules import (
    CircuitBreaker,
    Concurrency,
    Fallback,
    Hop,
    Quota,
    RateLimit,
    Retry,
    RunBudget,
)
from switchgear.policy.rules.selectors import Target
from switchgear.policy.vocabulary import FailureClass as F
from switchgear.policy.vocabulary import RefusalReason as R
from tests.policy.service import Service, attempts_of, facts

BREAKER = CircuitBreaker(
    id="cb",
    minimum_number_of_calls=5,
    permitted_calls_in_half_open=3,
    wait_jitter_percent=0,
    scope=("target",),
)


def quota(limit):
    return Quota(id="q", unit="calls", limit=Decimal(limit))


def test_slots_of_streams_nobody_finished_return_by_themselves():
    """BerriAI/litellm#27955, #20256, #30020: counters that only ever grew."""
    service = Service(Concurrency(id="cc", max_concurrent_calls=3, slot_ttl_s=20))
    for _ in range(3):
        service.decide()  # and its worker is killed
    assert service.decide().reason is R.CONCURRENCY

    service.now += 20

    assert [service.decide().verdict for _ in range(3)] == [Verdict.ALLOW] * 3


def test_a_call_without_a_slot_uses_up_no_rate_and_no_quota():
    """BerriAI/litellm#39309."""
    service = Service(
        Concurrency(id="cc", max_concurrent_calls=1),
        RateLimit(id="rl", limit=2, period_s=3600),
        quota("2"),
    )
    running = service.decide()
    for _ in range(50):
        assert service.decide().reason is R.CONCURRENCY

    service.end(running)

    assert service.call().verdict is Verdict.ALLOW


def test_calls_without_a_tenant_do_not_share_a_bucket():
    """IBM/mcp-context-forge#3783: strangers throttled each other."""
    service = Service(RateLimit(id="rl", limit=1, per=("tenant",)))

    strangers = [service.call().verdict for _ in range(5)]
    acme = [service.call(call=facts(tenant="acme")).verdict for _ in range(2)]

    assert strangers == [Verdict.ALLOW] * 5
    assert acme == [Verdict.ALLOW, Verdict.REFUSE]


def test_no_window_boundary_lets_twice_the_limit_pass():
    """IBM/mcp-context-forge#3784."""
    service = Service(RateLimit(id="rl", limit=60, period_s=60), now=59.99)
    before = sum(service.call().verdict is Verdict.ALLOW for _ in range(100))

    service.now = 60.01
    after = sum(service.call().verdict is Verdict.ALLOW for _ in range(100))

    assert (before, after) == (60, 0)


def test_a_spent_budget_is_no_rate_limit_to_be_retried():
    """puffo-ai/puffo-agent#327: 1,359 refusals, all of them retried."""
    service = Service(quota("0"), BREAKER, Retry(id="r"))

    refusals = [service.decide() for _ in range(100)]

    assert {each.reason for each in refusals} == {R.QUOTA}
    assert {each.retryable for each in refusals} == {False}
    assert refusals[0].retry_after == 86_400 - 1000  # until it begins anew
    assert not any(key[0] == "breaker" for key in service.state)


def test_no_call_is_attempted_more_often_than_hops_times_attempts():
    """BerriAI/litellm#35303, #7091, #19985: chains that led back to themselves."""
    names = ("search", "a", "b", "c", "d")
    chains = [
        Fallback(
            id=f"fb-{name}",
            chain=tuple(Hop(Target(None, other)) for other in names),
            max_hops=3,
            on=(*F, *R),
        )
        for name in names
    ]
    service = Service(*chains, Retry(id="r", max_attempts=4))

    made = attempts_of(service, facts(kind="model"), F.TIMEOUT)

    assert len(made) <= (1 + 3) * 4
    assert [made[at] for at in range(0, len(made), 4)] == ["search", "a", "b", "c"]


@pytest.mark.parametrize("failure_class", [F.UNKNOWN, F.INVALID_REQUEST])
def test_an_error_of_our_own_code_is_not_retried(failure_class):
    """BerriAI/litellm#23546: a local ValueError went round all providers."""
    service = Service(Retry(id="r"))
    call = facts(idempotent=True)

    step = service.after(service.decide(call), failure_class, call=call)

    assert step == Stop(Halt.NOT_RETRYABLE)


def test_the_retry_budget_holds_while_retries_sleep():
    """envoyproxy/envoy#30205: sleeping retries were not counted."""
    service = Service(Retry(id="r", retry_budget_percent=20), chance=0.999)
    call = facts(idempotent=True)
    running = [service.decide(call) for _ in range(500)]

    steps = [service.after(each, F.TIMEOUT, call=call) for each in running]

    asleep = [step for step in steps if isinstance(step, Again)]
    assert len(asleep) == 10
    assert {step for step in steps if isinstance(step, Stop)} == {
        Stop(Halt.RETRY_BUDGET)
    }
    # They all wake at once, and there is still nothing for others.
    service.now += max(step.after_s for step in asleep)
    woken = [service.decide(call, 2) for _ in asleep]
    again = [service.after(each, F.TIMEOUT, call=call, attempts=2) for each in woken]
    assert set(again) == {Stop(Halt.RETRY_BUDGET)}


def test_in_the_long_run_retries_are_a_fifth_of_the_calls():
    """envoyproxy/envoy#30205."""
    service = Service(Retry(id="r", retry_budget_percent=20, max_attempts=10))
    call = facts(idempotent=True)

    made = sum(len(attempts_of(service, call, F.TIMEOUT)) for _ in range(1000))

    assert made <= 1000 + 200 + 10


@pytest.mark.parametrize(
    "limit",
    [
        RunBudget(id="rb", max_usd=Decimal(1)),
        Quota(id="q", unit="usd", limit=Decimal(1)),
    ],
    ids=["run budget", "quota"],
)
def test_a_call_without_a_price_is_not_free(limit):
    """Abilityai/trinity#1155: NULL cost never reached the cap."""
    service = Service(limit)
    unpriced = facts(run="run-1", cost_nano=None)

    allowed = [service.call(call=unpriced).verdict for _ in range(200)]

    assert allowed.count(Verdict.ALLOW) == 100
