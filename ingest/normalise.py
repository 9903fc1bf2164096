"""Span messages of any dialect -> our own records.

``normalise`` never raises on what a sender wrote: a span it cannot take is counted by
reason and removed from the message, so that positions in the stored body match. Every
attribute key of a span is looked at once. What is read per resource and per scope is
read once there.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ingest.dialects import attributes, categories, identity, plan, subject
from ingest.dialects.events import NOTHING, told
from ingest.dialects.readers import word
from ingest.dialects.source import Reading, Source
from ingest.dialects.tries import SILENCE, Tries, tries
from ingest.dialects.verdict import FINE, judge, may_tell
from ingest.records import Span

__all__ = ["Normalised", "Reading", "normalise"]

UNNAMED_SERVICE = "unknown_service"
DEFAULT_ENVIRONMENT = "default"
FUTURE_NS = 300 * 10**9
_TRACE_ID, _SPAN_ID = 16, 8
_NO_TRACE_ID, _NO_SPAN_ID = bytes(_TRACE_ID), bytes(_SPAN_ID)
# A clock before this is no clock.
_FIRST_VALID_NS = 946_684_800 * 10**9
_LAST_NS = 2**63 - 1
_STATUS_ERROR = 2

# Ids of trace, span and parent, start and end as sent: what needs no dialect, fetched
# once, because each look into a message costs as much as a call.
Frame: TypeAlias = tuple[bytes, bytes, bytes, int, int]


@dataclass(frozen=True, slots=True)
class Normalised:
    """Spans in the order of the request, and what was removed from it."""

    spans: list[Span] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)


def normalise(request: Any, reading: Reading, *, received_ns: int) -> Normalised:
    """Understand every span of a request; remove those that cannot be taken."""
    done = Normalised()
    for resource_spans in request.resource_spans:
        values = resource_spans.resource.attributes
        service = _first(values, attributes.SERVICE) or UNNAMED_SERVICE
        environment = _first(values, attributes.ENVIRONMENT)
        tenant = None
        if reading.tenant is None:
            tenant = _first(values, attributes.RESOURCE_TENANT)
        for scope_spans in resource_spans.scope_spans:
            scope = scope_spans.scope.name
            source = Source(
                reading=reading,
                dictionary=plan.dictionary(reading.tenant_keys),
                received_ns=received_ns,
                latest_ns=received_ns + FUTURE_NS,
                service=service,
                environment=environment,
                tenant=tenant,
                scope=scope,
                native=scope.startswith(categories.NATIVE_SCOPES),
                milliseconds=scope in categories.MILLISECOND_SCOPES,
            )
            _take(scope_spans.spans, source, done)
    return done


def _first(values: Any, keys: tuple[str, ...]) -> str | None:
    for key in keys:
        value = values.get(key)
        if value is not None and (found := word(value)):
            return found
    return None


def _take(spans: Any, source: Source, done: Normalised) -> None:
    refused = set()
    oldest_ns = source.reading.oldest_ns
    for position, message in enumerate(spans):
        frame = (
            message.trace_id,
            message.span_id,
            message.parent_span_id,
            message.start_time_unix_nano,
            message.end_time_unix_nano,
        )
        reason = _reason_to_refuse(frame, oldest_ns)
        if reason is None:
            done.spans.append(_span(message, frame, source))
        else:
            refused.add(position)
            done.rejected[reason] += 1
    if refused:
        # One by one would be quadratic, and the sender decides how many there are.
        kept = [span for place, span in enumerate(spans) if place not in refused]
        del spans[:]
        spans.extend(kept)


def _reason_to_refuse(frame: Frame, oldest_ns: int) -> str | None:
    trace_id, span_id, parent_id, start_ns, end_ns = frame
    if len(trace_id) != _TRACE_ID:
        return "trace_id_invalid"
    if trace_id == _NO_TRACE_ID:
        return "trace_id_zero"
    if len(span_id) != _SPAN_ID:
        return "span_id_invalid" if span_id else "span_id_missing"
    if span_id == _NO_SPAN_ID:
        return "span_id_zero"
    if len(parent_id) not in (0, _SPAN_ID):
        return "parent_id_invalid"
    return "too_old" if _FIRST_VALID_NS <= (end_ns or start_ns) < oldest_ns else None


def _span(message: Any, frame: Frame, source: Source) -> Span:
    """One span, understood: its category first, because it decides what is read."""
    values, events, status = message.attributes, message.events, message.status
    known = source.dictionary.plan(values)
    category = identity.category(message, known, values)
    facts = known.reads[category](values)
    heard = told(events) if len(events) else NOTHING
    went, tried = FINE, SILENCE
    if (
        known.tells_failure
        or status.code == _STATUS_ERROR
        or heard.exception_type
        or may_tell(facts.result)
    ):
        went = judge(category, facts, status, heard, source.scope)
    if known.tells_attempts or heard.retries:
        tried = tries(category, facts, heard)
    _, _, _, start_ns, end_ns = frame
    future = start_ns > source.latest_ns or end_ns > source.latest_ns
    if future:
        start_ns, end_ns = min(start_ns, _LAST_NS), min(end_ns, _LAST_NS)
    # fmt: off
    draft = subject.Draft(
        message, values, known, facts, heard, went, source,
        start_ns, end_ns, future, category,
    )
    # fmt: on
    subject.describe(draft)
    return _record(frame, draft, tried, weight=len(values) + len(events))


def _record(frame: Frame, draft: subject.Draft, tried: Tries, weight: int) -> Span:
    """Everything in its place of ``Span``; by name it would take a microsecond more."""
    trace_id, span_id, parent_id, _, _ = frame
    source, facts, went = draft.source, draft.facts, draft.went
    bound = source.reading.tenant
    if bound is not None:
        # A key that is bound to a tenant speaks for it alone.
        facts.tenant, facts.tenant_copy = bound, None
    # fmt: off
    return Span(
        trace_id, span_id, parent_id if parent_id != _NO_SPAN_ID else b"",
        draft.start_ns, draft.end_ns, source.received_ns, weight, draft.category,
        # Who and where
        source.service,
        source.environment or facts.environment_said or DEFAULT_ENVIRONMENT,
        draft.name, facts.provider, facts.server, facts.agent,
        facts.tenant, facts.tenant_copy, source.tenant, facts.session, facts.user,
        # Identity of what it did
        draft.call_id, draft.arguments, draft.response_id,
        # How it went
        went.failed, went.failure_class, went.message, went.refusal,
        facts.outcome, facts.decision, draft.fallbacks,
        # Evidence about attempts
        tried.attempts, tried.numbered, tried.backoff_us, draft.model_attempt,
        # Model calls
        facts.response_model, draft.usage, draft.unpriced, draft.ttft_us,
        source.native, draft.cache_hit,
        # Rules in force
        facts.policy_version, facts.rule, facts.lease,
        draft.future,
    )
    # fmt: on
