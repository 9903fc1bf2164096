"""Which rules decide: one of each shaping kind, all of each limiting kind."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.policy.documents.snapshot import Snapshot
from switchgear.policy.explain import Verdict, explain
from switchgear.policy.facts import CallFacts
from switchgear.policy.precedence import Index, decided_by, expired, strength
from switchgear.policy.rules import KINDS, Mode, Tier
from tests.policy.documents import any_rule, rule
from tests.policy.test_selectors import facts

CALL = CallFacts(kind="tool", target="search", service="desk", tenant="acme")
TIMES = st.integers(0, 2**31)
# More rules of one kind than of all, so that they compete.
some_rules = st.lists(any_rule, max_size=12, unique_by=lambda each: each.id)


def snapshot(*rules):
    return Snapshot(
        environment="default", service="desk", version=1, rules=rules, issued_at=0.0
    )


def winner(*rules, now=0.0):
    won = {
        Index(given).winners(CALL, now).get("retry") for given in (rules, rules[::-1])
    }
    assert len(won) == 1
    decided = won.pop()
    return decided and decided.id


def test_tier_comes_before_priority_before_specificity_before_name():
    by_name = [rule("retry", "a"), rule("retry", "b")]
    exact = rule("retry", "c", selector={"target": "search"})
    first = rule("retry", "d", priority=1)
    default = rule("retry", "e", tier="default", priority=99)
    override = rule("retry", "f", tier="override", priority=-99)

    assert winner(*by_name) == "a"
    assert winner(*by_name, exact) == "c"
    assert winner(*by_name, exact, first) == "d"
    assert winner(*by_name, exact, first, default) == "d"
    assert winner(*by_name, exact, first, default, override) == "f"
    assert winner(default) == "e"


@given(any_rule, any_rule, any_rule)
def test_strength_is_a_total_order(one, other, third):
    rules = [replace(one, id="a"), replace(other, id="b"), replace(third, id="c")]
    strengths = [strength(each) for each in rules]

    assert len(set(strengths)) == 3
    for a in rules:
        for b in rules:
            assert a is b or (strength(a) < strength(b)) is not (
                strength(b) < strength(a)
            )


@given(some_rules, facts, TIMES, st.randoms(use_true_random=False))
def test_the_order_in_which_rules_stand_changes_nothing(rules, known, now, random):
    mixed = random.sample(rules, len(rules))
    one, other = Index(rules), Index(mixed)

    assert one.winners(known, now) == other.winners(known, now)
    assert one.shadows(known, now) == other.shadows(known, now)
    assert one.limits(known, now) == other.limits(known, now)
    assert one.expiries == other.expiries


@given(some_rules, facts, TIMES)
def test_the_answer_is_that_of_asking_every_rule(rules, known, now):
    live = [
        each
        for each in rules
        if each.mode is not Mode.OFF
        and each.selector.matches(known)
        and (each.expires_at is None or now < each.expires_at)
    ]
    enforced = [each for each in live if each.mode is Mode.ENFORCE]
    index = Index(snapshot(*rules))

    for kind, made in KINDS.items():
        if made.LIMITING:
            continue
        best = min((e for e in enforced if kind == e.KIND), key=strength, default=None)
        would = min((e for e in live if kind == e.KIND), key=strength, default=None)
        shadow = would if would and would.mode is Mode.SHADOW else None
        assert index.winners(known, now).get(kind) is best
        assert index.shadows(known, now).get(kind) is shadow
    assert set(index.limits(known, now)) == {e for e in live if e.LIMITING}


def test_all_limits_that_match_apply_in_the_order_of_asking():
    kinds = ["quota", "rate_limit", "concurrency", "run_budget", "kill_switch"]
    rules = [rule(kind, f"{kind}-{n}") for kind in kinds for n in (2, 1)]
    other = rule("quota", "other", selector={"tenant": "beta"})

    limits = Index([*rules, other]).limits(CALL, 0.0)

    assert [each.id for each in limits] == [
        f"{kind}-{n}" for kind in reversed(kinds) for n in (1, 2)
    ]


def test_a_rule_in_shadow_never_takes_the_place_of_an_enforced_one():
    shadow = rule("retry", "a", mode="shadow", tier="override")
    enforced = rule("retry", "b")
    weaker = rule("timeout", "c", mode="shadow", tier="default")
    index = Index([shadow, enforced, weaker, rule("timeout", "d")])

    assert index.winners(CALL, 0.0)["retry"] is enforced
    assert index.shadows(CALL, 0.0) == {"retry": shadow}


def test_a_rule_that_is_off_or_expired_does_not_exist():
    off = rule("retry", "a", mode="off", tier="override")
    ends = rule("retry", "b", priority=1, expires_at="1970-01-01T00:01:40Z")
    switch = rule("kill_switch", "c", expires_at="1970-01-01T00:01:00Z")
    index = Index([off, ends, switch, rule("retry", "d")])

    assert winner(off, ends, rule("retry", "d"), now=99.9) == "b"
    assert winner(off, ends, rule("retry", "d"), now=100.0) == "d"
    assert index.limits(CALL, 59.9) == (switch,)
    assert index.limits(CALL, 60.0) == ()
    assert index.rule("a") is None
    assert index.rule("b") is ends
    assert not expired(index.rule("d"), 1e12)


def test_an_answer_stays_true_within_an_epoch():
    early = rule("retry", "a", expires_at="1970-01-01T00:01:00Z")
    late = rule("timeout", "b", expires_at="1970-01-01T00:02:00Z")
    index = Index([early, late, rule("retry", "c")])

    assert index.expiries == (60.0, 120.0)
    assert [index.epoch(now) for now in (0, 59.9, 60, 119, 120, 59)] == [
        0,
        0,
        1,
        1,
        2,
        0,
    ]
    assert Index([]).epoch(0.0) == 0


@given(some_rules, facts, TIMES, TIMES)
def test_two_times_of_one_epoch_have_one_answer(rules, known, one, other):
    index = Index(rules)

    if index.epoch(one) == index.epoch(other):
        assert index.winners(known, one) == index.winners(known, other)
        assert index.limits(known, one) == index.limits(known, other)


@pytest.mark.parametrize(
    ("fields", "criterion"),
    [
        ({"tier": "override"}, "tier"),
        ({"priority": 1}, "priority"),
        ({"selector": {"tenant": "acme"}}, "specificity"),
        ({}, "id"),
    ],
)
def test_it_can_be_said_what_decided(fields, criterion):
    assert decided_by(rule("retry", "a", **fields), rule("retry", "b")) == criterion


@given(some_rules, facts, TIMES)
def test_explaining_says_what_the_index_does_and_leaves_no_rule_out(rules, known, now):
    index = Index(rules)
    explanation = explain(snapshot(*rules), known, now)

    assert [each.kind for each in explanation.kinds] == list(KINDS)
    told = [j.rule for e in explanation.kinds for j in (*e.winners, *e.losers)]
    assert sorted(each.id for each in told) == sorted(each.id for each in rules)
    for each in explanation.kinds:
        applied = [judged.rule for judged in each.winners]
        if KINDS[each.kind].LIMITING:
            live = [r for r in index.limits(known, now) if r.mode is Mode.ENFORCE]
            assert applied == [r for r in live if each.kind == r.KIND]
        else:
            won = index.winners(known, now).get(each.kind)
            assert applied == ([won] if won else [])
            assert each.winner is won
        assert all(judged.reason for judged in (*each.winners, *each.losers))


def test_every_rule_has_a_reason_for_people():
    rules = [
        rule("retry", "wins", priority=1),
        rule("retry", "outranked"),
        rule("retry", "by-tier", tier="default", priority=5),
        rule("retry", "off", mode="off"),
        rule("retry", "over", expires_at="1970-01-01T00:00:01Z"),
        rule("retry", "beta", selector={"tenant": ["beta", "gamma"]}),
        rule("retry", "model", selector={"target": "model:search"}),
        rule("retry", "agent", selector={"agent": {"not": ["x"]}}),
        rule("retry", "loud", mode="shadow", priority=9),
        rule("retry", "quiet", mode="shadow"),
        rule("timeout", "vague"),
        rule("timeout", "exact", selector={"target": "search"}),
        rule("timeout", "exalt", selector={"target": "search"}),
        rule("quota", "limit"),
        rule("quota", "try", mode="shadow"),
    ]

    explanation = explain(snapshot(*rules), CALL, now=10.0)
    told = {
        judged.rule.id: (judged.verdict, judged.reason)
        for each in explanation.kinds
        for judged in (*each.winners, *each.losers)
    }

    shadow = "in shadow: it records what it would do, and does nothing"
    assert explanation.version == 1
    assert explanation.of("retry").winner.id == "wins"
    assert explanation.of("fallback").winner is None
    assert told == {
        "wins": (Verdict.APPLIES, "the strongest rule that matches"),
        "outranked": (Verdict.OUTRANKED, "wins has priority 1, this has 0"),
        "by-tier": (Verdict.OUTRANKED, "wins is of tier normal, this is default"),
        "off": (Verdict.OFF, "the rule is off"),
        "over": (Verdict.EXPIRED, "it ended at 1970-01-01T00:00:01Z"),
        "beta": (
            Verdict.NOT_SELECTED,
            "the call must have tenant beta or gamma, but its tenant is acme",
        ),
        "model": (
            Verdict.NOT_SELECTED,
            "the call must have target model:search, but its target is tool:search",
        ),
        "agent": (
            Verdict.NOT_SELECTED,
            "the call must have agent not x, but it has no agent",
        ),
        "loud": (Verdict.SHADOW, shadow),
        "quiet": (Verdict.SHADOW, "in shadow, and a stronger rule would win over it"),
        "vague": (Verdict.OUTRANKED, "exact says more about the call"),
        "exact": (Verdict.APPLIES, "the strongest rule that matches"),
        "exalt": (
            Verdict.OUTRANKED,
            "exact comes first by name, as nothing else tells them apart",
        ),
        "limit": (Verdict.APPLIES, "every limit that matches applies"),
        "try": (Verdict.SHADOW, shadow),
    }


def test_of_two_rules_that_tie_explaining_shows_the_winner():
    """Pitfall 33: two policies on one model, and the alphabet decides silently."""
    one, other = rule("retry", "b"), rule("retry", "a")

    told = explain(snapshot(one, other), CALL, now=0.0).of("retry")

    assert told.winner is other
    assert [judged.rule for judged in told.losers] == [one]
    assert "by name" in told.losers[0].reason
    assert Tier.NORMAL is one.tier
