"""Laws of deriving, over traces of every dialect and over junk."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.derive import calls as calls_module
from ingest.derive import derive
from ingest.derive.responses import decide
from ingest.derive.trace import Trace
from ingest.records import CALL_CATEGORIES, Call, Category, Span
from ingest.rollup import contribution
from switchgear.policy.vocabulary import Outcome
from tests.ingest import generated
from tests.ingest.corpus_reader import calls_of, contributions, totals
from tests.ingest.spans import agent, http, model, span, tool

TRACES = generated.spans() | generated.junk()


@given(TRACES, st.randoms(use_true_random=False))
def test_no_order_and_no_duplicate_changes_a_call(spans, random):
    again = [*spans, *random.choices(spans, k=3)] if spans else []
    random.shuffle(again)

    assert derive(again) == derive(spans)


@given(generated.exports(), st.randoms(use_true_random=False))
def test_any_split_of_exports_gives_the_same_numbers(sent, random):
    pieces = [random.sample(sent, len(sent)), sent[::2]]
    spans = [one for piece in pieces for one in generated.normalised(piece)]

    whole = calls_of(generated.normalised(sent))
    assert calls_of(spans) == whole
    assert totals(contributions(calls_of(spans))) == totals(contributions(whole))


@given(generated.exports())
def test_calls_are_the_sum_of_their_outcomes(sent):
    sums = totals(contributions(calls_of(generated.normalised(sent))))

    parts = ("ok", "recovered", "fallbacks", "refused", "cancelled", "errors")
    assert sums["calls"] == sum(sums[name] for name in parts)
    assert sums["attempt_errors"] <= sums["attempts"]


@given(TRACES)
def test_every_call_is_whole(spans):
    calls = derive(spans)

    assert len({call.anchor for call in calls}) == len(calls)
    assert calls == sorted(calls, key=lambda call: call.anchor)
    for call in calls:
        _is_whole(call)


def _is_whole(call: Call) -> None:
    errors = sum(count for _, count in call.attempt_errors)
    answered = call.outcome in {Outcome.OK, Outcome.RECOVERED}
    refused = call.outcome == Outcome.REFUSED
    cost = call.usage.cost or 0 if call.usage else 0
    assert call.outcome in set(Outcome)
    assert call.started_ns <= call.ended_ns or not call.ended_ns
    assert 0 <= errors <= call.attempts
    assert not refused or call.attempts == 0
    assert (call.failure_class is None) or not answered
    assert call.refusal_reason is None or call.attempts == 0
    assert call.target
    assert 0 <= call.wasted <= cost
    assert not call.skewed or call.latency_us is None
    assert all(
        took is None or took >= 0
        for took in (call.latency_us, call.work_us, call.backoff_us)
    )
    assert (contribution(call) is None) is (call.ended_ns == 0)


@given(TRACES)
def test_no_token_is_billed_twice(spans):
    latest = Trace(spans).spans
    sent = sum(one.usage.input or 0 for one in latest if one.usage)
    containers = sum(one.category not in CALL_CATEGORIES for one in latest)

    calls = derive(spans)

    assert sum(call.usage.input or 0 for call in calls if call.usage) <= sent
    assert len(calls) <= len(latest) - containers + sum(
        one.usage is not None for one in latest
    )


@given(TRACES)
def test_the_short_way_to_a_call_tells_the_same_as_the_long_way(spans):
    short = derive(spans)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calls_module, "_alone", lambda *_: None)
        assert derive(spans) == short


@given(generated.exports(traces=3), st.randoms(use_true_random=False))
def test_no_order_of_members_changes_what_a_response_says(sent, random):
    calls = calls_of(generated.normalised(sent))
    members = [
        (trace_id, call)
        for trace_id, found in calls.items()
        for call in found
        if call.response_id
    ]
    if members:
        winner, merged = decide(members)
        other = random.sample(members, len(members))
        place, again = decide(other)
        assert (other[place], again) == (members[winner], merged)


# Time, counted in lines of our own


def _deep_tools(size: int) -> list[Span]:
    return [tool(1 + n, 0, 9, inside=n) for n in range(size)]


def _deep_structure(size: int) -> list[Span]:
    half = size // 2
    steps = [span(1 + n, 0, 9, inside=n, category=Category.STEP) for n in range(half)]
    return [*steps, *(tool(1 + half + n, 0, 9, inside=half) for n in range(half))]


def _failing_tools(size: int) -> list[Span]:
    return [
        agent(1, 0, 9),
        model(2, 0, 1, inside=1),
        *(
            tool(3 + n, n, n + 1, inside=1, arguments="x", failed="timeout")
            for n in range(size)
        ),
    ]


def _parallel_tools(size: int) -> list[Span]:
    return [
        agent(1, 0, 9),
        model(2, 0, 1, inside=1),
        *(
            tool(
                3 + n,
                2 + n,
                2 + size + n,
                inside=1,
                arguments="x",
                call_id=f"{n}" if n % 2 else "",
                failed="timeout",
            )
            for n in range(size)
        ),
    ]


def _failing_models(size: int) -> list[Span]:
    return [model(2 + n, n, n + 1, inside=1, failed="timeout") for n in range(size)]


def _nested_models(size: int) -> list[Span]:
    return [model(1 + n, 0, 9, inside=n, failed="timeout") for n in range(size)]


def _other_models(size: int) -> list[Span]:
    return [
        model(1, 0, 9),
        *(
            model(2 + n, n, n + 1, inside=1, name=f"m{n}", failed="timeout")
            for n in range(size)
        ),
    ]


def _requests(size: int) -> list[Span]:
    return [
        tool(1, 0, 9),
        *(http(2 + n, n, n + 1, inside=1, failed="timeout") for n in range(size)),
    ]


def _statements(size: int) -> list[Span]:
    return [
        tool(1 + n, n, n + 1, name=f"t{n}", failed="auth", fallbacks=(("t1", f"t{n}"),))
        for n in range(size)
    ]


def _circle(size: int) -> list[Span]:
    return [tool(1 + n, n, n + 1, inside=1 + (n + 1) % size) for n in range(size)]


def _broken_clocks(size: int) -> list[Span]:
    return [
        tool(1 + n, 0, 0, inside=n, start_ns=0, end_ns=0, name=f"{n}")
        for n in range(size)
    ]


def _containers(size: int) -> list[Span]:
    return [
        agent(1 + n, 0, 9, inside=n, usage=generated.Usage(input=1, output=1))
        for n in range(size)
    ]


def _mirrors(size: int) -> list[Span]:
    return [
        tool(1, 0, 10 * size, call_id="a"),
        *(tool(2 + n, 1 + n, 2 + n, call_id="a", failed="auth") for n in range(size)),
    ]


def _native_mirrors(size: int) -> list[Span]:
    return [
        model(
            1 + n,
            n,
            n + 2 - n % 2,
            inside=size + 1,
            failed="timeout",
            native=bool(n % 2),
        )
        for n in range(size)
    ]


def _one_response(size: int) -> list[Span]:
    return [
        model(1, 0, 9),
        *(model(2 + n, n, n + 1, inside=1, response_id=b"r") for n in range(size)),
    ]


def _loops(size: int) -> list[Span]:
    return [tool(1 + n, n, n + 1, arguments="x") for n in range(size)]


SHAPES = [
    _mirrors,
    _native_mirrors,
    _one_response,
    _loops,
    _deep_tools,
    _deep_structure,
    _failing_tools,
    _parallel_tools,
    _failing_models,
    _nested_models,
    _other_models,
    _requests,
    _statements,
    _circle,
    _broken_clocks,
    _containers,
]


def lines_of(work: Callable[[], object]) -> int:
    """How many lines of Python it takes; every loop of ours counts its rounds."""
    count = 0

    def trace(frame: Any, event: str, argument: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("shape", SHAPES)
def test_twice_the_spans_take_twice_the_steps(shape):
    small, large = shape(150), shape(300)

    once = lines_of(lambda: derive(small))
    twice = lines_of(lambda: derive(large))

    assert twice <= 2.2 * once


@pytest.mark.soak
@pytest.mark.parametrize("shape", SHAPES)
def test_a_hundred_thousand_spans_are_derived(shape):
    assert derive(shape(100_000)) is not None
