"""How a call ended, who answered instead, and what was wasted."""

from __future__ import annotations

import pytest

from ingest.derive import derive
from ingest.records import Category, Usage
from tests.ingest.spans import agent, model, only, span, told, tool, used

OUTCOMES = {
    "a success": ({}, ("ok", 1, None, None)),
    "a failure": ({"failed": "auth"}, ("failed", 1, "auth", None)),
    "a failure without a class": ({"failed": True}, ("failed", 1, "unknown", None)),
    "a failure after attempts": (
        {"failed": "auth", "attempts": 2},
        ("failed", 2, "auth", None),
    ),
    "given up": ({"failed": "cancelled"}, ("cancelled", 1, "cancelled", None)),
    "refused with a reason": (
        {"refusal_reason": "quota"},
        ("refused", 0, "refused", "quota"),
    ),
    "refused by its class": (
        {"failed": "refused"},
        ("refused", 0, "refused", None),
    ),
    "refused by decision": ({"decision": "refuse"}, ("refused", 0, "refused", None)),
    "refused for a reason nobody knows": (
        {"refusal_reason": "mood"},
        ("refused", 0, "refused", None),
    ),
    "a reason after an attempt is a suppressed retry": (
        {"refusal_reason": "run_budget", "attempts": 1, "failed": "timeout"},
        ("failed", 1, "timeout", None),
    ),
    "a refusal after an attempt is a failure nobody explains": (
        {"failed": "refused", "attempts": 1},
        ("failed", 1, "unknown", None),
    ),
    "said ok": ({"outcome": "ok", "failed": "timeout"}, ("ok", 1, None, None)),
    "said recovered": ({"outcome": "recovered"}, ("recovered", 1, None, None)),
    "said failed": ({"outcome": "failed"}, ("failed", 1, "unknown", None)),
    "said failed with a class": (
        {"outcome": "failed", "failed": "auth"},
        ("failed", 1, "auth", None),
    ),
    "said cancelled": (
        {"outcome": "cancelled", "failed": "timeout"},
        ("cancelled", 1, "cancelled", None),
    ),
    "said refused": (
        {"outcome": "refused", "refusal_reason": "breaker", "attempts": 2},
        ("refused", 0, "refused", "breaker"),
    ),
    "said fallback after refusal": (
        {"outcome": "fallback", "refusal_reason": "breaker"},
        ("fallback", 0, "refused", "breaker"),
    ),
    "said fallback after failure": (
        {"outcome": "fallback", "failed": "timeout", "attempts": 2},
        ("fallback", 2, "timeout", None),
    ),
    "decided to fall back": ({"decision": "fallback"}, ("fallback", 1, None, None)),
    "said ok despite a reason": (
        {"outcome": "ok", "refusal_reason": "quota"},
        ("ok", 1, None, None),
    ),
    "refused in the shadow": (
        {"decision": "shadow_refuse", "refusal_reason": "quota"},
        ("ok", 1, None, None),
    ),
    "allowed": ({"decision": "allow"}, ("ok", 1, None, None)),
    "an outcome nobody knows": ({"outcome": "fine"}, ("ok", 1, None, None)),
}


@pytest.mark.parametrize("case", OUTCOMES)
def test_the_first_outcome_that_holds_unless_it_was_said(case):
    fields, expected = OUTCOMES[case]

    call = only([tool(1, 0, 9, **fields)])

    assert (
        call.outcome,
        call.attempts,
        call.failure_class,
        call.refusal_reason,
    ) == expected


@pytest.mark.parametrize("case", OUTCOMES)
def test_what_did_not_fail_has_no_failed_last_attempt(case):
    fields, (outcome, attempts, failure, _) = OUTCOMES[case]

    call = only([tool(1, 0, 9, **fields)])

    broke = attempts > 0 and failure not in (None, "cancelled")
    assert call.last_failed is broke
    assert (outcome in ("ok", "recovered")) <= (call.attempt_errors == ())


def test_ok_after_a_failed_attempt_is_recovered():
    spans = [
        tool(1, 0, 9, call_id="a", outcome="failed", failed="timeout"),
        tool(2, 10, 19, call_id="a", outcome="ok"),
    ]

    assert told(spans) == {"1 search": ("recovered", 2, 1)}


def test_said_to_have_failed_after_the_last_leaf():
    spans = [
        model(1, 0, 9, outcome="failed"),
        model(2, 1, 5, inside=1, failed="timeout"),
    ]

    call = only(spans)

    assert (call.outcome, call.attempts) == ("failed", 2)
    assert call.attempt_errors == (("timeout", 1), ("unknown", 1))


def test_the_message_is_that_of_the_failure():
    spans = [
        tool(1, 0, 9, failed="tool_error", message="outer"),
        tool(2, 1, 8, inside=1, failed="timeout", message="inner"),
    ]
    silent = [
        tool(1, 0, 9, failed="timeout"),
        tool(2, 1, 8, inside=1, message="inner"),
    ]

    assert only(spans).message == "inner"
    assert only(silent).message == "inner"
    assert only([tool(1, 0, 9, message="all good")]).message is None


CACHED = ("search", "cached")
FALLBACKS = {
    "said around both": (
        [
            span(9, 0, 99, fallbacks=(CACHED,)),
            tool(1, 0, 9, inside=9, failed="timeout"),
            tool(2, 10, 19, inside=9, name="cached"),
        ],
        {"1 search": ("fallback", 1, 1), "2 cached": ("ok", 1, 0)},
    ),
    "said by the one that failed": (
        [
            tool(1, 0, 9, failed="timeout", fallbacks=(CACHED,)),
            tool(2, 10, 19, name="cached"),
        ],
        {"1 search": ("fallback", 1, 1), "2 cached": ("ok", 1, 0)},
    ),
    "said by the one that answered": (
        [
            tool(1, 0, 9, refusal_reason="breaker"),
            tool(2, 10, 19, name="cached", fallbacks=(CACHED,)),
        ],
        {"1 search": ("fallback", 0, 0), "2 cached": ("ok", 1, 0)},
    ),
    "said far above": (
        [
            span(9, 0, 99, fallbacks=(CACHED,)),
            agent(8, 0, 99, inside=9),
            tool(1, 0, 9, inside=8, failed="timeout"),
            tool(2, 10, 19, inside=8, name="cached"),
        ],
        {"1 search": ("fallback", 1, 1), "2 cached": ("ok", 1, 0)},
    ),
    "answered by what no span shows": (
        [tool(1, 0, 9, failed="timeout", fallbacks=(CACHED,))],
        {"1 search": ("fallback", 1, 1)},
    ),
    "that failed as well": (
        [
            tool(1, 0, 9, failed="timeout", fallbacks=(CACHED,)),
            tool(2, 10, 19, name="cached", failed="timeout"),
        ],
        {"1 search": ("failed", 1, 1), "2 cached": ("failed", 1, 1)},
    ),
    "that fell back again": (
        [
            tool(1, 0, 9, failed="timeout", fallbacks=(CACHED,)),
            tool(
                2,
                10,
                19,
                name="cached",
                failed="timeout",
                fallbacks=(("cached", "static"),),
            ),
            tool(3, 20, 29, name="static"),
        ],
        {
            "1 search": ("fallback", 1, 1),
            "2 cached": ("fallback", 1, 1),
            "3 static": ("ok", 1, 0),
        },
    ),
    "said once for two failures": (
        [
            span(9, 0, 99, fallbacks=(CACHED,)),
            tool(1, 0, 9, inside=9, failed="timeout"),
            tool(2, 10, 19, inside=9, failed="timeout"),
            tool(3, 20, 29, inside=9, name="cached"),
            tool(4, 30, 39, inside=9, name="cached"),
            tool(5, 40, 49, inside=9, failed="timeout"),
        ],
        {
            "1 search": ("failed", 1, 1),
            "2 search": ("fallback", 1, 1),
            "3 cached": ("ok", 1, 0),
            "4 cached": ("ok", 1, 0),
            "5 search": ("failed", 1, 1),
        },
    ),
    "to two targets": (
        [
            span(9, 0, 99, fallbacks=(CACHED, ("search", "static"))),
            tool(1, 0, 9, inside=9, failed="timeout"),
            tool(2, 10, 19, inside=9, name="cached"),
            tool(3, 20, 29, inside=9, failed="timeout"),
            tool(4, 30, 39, inside=9, name="static"),
        ],
        {
            "1 search": ("fallback", 1, 1),
            "2 cached": ("ok", 1, 0),
            "3 search": ("fallback", 1, 1),
            "4 static": ("ok", 1, 0),
        },
    ),
    "of a target that no span shows": (
        [tool(1, 0, 9, fallbacks=(("other", "search"),))],
        {"1 search": ("ok", 1, 0)},
    ),
    "of a model that its sibling answered already": (
        [
            span(9, 0, 99, fallbacks=(("gpt-4o", "mini"),)),
            model(1, 0, 9, inside=9, failed="timeout"),
            model(2, 10, 19, inside=9, name="mini"),
        ],
        {"1 gpt-4o": ("fallback", 1, 1), "2 mini": ("ok", 1, 0)},
    ),
}


@pytest.mark.parametrize("case", FALLBACKS)
def test_a_fallback(case):
    spans, expected = FALLBACKS[case]

    assert told(spans) == expected


def test_only_as_many_statements_as_anybody_makes_are_read():
    spans = [
        tool(1, 0, 9, failed="timeout"),
        span(2, 0, 9, fallbacks=tuple(("search", f"t{n:03}") for n in range(200))),
    ]

    assert told(spans) == {"1 search": ("fallback", 1, 1)}


def price(cost: int) -> Usage:
    return Usage(cost=cost)


def test_what_failed_attempts_cost_was_wasted():
    spans = [
        tool(1, 0, 9, call_id="a", failed="timeout", usage=price(7)),
        tool(2, 10, 19, call_id="a", failed="cancelled", usage=price(5)),
        tool(3, 20, 29, call_id="a", usage=price(7)),
    ]

    call = only(spans)

    assert (call.usage, call.wasted) == (price(19), 7)


def test_a_refused_attempt_costs_nothing():
    spans = [
        tool(1, 0, 9, call_id="a", refusal_reason="quota", usage=price(7)),
        tool(2, 10, 19, call_id="a", usage=price(7)),
    ]

    assert only(spans).usage == price(7)


def test_repeats_of_a_loop_beyond_the_first_are_wasted():
    spans = [
        agent(1, 0, 99),
        *(
            tool(2 + n, 10 * n, 10 * n + 9, inside=1, arguments="x", usage=price(7))
            for n in range(3)
        ),
        tool(8, 80, 89, inside=1, arguments="y", usage=price(7)),
    ]

    calls = derive(spans)

    assert [(call.repeats, call.wasted) for call in calls] == [
        (0, 0),
        (1, 7),
        (1, 7),
        (0, 0),
    ]


def test_a_dollar_is_wasted_once():
    spans = [
        tool(
            1 + n,
            10 * n,
            10 * n + 9,
            call_id=f"{n}",
            arguments="x",
            usage=price(7),
            failed="timeout",
        )
        for n in range(3)
    ]

    assert [call.wasted for call in derive(spans)] == [7, 7, 7]


@pytest.mark.parametrize(
    "spans",
    [
        [tool(1 + n, 10 * n, 10 * n + 9, arguments="x") for n in range(2)],
        [tool(1 + n, 10 * n, 10 * n + 9) for n in range(3)],
        [
            span
            for n in range(3)
            for span in (
                agent(10 + n, 10 * n, 10 * n + 9),
                tool(1 + n, 10 * n, 10 * n + 9, inside=10 + n, arguments="x"),
            )
        ],
    ],
    ids=["twice", "without arguments", "in three runs"],
)
def test_it_is_no_loop(spans):
    assert not any(call.repeats for call in derive(spans))


def test_usage_of_a_repeat_that_only_a_container_told_is_wasted_too():
    spans = [
        agent(1, 0, 99, usage=used(1, 2, cost=9)),
        *(
            span(
                2 + n,
                10 * n,
                10 * n + 9,
                inside=1,
                category=Category.MODEL,
                name="gpt-4o",
                arguments=b"x",
            )
            for n in range(3)
        ),
    ]

    assert [call.wasted for call in derive(spans)] == [0, 0, 9]
