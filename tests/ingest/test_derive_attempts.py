"""How often a call was tried: the encodings E1 to E8, and what is no evidence."""

from __future__ import annotations

import pytest

from ingest.derive import derive
from ingest.records import Category, Coverage
from tests.ingest.spans import agent, http, model, only, span, tool

RETRIED = ("recovered", 3, (("server_error", 2),))
UNSEEN = ("recovered", 3, (("unknown", 2),))

ENCODINGS = {
    "E1 a span per attempt below a logical span": (
        [
            tool(1, 0, 3300),
            tool(2, 0, 100, inside=1, failed="server_error", numbered=True, attempts=1),
            tool(
                3,
                1100,
                1200,
                inside=1,
                failed="server_error",
                numbered=True,
                attempts=2,
            ),
            tool(4, 3200, 3300, inside=1, numbered=True, attempts=3),
        ],
        RETRIED,
        3_000_000,
    ),
    "E1 a span per attempt with one call id": (
        [
            tool(2, 0, 100, call_id="a", failed="server_error", numbered=True),
            tool(3, 1100, 1200, call_id="a", failed="server_error", numbered=True),
            tool(4, 3200, 3300, call_id="a", numbered=True, attempts=3),
        ],
        RETRIED,
        3_000_000,
    ),
    "E2 a counter on one span": ([tool(1, 0, 3300, attempts=3)], UNSEEN, None),
    "E3 retry events on one span": (
        [tool(1, 0, 3300, attempts=3, backoff_us=1_500_000)],
        UNSEEN,
        1_500_000,
    ),
    "E5 requests that count themselves": (
        [
            tool(1, 0, 3300),
            http(2, 0, 100, inside=1, failed="server_error"),
            http(3, 1100, 1200, inside=1, failed="server_error", attempts=2),
            http(4, 3200, 3300, inside=1, attempts=3),
        ],
        RETRIED,
        3_000_000,
    ),
    "E5 requests that do not count themselves": (
        [
            tool(1, 0, 3300),
            http(2, 0, 100, inside=1, failed="server_error"),
            http(3, 1100, 1200, inside=1, failed="server_error"),
            http(4, 3200, 3300, inside=1),
        ],
        RETRIED,
        3_000_000,
    ),
    "E6 failed attempts below a model span that succeeded": (
        [
            model(1, 0, 3300),
            model(2, 0, 100, inside=1, failed="server_error"),
            model(3, 1100, 1200, inside=1, failed="server_error"),
        ],
        RETRIED,
        None,
    ),
    "E7 one span covers all and says nothing": (
        [tool(1, 0, 3300)],
        ("ok", 1, ()),
        None,
    ),
}


@pytest.mark.parametrize("case", ENCODINGS)
def test_encodings_of_retries_give_the_same_numbers(case):
    spans, expected, backoff_us = ENCODINGS[case]

    call = only(spans)

    assert (call.outcome, call.attempts, call.attempt_errors) == expected
    assert call.backoff_us == backoff_us
    assert call.latency_us == 3_300_000


def test_e4_spans_that_share_an_id_are_one_failed_call():
    spans = [
        tool(1, 0, 100 * n, failed="timeout", weight=2 + n, attempts=0)
        for n in range(1, 5)
    ]

    call = only(spans)

    assert (call.outcome, call.attempts, call.latency_us) == ("failed", 1, 400_000)


def test_e8_a_new_call_after_a_retry_prompt_is_a_new_call():
    spans = [
        agent(1, 0, 100),
        tool(2, 0, 9, inside=1, call_id="a", failed="invalid_request"),
        model(3, 10, 19, inside=1),
        tool(4, 20, 29, inside=1, call_id="b", arguments="x"),
    ]

    tools = [call for call in derive(spans) if call.kind == "tool"]

    assert [call.outcome for call in tools] == ["failed", "ok"]


def test_evidence_is_never_added_up():
    spans = [
        tool(1, 0, 100, call_id="a", failed="timeout", attempts=2),
        tool(2, 110, 200, call_id="a", attempts=3),
        http(3, 110, 120, inside=2, failed="timeout"),
        http(4, 130, 140, inside=2),
    ]

    assert only(spans).attempts == 3


def test_attempts_without_a_span_failed():
    call = only([tool(1, 0, 9, attempts=4, failed="timeout")])

    assert call.attempt_errors == (("timeout", 1), ("unknown", 3))
    assert call.last_failed


def test_cancelled_attempts_are_no_attempt_errors():
    spans = [
        tool(1, 0, 9, call_id="a", failed="cancelled"),
        tool(2, 10, 19, call_id="a", failed="timeout"),
        tool(3, 20, 29, call_id="a", failed="cancelled"),
    ]

    call = only(spans)

    assert (call.outcome, call.attempts) == ("cancelled", 3)
    assert call.attempt_errors == (("timeout", 1),)
    assert not call.last_failed


REQUESTS = {
    "to another URL": ([("a", "timeout"), ("b", False)], 1),
    "one of which failed for good": (
        [("a", "invalid_request"), ("a", "timeout"), ("a", False)],
        1,
    ),
    "one of which succeeded in between": (
        [("a", "timeout"), ("a", False), ("a", False)],
        1,
    ),
    "that all failed": ([("a", "timeout"), ("a", "timeout")], 2),
    "of which one of two rows was repeated": (
        [("b", False), ("a", "timeout"), ("b", False), ("a", False)],
        2,
    ),
    "without a URL": ([("", "timeout"), ("", False)], 1),
    "two rows of which were repeated": (
        [("b", "timeout"), ("b", False)] + [("a", "timeout")] * 2 + [("a", False)],
        3,
    ),
}


@pytest.mark.parametrize("case", REQUESTS)
def test_requests(case):
    requests, attempts = REQUESTS[case]
    spans = [
        http(
            2 + n,
            10 * n,
            10 * n + 9,
            inside=1,
            name=f"GET {name}".strip(),
            failed=failed,
        )
        for n, (name, failed) in enumerate(requests)
    ]

    assert only([tool(1, 0, 100), *spans]).attempts == attempts


@pytest.mark.parametrize(
    ("fields", "attempts", "errors"),
    [
        ({}, 3, (("rate_limited", 2),)),
        ({"failed": "timeout"}, 2, (("rate_limited", 1), ("timeout", 1))),
        ({"end_ns": 0}, 2, (("rate_limited", 1),)),
    ],
    ids=["answered", "failed", "running"],
)
def test_a_model_cannot_answer_without_a_request_that_went_well(
    fields, attempts, errors
):
    spans = [
        model(1, 0, 100, **fields),
        http(2, 0, 9, inside=1, failed="rate_limited"),
        http(3, 10, 19, inside=1, failed="rate_limited"),
    ]

    call = only(spans)

    assert (call.attempts, call.attempt_errors) == (attempts, errors)
    assert call.backoff_us is None or call.outcome == "failed"


def test_requests_below_structure_count_but_not_those_below_requests():
    spans = [
        tool(1, 0, 100),
        span(2, 0, 100, inside=1),
        http(3, 0, 9, inside=2, failed="timeout"),
        http(4, 10, 19, inside=2),
        http(5, 11, 12, inside=4, failed="timeout"),
        http(6, 13, 14, inside=4, failed="timeout"),
        http(7, 15, 16, inside=4),
    ]

    assert only(spans).attempts == 2


def test_requests_of_an_inner_call_are_not_those_of_the_outer():
    spans = [
        tool(1, 0, 100),
        tool(2, 0, 100, inside=1, name="fetch"),
        http(3, 0, 9, inside=2, failed="timeout"),
        http(4, 10, 19, inside=2),
    ]

    assert {call.target: call.attempts for call in derive(spans)} == {
        "search": 1,
        "fetch": 2,
    }


def test_repeated_rpcs_are_attempts_and_repeated_statements_are_not():
    def below(category: Category) -> int:
        spans = [
            tool(1, 0, 100),
            span(2, 0, 9, inside=1, category=category, name="Get", failed="timeout"),
            span(3, 10, 19, inside=1, category=category, name="Get"),
        ]
        return only(spans).attempts

    assert below(Category.RPC) == 2
    assert below(Category.DATABASE) == 1


def test_the_class_of_an_unseen_attempt_is_that_of_its_request():
    spans = [
        tool(1, 0, 100, attempts=4),
        http(2, 0, 9, inside=1, failed="rate_limited"),
        http(3, 10, 19, inside=1, failed="transport"),
        http(4, 20, 29, inside=1),
    ]

    larger, equal = only(spans), only([tool(1, 0, 100), *spans[1:]])

    assert larger.attempt_errors == (("unknown", 3),)
    assert equal.attempt_errors == (("rate_limited", 1), ("transport", 1))


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([tool(1, 0, 9)], Coverage.INVISIBLE),
        ([tool(1, 0, 9, attempts=1)], Coverage.EXPLICIT),
        ([tool(1, 0, 9, numbered=True)], Coverage.EXPLICIT),
        ([tool(1, 0, 9), http(2, 0, 9, inside=1)], Coverage.INFERRED),
        (
            [tool(1, 0, 9, call_id="a"), tool(2, 10, 19, call_id="a")],
            Coverage.EXPLICIT,
        ),
        (
            [model(1, 0, 9, inside=9, failed="timeout"), model(2, 10, 19, inside=9)],
            Coverage.INFERRED,
        ),
        (
            [model(1, 0, 9), model(2, 0, 4, inside=1), model(3, 5, 9, inside=1)],
            Coverage.INFERRED,
        ),
        ([model(1, 0, 9), model(2, 1, 4, inside=1)], Coverage.INVISIBLE),
    ],
)
def test_coverage_says_how_well_retries_can_be_seen(spans, expected):
    assert only(spans).coverage is expected
