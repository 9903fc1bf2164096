"""What applies to a call: found once, and remembered until a rule expires."""

from __future__ import annotations

from decimal import Decimal

import pytest

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
from switchgear.policy.selectors import Target
from tests.policy.service import facts, only


def policy(*rules):
    return Policy(Index(rules))


def test_calls_alike_share_one_answer():
    rules = policy(Retry(id="r"))

    first = rules.matched(facts(tokens=1, run="a"), 0.0)

    assert rules.matched(facts(tokens=2, run="b", deadline=9.0), 5.0) is first
    assert rules.matched(facts(tenant="acme"), 5.0) is not first


def test_a_rule_is_gone_when_it_expires_and_back_when_the_clock_is():
    rules = policy(KillSwitch(id="ks", expires_at=100.0), Retry(id="r"))

    applies = [bool(rules.matched(facts(), now).kill_switches) for now in (99, 100, 5)]

    assert applies == [True, False, True]


def test_answers_are_remembered_in_bounds():
    rules = policy(Retry(id="r"))

    for number in range(10_000):
        rules.matched(facts(tenant=f"t{number}"), 0.0)

    assert len(rules._answers) <= 4096
    assert rules.matched(facts(tenant="t1"), 0.0).plan.retry is not None


@pytest.mark.parametrize(
    ("per", "more", "key"),
    [
        ((), {}, ("rate", "rl")),
        (("tenant",), {"tenant": "acme"}, ("rate", "rl", "tenant=acme")),
        (("tenant",), {}, None),
        (("tenant", "user"), {"tenant": "acme"}, None),
        (("model",), {"kind": "model"}, ("rate", "rl", "model=search")),
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
