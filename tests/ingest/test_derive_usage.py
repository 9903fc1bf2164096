"""Usage counts once: leaves bill, containers only when nobody inside did."""

from __future__ import annotations

import pytest

from ingest.derive import derive
from ingest.derive.responses import decide
from ingest.derive.usage import fullest, total
from ingest.records import Call, Category, Usage
from tests.ingest.spans import agent, at, identity, model, only, span, tool, used


def billed(spans) -> dict[str, Usage | None]:
    return {call.target: call.usage for call in derive(spans)}


def tokens(spans) -> tuple[int, int]:
    usages = [call.usage for call in derive(spans) if call.usage is not None]
    return (
        sum(usage.input or 0 for usage in usages),
        sum(usage.output or 0 for usage in usages),
    )


def test_t32_a_parent_that_repeats_the_sum_bills_nothing():
    spans = [
        agent(1, 0, 99, usage=used(113, 11)),
        model(2, 0, 9, inside=1, usage=used(56, 5)),
        model(3, 20, 29, inside=1, usage=used(57, 6)),
    ]

    assert tokens(spans) == tokens(spans[::-1]) == (113, 11)


def test_t33_nested_containers_bill_nothing():
    spans = [
        agent(1, 0, 99, usage=used(300, 30)),
        span(4, 0, 99, inside=1, category=Category.STEP, usage=used(300, 30)),
        model(2, 0, 9, inside=4, usage=used(100, 10)),
        model(3, 20, 29, inside=4, usage=used(200, 20)),
    ]

    assert tokens(spans) == (300, 30)


def test_t34_usage_that_only_an_agent_told_is_promoted():
    call = only([agent(1, 0, 99, usage=used(300, 30), response_model="gpt-4o")])

    assert (call.kind, call.target, call.usage) == ("model", "gpt-4o", used(300, 30))
    assert (call.anchor, call.ended_ns) == (identity(1), at(99))
    assert (call.outcome, call.attempts, call.latency_us) == ("ok", 1, None)


def test_promoted_usage_goes_to_the_last_answer_inside():
    spans = [
        agent(1, 0, 99, usage=used(300, 30)),
        model(2, 0, 9, inside=1, name="first"),
        model(3, 20, 29, inside=1, name="last"),
        model(4, 40, 49, inside=1, name="broken", failed="timeout"),
        model(5, 60, None, inside=1, name="running"),
        tool(6, 70, 79, inside=1),
        model(7, 80, 89, name="elsewhere"),
    ]

    assert billed(spans) == {
        "first": None,
        "last": used(300, 30),
        "broken": None,
        "running": None,
        "search": None,
        "elsewhere": None,
    }


def test_the_innermost_container_is_promoted():
    spans = [
        agent(1, 0, 99, usage=used(300, 30)),
        span(2, 0, 40, inside=1, category=Category.STEP, usage=used(100, 10)),
        span(3, 50, 99, inside=1, category=Category.STEP, usage=used(200, 20)),
        model(4, 0, 9, inside=2, name="one"),
        model(5, 50, 59, inside=3, name="two"),
    ]

    assert billed(spans) == {"one": used(100, 10), "two": used(200, 20)}


def test_a_container_without_tokens_or_inside_a_model_is_not_promoted():
    spans = [
        agent(1, 0, 99, usage=Usage(cost=5)),
        model(2, 0, 9, inside=1),
        span(3, 0, 9, inside=2, category=Category.STEP, usage=used(1, 1)),
        span(4, 0, 9, inside=1, usage=used(1, 1)),
    ]

    assert billed(spans) == {"gpt-4o": None}


def test_promoted_usage_without_a_price_is_unpriced():
    assert only([agent(1, 0, 99, usage=used(1, 1))]).unpriced
    assert not only([agent(1, 0, 99, usage=used(1, 1, cost=3))]).unpriced


def test_a_tool_bills_its_price_but_not_the_tokens_of_what_is_inside():
    inside = [agent(8, 1, 8, inside=1), model(9, 1, 8, inside=8, usage=used(5, 5))]

    assert billed([tool(1, 0, 9, usage=Usage(cost=7)), *inside])["search"] == Usage(
        cost=7
    )
    assert billed([tool(1, 0, 9, usage=used(5, 5, cost=7)), *inside])["search"] is None
    assert billed([tool(1, 0, 9, usage=used(5, 5, cost=7))])["search"] == used(
        5, 5, cost=7
    )


def test_an_execution_has_one_price():
    spans = [
        tool(1, 0, 9, usage=Usage(cost=7)),
        tool(2, 1, 8, inside=1, usage=Usage(cost=7)),
    ]

    assert only(spans).usage == Usage(cost=7)


def test_attempts_cost_each_and_what_wraps_them_nothing():
    attempts = [
        tool(2, 1, 8, inside=1, usage=Usage(cost=7), failed="timeout"),
        tool(3, 10, 18, inside=1, usage=Usage(cost=7)),
    ]

    assert only([tool(1, 0, 20, usage=Usage(cost=7)), *attempts]).usage == Usage(
        cost=14
    )


def test_a_wrapper_bills_when_no_leaf_does():
    spans = [
        model(1, 0, 9, usage=used(1, 1)),
        model(2, 1, 8, inside=1, usage=used(5, 6)),
        model(3, 2, 7, inside=2),
    ]

    assert only(spans).usage == used(5, 6)


def test_a_leaf_bills_alone():
    spans = [
        model(1, 0, 9, usage=used(9, 9, reasoning=4)),
        model(2, 1, 8, inside=1, usage=used(5, 6)),
    ]

    assert only(spans).usage == used(5, 6)


def test_one_response_told_by_wrapper_and_leaf_is_billed_from_the_fullest():
    spans = [
        model(1, 0, 9, usage=used(5, 7, reasoning=4, cache_read=1), response_id=b"r"),
        model(2, 1, 8, inside=1, usage=used(5, 6, cost=3), response_id=b"r"),
        model(3, 2, 7, inside=2, usage=used(5, 6), native=True, response_id=b"r"),
    ]

    assert only(spans).usage == used(5, 7, reasoning=4, cache_read=1, cost=3)


def test_between_equals_the_native_span_is_right():
    spans = [
        model(1, 0, 9),
        model(2, 1, 8, inside=1, usage=used(5, 21), response_id=b"r"),
        model(3, 2, 7, inside=1, usage=used(5, 20), native=True, response_id=b"r"),
    ]

    assert only(spans).usage == used(5, 20)


def test_two_answers_below_one_wrapper_are_added():
    spans = [
        model(1, 0, 90),
        model(2, 1, 8, inside=1, usage=used(5, 6, cost=2), failed="content_filter"),
        model(3, 10, 18, inside=1, usage=used(5, 6, cost=3, reasoning=1)),
    ]

    call = only(spans)

    assert call.usage == used(10, 12, cost=5, reasoning=1)
    assert call.wasted == 2


@pytest.mark.parametrize(
    ("usage", "said", "expected"),
    [
        (used(1, 1), True, True),
        (used(1, 1), False, False),
        (used(1, 1, cost=0), True, False),
        (None, True, False),
    ],
)
def test_unpriced_is_usage_without_a_price(usage, said, expected):
    alone = model(1, 0, 9, usage=usage, unpriced=said)
    wrapped = [model(1, 0, 9), model(2, 1, 8, inside=1, usage=usage, unpriced=said)]

    assert only([alone]).unpriced is expected
    assert only(wrapped).unpriced is expected


def test_sums_and_merges_keep_what_nobody_said():
    one, other = used(1, 2, cost=3), used(10, 20, reasoning=5)

    assert total(one, None) == total(None, one) == one
    assert total(one, other) == used(11, 22, cost=3, reasoning=5)
    assert fullest([one, other, Usage(cache_read=9)]) == used(
        1, 2, cost=3, reasoning=5, cache_read=9
    )
    assert fullest([]) is None


def member(number: int, *, trace: bytes = b"t", **fields: object) -> tuple[bytes, Call]:
    return trace, Call(
        **{
            "anchor": identity(number),
            "kind": "model",
            "target": "gpt-4o",
            "service": "agents",
            "environment": "default",
            "started_ns": 1,
            "ended_ns": 2,
            "outcome": "ok",
            "response_id": b"r",
            "rank": (0, 0, 0, 0),
            **fields,
        }
    )


WINNERS = {
    "inside an agent tree": (
        member(9, rank=(1, 0, 0, 0)),
        member(1, rank=(0, 1, 6, 1)),
    ),
    "has a tenant": (member(9, rank=(1, 1, 0, 0)), member(1, rank=(1, 0, 6, 1))),
    "more usage fields": (member(9, rank=(1, 1, 3, 0)), member(1, rank=(1, 1, 2, 1))),
    "native": (member(9, rank=(1, 1, 3, 1)), member(1, rank=(1, 1, 3, 0))),
    "the smallest trace id": (member(9, trace=b"a"), member(1, trace=b"b")),
    "the smallest anchor": (member(1), member(9)),
}


@pytest.mark.parametrize("case", WINNERS)
def test_the_winner_of_a_response_id_is(case):
    winner, loser = WINNERS[case]

    assert decide([winner, loser])[0] == 0
    assert decide([loser, winner])[0] == 1


def test_a_response_is_told_field_by_field_from_the_fullest():
    winner = member(1, rank=(1, 1, 2, 0), usage=used(5, 6), unpriced=True)
    fuller = member(2, usage=used(5, 7, cache_read=1, cost=9))
    tried = member(3, attempts=3, attempt_errors=(("timeout", 2),), outcome="recovered")

    place, merged = decide([tried, fuller, winner])

    assert place == 2
    assert merged.usage == used(5, 7, cache_read=1, cost=9)
    assert (merged.attempts, merged.attempt_errors) == (3, (("timeout", 2),))
    assert (merged.outcome, merged.unpriced) == ("recovered", False)


def test_a_response_told_once_is_what_it_is():
    alone = member(1, usage=used(5, 6), unpriced=True)

    _, merged = decide([alone])

    assert (merged.outcome, merged.attempts, merged.usage, merged.unpriced) == (
        "ok",
        1,
        used(5, 6),
        True,
    )


def test_a_response_without_usage_has_none():
    assert decide([member(1), member(2)])[1].usage is None
