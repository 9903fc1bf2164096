"""What applies to a call: found once, and remembered until a rule expires."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.policy.facts import CallFacts
from switchgear.policy.matching import Policy
from switchgear.policy.plan import hops_after
from switchgear.policy.precedence import Index
from switchgear.policy.rules import (
    CircuitBreaker,
    Fallback,
    Hop,
    KillSwitch,
    Mode,
    Quota,
    RateLimit,
    Retry,
    Timeout,
)
from switchgear.policy.rules.rule import SCOPE
from switchgear.policy.rules.selectors import FACTS, Target
from tests.policy.service import facts, only


def policy(*rules):
    return Policy(Index(rules))


names = st.sampled_from(["a", "b"])
maybe = st.none() | names
calls = st.builds(
    CallFacts,
    kind=st.sampled_from(["tool", "model"]),
    target=names,
    service=names,
    tenant=maybe,
    user=maybe,
    agent=maybe,
    model=maybe,
    provider=maybe,
    server=maybe,
)
hops_too = calls | st.builds(replace, calls, fallback_for=calls)
selectors = st.dictionaries(st.sampled_from(FACTS), names).map(
    lambda conditions: only(**(conditions | {"kind": "tool"}))
)
shared = st.lists(st.sampled_from(SCOPE), unique=True, max_size=2).map(tuple)
some_rules = st.lists(
    st.one_of(
        st.builds(Retry, id=st.just("rt"), selector=selectors),
        st.builds(RateLimit, id=st.just("rl"), limit=st.just(1), per=shared),
        st.builds(CircuitBreaker, id=st.just("cb"), selector=selectors, scope=shared),
        st.builds(
            Fallback,
            id=st.just("fb"),
            selector=selectors,
            chain=st.just((Hop(Target(None, "b")),)),
        ),
    ),
    max_size=4,
    unique_by=lambda each: each.id,
)


@given(rules=some_rules, asked=st.lists(hops_too, max_size=8))
def test_what_is_remembered_is_what_would_be_found(rules, asked):
    remembering = policy(*rules)

    for call in asked:
        assert remembering.matched(call, 0.0) == policy(*rules).matched(call, 0.0)


@pytest.mark.parametrize(
    ("rule", "differs"),
    [
        pytest.param(Retry(id="r"), False, id="no rule looks at the tenant"),
        pytest.param(
            Retry(id="r", selector=only(tenant={"not": ["x"]})), True, id="a selector"
        ),
        pytest.param(RateLimit(id="r", limit=1, per=("tenant",)), True, id="a limit"),
        pytest.param(CircuitBreaker(id="r", scope=("tenant",)), True, id="a breaker"),
    ],
)
def test_calls_share_an_answer_if_no_rule_can_tell_them_apart(rule, differs):
    rules = policy(rule)

    first = rules.matched(facts(tokens=1, run="a"), 0.0)

    assert rules.matched(facts(tokens=2, run="b", deadline=9.0), 5.0) is first
    assert (rules.matched(facts(tenant="acme"), 5.0) is not first) is differs
    assert rules.matched(facts("lookup"), 5.0) is not first


def test_the_model_of_a_model_call_tells_it_apart():
    rules = policy(Retry(id="r", selector=only(model="small")))

    plans = [
        rules.matched(call, 0.0).plan.retry is not None
        for call in (
            facts("small", kind="model"),
            facts("large", kind="model"),
            facts("search", model="small"),
            facts("search", model="large"),
            facts("search"),
        )
    ]

    assert plans == [True, False, True, False, False]


def test_a_rule_is_gone_when_it_expires_and_back_when_the_clock_is():
    rules = policy(KillSwitch(id="ks", expires_at=100.0), Retry(id="r"))

    applies = [bool(rules.matched(facts(), now).kill_switches) for now in (99, 100, 5)]

    assert applies == [True, False, True]


def test_answers_are_remembered_in_bounds():
    rules = policy(Retry(id="r"), RateLimit(id="rl", limit=1, per=("tenant",)))

    for number in range(10_000):
        rules.matched(facts(tenant=f"t{number}"), 0.0)

    assert len(rules._answers) <= 4096
    assert rules.matched(facts(tenant="t1"), 0.0).plan.retry is not None


@pytest.mark.parametrize(
    ("per", "more", "key"),
    [
        ((), {}, ("rate", "rl", "calls")),
        (("tenant",), {"tenant": "acme"}, ("rate", "rl", "calls", "tenant=acme")),
        (("tenant",), {}, None),
        (("tenant", "user"), {"tenant": "acme"}, None),
        (("model",), {"kind": "model"}, ("rate", "rl", "calls", "model=search")),
    ],
)
def test_a_limit_counts_for_those_who_are_alike_in_its_facts(per, more, key):
    rules = policy(RateLimit(id="rl", limit=1, per=per))

    matches = rules.matched(facts(**more), 0.0).rate_limits

    assert [each.key for each in matches] == ([] if key is None else [key])


@pytest.mark.parametrize(
    ("scope", "more", "parts"),
    [
        (("server", "target"), {"server": "mcp"}, ("server=mcp", "target=search")),
        (("server", "target"), {}, ("server=", "target=search")),
        (("server",), {}, None),
    ],
)
def test_calls_without_any_fact_of_the_scope_share_no_breaker(scope, more, parts):
    rules = policy(CircuitBreaker(id="cb", scope=scope))

    guard = rules.matched(facts(**more), 0.0).plan.guard

    assert (guard and guard.breaker) == (parts and ("breaker", "cb", *parts))


def test_a_plan_has_the_one_rule_of_each_kind_that_won():
    weak, strong = Timeout(id="a"), Timeout(id="b", priority=1)
    rules = policy(weak, strong, Retry(id="r", mode=Mode.SHADOW))

    plan = rules.matched(facts(), 0.0).plan

    assert (plan.timeout, plan.retry, plan.fallback, plan.guard) == (
        strong,
        None,
        None,
        None,
    )


def test_a_breaker_in_shadow_stands_beside_the_one_that_is_enforced():
    shadow = CircuitBreaker(id="s", mode=Mode.SHADOW, priority=1)
    rules = policy(shadow, CircuitBreaker(id="cb"))

    matched = rules.matched(facts(), 0.0)

    assert [guard.rule.id for guard in matched.guards] == ["cb", "s"]
    assert matched.plan.guard.rule.id == "cb"


def test_parents_of_quotas_are_found_all_the_way_up():
    top = Quota(id="a", unit="calls", limit=Decimal(1), selector=only(tenant="none"))
    middle = Quota(
        id="b", unit="calls", limit=Decimal(1), parent="a", selector=only(tenant="none")
    )
    child = Quota(id="c", unit="calls", limit=Decimal(1), parent="b")

    matched = policy(top, middle, child).matched(facts(), 0.0)

    assert [each.rule.id for each in matched.quotas] == ["c", "b", "a"]


def test_a_hop_is_remembered_apart_from_the_same_call_made_directly():
    chain = (Hop(Target(None, "lookup")), Hop(Target(None, "cache")))
    rules = policy(Fallback(id="fb", chain=chain, selector=only(target="search")))

    direct = rules.matched(facts("lookup"), 0.0).plan
    hop = rules.matched(facts("lookup", fallback_for=facts()), 0.0).plan

    assert (direct.hop, direct.hops) == (None, ())
    assert (hop.hop, hop.hops) == (chain[0], chain[1:])


def hops(*names):
    return tuple(Hop(Target(None, name)) for name in names)


@pytest.mark.parametrize(
    ("at", "left"),
    [
        pytest.param("search", ("a", "b"), id="the call itself"),
        pytest.param("a", ("b",), id="the first hop"),
        pytest.param("b", (), id="the last one allowed"),
        pytest.param("c", (), id="one beyond max_hops"),
        pytest.param("gone", (), id="one that an edit has removed"),
    ],
)
def test_a_chain_is_walked_forwards_and_never_back_to_its_beginning(at, left):
    chain = hops("a", "search", "b", "c")
    rule = Fallback(id="fb", chain=chain, max_hops=2)
    first = facts()
    call = first if at == "search" else facts(at, fallback_for=first)

    names = tuple(hop.target.name for hop in hops_after(rule, first, call))

    assert names == left
