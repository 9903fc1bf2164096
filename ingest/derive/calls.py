"""A draft as a call: every field of the record, and where it comes from.

Words come from the outermost and earliest span that says them; for whom and where from
the first span's context. Most calls are one span that says nothing special: ``_plain``
writes those down directly, and a test holds it to what ``_told`` makes of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from ingest.derive.attempts import (
    NONE,
    Attempts,
    count_attempts,
    coverage_of,
    failure_of,
)
from ingest.derive.drafts import CANCELLED, REFUSED, Draft
from ingest.derive.inherit import Context
from ingest.derive.outcome import (
    ANSWERED,
    CANCELLED_CALL,
    FAILED,
    FALLBACK,
    OK,
    Verdict,
    judge,
    outcome_of,
    refusal_reason,
)
from ingest.derive.timing import UNTIMED, is_skewed, span_of, time_call
from ingest.derive.trace import Trace
from ingest.derive.usage import fullness, of_tries, total
from ingest.records import CALL_CATEGORIES, Call, Category, Coverage, Span, Usage
from switchgear.policy.vocabulary import Kind

_KINDS = {category: Kind[category.name].value for category in CALL_CATEGORIES}
_UNKNOWN_TARGET = "unknown"


class _Bill(NamedTuple):
    usage: Usage | None
    unpriced: bool
    wasted: int


def finish(trace: Trace, draft: Draft) -> Call:
    span = _alone(trace, draft)
    return _told(trace, draft) if span is None else _plain(trace, draft, span)


def _alone(trace: Trace, draft: Draft) -> Span | None:
    """The only span of a call that ended and says nothing special."""
    unit = draft.units[0]
    head = unit.head
    if (
        len(draft.units) > 1
        or unit.wrap
        or len(unit.tries) > 1
        or len(unit.tries[0]) > 1
        or draft.usage is not None
        or head in trace.wire
        or head in trace.skewed
        or not trace.ends[head]
    ):
        return None
    span = trace.spans[head]
    if (
        span.attempts > 1
        or span.outcome is not None
        or span.decision is not None
        or span.refusal_reason is not None
        or span.failure_class == REFUSED
    ):
        return None
    return span


def _plain(trace: Trace, draft: Draft, span: Span) -> Call:
    head = draft.units[0].head
    start, end = trace.starts[head], trace.ends[head]
    context = trace.contexts[head]
    tenant = context.tenant or context.tenant_copy or context.tenant_resource
    took: int | None = (end - start) // 1000
    usage = span.usage
    if usage is not None and draft.category not in _BILLED_BY_LEAVES:
        usage = of_tries(trace, draft.units[0])[0]
    failure = failure_of(span)
    if failure is None:
        outcome = OK
    elif draft.answered_elsewhere:
        outcome = FALLBACK
    else:
        outcome = CANCELLED_CALL if failure == CANCELLED else FAILED
    timed = outcome != CANCELLED_CALL
    broke = failure is not None and failure != CANCELLED
    response_id = b""
    if failure is None and draft.category is Category.MODEL:
        response_id = span.response_id
    return Call(  # in packed order: naming 37 fields takes longer than all the rest
        span.span_id,
        _KINDS[draft.category],
        span.name or span.response_model or _UNKNOWN_TARGET,
        span.service,
        span.environment,
        start,
        end,
        outcome,
        span.provider,
        tenant,
        context.agent,
        context.root_session or context.session,
        context.user,
        span.server,
        failure,
        None,  # refusal_reason
        span.message if failure is not None else None,
        1,  # attempts
        ((failure, 1),) if broke and failure else (),
        broke,
        took if timed else None,  # latency
        took if timed else None,  # work
        span.backoff_us if timed else None,
        span.ttft_us if timed else None,
        usage,
        _is_unpriced(usage, span.unpriced),
        (usage.cost or 0) if usage and (broke or draft.repeats) else 0,
        span.cache_hit,
        response_id,
        _rank(context, tenant, usage, native=span.native) if response_id else (),
        Coverage.EXPLICIT if span.attempts or span.numbered else Coverage.INVISIBLE,
        False,  # skewed
        int(draft.repeats),
        span.policy_version,
        span.rule,
        None,  # decision
        span.lease,
    )


def _told(trace: Trace, draft: Draft) -> Call:
    verdict = judge(trace, draft)
    attempts = count_attempts(trace, draft, verdict.unit, verdict.final)
    if verdict.said == REFUSED:
        attempts = NONE
    outcome = outcome_of(draft, verdict, attempts.total)
    answered = outcome in ANSWERED
    shown = trace.categories[draft.units[0].head] is draft.category
    timed = shown and attempts.total > 0 and outcome != CANCELLED_CALL
    timing = time_call(trace, draft, attempts) if timed else UNTIMED
    bill = _bill(trace, draft, attempts)
    spans = [trace.spans[place] for unit in draft.units for place in unit.members()]
    call = _words(trace, draft, spans)
    response_id = b""
    if answered and draft.category is Category.MODEL:
        response_id = _response_id(spans)
    rank: tuple[int, ...] = ()
    if response_id:
        context = trace.contexts[draft.units[0].head]
        native = any(span.native for span in spans)
        rank = _rank(context, call.tenant, bill.usage, native=native)
    return replace(
        call,
        outcome=outcome,
        failure_class=None if answered else verdict.final,
        refusal_reason=None if attempts.total else refusal_reason(spans),
        message=None if answered else _message(verdict, spans),
        attempts=attempts.total,
        attempt_errors=attempts.errors,
        last_failed=attempts.last_failed,
        **timing._asdict(),
        **bill._asdict(),
        response_id=response_id,
        rank=rank,
    )


def _words(trace: Trace, draft: Draft, spans: list[Span]) -> Call:
    """What a call is about, before how it went."""
    head = draft.units[0].head
    first, context = trace.spans[head], trace.contexts[head]
    tenant = context.tenant or context.tenant_copy or context.tenant_resource
    started, ended = span_of(trace, draft)
    return Call(
        anchor=first.span_id,
        kind=_KINDS[draft.category],
        target=_target(trace, draft, spans),
        service=first.service,
        environment=first.environment,
        started_ns=started,
        ended_ns=ended,
        outcome=OK,
        provider=_first(span.provider for span in spans),
        tenant=tenant or _first(span.tenant for span in spans),
        agent=context.agent,
        session=context.root_session or context.session,
        user=context.user,
        server=_first(span.server for span in spans),
        cache_hit=any(span.cache_hit for span in spans),
        coverage=coverage_of(trace, draft),
        skewed=is_skewed(trace, draft),
        repeats=int(draft.repeats),
        policy_version=next(
            (one.policy_version for one in spans if one.policy_version is not None),
            None,
        ),
        rule=_first(span.rule for span in spans),
        decision=_first(span.decision for span in spans),
        lease=_first(span.lease for span in spans),
    )


def _first(words: Iterable[str | None]) -> str | None:
    return next((word for word in words if word), None)


def _target(trace: Trace, draft: Draft, spans: list[Span]) -> str:
    """The requested name, else the one that answered."""
    head = draft.units[0].head
    if trace.categories[head] is draft.category:
        name = _first(span.name for span in spans)
    else:
        name = None  # usage that only a container told: its name is an agent's
    return name or _first(span.response_model for span in spans) or _UNKNOWN_TARGET


def _message(verdict: Verdict, spans: list[Span]) -> str | None:
    if verdict.unit.failure is not None and verdict.unit.failure.message:
        return verdict.unit.failure.message
    return _first(span.message for span in reversed(spans))


def _response_id(spans: list[Span]) -> bytes:
    """That of the answer: the latest and innermost that did not fail."""
    for span in reversed(spans):
        if span.response_id and not span.failed:
            return span.response_id
    return b""


def _rank(
    context: Context, tenant: str | None, usage: Usage | None, *, native: bool
) -> tuple[int, ...]:
    return (
        int(context.run >= 0),
        int(tenant is not None),
        fullness(usage),
        int(native),
    )


def _is_unpriced(usage: Usage | None, said: bool) -> bool:
    return usage is not None and usage.cost is None and said


def _bill(trace: Trace, draft: Draft, attempts: Attempts) -> _Bill:
    """What all attempts used, and the cost of those that failed."""
    bills = {
        (unit.head, one): usage
        for unit in draft.units
        for one, usage in zip(unit.tries, of_tries(trace, unit), strict=True)
    }
    used, wasted, unpriced = draft.usage, 0, False
    if used is not None:
        unpriced = used.cost is None
    for shown in attempts.shown:
        usage = bills[(shown.unit.head, shown.one)]
        if usage is None:
            continue
        used = usage if used is None else total(used, usage)
        said = any(
            trace.spans[place].unpriced for place in (*shown.unit.wrap, *shown.one)
        )
        unpriced = unpriced or _is_unpriced(usage, said)
        if shown.failure is not None and shown.failure != CANCELLED:
            wasted += usage.cost or 0
    if draft.repeats and used is not None:
        wasted = used.cost or 0
    return _Bill(used, unpriced, wasted)


_BILLED_BY_LEAVES = frozenset({Category.MODEL, Category.EMBEDDING})
