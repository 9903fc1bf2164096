"""Hand-made spans for the tables of the deriving tests: ids and times in small numbers.

Times are milliseconds after ``T0``; ids are numbers, 0 for no parent.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from ingest.derive import derive
from ingest.records import Call, Category, Span, Usage

T0 = 1_795_000_000 * 10**9
MS = 10**6
RECEIVED = T0 + 3_600 * 10**9
TRACE = b"t" * 16


def identity(number: int) -> bytes:
    return number.to_bytes(8, "big") if number else b""


def at(ms: float) -> int:
    return T0 + int(ms * MS)


def span(
    number: int,
    start: float,
    end: float | None,
    *,
    inside: int = 0,
    category: Category = Category.OTHER,
    name: str = "",
    failed: str | bool = False,
    **fields: Any,
) -> Span:
    """``failed`` is a failure class; ``end`` None is a span that still runs."""
    if failed:
        fields |= {
            "failed": True,
            "failure_class": failed if failed is not True else None,
        }
    if isinstance(fields.get("call_id"), str):
        fields["call_id"] = fields["call_id"].encode()
    if isinstance(fields.get("arguments"), str):
        fields["arguments"] = fields["arguments"].encode()
    return Span(
        **{
            "trace_id": TRACE,
            "span_id": identity(number),
            "parent_id": identity(inside),
            "start_ns": at(start),
            "end_ns": 0 if end is None else at(end),
            "received_ns": RECEIVED,
            "weight": 3,
            "category": category,
            "service": "agents",
            "environment": "default",
            "name": name,
            **fields,
        }
    )


def tool(number: int, start: float, end: float | None, **fields: Any) -> Span:
    return span(
        number, start, end, category=Category.TOOL, **{"name": "search", **fields}
    )


def model(number: int, start: float, end: float | None, **fields: Any) -> Span:
    return span(
        number, start, end, category=Category.MODEL, **{"name": "gpt-4o", **fields}
    )


def agent(number: int, start: float, end: float | None, **fields: Any) -> Span:
    return span(
        number, start, end, category=Category.AGENT, **{"name": "planner", **fields}
    )


def http(number: int, start: float, end: float | None, **fields: Any) -> Span:
    fields = {"name": "POST http://crm/search", **fields}
    return span(number, start, end, category=Category.HTTP, **fields)


def stirred(spans: list[Span], salt: bytes) -> list[Span]:
    """Another order, the same on every run."""
    return sorted(spans, key=lambda one: blake2b(one.span_id, salt=salt).digest())


def used(given: int, answered: int, **fields: int | None) -> Usage:
    return Usage(input=given, output=answered, **fields)


def only(spans: list[Span]) -> Call:
    (call,) = derive(spans)
    return call


def told(spans: list[Span]) -> dict[str, tuple[str, int, int]]:
    """Per anchor (as a number, with the target): outcome, attempts, failed attempts."""
    return {
        f"{int.from_bytes(call.anchor, 'big')} {call.target}": (
            call.outcome,
            call.attempts,
            sum(count for _, count in call.attempt_errors),
        )
        for call in derive(spans)
    }
