"""Spans to store, and what a project looks like once they are stored."""

from __future__ import annotations

from itertools import count

import zstandard
from hypothesis import strategies as st

from ingest import callrows
from ingest.records import Batch, Category, Span, Usage, pack_spans
from ingest.rollup import COUNTERS, REASON_COUNTERS

BASE_NS = 1_795_000_000 * 10**9
SECOND = 10**9
numbers = count(100_000)

# Weighted towards what interacts: calls inside calls, models that share an answer.
CATEGORIES = [
    Category.TOOL,
    Category.TOOL,
    Category.MODEL,
    Category.MODEL,
    Category.AGENT,
    Category.HTTP,
    Category.OTHER,
]


def new_project() -> int:
    return next(numbers)


def batch(project: int, spans: list[Span], *, received_ns: int = BASE_NS) -> Batch:
    facts = zstandard.compress(pack_spans(spans), 1)
    return Batch(project, received_ns, spans, b"wire", facts)


def span(number: int = 1, *, trace: int = 1, parent: int = 0, **fields) -> Span:
    known = {
        "trace_id": trace.to_bytes(16, "big"),
        "span_id": number.to_bytes(8, "big"),
        "parent_id": parent.to_bytes(8, "big") if parent else b"",
        "start_ns": BASE_NS - 10 * SECOND,
        "end_ns": BASE_NS - 5 * SECOND,
        "received_ns": BASE_NS,
        "weight": 3,
        "category": Category.TOOL,
        "service": "shop",
        "environment": "default",
        "name": "search",
    }
    return Span(**known | fields)


@st.composite
def spans(draw, *, traces: int = 2, most: int = 7) -> list[Span]:
    """Trees of all kinds of spans, some seen in progress first, some broken."""
    found: list[Span] = []
    for trace in range(1, draw(st.integers(1, traces)) + 1):
        for number in range(1, draw(st.integers(1, most)) + 1):
            found += draw(versions(trace, number))
    return found


@st.composite
def versions(draw, trace: int, number: int) -> list[Span]:
    category = draw(st.sampled_from(CATEGORIES))
    model = category is Category.MODEL
    failed = draw(st.booleans())
    start = BASE_NS - draw(st.integers(0, 40)) * SECOND
    final = span(
        number,
        trace=trace,
        parent=draw(st.integers(0, number - 1)),
        category=category,
        start_ns=start,
        end_ns=start + draw(st.integers(0, 12)) * SECOND // 2,
        name=draw(st.sampled_from(["", "search", "gpt-5"])),
        service=draw(st.sampled_from(["shop", "desk"])),
        tenant=draw(st.sampled_from([None, None, "acme"])),
        session=draw(st.sampled_from([None, "s1"])),
        call_id=draw(st.sampled_from([b"", b"call-one"])),
        failed=failed,
        failure_class=draw(st.sampled_from(["timeout", "tool_error"]))
        if failed
        else None,
        message="it broke" if failed else None,
        attempts=draw(st.sampled_from([0, 0, 2])),
        numbered=draw(st.booleans()),
        response_id=draw(st.sampled_from([b"", b"r" * 16, b"q" * 16]))
        if model
        else b"",
        usage=Usage(input=draw(st.integers(0, 9)), output=3, cost=17)
        if model and draw(st.booleans())
        else None,
    )
    earlier = span(
        number,
        trace=trace,
        category=category,
        start_ns=start,
        end_ns=0,
        weight=1,
        tenant=draw(st.sampled_from([None, "other"])),
    )
    return [earlier, final] if draw(st.booleans()) else [final]


def calls_of(store, project: int) -> list[tuple]:
    """Every call with its trace, and whether it is the one that counts."""
    with store.read() as tx:
        rows = tx.select(
            f"SELECT {','.join(callrows.READ)}, t.trace_id, r.winner "  # noqa: S608
            f"FROM {callrows.SOURCE} JOIN ingest_trace t ON t.id = c.trace_id "
            "WHERE c.project_id=%s",
            (project,),
        )
    found = [
        (
            bytes(row[-2]),
            row[3],
            callrows.stored_call(row[:-2]).call,
            row[-1] is None or row[-1] == row[0],
        )
        for row in rows
    ]
    return sorted(found, key=lambda each: each[:2])


WORDS = (
    "s.environment, s.kind, s.target, s.provider, s.service, s.tenant, s.agent, "
    "x.bucket"
)


def numbers_of(store, project: int) -> dict[tuple, tuple]:
    """The sums over all writers of the 10 s rows, without what sums to nothing."""
    sums = ",".join(f"CAST(sum(x.{name}) AS bigint)" for name in COUNTERS)
    reasons = ",".join(f"CAST(sum(x.{name}) AS bigint)" for name in REASON_COUNTERS)
    with store.read() as tx:
        ticks = tx.select(
            f"SELECT {WORDS}, {sums} FROM ingest_tick x "  # noqa: S608
            "JOIN ingest_series s ON s.id = x.series_id "
            f"WHERE s.project_id=%s GROUP BY {WORDS}",
            (project,),
        )
        by_reason = tx.select(
            f"SELECT {WORDS}, x.reason, {reasons} FROM ingest_tick_reason x "  # noqa: S608
            "JOIN ingest_series s ON s.id = x.series_id "
            f"WHERE s.project_id=%s GROUP BY {WORDS}, x.reason",
            (project,),
        )
    found = {row[:8]: row[8:] for row in ticks}
    found |= {row[:9]: row[9:] for row in by_reason}
    return {words: sums for words, sums in found.items() if any(sums)}
