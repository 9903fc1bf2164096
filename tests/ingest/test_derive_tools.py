"""Which tool spans are one call, and which are not."""

from __future__ import annotations

import pytest

from ingest.derive import derive
from ingest.records import Category
from tests.ingest.spans import agent, http, model, only, span, told, tool

RUN = [agent(1, 0, 1000), model(2, 0, 10, inside=1)]

# What the spans below an agent run with a model are -> anchor and target: outcome,
# attempts, failed attempts.
ONE_OR_SEVERAL = {
    "our client inside a framework's span tells of the same call": (
        [
            tool(3, 20, 60, inside=1, call_id="theirs"),
            tool(4, 21, 59, inside=3, call_id="ours", outcome="recovered"),
            tool(5, 22, 28, inside=4, call_id="ours", numbered=True, failed="timeout"),
            tool(6, 30, 58, inside=4, call_id="ours", numbered=True),
        ],
        {"3 search": ("recovered", 2, 1)},
    ),
    "a tool of our client that calls itself is called twice": (
        [
            tool(3, 20, 60, inside=1, call_id="ours", outcome="ok"),
            tool(4, 21, 59, inside=3, call_id="ours", numbered=True, attempts=1),
            tool(5, 22, 58, inside=4, call_id="again", outcome="ok"),
            tool(6, 23, 57, inside=5, call_id="again", numbered=True, attempts=1),
        ],
        {"3 search": ("ok", 1, 0), "5 search": ("ok", 1, 0)},
    ),
    "the same call id is one call": (
        [
            tool(3, 20, 30, inside=1, call_id="a", failed="timeout"),
            tool(4, 40, 50, inside=1, call_id="a"),
        ],
        {"3 search": ("recovered", 2, 1)},
    ),
    "the same call id is one call under different parents": (
        [
            span(5, 20, 30, inside=1),
            span(6, 40, 50, inside=1),
            tool(3, 20, 30, inside=5, call_id="a", failed="timeout"),
            tool(4, 40, 50, inside=6, call_id="a", failed="timeout"),
        ],
        {"3 search": ("failed", 2, 2)},
    ),
    "the same call id within the same time is one execution": (
        [
            tool(3, 20, 30, inside=1, call_id="a"),
            tool(4, 21, 29, inside=1, call_id="a", failed="timeout"),
            tool(5, 22, 28, inside=1, call_id="a"),
        ],
        {"3 search": ("failed", 1, 1)},
    ),
    "the one that shows the attempts tells of them": (
        [
            tool(3, 20, 50, inside=1, call_id="a"),
            tool(4, 21, 49, inside=1, call_id="a"),
            tool(5, 22, 28, inside=4, failed="timeout"),
            tool(6, 30, 48, inside=4),
        ],
        {"3 search": ("recovered", 2, 1)},
    ),
    "also when it is the first": (
        [
            tool(3, 20, 50, inside=1, call_id="a"),
            tool(5, 22, 28, inside=3, failed="timeout"),
            tool(6, 30, 48, inside=3),
            tool(4, 21, 49, inside=1, call_id="a"),
        ],
        {"3 search": ("recovered", 2, 1)},
    ),
    "unless they are numbered": (
        [
            tool(3, 20, 30, inside=1, call_id="a", numbered=True, failed="timeout"),
            tool(4, 21, 29, inside=1, call_id="a", numbered=True),
        ],
        {"3 search": ("recovered", 2, 1)},
    ),
    "or overlap only in part": (
        [
            tool(3, 20, 30, inside=1, call_id="a", failed="timeout"),
            tool(4, 29, 39, inside=1, call_id="a"),
        ],
        {"3 search": ("recovered", 2, 1)},
    ),
    "the same call id of another tool is another call": (
        [
            tool(3, 20, 30, inside=1, call_id="a", failed="timeout"),
            tool(4, 40, 50, inside=1, call_id="a", name="fetch"),
        ],
        {"3 search": ("failed", 1, 1), "4 fetch": ("ok", 1, 0)},
    ),
    "different ids never are one call, whatever attempt they carry": (
        [
            tool(3, 20, 30, inside=1, call_id="a", arguments="x", failed="timeout"),
            tool(4, 40, 50, inside=1, call_id="b", arguments="x", numbered=True),
        ],
        {"3 search": ("failed", 1, 1), "4 search": ("ok", 1, 0)},
    ),
    "without ids the same arguments after a failure are one call": (
        [
            tool(3, 20, 30, inside=1, arguments="x", failed="transport"),
            tool(4, 30, 40, inside=1, arguments="x", failed="transport"),
            tool(5, 50, 60, inside=1, arguments="x"),
        ],
        {"3 search": ("recovered", 3, 2)},
    ),
    "one of two without an id is enough": (
        [
            tool(3, 20, 30, inside=1, arguments="x", failed="transport"),
            tool(4, 40, 50, inside=1, arguments="x", call_id="a"),
        ],
        {"3 search": ("recovered", 2, 1)},
    ),
    "the id may be on the first": (
        [
            tool(3, 20, 30, inside=1, arguments="x", call_id="a", failed="transport"),
            tool(4, 40, 50, inside=1, arguments="x"),
        ],
        {"3 search": ("recovered", 2, 1)},
    ),
    "a repetition with an id seen before brings its failure along": (
        [
            tool(3, 12, 15, call_id="a", failed="timeout"),
            tool(4, 20, 30, inside=1, arguments="x", failed="transport"),
            tool(5, 40, 50, inside=1, arguments="x", call_id="a"),
        ],
        {"3 search": ("recovered", 3, 2)},
    ),
    "two failures go on in two calls": (
        [
            tool(3, 20, 30, inside=1, arguments="x", failed="transport"),
            tool(4, 20, 31, inside=1, arguments="x", failed="transport"),
            tool(5, 40, 50, inside=1, arguments="x"),
            tool(6, 41, 52, inside=1, arguments="x"),
        ],
        {"3 search": ("recovered", 2, 1), "4 search": ("recovered", 2, 1)},
    ),
    "after a success it is another call": (
        [
            tool(3, 20, 30, inside=1, arguments="x"),
            tool(4, 40, 50, inside=1, arguments="x"),
        ],
        {"3 search": ("ok", 1, 0), "4 search": ("ok", 1, 0)},
    ),
    "what began before the failure ended is another call": (
        [
            tool(3, 20, 30, inside=1, arguments="x", failed="transport"),
            tool(4, 29, 50, inside=1, arguments="x"),
        ],
        {"3 search": ("failed", 1, 1), "4 search": ("ok", 1, 0)},
    ),
    "a model asked in between makes it another call": (
        [
            tool(3, 20, 30, inside=1, arguments="x", failed="transport"),
            span(8, 31, 35, inside=1),
            model(7, 32, 35, inside=8),
            tool(4, 40, 50, inside=1, arguments="x"),
            tool(5, 60, 70, inside=1, arguments="x"),
        ],
        {
            "3 search": ("failed", 1, 1),
            "4 search": ("ok", 1, 0),
            "5 search": ("ok", 1, 0),
        },
    ),
    "a model of another agent in between does not": (
        [
            tool(3, 20, 30, inside=1, arguments="x", failed="transport"),
            agent(8, 31, 36, inside=1, name="other"),
            model(7, 32, 35, inside=8),
            tool(4, 40, 50, inside=1, arguments="x"),
        ],
        {"3 search": ("recovered", 2, 1)},
    ),
    "a model inside the failed execution does not": (
        [
            tool(3, 20, 30, inside=1, arguments="x", failed="transport"),
            model(7, 22, 28, inside=3),
            tool(4, 40, 50, inside=1, arguments="x"),
        ],
        {"3 search": ("recovered", 2, 1)},
    ),
    "other arguments are another call": (
        [
            tool(3, 20, 30, inside=1, arguments="x", failed="transport"),
            tool(4, 40, 50, inside=1, arguments="y"),
        ],
        {"3 search": ("failed", 1, 1), "4 search": ("ok", 1, 0)},
    ),
    "no id and no arguments are never merged": (
        [
            tool(3, 20, 30, inside=1, failed="transport"),
            tool(4, 40, 50, inside=1),
        ],
        {"3 search": ("failed", 1, 1), "4 search": ("ok", 1, 0)},
    ),
    "what the caller gave up is not repeated but asked anew": (
        [
            tool(3, 20, 30, inside=1, arguments="x", failed="cancelled"),
            tool(4, 40, 50, inside=1, arguments="x"),
        ],
        {"3 search": ("cancelled", 1, 0), "4 search": ("ok", 1, 0)},
    ),
    "a chain of one name is one execution": (
        [
            tool(3, 20, 30, inside=1),
            http(8, 21, 29, inside=3),
            tool(4, 22, 28, inside=8, failed="tool_error", service="server"),
        ],
        {"3 search": ("failed", 1, 1)},
    ),
    "a chain of three is one execution": (
        [
            tool(3, 20, 30, inside=1),
            tool(4, 22, 28, inside=3),
            tool(5, 23, 27, inside=4, failed="timeout"),
        ],
        {"3 search": ("failed", 1, 1)},
    ),
    "an unnamed span inside is the same execution": (
        [tool(3, 20, 30, inside=1), tool(4, 22, 28, inside=3, name="")],
        {"3 search": ("ok", 1, 0)},
    ),
    "another name inside is another call": (
        [tool(3, 20, 30, inside=1), tool(4, 22, 28, inside=3, name="fetch")],
        {"3 search": ("ok", 1, 0), "4 fetch": ("ok", 1, 0)},
    ),
    "another id inside is another call": (
        [
            tool(3, 20, 30, inside=1, call_id="a"),
            tool(4, 22, 28, inside=3, call_id="b"),
        ],
        {"3 search": ("ok", 1, 0), "4 search": ("ok", 1, 0)},
    ),
    "a step in between breaks a chain": (
        [
            tool(3, 20, 30, inside=1),
            span(8, 21, 29, inside=3, category=Category.STEP),
            tool(4, 22, 28, inside=8),
        ],
        {"3 search": ("ok", 1, 0), "4 search": ("ok", 1, 0)},
    ),
    "but not between two spans of one id": (
        [
            tool(3, 20, 30, inside=1, call_id="a"),
            span(8, 21, 29, inside=3, category=Category.STEP),
            tool(4, 22, 28, inside=8, call_id="a"),
        ],
        {"3 search": ("ok", 1, 0)},
    ),
    "the id may stand further inside": (
        [
            tool(3, 20, 30, inside=1, failed="timeout"),
            tool(4, 22, 28, inside=3, call_id="a"),
            tool(5, 40, 50, inside=1, call_id="a"),
        ],
        {"3 search": ("recovered", 2, 1)},
    ),
    "a queue breaks a chain, and the id joins attempts": (
        [
            tool(3, 20, 30, inside=1, call_id="a", failed="transport"),
            span(8, 21, 22, inside=3, category=Category.PUBLISH),
            tool(4, 40, 50, inside=8, call_id="a", attempts=2),
        ],
        {"3 search": ("recovered", 2, 1)},
    ),
    "two inside one are its attempts": (
        [
            tool(3, 20, 60, inside=1),
            tool(4, 21, 30, inside=3, failed="server_error"),
            tool(5, 40, 59, inside=3),
        ],
        {"3 search": ("recovered", 2, 1)},
    ),
    "one inside with an attempt number is an attempt": (
        [
            tool(3, 20, 60, inside=1),
            tool(4, 21, 30, inside=3, numbered=True, attempts=3),
        ],
        {"3 search": ("recovered", 3, 2)},
    ),
    "the outer span decides too": (
        [
            tool(3, 20, 60, inside=1, failed="timeout"),
            tool(4, 21, 30, inside=3, failed="server_error"),
            tool(5, 40, 70, inside=3),
        ],
        {"3 search": ("failed", 2, 2)},
    ),
    "the last attempt decides too": (
        [
            tool(3, 20, 60, inside=1),
            tool(4, 21, 30, inside=3),
            tool(5, 40, 50, inside=3, failed="server_error"),
        ],
        {"3 search": ("failed", 2, 1)},
    ),
    "attempts below a chain are attempts of its outermost span": (
        [
            tool(3, 20, 60, inside=1),
            tool(6, 20, 60, inside=3),
            tool(4, 21, 30, inside=6, failed="server_error"),
            tool(5, 40, 59, inside=6),
        ],
        {"3 search": ("recovered", 2, 1)},
    ),
    "what wraps attempts inside attempts speaks for its last": (
        [
            tool(3, 20, 90, inside=1),
            tool(4, 21, 30, inside=3, failed="timeout"),
            tool(6, 22, 24, inside=4, failed="server_error"),
            tool(7, 25, 29, inside=4),
            tool(5, 40, 59, inside=3),
        ],
        {"3 search": ("recovered", 3, 2)},
    ),
    "pseudo tools and structure are no calls": (
        [
            span(3, 20, 30, inside=1, category=Category.PSEUDO, name="finish"),
            span(4, 20, 30, inside=1, category=Category.WORKFLOW),
            span(5, 20, 30, inside=1, category=Category.DATABASE, name="SELECT"),
        ],
        {},
    ),
    "a tool nobody named is unknown": (
        [tool(3, 20, 30, inside=1, name="")],
        {"3 unknown": ("ok", 1, 0)},
    ),
}


@pytest.mark.parametrize("case", ONE_OR_SEVERAL)
def test_tools_of_an_agent_run(case):
    spans, expected = ONE_OR_SEVERAL[case]

    found = told([*RUN, *spans])

    asked = {key: went for key, went in found.items() if not key.endswith(" gpt-4o")}
    assert asked == expected


def test_nothing_is_merged_by_arguments_where_no_model_shows():
    spans = [
        agent(1, 0, 100),
        tool(3, 20, 30, inside=1, arguments="x", failed="transport"),
        tool(4, 40, 50, inside=1, arguments="x"),
    ]

    assert told(spans) == {"3 search": ("failed", 1, 1), "4 search": ("ok", 1, 0)}


def test_roots_are_not_merged_by_arguments():
    spans = [
        model(2, 0, 10),
        tool(3, 20, 30, arguments="x", failed="transport"),
        tool(4, 40, 50, arguments="x"),
    ]

    assert len(derive(spans)) == 3


def test_siblings_of_a_missing_parent_are_merged_by_arguments():
    spans = [
        model(2, 0, 10, inside=99),
        tool(3, 20, 30, inside=99, arguments="x", failed="transport"),
        tool(4, 40, 50, inside=99, arguments="x"),
    ]

    assert told(spans)["3 search"] == ("recovered", 2, 1)


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        ("tool_error", "timeout", "timeout"),
        ("timeout", "tool_error", "timeout"),
        ("timeout", "cancelled", "timeout"),
        (False, "tool_error", "tool_error"),
        ("unknown", False, "unknown"),
        (True, False, "unknown"),
        ("not a class", False, "unknown"),
        ("timeout", "transport", "timeout"),
    ],
)
def test_a_chain_fails_with_its_most_specific_class(outer, inner, expected):
    spans = [
        tool(3, 20, 30, failed=outer, message="outer"),
        tool(4, 22, 28, inside=3, failed=inner, message="inner"),
    ]

    call = only(spans)

    assert call.failure_class == expected
    assert call.attempt_errors == ((expected, 1),)


def test_the_client_of_an_mcp_call_decides_what_its_caller_saw():
    client = tool(3, 0, 200, failed="timeout", server="docs", message="TimeoutError")
    server = tool(4, 5, 240, inside=3, service="docs-server")

    call = only([server, client])

    assert (call.outcome, call.failure_class, call.latency_us) == (
        "failed",
        "timeout",
        200_000,
    )
    assert (call.service, call.server, call.message) == (
        "agents",
        "docs",
        "TimeoutError",
    )


@pytest.mark.parametrize("category", [Category.RETRIEVAL, Category.GUARDRAIL])
def test_retrievals_and_guardrails_nest_like_tools(category):
    spans = [
        span(1, 0, 50, category=category, name="index"),
        span(2, 1, 20, inside=1, category=category, name="index", failed="timeout"),
        span(3, 25, 49, inside=1, category=category, name="index"),
    ]

    call = only(spans)

    assert (call.kind, call.outcome) == (category.name.lower(), "recovered")
