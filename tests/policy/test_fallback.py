"""What stands in for a call that was refused or failed, and until when."""

from __future__ import annotations

from decimal import Decimal

import pytest

from switchgear.policy.decide import decide
from switchgear.policy.decision import GoTo, Verdict
from switchgear.policy.rules import (
    CircuitBreaker,
    Fallback,
    Hop,
    KillSwitch,
    Quota,
    RateLimit,
    Retry,
    Timeout,
)
from switchgear.policy.rules.selectors import Target
from switchgear.policy.vocabulary import FailureClass as F
from switchgear.policy.vocabulary import Kind
from switchgear.policy.vocabulary import RefusalReason as R
from tests.policy.service import Service, attempts_of, facts, only

OPEN = CircuitBreaker(id="cb", operator_state="forced_open")
USED_UP = Quota(id="q", unit="calls", limit=Decimal(0))


def chain(*targets, **more):
    hops = tuple(Hop(Target.parse(target)) for target in targets)
    return Fallback(id="fb", chain=hops, **more)


@pytest.mark.parametrize(
    ("effect", "verdict"), [("deny", Verdict.REFUSE), ("fallback", Verdict.FALLBACK)]
)
def test_a_kill_switch_may_send_calls_to_the_fallback(effect, verdict):
    stop = KillSwitch(
        id="ks", expires_at=2000.0, effect=effect, selector=only(target="search")
    )
    service = Service(stop, chain("lookup"))

    assert service.decide().verdict is verdict


def test_a_kill_switch_for_the_fallback_refuses_where_there_is_none():
    service = Service(KillSwitch(id="ks", expires_at=2000.0, effect="fallback"))

    assert service.decide().verdict is Verdict.REFUSE


@pytest.mark.parametrize(
    ("on", "verdict"),
    [
        ((R.QUOTA,), Verdict.FALLBACK),
        ((F.REFUSED,), Verdict.FALLBACK),
        ((R.BREAKER, F.TIMEOUT), Verdict.REFUSE),
    ],
)
def test_a_refusal_goes_to_the_fallback_where_its_rule_says_so(on, verdict):
    service = Service(USED_UP, chain("lookup", on=on))

    decision = service.decide()

    assert decision.verdict is verdict
    assert decision.alternatives == (Target(None, "lookup"),)
    assert (decision.go_to is None) is (verdict is Verdict.REFUSE)


@pytest.mark.parametrize(
    ("last_failure", "verdict"),
    [(F.TIMEOUT, Verdict.FALLBACK), (F.TOOL_ERROR, Verdict.REFUSE)],
)
def test_a_refused_retry_leaves_a_failed_call_to_its_fallback(last_failure, verdict):
    service = Service(RateLimit(id="rl", limit=1, period_s=3600), chain("lookup"))
    service.call(F.TIMEOUT)

    refused = service.decide(attempt=2, last_failure=last_failure)

    assert (refused.verdict, refused.reason) == (verdict, R.RATE_LIMIT)


def test_a_hop_is_a_call_of_its_own_for_the_first_one():
    first = facts(
        "search", tenant="acme", server="mcp", idempotent=True, deadline=1010.0
    )
    service = Service(OPEN, chain("model:small", "lookup"))

    hop = service.decide(first).go_to
    second = service.decide(hop.call).go_to

    assert hop.target == Target(Kind.MODEL, "small")
    assert (hop.call.kind, hop.call.target) == ("model", "small")
    assert (hop.call.tenant, hop.call.deadline) == ("acme", 1010.0)
    assert (hop.call.server, hop.call.idempotent) == (None, False)
    assert (second.call.kind, second.call.target) == ("tool", "lookup")
    assert hop.call.fallback_for is second.call.fallback_for is first
    assert service.decide(second.call).verdict is Verdict.REFUSE


def test_failures_go_to_the_fallback_after_the_last_attempt():
    service = Service(Retry(id="r", max_attempts=2), chain("lookup", "cache"))

    made = attempts_of(service, facts(kind="model"), F.SERVER_ERROR)

    assert made == ["search", "search", "lookup", "lookup", "cache", "cache"]


@pytest.mark.parametrize(
    ("failure_class", "goes_on"),
    [
        (F.TIMEOUT, True),
        (F.TOOL_ERROR, False),
        (F.UNKNOWN, False),
        (F.CANCELLED, False),
    ],
)
def test_only_listed_failures_go_to_the_fallback(failure_class, goes_on):
    service = Service(chain("lookup"))

    step = service.after(service.decide(), failure_class)

    assert isinstance(step, GoTo) is goes_on


def test_a_call_its_caller_gave_up_has_no_fallback_even_if_listed():
    service = Service(chain("lookup", on=(F.CANCELLED,)))

    assert not isinstance(service.after(service.decide(), F.CANCELLED), GoTo)


def test_rules_of_a_hop_have_no_chain_of_their_own():
    own = Fallback(
        id="own", chain=(Hop(Target(None, "never")),), selector=only(target="lookup")
    )
    service = Service(chain("lookup", "cache"), own)

    assert attempts_of(service, facts(), F.TIMEOUT) == ["search", "lookup", "cache"]
    assert attempts_of(service, facts("lookup"), F.TIMEOUT) == ["lookup", "never"]


@pytest.mark.parametrize(
    ("max_cost", "cost_nano", "made"),
    [
        pytest.param("0.01", 10_000_000, ["search", "lookup"], id="cheap enough"),
        pytest.param("0.01", 10_000_001, ["search", "cache"], id="too dear"),
        pytest.param("0.01", None, ["search", "cache"], id="price unknown"),
        pytest.param(None, None, ["search", "lookup"], id="no bound"),
    ],
)
def test_a_hop_that_costs_too_much_is_passed_over(max_cost, cost_nano, made):
    bound = None if max_cost is None else Decimal(max_cost)
    hops = (Hop(Target(None, "lookup"), max_cost_usd=bound), Hop(Target(None, "cache")))
    service = Service(Fallback(id="fb", chain=hops))

    assert attempts_of(service, facts(cost_nano=cost_nano), F.TIMEOUT)[:2] == made


@pytest.mark.parametrize(
    ("cost_nano", "words"),
    [(2 * 10**9, "its cost would be 2.000000 USD"), (None, "its cost is not known")],
)
def test_a_hop_that_is_passed_over_says_why(cost_nano, words):
    hop = Hop(Target(None, "lookup"), max_cost_usd=Decimal("0.01"))
    service = Service(Fallback(id="fb", chain=(hop,)))

    refused = service.decide(facts("lookup", fallback_for=facts(), cost_nano=cost_nano))

    assert refused.message == (
        f"lookup is passed over: {words}, and the fallback fb allows 0.01 USD."
    )


def test_no_hop_is_begun_after_the_deadline():
    service = Service(chain("lookup"))
    call = facts(deadline=1005.0)
    decision = service.decide(call)
    service.now = 1005.0

    assert not isinstance(service.after(decision, F.TIMEOUT, call=call), GoTo)


def test_a_deadline_need_not_be_inherited():
    service = Service(chain("lookup", inherit_deadline=False))
    call = facts(deadline=1005.0)
    decision = service.decide(call)
    service.now = 1005.0

    step = service.after(decision, F.TIMEOUT, call=call)

    assert step.call.deadline is None


@pytest.mark.parametrize(
    ("attempt", "began", "deadline"), [(1, None, 1007.0), (2, 1000.0, 1004.0)]
)
def test_a_refused_retry_hands_on_the_deadline_of_its_call(attempt, began, deadline):
    rules = [Retry(id="r", total_deadline_ms=4000), OPEN, chain("lookup")]
    policy = Service(*rules).policy

    refused = decide(
        policy, facts(), {}, 1003.0, 0.0, attempt=attempt, started_at=began
    )

    assert refused.go_to.call.deadline == deadline


@pytest.mark.parametrize(
    ("timeout", "hop_ms", "deadline", "timeout_s"),
    [
        (None, None, None, None),
        (500, None, None, 0.5),
        (500, 200, None, 0.2),
        (None, 200, None, 0.2),
        (500, None, 1000.25, 0.25),
        (None, None, 999.0, 0.0),
    ],
)
def test_an_attempt_ends_by_the_nearest_bound(timeout, hop_ms, deadline, timeout_s):
    hop = Hop(Target(None, "lookup"), timeout_ms=hop_ms)
    rules = [Fallback(id="fb", chain=(hop,))]
    rules += [Timeout(id="t", timeout_ms=timeout)] if timeout else []
    call = facts("lookup", fallback_for=facts(), deadline=deadline)

    plan = Service(*rules).decide(call).plan

    assert plan.timeout_s(call, 1000.0, 1000.0) == timeout_s
