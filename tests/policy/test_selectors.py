"""Which calls a selector is about, and how two selectors lie to each other."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from switchgear.policy.documents.reading import read_selector
from switchgear.policy.errors import PolicyError
from switchgear.policy.facts import CallFacts
from switchgear.policy.review.overlap import covers, overlap
from switchgear.policy.rules.selectors import Target, glob_matches
from tests.policy.documents import conditions, selectors

# Few and short values, so that selectors meet them.
facts = st.builds(
    CallFacts,
    kind=st.sampled_from(["tool", "model"]),
    target=st.sampled_from(["a", "b", "ab.c", "large"]),
    service=st.sampled_from(["a", "b"]),
    environment=st.sampled_from(["a", "b"]),
    tenant=st.none() | st.sampled_from(["a", "b", "ab"]),
    model=st.none() | st.sampled_from(["b", "large"]),
)


def call(**known):
    return CallFacts(**{"kind": "tool", "target": "search", "service": "desk"} | known)


def selects(document, **known):
    return read_selector(document).matches(call(**known))


@pytest.mark.parametrize(
    ("condition", "matching", "other"),
    [
        ("acme", "acme", "acm"),
        (["acme", "beta"], "beta", "gamma"),
        ({"glob": "ac*"}, "acme", "bacme"),
        ({"glob": "*"}, "anything", None),
        ({"not": ["acme"]}, "beta", "acme"),
        ({"not": ["acme", "beta"]}, "gamma", "beta"),
    ],
)
def test_a_condition_looks_at_one_fact(condition, matching, other):
    assert selects({"tenant": condition}, tenant=matching)
    assert not selects({"tenant": condition}, tenant=other)


@pytest.mark.parametrize("condition", ["", "acme", ["a", "b"], {"glob": "*"}])
def test_a_call_without_the_fact_is_not_selected(condition):
    condition = condition or {"not": ["acme"]}

    assert not selects({"tenant": condition}, tenant=None)
    assert not selects({"provider": condition}, provider=None)


def test_all_conditions_must_hold_and_none_selects_everything():
    both = {"tenant": "acme", "service": "desk"}

    assert selects({})
    assert selects(both, tenant="acme")
    assert not selects(both, tenant="acme", service="shop")


def test_the_model_of_a_model_call_is_its_target():
    assert selects({"model": "large"}, kind="model", target="large")
    assert selects({"model": "large"}, kind="tool", model="large")
    assert not selects({"model": "search"}, kind="tool", model=None)


@pytest.mark.parametrize(
    ("condition", "tool", "model"),
    [
        ("tool:search", True, False),
        ("search", True, True),
        (["tool:search", "x"], True, False),
        ({"glob": "tool:*"}, True, False),
        ({"glob": "sea*"}, True, True),
        ({"glob": "too*"}, False, False),
        ({"not": ["tool:search"]}, False, True),
    ],
)
def test_a_target_may_be_named_with_its_kind(condition, tool, model):
    assert selects({"target": condition}, kind="tool") is tool
    assert selects({"target": condition}, kind="model") is model


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("search", None, "search"),
        ("tool:search", "tool", "search"),
        ("model:ollama:7b", "model", "ollama:7b"),
        ("mcp:github:search", None, "mcp:github:search"),
        ("Tool:search", None, "Tool:search"),
    ],
)
def test_only_a_known_kind_before_the_colon_is_a_kind(text, kind, name):
    assert Target.parse(text) == Target(kind, name)
    assert str(Target.parse(text)) == text


@given(st.text("ab*", max_size=7), st.text("ab", max_size=8))
@example("a*b", "ab")
@example("ab*ba", "aba")
@example("a*b*b", "ab")
@example("*", "")
def test_a_pattern_matches_like_a_regular_expression(pattern, value):
    expression = ".*".join(map(re.escape, pattern.split("*")))

    assert glob_matches(pattern, value) is bool(re.fullmatch(expression, value))


@pytest.mark.parametrize(
    "name", ["\u0634\u200c\u0645\u0627", "👩\u200d💻", "Müller & Söhne"]
)
def test_names_of_every_script_can_be_selected(name):
    assert selects({"tenant": name}, tenant=name)


def test_a_hostile_pattern_takes_no_time():
    assert not glob_matches("a*" * 100 + "b", "a" * 5000)


@given(selectors, facts)
def test_a_selector_survives_its_document(document, known):
    selector = read_selector(document)

    assert read_selector(selector.document()) == selector
    assert read_selector(selector.document()).matches(known) is selector.matches(known)


def test_a_list_of_one_is_that_one():
    assert read_selector({"tenant": ["acme"]}) == read_selector({"tenant": "acme"})


@given(selectors, conditions(st.sampled_from(["x", "y"])))
def test_another_condition_never_makes_a_selector_less_specific(document, more):
    before = read_selector(document)
    after = read_selector(document | {"provider": more, "agent": more})

    assert after.specificity() > before.specificity()
    if "target" not in document:
        named = read_selector(document | {"target": more})
        assert named.specificity() > before.specificity()


def test_exact_says_more_than_a_list_than_a_pattern_than_not():
    ordered = [{"not": ["a"]}, {"glob": "a*"}, ["a", "b"], "a"]
    weights = [read_selector({"tenant": each}).specificity() for each in ordered]

    assert weights == sorted(weights)
    assert len(set(weights)) == 4


def test_of_two_conditions_the_one_on_the_target_says_more():
    ordered = ["environment", "service", "tenant", "target"]
    weights = [read_selector({name: "a"}).specificity() for name in ordered]

    assert weights == sorted(weights)
    assert len(set(weights)) == 4


@given(selectors, facts)
def test_a_selector_that_matches_could_match(document, known):
    selector = read_selector(document)
    could = selector.could_match(service=known.service, environment=known.environment)

    assert could or not selector.matches(known)
    assert selector.could_match() is True


def test_could_match_looks_at_service_and_environment_only():
    selector = read_selector({"service": {"glob": "desk*"}, "tenant": "acme"})

    assert selector.could_match(service="desk-1", environment="prod")
    assert not selector.could_match(service="shop", environment="prod")
    assert selector.could_match(environment="prod")
    assert not read_selector({"environment": {"not": ["prod"]}}).could_match(
        environment="prod"
    )


@given(selectors, selectors, facts)
def test_selectors_that_share_a_call_overlap(one, other, known):
    first, second = read_selector(one), read_selector(other)

    if first.matches(known) and second.matches(known):
        assert overlap(first, second)
        assert overlap(second, first)


@given(selectors, selectors, facts)
def test_what_is_covered_is_selected_by_the_wider_one(one, other, known):
    wide, narrow = read_selector(one), read_selector(other)

    if covers(wide, narrow) and narrow.matches(known):
        assert wide.matches(known)
        assert overlap(wide, narrow)
    assert covers(wide, wide)


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ({"tenant": "a"}, {"tenant": "b"}, False),
        ({"tenant": "a"}, {"service": "b"}, True),
        ({"tenant": ["a", "b"]}, {"tenant": ["b", "c"]}, True),
        ({"tenant": ["a", "b"]}, {"tenant": ["c", "d"]}, False),
        ({"tenant": "ab"}, {"tenant": {"glob": "a*"}}, True),
        ({"tenant": "ab"}, {"tenant": {"glob": "b*"}}, False),
        ({"tenant": {"glob": "a*"}}, {"tenant": {"glob": "*b"}}, True),
        ({"tenant": {"glob": "a*"}}, {"tenant": {"glob": "b*"}}, False),
        ({"tenant": {"glob": "*a"}}, {"tenant": {"glob": "*b"}}, False),
        ({"tenant": {"glob": "ab"}}, {"tenant": {"glob": "a*"}}, True),
        ({"tenant": {"glob": "a*"}}, {"tenant": {"glob": "bb"}}, False),
        ({"tenant": "a"}, {"tenant": {"not": ["a"]}}, False),
        ({"tenant": {"not": ["a"]}}, {"tenant": {"not": ["b"]}}, True),
        ({"tenant": {"not": ["a"]}}, {"tenant": {"glob": "a*"}}, True),
        ({"tenant": {"glob": "ab"}}, {"tenant": {"glob": "a*c*"}}, False),
        ({"tenant": "tool:a"}, {"tenant": "a"}, False),
        ({"tenant": {"glob": "tool:*"}}, {"tenant": {"glob": "a*"}}, False),
        ({"target": "a"}, {"target": "tool:a"}, True),
        ({"target": "model:a"}, {"target": "tool:a"}, False),
        ({"target": {"glob": "tool:*"}}, {"target": {"glob": "a*"}}, True),
        ({"target": {"glob": "tool:*"}}, {"target": {"glob": "model:*"}}, False),
        ({"target": "a"}, {"target": {"not": ["tool:a"]}}, True),
        ({"target": "tool:a"}, {"target": {"not": ["a"]}}, False),
    ],
)
def test_when_two_selectors_can_meet(one, other, meet):
    assert overlap(read_selector(one), read_selector(other)) is meet
    assert overlap(read_selector(other), read_selector(one)) is meet


@pytest.mark.parametrize(
    ("wide", "narrow", "covered"),
    [
        ({}, {"tenant": "a"}, True),
        ({"tenant": "a"}, {}, False),
        ({"tenant": ["a", "b"]}, {"tenant": "a", "service": "x"}, True),
        ({"tenant": ["a", "b"]}, {"tenant": ["a", "c"]}, False),
        ({"tenant": {"glob": "a*"}}, {"tenant": {"glob": "ab*"}}, True),
        ({"tenant": {"glob": "ab*"}}, {"tenant": {"glob": "a*"}}, False),
        ({"tenant": {"glob": "*"}}, {"tenant": {"not": ["a"]}}, True),
        ({"tenant": {"glob": "a*"}}, {"tenant": {"not": ["a"]}}, False),
        ({"tenant": {"not": ["a"]}}, {"tenant": {"not": ["a", "b"]}}, True),
        ({"tenant": {"not": ["a", "b"]}}, {"tenant": {"not": ["a"]}}, False),
        ({"tenant": {"not": ["a"]}}, {"tenant": {"glob": "b*"}}, True),
        ({"tenant": {"not": ["ba"]}}, {"tenant": {"glob": "b*"}}, False),
        ({"tenant": {"not": ["ba", "c"]}}, {"tenant": {"glob": "b*"}}, False),
        ({"target": {"not": ["tool:a"]}}, {"target": {"not": ["a"]}}, True),
        ({"tenant": "a"}, {"tenant": {"glob": "a"}}, False),  # not sure enough
        ({"target": "a"}, {"target": "tool:a"}, True),
        ({"target": "tool:a"}, {"target": "a"}, False),
        ({"target": {"glob": "tool:*"}}, {"target": {"glob": "tool:a*"}}, True),
        ({"target": {"glob": "tool:*"}}, {"target": {"glob": "a*"}}, False),
        ({"target": {"glob": "a*"}}, {"target": {"glob": "tool:a*"}}, True),
    ],
)
def test_when_one_selector_covers_another(wide, narrow, covered):
    assert covers(read_selector(wide), read_selector(narrow)) is covered


@given(selectors, facts)
def test_only_the_facts_a_selector_names_matter_to_it(document, known):
    """Winners are remembered by these facts, so nothing else may matter."""
    selector = read_selector(document)
    twin = CallFacts(
        kind=known.kind,
        target=known.target,
        service=known.service,
        environment=known.environment,
        tenant=known.tenant,
        model=known.model,
        arguments=b"other",
        run="other",
    )

    assert selector.matches(twin) is selector.matches(known)


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ({"tenant": ""}, "/tenant"),
        ({"tenant": " a"}, "/tenant"),
        ({"tenant": 1}, "/tenant"),
        ({"tenant": None}, "/tenant"),
        ({"tenant": []}, "/tenant"),
        ({"tenant": ["a", "a"]}, "/tenant/1"),
        ({"tenant": ["a", 1]}, "/tenant/1"),
        ({"tenant": ["a"] * 101}, "/tenant"),
        ({"tenant": "x" * 256}, "/tenant"),
        ({"tenant": {}}, "/tenant"),
        ({"tenant": {"regex": "a.*"}}, "/tenant"),
        ({"tenant": {"glob": "a", "not": ["b"]}}, "/tenant"),
        ({"tenant": {"glob": ["a"]}}, "/tenant/glob"),
        ({"tenant": {"not": "a"}}, "/tenant/not"),
        ({"tenant": {"not": []}}, "/tenant/not"),
        ({"kind": "tools"}, "/kind"),
        ({"kind": ["tool", "agent"]}, "/kind"),
        ({"target": "tool:"}, "/target"),
        ({"server": "a"}, "/server"),
    ],
)
def test_a_selector_that_cannot_be_understood_is_refused(document, pointer):
    with pytest.raises(PolicyError) as caught:
        read_selector(document)

    assert caught.value.pointer == pointer
