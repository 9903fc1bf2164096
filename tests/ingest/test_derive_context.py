"""When a call was and for whom: clocks, durations, inherited words, the tree."""

from __future__ import annotations

import pytest

from ingest.derive import derive
from tests.ingest.spans import (
    RECEIVED,
    agent,
    at,
    identity,
    model,
    only,
    span,
    tool,
)

HOUR = 3_600_000
PARENT_END = at(500)
AHEAD = RECEIVED + 7_200 * 10**9

# What a span inside an agent run of 0 to 500 ms says -> (start, end), (alone)
CLOCKS = {
    "a good clock": ({}, (at(10), at(20)), (at(10), at(20)), False),
    "no times": (
        {"start_ns": 0, "end_ns": 0},
        (PARENT_END, PARENT_END),
        (RECEIVED, RECEIVED),
        True,
    ),
    "an end before the start": (
        {"start_ns": at(5020)},
        (at(20), at(20)),
        (at(20), at(20)),
        True,
    ),
    "no start": ({"start_ns": 0}, (at(20), at(20)), (at(20), at(20)), True),
    "an end in 1970": (
        {"end_ns": 12},
        (at(10), PARENT_END),
        (at(10), RECEIVED),
        True,
    ),
    "a future end": (
        {"end_ns": AHEAD, "future": True},
        (at(10), PARENT_END),
        (at(10), RECEIVED),
        True,
    ),
    "a future start and end": (
        {"start_ns": AHEAD, "end_ns": AHEAD, "future": True},
        (PARENT_END, PARENT_END),
        (RECEIVED, RECEIVED),
        True,
    ),
    "an absurd end": (
        {"end_ns": 2**64 - 1},
        (at(10), PARENT_END),
        (at(10), RECEIVED),
        True,
    ),
    "still running": ({"end_ns": 0}, (at(10), 0), (at(10), 0), False),
    "running since the future": (
        {"start_ns": AHEAD, "end_ns": 0, "future": True},
        (PARENT_END, 0),
        (RECEIVED, 0),
        True,
    ),
}


@pytest.mark.parametrize("case", CLOCKS)
def test_a_clock(case):
    fields, inside, alone, skewed = CLOCKS[case]
    child = tool(2, 10, 20, inside=1, **fields)

    (below,) = derive([agent(1, 0, 500), child])
    (orphan,) = derive([child])

    assert (below.started_ns, below.ended_ns) == inside
    assert (orphan.started_ns, orphan.ended_ns) == alone
    assert below.skewed is orphan.skewed is skewed
    assert (below.latency_us is None) is (skewed or inside[1] == 0)


def test_a_long_job_is_not_skewed():
    call = only([tool(1, -27 * HOUR, 0)])

    assert (call.skewed, call.latency_us) == (False, 27 * HOUR * 1000)


def test_the_nearest_valid_ancestor_ends_what_has_no_end():
    spans = [
        agent(1, 0, 900),
        span(2, 0, 500, inside=1),
        span(3, 0, None, inside=2),
        span(4, 0, 0, inside=3, start_ns=0, end_ns=0),
        tool(5, 0, 0, inside=4, start_ns=0, end_ns=0),
    ]

    assert only(spans).ended_ns == PARENT_END


def test_what_is_in_flight_is_in_no_distribution():
    call = only([tool(1, 0, None)])

    assert (call.ended_ns, call.attempts, call.latency_us, call.work_us) == (
        0,
        1,
        None,
        None,
    )


def test_a_call_of_which_one_attempt_ended_has_an_end():
    spans = [
        tool(1, 0, 9, call_id="a", failed="timeout"),
        tool(2, 10, None, call_id="a"),
    ]

    call = only(spans)

    assert (call.ended_ns, call.outcome, call.attempts) == (at(9), "failed", 2)
    assert (call.latency_us, call.work_us) == (None, None)


def test_a_call_never_ends_before_it_starts():
    call = only([tool(1, 5, None), tool(2, 0, 3, inside=1)])

    assert (call.started_ns, call.ended_ns) == (at(5), at(5))


def test_an_attempt_that_still_runs_leaves_work_open():
    spans = [tool(1, 0, 50), tool(2, 1, 9, inside=1), tool(3, 10, None, inside=1)]

    call = only(spans)

    assert (call.latency_us, call.work_us) == (50_000, None)


def test_latency_is_what_the_caller_saw_and_work_what_the_attempts_took():
    spans = [
        tool(1, 0, 100),
        tool(2, 5, 25, inside=1, failed="timeout"),
        tool(3, 60, 90, inside=1),
    ]

    call = only(spans)

    assert (call.latency_us, call.work_us, call.backoff_us) == (100_000, 50_000, 50_000)


def test_attempts_that_overlap_did_not_wait():
    spans = [
        tool(1, 0, 50, call_id="a", failed="timeout"),
        tool(2, 10, 60, call_id="a"),
    ]

    assert only(spans).backoff_us == 0


def test_reported_waiting_is_taken_from_the_latency():
    call = only([tool(1, 0, 100, attempts=2, backoff_us=30_000)])

    assert (call.work_us, call.backoff_us) == (70_000, 30_000)


def test_the_outer_span_reports_waiting_for_all_its_attempts():
    def reported(outer: int | None) -> int | None:
        spans = [
            tool(1, 0, 100, attempts=4, backoff_us=outer),
            tool(2, 5, 25, inside=1, failed="timeout", backoff_us=3_000),
            tool(3, 60, 90, inside=1, backoff_us=4_000),
        ]
        return only(spans).backoff_us

    assert reported(20_000) == 20_000
    assert reported(None) == 7_000


def test_what_nobody_knows_is_none():
    call = only([tool(1, 0, 100, attempts=2)])

    assert (call.latency_us, call.work_us, call.backoff_us) == (100_000, None, None)


@pytest.mark.parametrize(
    "fields",
    [{"failed": "cancelled"}, {"refusal_reason": "quota"}, {"outcome": "refused"}],
    ids=["cancelled", "refused", "said"],
)
def test_what_was_cancelled_or_refused_is_in_no_distribution(fields):
    call = only([tool(1, 0, 9, ttft_us=5, backoff_us=5, **fields)])

    assert (call.latency_us, call.work_us, call.backoff_us, call.ttft_us) == (
        None,
        None,
        None,
        None,
    )


def test_the_first_token_is_as_reported():
    inner = [model(1, 0, 9), model(2, 1, 8, inside=1, ttft_us=700)]
    outer = [model(1, 0, 9, ttft_us=900), model(2, 1, 8, inside=1, ttft_us=700)]

    assert only(inner).ttft_us == 700
    assert only(outer).ttft_us == 900
    assert only([model(1, 0, 9, ttft_us=500)]).ttft_us == 500


WORDS = {
    "the span's own tenant": (
        [agent(1, 0, 99, tenant="root"), tool(2, 0, 9, inside=1, tenant="own")],
        ("own", None, None),
    ),
    "the nearest ancestor's": (
        [
            agent(1, 0, 99, tenant="root", user="u1"),
            agent(3, 0, 99, inside=1, tenant="near", user="u2"),
            span(4, 0, 99, inside=3),
            tool(2, 0, 9, inside=4, tenant_copy="copy", tenant_resource="resource"),
        ],
        ("near", None, "u2"),
    ),
    "the root's for an orphan": (
        [
            agent(1, 5, 99, tenant="root", user="u1", session="s1"),
            tool(2, 0, 9, inside=77, tenant_copy="copy"),
        ],
        ("root", "s1", "u1"),
    ),
    "a copy before the resource": (
        [tool(2, 0, 9, tenant_copy="copy", tenant_resource="resource")],
        ("copy", None, None),
    ),
    "an ancestor's copy": (
        [
            agent(1, 0, 99, tenant_copy="copy"),
            tool(2, 0, 9, inside=1, tenant_resource="resource"),
        ],
        ("copy", None, None),
    ),
    "the resource": (
        [tool(2, 0, 9, tenant_resource="resource")],
        ("resource", None, None),
    ),
    "an ancestor's resource": (
        [agent(1, 0, 99, tenant_resource="resource"), tool(2, 0, 9, inside=1)],
        ("resource", None, None),
    ),
    "the root's session before the span's own": (
        [agent(1, 0, 99, session="root"), tool(2, 0, 9, inside=1, session="own")],
        (None, "root", None),
    ),
    "the span's session before an ancestor's": (
        [
            agent(1, 0, 99),
            agent(3, 0, 99, inside=1, session="near"),
            tool(2, 0, 9, inside=3, session="own"),
        ],
        (None, "own", None),
    ),
    "the nearest session": (
        [
            agent(1, 0, 99),
            agent(3, 0, 99, inside=1, session="near"),
            tool(2, 0, 9, inside=3),
        ],
        (None, "near", None),
    ),
    "nobody": ([tool(2, 0, 9, inside=77)], (None, None, None)),
}


@pytest.mark.parametrize("case", WORDS)
def test_words_come_from(case):
    spans, expected = WORDS[case]

    call = only(spans)

    assert (call.tenant, call.session, call.user) == expected


def test_the_tenant_may_stand_further_inside():
    assert only([tool(1, 0, 9), tool(2, 1, 8, inside=1, tenant="in")]).tenant == "in"


def test_the_agent_is_the_nearest_that_has_a_name():
    def agent_of(*spans):
        return only([*spans]).agent

    outer, nested = agent(1, 0, 99), agent(3, 0, 99, inside=1, name="researcher")

    assert agent_of(outer, nested, tool(2, 0, 9, inside=3)) == "researcher"
    assert agent_of(
        outer, agent(3, 0, 9, inside=1, name=""), tool(2, 0, 9, inside=3)
    ) == ("planner")
    assert agent_of(outer, tool(2, 0, 9, inside=1, agent="own")) == "own"
    assert agent_of(outer, agent(3, 0, 9, agent="named"), tool(2, 0, 9, inside=3)) == (
        "named"
    )
    assert agent_of(span(1, 0, 9, agent="step"), tool(2, 0, 9, inside=1)) == "step"


def test_other_words_come_from_the_outermost_span_that_says_them():
    spans = [
        tool(1, 0, 9, decision="allow", policy_version=7),
        tool(2, 1, 8, inside=1, provider="p", server="s", rule="r", lease="l"),
        tool(3, 2, 7, inside=2, cache_hit=True, policy_version=8, rule="other"),
    ]

    call = only(spans)

    assert (call.provider, call.server, call.rule, call.lease) == ("p", "s", "r", "l")
    assert (call.decision, call.policy_version, call.cache_hit) == ("allow", 7, True)


def test_the_anchor_is_the_outermost_and_earliest_span():
    spans = [
        tool(9, 0, 5, call_id="a", failed="timeout"),
        tool(4, 10, 19, call_id="a"),
        tool(2, 11, 18, inside=4),
    ]

    assert only(spans).anchor == identity(9)
