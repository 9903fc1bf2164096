"""What others got wrong about breakers, each with the thread it is known from."""

from __future__ import annotations

from decimal import Decimal

import pytest

from switchgear.policy.decision import Verdict
from switchgear.policy.machines.breaker import Phase
from switchgear.policy.rules import (
    CircuitBreaker,
    Concurrency,
    Fallback,
    Hop,
    Quota,
)
from switchgear.policy.rules.selectors import Target
from switchgear.policy.vocabulary import FailureClass as F
from switchgear.policy.vocabulary import RefusalReason as R
from tests.policy.service import SERVER_ERROR, Service, facts

BREAKER = CircuitBreaker(
    id="cb",
    minimum_number_of_calls=5,
    permitted_calls_in_half_open=3,
    wait_jitter_percent=0,
    scope=("target",),
)


def tripped(*more):
    service = Service(BREAKER, *more)
    for _ in range(5):
        service.call(SERVER_ERROR)
    assert service.breaker().phase is Phase.OPEN
    return service


def half_open(*more):
    service = tripped(*more)
    service.now += 30
    return service


def quota(limit):
    return Quota(id="q", unit="calls", limit=Decimal(limit))


def test_a_probe_that_never_returns_gives_its_slot_back():
    """resilience4j#935, #1389; OmniRoute#13836: half open for six days."""
    service = half_open()
    for _ in range(3):
        assert service.decide().verdict is Verdict.ALLOW
    assert service.decide().retry_after == 10.0

    service.now += 10
    refused = service.decide()

    assert (refused.verdict, refused.breaker_state) == (Verdict.REFUSE, "open")
    service.now += 60
    assert service.decide().breaker_state == "half_open"


def test_another_rule_eats_no_probe():
    """alibaba/Sentinel#1638."""
    service = half_open(quota("5"))

    for _ in range(20):
        assert service.decide().reason is R.QUOTA

    service.obey(BREAKER)
    probes = [service.decide().verdict for _ in range(4)]
    assert probes == [Verdict.ALLOW] * 3 + [Verdict.REFUSE]


def test_a_probe_whose_attempt_was_never_made_gives_its_permit_back():
    """alibaba/Sentinel#1638; svroonland/rezilience#521."""
    service = half_open()

    for _ in range(20):
        service.drop(service.decide())

    assert service.breaker().phase is Phase.HALF_OPEN
    assert service.decide().verdict is Verdict.ALLOW


@pytest.mark.parametrize("failure_class", [None, SERVER_ERROR])
def test_what_began_before_the_trip_neither_closes_nor_extends_it(failure_class):
    """sony/gobreaker#122; denoland/std#7306; danielfm/pybreaker#24."""
    service = Service(BREAKER)
    late = [service.decide() for _ in range(30)]
    for _ in range(5):
        service.call(SERVER_ERROR)
    opened = service.breaker()

    service.now += 10
    for each in late[:15]:
        service.end(each, failure_class)
    assert service.breaker() == opened

    service.now += 20
    probe = service.decide()
    for each in late[15:]:
        service.end(each, failure_class)
    assert service.breaker().phase is Phase.HALF_OPEN
    assert service.breaker().passed == 0
    service.end(probe)
    assert service.breaker().passed == 1


def test_a_thousand_callers_at_half_open_make_three_probes():
    """AirMCP#249; Skyscanner/pyfailsafe#31."""
    service = half_open()

    allowed = [service.decide().verdict is Verdict.ALLOW for _ in range(1000)]

    assert sum(allowed) == 3


def test_nobody_who_looks_moves_the_time_it_was_opened():
    """danielfm/pybreaker#24: each look began the wait anew; nodeshift/opossum#385."""
    service = tripped()
    opened = service.breaker()

    for _ in range(29):
        service.now += 1
        assert service.decide().verdict is Verdict.REFUSE
        assert service.breaker() == opened

    service.now += 1
    assert service.decide().verdict is Verdict.ALLOW


def test_it_is_open_from_the_failure_not_from_the_start_of_the_call():
    """denoland/std#7097."""
    service = Service(BREAKER)
    slow = [service.decide() for _ in range(5)]
    service.now += 25

    for each in slow:
        service.end(each, F.TIMEOUT, took_s=25.0)

    assert service.breaker().since == 1025.0
    assert service.decide().retry_after == 30.0


def test_one_failed_probe_is_enough_however_low_the_rate():
    """nodeshift/opossum#119."""
    service = half_open()
    service.call()
    service.call()

    service.call(SERVER_ERROR)

    assert service.breaker().phase is Phase.OPEN


def test_a_hundred_tool_errors_open_no_breaker_of_a_server():
    """NousResearch/hermes-agent#11113, #47851, #90072."""
    server = CircuitBreaker(id="cb", scope=("server",), minimum_number_of_calls=5)
    service = Service(server)

    for _ in range(100):
        service.call(F.TOOL_ERROR, facts(server="mcp"))

    assert service.breaker().phase is Phase.CLOSED
    assert service.decide(facts("recover", server="mcp")).verdict is Verdict.ALLOW


@pytest.mark.parametrize(
    "failure_class", [F.TOOL_ERROR, F.RATE_LIMITED, F.REFUSED, F.CANCELLED, F.UNKNOWN]
)
@pytest.mark.parametrize("listed", [False, True])
def test_what_is_nobodys_fault_trips_only_if_a_rule_says_so(failure_class, listed):
    """NousResearch/hermes-agent#11113; MikkoParkkola/mcp-gateway#475."""
    recorded = (failure_class,) if listed else BREAKER.record_failures
    rule = CircuitBreaker(
        id="cb",
        minimum_number_of_calls=5,
        scope=("target",),
        record_failures=recorded,
    )
    service = Service(rule)

    for _ in range(5):
        service.call(failure_class, retry_after=0.0)

    assert (service.breaker().phase is Phase.OPEN) is listed


def test_too_many_requests_throttle_and_do_not_trip():
    """MikkoParkkola/mcp-gateway#475; rianvdm/discogs-mcp#46."""
    service = Service(BREAKER)
    for _ in range(50):
        service.call(F.RATE_LIMITED)
        service.now += 1.1

    service.call(F.RATE_LIMITED, retry_after=20.0)

    assert service.breaker().phase is Phase.CLOSED
    assert service.decide().retry_after == pytest.approx(20.0)
    service.now += 20
    assert service.decide().verdict is Verdict.ALLOW


@pytest.mark.parametrize("order", [(5.0, 60.0), (60.0, 5.0)])
def test_the_longer_cooldown_wins(order):
    """BerriAI/litellm#40130."""
    service = Service(BREAKER)
    running = [service.decide() for _ in order]

    for each, retry_after in zip(running, order, strict=True):
        service.end(each, F.RATE_LIMITED, retry_after=retry_after)

    assert service.decide().retry_after == 60.0


@pytest.mark.parametrize(("retry_after", "benched_s"), [(7200.0, 7200.0), (None, 300)])
def test_a_spent_daily_cap_benches_the_target_and_calls_go_elsewhere(
    retry_after, benched_s
):
    """langwatch/langwatch#7027: four hours against a provider that was used up."""
    chain = Fallback(id="fb", chain=(Hop(Target(None, "lookup")),))
    service = Service(BREAKER, chain)
    service.call(F.UPSTREAM_QUOTA, retry_after=retry_after)

    service.now += benched_s - 1
    benched = service.decide()
    service.now += 1

    assert (benched.verdict, benched.reason) == (Verdict.FALLBACK, R.BREAKER)
    assert benched.go_to.target == Target(None, "lookup")
    assert service.decide().verdict is Verdict.ALLOW


def test_a_result_nobody_could_classify_gives_all_permits_back():
    """routecraftjs/routecraft#460: a classifier raised, the probe was lost."""
    service = half_open(Concurrency(id="cc", max_concurrent_calls=1))

    for _ in range(20):
        decision = service.decide()
        assert decision.verdict is Verdict.ALLOW
        service.end(decision, F.UNKNOWN)

    assert service.breaker().phase is Phase.HALF_OPEN


def test_a_refusal_that_is_told_as_a_result_trips_no_breaker():
    """puffo-ai/puffo-agent#327."""
    service = Service(BREAKER)

    for _ in range(100):
        service.call(F.REFUSED)

    assert service.breaker().phase is Phase.CLOSED
