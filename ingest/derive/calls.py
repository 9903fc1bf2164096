"""A draft as a call: every field of the record, and where it comes from.

Words come from the outermost and earliest span that says them; for whom and where from
the first span's context. Most calls are one span that says nothing special: ``_plain``
writes those down directly, and a test holds it to what ``_told`` makes of them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ingest.derive.attempts import (
    NONE,
    Attempts,
    count_attempts,
    coverage_of,
    failure_of,
)
from ingest.derive.drafts import CANCELLED, REFUSED, UNKNOWN, Draft
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
_SAID_ONCE = ("provider", "server", "policy_version", "rule", "decision", "lease")
_UNKNOWN_TARGET = "unknown"


# Failure class, refusal reason, message, attempts, attempt errors, last failed.
_Went = tuple[
    str | None, None, str | None, int, tuple[()] | tuple[tuple[str, int]], bool
]
_WENT_WELL: _Went = (None, None, None, 1, (), False)
# Latency, work, backoff, first token.
_Times = tuple[int | None, int | None, int | None, int | None]
_NO_TIMES: _Times = (None, None, None, None)


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
        or unit.inside
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
    tenant = context.any_tenant()
    usage = span.usage
    if usage is not None and draft.category not in _BILLED_BY_LEAVES:
        usage = of_tries(trace, draft.units[0])[0]
    outcome, went = _broken(draft, span) if span.failed else (OK, _WENT_WELL)
    timed: _Times = _NO_TIMES
    if outcome != CANCELLED_CALL:
        took = (end - start) // 1000
        timed = (took, took, span.backoff_us, span.ttft_us)
    response_id = b""
    if outcome == OK and draft.category is Category.MODEL:
        response_id = span.response_id
    lost = draft.repeats or went[-1]
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
        *went,
        *timed,
        usage,
        span.unpriced and _is_unpriced(usage, said=True),
        (usage.cost or 0) if usage is not None and lost else 0,
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


def _broken(draft: Draft, span: Span) -> tuple[str, _Went]:
    """The outcome of a single failed attempt."""
    failure = failure_of(span) or UNKNOWN
    cancelled = failure == CANCELLED
    outcome = CANCELLED_CALL if cancelled else FAILED
    if draft.answered_elsewhere:
        outcome = FALLBACK
    errors = () if cancelled else ((failure, 1),)
    return outcome, (failure, None, span.message, 1, errors, not cancelled)


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
    words = _words(trace, draft, spans)
    response_id = b""
    if answered and draft.category is Category.MODEL:
        response_id = _response_id(spans)
    rank: tuple[int, ...] = ()
    if response_id:
        context = trace.contexts[draft.units[0].head]
        native = any(span.native for span in spans)
        rank = _rank(context, words["tenant"], bill.usage, native=native)
    return Call(
        **words,
        outcome=outcome,
        failure_class=None if answered else verdict.final,
        refusal_reason=None if attempts.total else refusal_reason(spans),
        message=None if answered else _message(verdict, spans),
        attempts=attempts.total,
        attempt_errors=attempts.errors,
        last_failed=attempts.last_failed,
        latency_us=timing.latency_us,
        work_us=timing.work_us,
        backoff_us=timing.backoff_us,
        ttft_us=timing.ttft_us,
        usage=bill.usage,
        unpriced=bill.unpriced,
        wasted=bill.wasted,
        response_id=response_id,
        rank=rank,
    )


def _words(trace: Trace, draft: Draft, spans: list[Span]) -> dict[str, Any]:
    """What a call is about, whatever became of it."""
    head = draft.units[0].head
    first, context = trace.spans[head], trace.contexts[head]
    started, ended = span_of(trace, draft)
    return {
        "anchor": first.span_id,
        "kind": _KINDS[draft.category],
        "target": _target(trace, draft, spans),
        "service": first.service,
        "environment": first.environment,
        "started_ns": started,
        "ended_ns": ended,
        "tenant": context.any_tenant() or _first(spans, "tenant"),
        "agent": context.agent,
        "session": context.root_session or context.session,
        "user": context.user,
        "cache_hit": any(span.cache_hit for span in spans),
        "coverage": coverage_of(trace, draft),
        "skewed": is_skewed(trace, draft),
        "repeats": int(draft.repeats),
        **{word: _first(spans, word) for word in _SAID_ONCE},
    }


def _first(spans: list[Span], word: str) -> Any:
    for span in spans:
        said = getattr(span, word)
        if said is not None and said != "":
            return said
    return None


def _target(trace: Trace, draft: Draft, spans: list[Span]) -> str:
    """The requested name, else the one that answered."""
    head = draft.units[0].head
    # Where only a container told of usage, the name is that of an agent.
    named = trace.categories[head] is draft.category
    name: str | None = _first(spans, "name") if named else None
    return name or _first(spans, "response_model") or _UNKNOWN_TARGET


def _message(verdict: Verdict, spans: list[Span]) -> str | None:
    if verdict.unit.failure is not None and verdict.unit.failure.message:
        return verdict.unit.failure.message
    message: str | None = _first(spans[::-1], "message")
    return message


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


def _is_unpriced(usage: Usage | None, *, said: bool) -> bool:
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
        unpriced = unpriced or _is_unpriced(usage, said=said)
        if shown.failure is not None and shown.failure != CANCELLED:
            wasted += usage.cost or 0
    if draft.repeats and used is not None:
        wasted = used.cost or 0
    return _Bill(used, unpriced, wasted)


_BILLED_BY_LEAVES = frozenset({Category.MODEL, Category.EMBEDDING})
