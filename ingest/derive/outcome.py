"""How a call ended for its caller: the first outcome that holds, unless it was said.

ok, recovered, fallback, cancelled, refused, failed. What a span says explicitly beats
what we infer, with one exception: ``ok`` after several attempts is ``recovered``.
"""

from __future__ import annotations

from typing import NamedTuple

from ingest.derive.attempts import deciding_unit, failure_of, was_refused
from ingest.derive.drafts import CANCELLED, REFUSED, UNKNOWN, Draft, Unit
from ingest.derive.trace import Trace
from ingest.records import Span
from switchgear.policy.vocabulary import Outcome, RefusalReason

OK = Outcome.OK.value
RECOVERED = Outcome.RECOVERED.value
FALLBACK = Outcome.FALLBACK.value
FAILED = Outcome.FAILED.value
CANCELLED_CALL = Outcome.CANCELLED.value
_OUTCOMES = frozenset(word.value for word in Outcome)
_REASONS = frozenset(word.value for word in RefusalReason)
ANSWERED = frozenset({OK, RECOVERED})


class Verdict(NamedTuple):
    """``said`` is an explicit outcome; ``final`` the class the call ended with."""

    unit: Unit
    said: str | None
    final: str | None


def judge(trace: Trace, draft: Draft) -> Verdict:
    unit = deciding_unit(trace, draft)
    said = _said(trace, unit)
    failure = failure_of(unit.failure)
    if said in ANSWERED:
        final = None
    elif said == CANCELLED_CALL:
        final = CANCELLED
    elif said == REFUSED or was_refused(trace, unit):
        final = REFUSED
    elif said == FAILED:
        final = failure or UNKNOWN
    else:
        final = failure
    return Verdict(unit, said, final)


def _said(trace: Trace, unit: Unit) -> str | None:
    for member in (*unit.wrap, *unit.tries[-1]):
        span = trace.spans[member]
        if span.outcome in _OUTCOMES:
            return span.outcome
        if span.decision == FALLBACK:
            return FALLBACK
    return None


def outcome_of(draft: Draft, verdict: Verdict, attempts: int) -> str:
    if verdict.said is not None:
        if verdict.said == OK and attempts > 1 and len(draft.units) > 1:
            return RECOVERED
        return verdict.said
    if verdict.final is None:
        return OK if attempts == 1 else RECOVERED
    if draft.answered_elsewhere:
        return FALLBACK
    if verdict.final == CANCELLED:
        return CANCELLED_CALL
    return REFUSED if verdict.final == REFUSED else FAILED


def refusal_reason(spans: list[Span]) -> str | None:
    """Why nothing ran; asked only of calls without an attempt."""
    for span in spans:
        if span.refusal_reason in _REASONS:
            return span.refusal_reason
    return None
