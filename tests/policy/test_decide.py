"""Whole calls: in which order they are asked, and what a refusal leaves behind."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from switchgear.policy.decide import attempt_ended, decide
from switchgear.policy.decision import GoTo, Result, Verdict
from switchgear.policy.rules import (
    CircuitBreaker,
    Concurrency,
    Fallback,
    Hop,
    KillSwitch,
    Mode,
    Quota,
    RateLimit,
    Retry,
    RunBudget,
    Timeout,
)
from switchgear.policy.selectors import Target
from switchgear.policy.vocabulary import FailureClass as F
from switchgear.policy.vocabulary import Kind
from switchgear.policy.vocabulary import RefusalReason as R
from tests.policy.service import Service, attempts_of, facts, only

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


def chain(*targets, **more):
    hops = tuple(Hop(Target.parse(target)) for target in targets)
    return Fallback(id="fb", chain=hops, **more)


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
    service = Service(REFUSING[R.QUOTA], chain("lookup", on=on))

    decision = service.decide()

    assert decision.verdict is verdict
    assert decision.alternatives == (Target(None, "lookup"),)
    assert (decision.go_to is None) is (verdict is Verdict.REFUSE)


@pytest.mark.parametrize(
    ("last_failure", "verdict"),
    [(F.TIMEOUT, Verdict.FALLBACK), (F.TOOL_ERROR, Verdict.REFUSE)],
)
def test_a_refused_retry_leaves_a_failed_call_to_its_fallback(last_failure, verdict):
    service = Service(REFUSING[R.RATE_LIMIT], chain("lookup"))
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

    assert service.decide(call).verdict is Verdict.ALLOW
    assert "100 tokens per 10 s are allowed (rl)" in service.decide(call).message


def test_tokens_nobody_counted_stay_as_they_were_estimated():
    service = Service(RateLimit(id="rl", limit=100, period_s=10, unit="tokens_total"))
    service.call(call=facts(tokens=80))

    assert service.decide(facts(tokens=80)).reason is R.RATE_LIMIT


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
