"""A call in the making: its executions, each with the spans of its attempts.

    Draft (one call) -> Unit (one span as its caller saw it) -> try (one attempt)

A try is a tuple of span indexes, outermost first: an MCP client span and the server's
span are one try. ``wrap`` are the spans around the tries of a unit. A plain span is a
unit with itself as the only try.
"""

from __future__ import annotations

from collections.abc import Iterable

from ingest.records import Category, Span, Usage
from switchgear.policy.vocabulary import FailureClass

Try = tuple[int, ...]

CANCELLED = FailureClass.CANCELLED.value
REFUSED = FailureClass.REFUSED.value
UNKNOWN = FailureClass.UNKNOWN.value
_RAN = frozenset({"ok", "recovered", "failed", "cancelled"})
_LET_THROUGH = frozenset({"allow", "cache", "shadow_refuse"})
# How much a failure class says; the others say more.
_VAGUE = {None: 0, UNKNOWN: 0, FailureClass.TOOL_ERROR.value: 1, CANCELLED: 1}


class Unit:
    """One span as its caller saw it, with what it wraps.

    ``failure`` is the span that tells how it failed, ``None`` when it did not.
    ``extra`` is an attempt that no span shows: the one after the last failed leaf.
    """

    inside: tuple[Try, ...] = ()  # nothing: the span itself is the only try
    wrap: Try = ()
    extra = 0
    failure: Span | None = None

    def __init__(self, head: int) -> None:
        self.head = head

    @property
    def tries(self) -> tuple[Try, ...]:
        return self.inside or ((self.head,),)

    def members(self) -> Iterable[int]:
        yield from self.wrap
        for one in self.tries:
            yield from one


class Draft:
    """Units that are one call, in order of start.

    ``answered_elsewhere``: another target answered after this one failed or refused.
    ``matched`` is set when units were joined by something less than an id. ``usage``
    was reported around it, ``repeats`` is set by the loop rule.
    """

    matched = False
    answered_elsewhere = False
    usage: Usage | None = None
    repeats = False

    def __init__(self, category: Category, unit: Unit, call_id: bytes = b"") -> None:
        self.category = category
        self.units = [unit]
        self.call_id = call_id


def telling(spans: Iterable[Span]) -> Span | None:
    """The failed span that says most about the failure, the outermost of equals."""
    told, most = None, -1
    for span in spans:
        if span.failed:
            says = _VAGUE.get(span.failure_class, 2)
            if says > most:
                told, most = span, says
    return told


def is_refusal(span: Span) -> bool:
    """Nothing ran: a suppressed retry does not count, its first attempt did."""
    if span.attempts or span.outcome in _RAN or span.decision in _LET_THROUGH:
        return False
    return (
        span.refusal_reason is not None
        or span.decision == "refuse"
        or REFUSED in (span.failure_class, span.outcome)
    )


def broke(span: Span | None) -> bool:
    """Did it fail by itself: neither given up by the caller nor refused?"""
    return span is not None and span.failure_class != CANCELLED and not is_refusal(span)
