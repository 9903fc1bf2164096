"""Fallback chains that lead back to their beginning are found, and named in order."""

from __future__ import annotations

from itertools import pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.policy.errors import PolicyError
from switchgear.policy.review.cycles import check_together, cycle, fallback_cycle
from tests.policy.documents import rule


def fallback(name, selector, *targets, **fields):
    if isinstance(selector, str):
        selector = {"target": selector}
    chain = [{"target": target} for target in targets]
    return rule("fallback", name, selector=selector, chain=chain, **fields)


def refusal(*rules):
    with pytest.raises(PolicyError) as caught:
        check_together(rules)
    return caught.value


graphs = st.dictionaries(
    st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), unique=True)
)


def cyclic(graph):
    """By brute force: some arrangement of some nodes leads around."""
    nodes = list(graph)
    return any(
        all(b in graph[a] for a, b in zip(path, path[1:] + path[:1], strict=True))
        for length in range(1, len(nodes) + 1)
        for path in permutations(nodes, length)
    )


@given(graphs)
def test_a_cycle_is_found_exactly_when_there_is_one(graph):
    found = cycle(graph, lambda node: graph.get(node, []))

    assert (found is not None) is cyclic(graph)
    if found:
        assert all(
            b in graph[a] for a, b in zip(found, found[1:] + found[:1], strict=True)
        )


def test_a_long_chain_needs_no_deep_stack():
    assert cycle([0], lambda node: [node + 1] if node < 50_000 else []) is None
    assert cycle([0], lambda node: [(node + 1) % 50_000]) == tuple(range(50_000))


@given(graphs)
def test_rules_for_single_targets_are_judged_like_the_graph_they_draw(graph):
    rules = [
        fallback(f"fb-{a}", a, *targets) for a, targets in graph.items() if targets
    ]

    found = fallback_cycle(rules)

    assert (found is not None) is cyclic(graph)
    if found:
        assert found[0] == found[-1]
        assert all(b in graph[a] for a, b in pairwise(found))


def test_saving_a_cyclic_graph_of_fallbacks_is_refused_naming_the_cycle():
    """Pitfall 21: fallbacks that call each other until the money is gone."""
    rules = [
        fallback("one", "search", "lite"),
        fallback("two", "lite", "cache", "web"),
        fallback("three", "web", "search"),
        fallback("apart", "mail", "sms"),
    ]

    error = refusal(*rules)

    assert fallback_cycle(rules) == ("search", "lite", "web", "search")
    assert "search -> lite -> web -> search" in error.message
    assert error.pointer == "/chain"
    assert error.rule == "three"  # which closes it
    assert fallback_cycle(rules[1:]) is None
    check_together(rules[:2])


@pytest.mark.parametrize(
    ("rules", "names"),
    [
        ([fallback("r", "a", "a")], ("a", "a")),
        ([fallback("r", {"model": "m"}, "m")], ("model:m", "model:m")),
        ([fallback("r", "a", "b", "a")], ("a", "a")),
        (
            [fallback("r", "tool:a", "b"), fallback("s", "tool:b", "a")],
            ("tool:a", "tool:b", "tool:a"),
        ),
        (
            [fallback("r", {"model": "a"}, "b"), fallback("s", {"model": "b"}, "a")],
            ("model:a", "model:b", "model:a"),
        ),
        (
            [
                fallback("r", {"kind": "tool", "target": "a"}, "b"),
                fallback("s", "b", "tool:a"),
            ],
            ("tool:a", "tool:b", "tool:a"),
        ),
        (
            [fallback("r", {"target": {"glob": "a*"}}, "b"), fallback("s", "b", "ab")],
            ("ab", "b", "ab"),
        ),
        (
            [fallback("r", {"target": ["tool:a", "x"]}, "b"), fallback("s", "b", "a")],
            ("a", "b", "a"),
        ),
        (
            [
                fallback("r", {"target": {"glob": "a*"}, "model": ["m"]}, "b"),
                fallback("s", "b", "tool:ab"),
            ],
            ("b", "tool:ab", "b"),
        ),
        (
            [fallback("r", {"target": ["x", "a"]}, "b"), fallback("s", "b", "a")],
            ("a", "b", "a"),
        ),
        (
            [fallback("r", "a", "b", mode="shadow"), fallback("s", "b", "a")],
            ("a", "b", "a"),
        ),
    ],
)
def test_what_closes_a_cycle(rules, names):
    for order in (rules, rules[::-1]):
        found = fallback_cycle(order)

        turns = [names[n:-1] + names[: n + 1] for n in range(len(names) - 1)]
        assert found in turns


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [rule("retry"), rule("quota")],
        [fallback("r", "a", "b"), fallback("s", "a", "c")],
        # A default sends nothing back: what was tried is not tried again.
        [fallback("r", {}, "a", "b")],
        [fallback("r", {}, "a"), fallback("s", "a", "b")],
        [fallback("r", {"target": {"glob": "*"}}, "a"), fallback("s", "a", "b")],
        [fallback("r", {"target": {"not": ["a"]}}, "a"), fallback("s", "a", "b")],
        # One chain is walked once.
        [fallback("r", {"target": ["a", "b"]}, "a", "b")],
        [fallback("r", {"target": {"glob": "search.*"}}, "search.lite")],
        # They never concern the same call.
        [
            fallback("r", {"target": "a", "tenant": "x"}, "b"),
            fallback("s", {"target": "b", "tenant": "y"}, "a"),
        ],
        [fallback("r", "tool:a", "model:b"), fallback("s", "tool:b", "tool:a")],
        [fallback("r", {"model": "a"}, "tool:b"), fallback("s", {"model": "b"}, "a")],
        [
            fallback("r", "tool:a", "b"),
            fallback("s", {"target": "b", "kind": "model"}, "tool:a"),
        ],
        [fallback("r", "a", "b", mode="off"), fallback("s", "b", "a")],
    ],
)
def test_what_closes_no_cycle(rules):
    assert fallback_cycle(rules) is None
    check_together(rules)


def test_many_rules_are_checked_in_time():
    rules = [
        fallback(f"r{number}", f"t{number}", f"t{number + 1}", f"t{number + 2}")
        for number in range(2000)
    ]

    assert fallback_cycle(rules) is None
    assert len(fallback_cycle([*rules, fallback("back", "t2001", "t0")])) > 1000


def quota(name, parent=None, **fields):
    return rule("quota", name, **({"parent": parent} if parent else {}), **fields)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([quota("a", "b")], "b is no quota of this policy"),
        ([quota("a", "b"), rule("retry", "b")], "b is no quota of this policy"),
        (
            [quota("a", "b"), quota("b", unit="calls")],
            "b counts calls, this counts usd",
        ),
        (
            [quota("a", "b"), quota("b", "c"), quota("c", "a")],
            "contains itself: c -> a -> b -> c",
        ),
    ],
)
def test_a_quota_that_cannot_be_part_of_its_parent_is_refused(rules, message):
    error = refusal(*rules)

    assert error.message.startswith(message)
    assert error.pointer == "/parent"
    assert error.rule == ("c" if "itself" in message else "a")


def test_quotas_may_be_parts_of_parts():
    check_together([quota("a", "b"), quota("b", "c"), quota("c"), quota("d", "c")])
