"""What an operator is warned of, and in which sentences a draft is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.policy.facts import CallFacts
from switchgear.policy.precedence import Index
from switchgear.policy.review import Code, review, sentences
from switchgear.policy.review.changes import Change, Now, Was
from switchgear.policy.review.tightness import tighter
from switchgear.policy.rules.selectors import Target
from tests.policy.documents import any_rule, rule, rules
from tests.policy.test_selectors import facts

REST = "tz UTC, week start monday, reset time 00:00"


def codes(*rules, targets=()):
    return [(each.code.value, each.rules) for each in review(rules, targets)]


def test_rules_that_only_their_names_tell_apart_are_ambiguous():
    """Pitfall 33: a tie is a warning, not silently the alphabet's choice."""
    one = rule("retry", "a", selector={"tenant": "acme"})
    other = rule(
        "retry", "b", selector={"service": "desk", "environment": {"not": ["x"]}}
    )
    twin = rule(
        "retry", "c", selector={"tenant": ["acme", "beta"], "kind": {"not": ["tool"]}}
    )

    assert codes(rule("retry", "a"), rule("retry", "b"))[0] == ("ambiguous", ("b", "a"))
    assert codes(one, rule("retry", "b", selector={"tenant": "beta"})) == []
    assert codes(one, rule("retry", "b", selector={"tenant": "acme"}, priority=1)) == [
        ("shadowed", ("a", "b"))
    ]
    assert codes(one, other) == []
    assert codes(one, twin) == []
    assert codes(rule("quota", "a"), rule("quota", "b", unit="calls")) == []


def test_a_rule_that_never_decides_is_shadowed():
    wide = rule("retry", "wide", priority=1)
    narrow = rule("retry", "narrow", selector={"target": "search"})
    brief = {"expires_at": "2026-11-20T12:00:00Z"}
    longer = {"expires_at": "2026-11-20T13:00:00Z"}

    assert codes(wide, narrow) == [("shadowed", ("narrow", "wide"))]
    assert codes(rule("retry", "wide", priority=1, mode="shadow"), narrow) == []
    assert codes(rule("retry", "wide", priority=1, mode="off"), narrow) == []
    assert codes(rule("retry", "wide", priority=1, **brief), narrow) == []
    assert (
        codes(
            rule("retry", "wide", priority=1, **brief),
            rule("retry", "narrow", **longer),
        )
        == []
    )
    assert codes(
        rule("retry", "wide", priority=1, **longer), rule("retry", "narrow", **brief)
    ) == [("shadowed", ("narrow", "wide"))]
    assert codes(wide, rule("timeout", "narrow")) == []


@given(rules("retry"), rules("retry"), facts)
def test_a_shadowed_rule_really_never_wins(one, other, known):
    findings = review([one, other] if one.id != other.id else [one])
    shadowed = {each.rules[0] for each in findings if each.code is Code.SHADOWED}

    won = Index([one, other]).winners(known, 0.0).get("retry")

    assert won is None or won.id not in shadowed


@pytest.mark.parametrize(
    ("kind", "tight", "loose"),
    [
        ("concurrency", {"max_concurrent_calls": 5}, {"max_concurrent_calls": 6}),
        ("concurrency", {}, {"per": ["tenant"]}),
        ("rate_limit", {"limit": 10}, {"limit": 11}),
        ("rate_limit", {"limit": 60, "burst": 1}, {"limit": 1, "period_s": 1}),
        ("rate_limit", {"limit": 3, "burst": 1}, {"limit": 2, "period_s": 30}),
        (
            "rate_limit",
            {"limit": 60, "burst": 10},
            {"limit": 2, "period_s": 1, "burst": 10},
        ),
        ("quota", {"limit": "5"}, {"limit": "6"}),
        ("quota", {"limit": "0"}, {"limit": "0.5", "per": ["tenant", "user"]}),
        ("run_budget", {"max_steps": 5, "max_usd": "1"}, {"max_steps": 5}),
        ("kill_switch", {"effect": "deny"}, {"effect": "fallback"}),
    ],
)
def test_a_limit_that_another_always_reaches_first_never_binds(kind, tight, loose):
    tight_rule = rule(kind, "tight", **tight)
    loose_rule = rule(kind, "loose", **loose, selector={"target": "search"})

    assert codes(tight_rule, loose_rule) == [("never_binds", ("loose", "tight"))]
    elsewhere = rule(kind, "tight", **tight, selector={"target": "mail"})
    assert codes(elsewhere, loose_rule) == []
    assert codes(rule(kind, "tight", **tight, mode="shadow"), loose_rule) == []


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("concurrency", {"per": ["tenant"]}, {"max_concurrent_calls": 99}),
        ("rate_limit", {"limit": 10}, {"limit": 20, "burst": 5}),
        ("rate_limit", {"limit": 3}, {"limit": 2, "period_s": 59, "burst": 2}),
        ("rate_limit", {"limit": 10}, {"limit": 11, "unit": "tokens_total"}),
        ("quota", {"limit": "5"}, {"limit": "6", "unit": "seconds"}),
        ("quota", {"limit": "5"}, {"limit": "6", "window": {"tz": "Asia/Tokyo"}}),
        ("run_budget", {"max_steps": 5}, {"max_usd": "9"}),
        ("run_budget", {"max_steps": 5}, {"max_steps": 9, "loop_threshold": 2}),
        ("kill_switch", {"effect": "fallback"}, {"effect": "deny"}),
    ],
)
def test_limits_that_both_can_bind_are_no_finding(kind, one, other):
    selector = {"target": "search"}

    assert (
        codes(rule(kind, "a", **one), rule(kind, "b", **other, selector=selector)) == []
    )


def test_limits_of_different_kinds_are_not_compared():
    one, other = rule("quota", "a"), rule("concurrency", "b")

    assert not tighter(one, other)
    assert codes(one, other) == []


def test_of_two_equal_limits_only_one_is_superfluous():
    assert codes(rule("quota", "a"), rule("quota", "b"), rule("quota", "c")) == [
        ("never_binds", ("b", "a")),
        ("never_binds", ("c", "a")),
    ]


def test_attempts_that_multiply_are_counted():
    chain = [{"target": name} for name in "abc"]
    fallback = rule("fallback", "fb", chain=chain, selector={"target": "search"})
    short = rule("fallback", "fb", chain=chain, max_hops=2)
    retry = rule("retry", "rt")

    (finding,) = review([fallback, retry])

    assert finding.code is Code.ATTEMPTS_MULTIPLY
    assert finding.rules == ("fb", "rt")
    assert finding.message == (
        "one call may become 12 attempts: 4 targets of fb, 3 times each by rt"
    )
    assert codes(short, retry) == []
    assert codes(fallback) == []
    assert codes(fallback, rule("retry", "rt", selector={"target": "mail"})) == []
    assert codes(fallback, rule("retry", "rt", mode="shadow")) == []


def test_a_child_that_exceeds_its_parent_is_told():
    def family(child, parent):
        return codes(
            rule("quota", "a", parent="b", **child), rule("quota", "b", **parent)
        )

    day, month, hour = ({"period": period} for period in ("P1D", "P1M", "PT5M"))

    found = [("child_exceeds_parent", ("a", "b"))]
    selector = {"tenant": "acme"}
    assert family({"limit": "6", "selector": selector}, {"per": ["user"]}) == found
    assert family({"limit": "6", "window": hour}, {"window": day}) == found
    assert family({"limit": "60", "window": month}, {"window": day}) == []
    assert family({"limit": "5", "window": hour}, {"window": day}) == []
    assert codes(rule("quota", "a", parent="gone")) == []


def test_a_slot_that_ends_before_the_timeout_is_told():
    timeout = rule("timeout", "t", timeout_ms=5001, selector={"target": "search"})

    def slots(**fields):
        return codes(timeout, rule("concurrency", "c", **fields))

    assert slots(slot_ttl_s=5) == [("slot_shorter_than_timeout", ("c", "t"))]
    assert slots(slot_ttl_s=6) == []
    assert slots() == []
    assert slots(slot_ttl_s=5, selector={"target": "mail"}) == []


def test_a_rule_about_a_target_that_was_renamed_is_dead():
    """Pitfall 33: after a rename the rule is there, and does nothing."""
    known = [Target("tool", "search.web"), Target("model", "large-2")]
    alive = [
        rule("retry", "a", selector={"target": "search.web"}),
        rule("retry", "b", selector={"target": {"glob": "tool:*"}}),
        rule("timeout", "c", selector={"model": {"glob": "large-*"}}),
        rule("timeout", "d", selector={"kind": "model", "tenant": "acme"}),
    ]
    dead = [
        rule("retry", "e", selector={"target": "search"}),
        rule("retry", "f", selector={"target": "model:search.web"}),
        rule("timeout", "g", selector={"kind": "retrieval"}),
    ]

    assert codes(*alive, targets=known) == []
    assert codes(*dead, targets=known) == [("dead", (each.id,)) for each in dead]
    assert codes(*dead) == []


def test_a_chain_that_leads_to_an_unknown_target_is_told():
    known = [Target("tool", "a"), Target("tool", "b")]

    def chain(target):
        fallback = rule("fallback", "fb", chain=[{"target": target}])
        return codes(fallback, targets=known)

    assert chain("b") == chain("tool:b") == []
    assert chain("c") == chain("model:b") == [("unknown_target", ("fb",))]


@given(st.lists(any_rule, max_size=8, unique_by=lambda each: each.id))
def test_findings_do_not_depend_on_the_order_of_rules(given_rules):
    targets = [Target("tool", "a")]

    found = review(given_rules, targets)

    assert review(given_rules[::-1], targets) == found
    known = {each.id for each in given_rules}
    assert all(set(each.rules) <= known and each.message for each in found)


def told(before, after):
    return [str(each) for each in sentences(before, after)]


def test_a_change_is_told_in_a_sentence():
    selector = {"target": "search", "tenant": "acme"}
    before = rule("retry", "r", rev=1, selector=selector)
    after = rule("retry", "r", rev=2, selector=selector, max_attempts=5)

    (sentence,) = sentences([before], [after])

    assert str(sentence) == "search: retry max attempts 3 -> 5 for tenant acme"
    assert (sentence.rule, sentence.change) == ("r", Change.CHANGED)
    assert [type(word) for word in sentence.words] == [str, str, Was, str, Now, str]
    assert [word for word in sentence.words if isinstance(word, Now)] == ["5"]


def test_rules_come_and_go_in_sentences():
    quota = rule("quota", "q", selector={"model": ["a", "b"], "service": "desk"})
    switch = rule("kill_switch", "k")

    assert told([], [quota]) == [
        "a or b: quota q added for service desk with unit usd, limit 5"
    ]
    assert told([quota], []) == ["a or b: quota q removed for service desk"]
    assert told([], [rule("timeout", "t")]) == ["every call: timeout t added"]
    assert told([], [switch]) == [
        "every call: kill switch k added with ends at 2026-11-20T12:00:00Z"
    ]
    assert told([rule("timeout", "t")], [rule("retry", "t")]) == [
        "every call: timeout t removed",
        "every call: retry t added",
    ]


@pytest.mark.parametrize(
    ("kind", "before", "after", "sentence"),
    [
        (
            "retry",
            {},
            {"wait_duration_ms": 300},
            "retry wait duration 200 ms -> 300 ms",
        ),
        (
            "retry",
            {},
            {"total_deadline_ms": 9000},
            "retry total deadline none -> 9000 ms",
        ),
        ("retry", {}, {"idempotent_only": False}, "retry idempotent only yes -> no"),
        (
            "retry",
            {},
            {"retry_on": ["timeout"]},
            "retry retry on transport, timeout, server_error, rate_limited -> timeout",
        ),
        ("retry", {}, {"mode": "shadow"}, "retry mode enforce -> shadow"),
        (
            "retry",
            {},
            {"exponential_backoff_multiplier": 1.5},
            "retry exponential backoff multiplier 2 -> 1.5",
        ),
        (
            "fallback",
            {},
            {"chain": [{"target": "a", "timeout_ms": 5}, {"target": "b"}]},
            "fallback chain search.lite -> a (timeout 5 ms), then b",
        ),
        (
            "quota",
            {},
            {"window": {"period": "PT5M"}},
            f"quota window period P1D, {REST} -> period PT5M, {REST}",
        ),
        ("quota", {"per": ["tenant"]}, {"per": []}, "quota per tenant -> none"),
        (
            "retry",
            {},
            {"selector": {"tenant": {"not": ["a", "b"]}}},
            "retry applies to every call -> tenant not a or b",
        ),
        (
            "retry",
            {"expires_at": "2026-11-20T12:00:00Z"},
            {},
            "retry ends at 2026-11-20T12:00:00Z -> none",
        ),
    ],
)
def test_every_type_of_value_has_words(kind, before, after, sentence):
    changed = told([rule(kind, "x", **before)], [rule(kind, "x", **after)])

    assert changed == [f"every call: {sentence}"]


@given(st.lists(any_rule, max_size=4, unique_by=lambda each: each.id), st.data())
def test_nothing_is_told_exactly_when_nothing_changes(given_rules, data):
    others = data.draw(
        st.just(given_rules)
        | st.lists(any_rule, max_size=4, unique_by=lambda each: each.id)
    )

    def bare(rules):
        return {each.id: (each.KIND, str(each).partition("mode=")[2]) for each in rules}

    assert (told(given_rules, others) == []) is (bare(given_rules) == bare(others))


def test_a_finding_is_about_calls_that_exist():
    """The example of the manual: an exact rule and a pattern of the same weight."""
    call = CallFacts(kind="tool", target="search.web", service="desk", tenant="acme")
    one = rule("retry", "a", selector={"target": {"glob": "search.*"}})
    other = rule("retry", "b", selector={"target": {"glob": "*.web"}})

    assert codes(one, other) == [("ambiguous", ("b", "a"))]
    assert one.selector.matches(call)
    assert other.selector.matches(call)
