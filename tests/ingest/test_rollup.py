"""Which counter counts what: DESIGN's definitions, one call at a time."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import models
from ingest.histogram import cell_of
from ingest.records import FAILURE_CODES, REFUSAL_CODES, Call, Usage
from ingest.rollup import (
    CELLS,
    COUNTERS,
    REASON_COUNTERS,
    Merged,
    Sums,
    contribution,
    series_of,
)
from tests.ingest.counting import calls

END_NS = 1_763_629_207_000_000_000
CALL = Call(
    b"anchor--",
    "tool",
    "search",
    "agent",
    "prod",
    END_NS - 10**9,
    END_NS,
    "ok",
    tenant="acme",
)


def counted(call, merged=None):
    """Counters that are not zero, by name."""
    part = contribution(call, merged)
    sums = Sums.of_call(part, 1)
    return {
        name: amount
        for name, amount in zip(COUNTERS, sums.counters, strict=True)
        if amount
    }


def changed(**fields):
    return msgspec.structs.replace(CALL, **fields)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param(
            {},
            {"calls": 1, "ok": 1, "executed": 1, "attempts": 1},
            id="a call that worked at once",
        ),
        pytest.param(
            {
                "outcome": "recovered",
                "attempts": 3,
                "attempt_errors": (("server_error", 2),),
            },
            {
                "calls": 1,
                "recovered": 1,
                "executed": 1,
                "retried": 1,
                "attempts": 3,
                "retries": 2,
                "attempt_errors": 2,
            },
            id="two failures, then an answer",
        ),
        pytest.param(
            {
                "outcome": "failed",
                "failure_class": "timeout",
                "attempts": 2,
                "attempt_errors": (("timeout", 2),),
                "last_failed": True,
            },
            {
                "calls": 1,
                "errors": 1,
                "executed": 1,
                "retried": 1,
                "attempts": 2,
                "retries": 1,
                "attempt_errors": 2,
                "exhausted": 1,
            },
            id="retried until it was given up",
        ),
        pytest.param(
            {"outcome": "refused", "refusal_reason": "quota", "attempts": 0},
            {"calls": 1, "refused": 1, "refusals": 1},
            id="refused: no attempt, no error",
        ),
        pytest.param(
            {
                "outcome": "fallback",
                "refusal_reason": "breaker",
                "attempts": 0,
            },
            {"calls": 1, "fallbacks": 1, "refusals": 1},
            id="refused and answered by another target",
        ),
        pytest.param(
            {
                "outcome": "cancelled",
                "attempts": 2,
                "attempt_errors": (("cancelled", 1), ("timeout", 1)),
                "latency_us": 500,
            },
            {
                "calls": 1,
                "cancelled": 1,
                "executed": 1,
                "retried": 1,
                "attempts": 2,
                "retries": 1,
                "attempt_errors": 1,
            },
            id="given up: in no latency, and a cancelled attempt has not failed",
        ),
        pytest.param(
            {"cache_hit": True, "unpriced": True, "wasted": 7},
            {
                "calls": 1,
                "ok": 1,
                "executed": 1,
                "attempts": 1,
                "cache_hits": 1,
                "unpriced_calls": 1,
                "wasted_nano": 7,
            },
            id="cached, unpriced, wasted",
        ),
        pytest.param(
            {"usage": Usage(100, 20, 60, 10, 5, 900)},
            {
                "calls": 1,
                "ok": 1,
                "executed": 1,
                "attempts": 1,
                "tokens_input": 100,
                "tokens_output": 20,
                "tokens_cache_read": 60,
                "tokens_cache_write": 10,
                "tokens_reasoning": 5,
                "cost_nano": 900,
            },
            id="usage",
        ),
        pytest.param(
            {"latency_us": 9, "work_us": 7, "backoff_us": 2, "ttft_us": 1},
            {
                "calls": 1,
                "ok": 1,
                "executed": 1,
                "attempts": 1,
                "latency_count": 1,
                "latency_sum": 9,
                "work_count": 1,
                "work_sum": 7,
                "backoff_count": 1,
                "backoff_sum": 2,
                "ttft_count": 1,
                "ttft_sum": 1,
            },
            id="durations",
        ),
        pytest.param(
            {"latency_us": 9, "work_us": 7, "skewed": True},
            {"calls": 1, "ok": 1, "executed": 1, "attempts": 1},
            id="a skewed clock is in no distribution",
        ),
    ],
)
def test_what_a_call_counts(fields, expected):
    assert counted(changed(**fields)) == expected


def test_a_call_that_has_not_ended_is_in_no_bucket():
    assert contribution(changed(ended_ns=0, outcome="")) is None


def test_everything_is_in_the_bucket_of_the_end_under_the_words_of_the_call():
    part = contribution(changed(latency_us=1_000))

    assert part.bucket == 1_763_629_200
    assert part.series == series_of(CALL)
    assert part.series == ("prod", "tool", "search", None, "agent", "acme", None)
    assert part.cells == [cell_of(1_000)]


def test_what_the_group_of_a_response_id_says_replaces_what_the_winner_says():
    merged = Merged(
        usage=Usage(input=5),
        attempts=3,
        attempt_errors=(("timeout", 2),),
        outcome="recovered",
        unpriced=True,
    )

    found = counted(changed(usage=Usage(input=1)), merged)

    assert found["tokens_input"] == 5
    assert found["recovered"] == 1
    assert found["retries"] == 2
    assert found["unpriced_calls"] == 1


@pytest.mark.parametrize(
    ("fields", "reasons"),
    [
        pytest.param({}, [], id="nothing went wrong"),
        pytest.param(
            {
                "outcome": "failed",
                "failure_class": "timeout",
                "attempts": 3,
                "attempt_errors": (("server_error", 2), ("timeout", 1)),
            },
            [("timeout", 1, 1, 1, 0), ("server_error", 0, 0, 2, 0)],
            id="each attempt under its own class",
        ),
        pytest.param(
            {"outcome": "failed"},
            [("unknown", 1, 1, 0, 0)],
            id="an error always has a class",
        ),
        pytest.param(
            {"outcome": "refused", "refusal_reason": "quota", "attempts": 0},
            [("quota", 1, 0, 0, 1)],
            id="a refusal",
        ),
        pytest.param(
            {"attempt_errors": (("cancelled", 1),), "outcome": "cancelled"},
            [],
            id="a cancelled attempt has not failed",
        ),
        pytest.param(
            {
                "outcome": "fallback",
                "failure_class": "timeout",
                "refusal_reason": "breaker",
                "attempt_errors": (("timeout", 1),),
            },
            [("timeout", 1, 0, 1, 1), ("breaker", 1, 0, 1, 1)],
            id="failed, then refused",
        ),
    ],
)
def test_what_a_call_counts_by_reason(fields, reasons):
    codes = FAILURE_CODES | REFUSAL_CODES

    found = contribution(changed(**fields)).reasons

    assert found == [(codes[word], *amounts) for word, *amounts in reasons]


@given(st.lists(calls()))
def test_taking_away_what_was_added_leaves_nothing(some):
    parts = [part for call in some if (part := contribution(call))]
    sums = Sums()

    for part in parts:
        sums.add_sums(Sums.of_call(part, 1))
    for part in reversed(parts):
        sums.add_sums(Sums.of_call(part, -1))

    assert not sums
    assert sums.packed() == (0,) * len(COUNTERS) + (None,) * len(CELLS)


@given(calls())
def test_a_negative_takes_away_what_its_sums_add(call):
    sums = Sums.of_call(contribution(call), 1)

    whole = sums.copy()
    whole.add_sums(sums.negative())

    assert sums
    assert not whole


@given(calls())
def test_outcomes_are_a_partition(call):
    found = counted(call)

    outcomes = ("ok", "recovered", "fallbacks", "refused", "cancelled", "errors")
    assert sum(found.get(name, 0) for name in outcomes) == found["calls"] == 1


@given(st.lists(calls()), st.lists(calls()))
def test_sums_of_rows_are_the_sum_of_their_calls(some, more):
    left, right, both = Sums(), Sums(), Sums()
    for part in map(contribution, some):
        left.add_sums(Sums.of_call(part, 1))
        both.add_sums(Sums.of_call(part, 1))
    for part in map(contribution, more):
        right.add_sums(Sums.of_call(part, 1))
        both.add_sums(Sums.of_call(part, 1))

    stored = Sums.of_row(left.packed())
    copied = right.copy()
    stored.add_sums(right)
    copied.add_sums(left)

    assert Sums.of_row(stored.packed()).packed()[: len(COUNTERS)] == tuple(
        both.counters
    )
    assert stored.distributions == both.distributions
    assert copied.cells == stored.cells


def test_columns_are_those_of_the_tables():
    measures = [field.name for field in models.Measures._meta.get_fields()]
    by_reason = [field.name for field in models.ReasonMeasures._meta.get_fields()]

    assert measures == [*COUNTERS, *CELLS]
    assert by_reason == ["reason", *REASON_COUNTERS]
