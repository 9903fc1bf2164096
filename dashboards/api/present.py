"""Stored records as the JSON of the API; ``shapes`` says the same to the schema.

Times are ISO 8601 in UTC, durations milliseconds, money US dollars. ``null`` means that
nobody said, or that the question makes no sense; it never stands for zero.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from dashboards.api.fields import SECOND_NS
from dashboards.api.figures import Figures
from ingest.queries.calls import FoundCall
from ingest.queries.inventory import Service, Session, Target
from ingest.queries.traces import StoredSpan, StoredTrace
from ingest.records import Category, Coverage, Usage

JSON = dict[str, Any]
SPAN_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
STATUSES = ("unset", "ok", "error")
# Deeper than any exporter nests; a hostile one must not exhaust our stack.
DEEPEST = 20


def moment(ns: int) -> str | None:
    if not ns:
        return None
    seconds, rest = divmod(ns, SECOND_NS)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest // 1000:06d}Z"


def milliseconds(us: int | None) -> float | None:
    return None if us is None else us / 1000


def usd(nano: int | None) -> float | None:
    return None if nano is None else nano / 1_000_000_000


def tokens(usage: Usage | None) -> JSON | None:
    if usage is None:
        return None
    return {
        "input": usage.input,
        "output": usage.output,
        "cache_read": usage.cache_read,
        "cache_write": usage.cache_write,
        "reasoning": usage.reasoning,
    }


def call(found: FoundCall) -> JSON:
    made = found.call
    return {
        "id": found.id,
        "trace_id": found.trace_id,
        "kind": made.kind,
        "target": made.target,
        "service": made.service,
        "environment": made.environment,
        "tenant": made.tenant,
        "agent": made.agent,
        "session": made.session,
        "user": made.user,
        "outcome": made.outcome or None,
        "failure_class": made.failure_class,
        "refusal_reason": made.refusal_reason,
        "attempts": made.attempts,
        "started_at": moment(made.started_ns),
        "ended_at": moment(made.ended_ns),
        "latency_ms": milliseconds(made.latency_us),
        "work_ms": milliseconds(made.work_us),
        "backoff_ms": milliseconds(made.backoff_us),
        "tokens": tokens(made.usage),
        "cost_usd": usd(made.usage.cost) if made.usage else None,
        "policy_version": made.policy_version,
        "rule": made.rule,
    }


def call_in_full(found: FoundCall) -> JSON:
    made = found.call
    return call(found) | {
        "span_id": made.anchor.hex(),
        "counts": found.counts,
        "message": made.message,
        "provider": made.provider,
        "server": made.server,
        "attempt_errors": dict(made.attempt_errors),
        "ttft_ms": milliseconds(made.ttft_us),
        "wasted_usd": usd(made.wasted),
        "unpriced": made.unpriced,
        "cache_hit": made.cache_hit,
        "repeated": bool(made.repeats),
        "clock_skewed": made.skewed,
        "retry_coverage": made.coverage.name.lower(),
        "decision": made.decision,
        "lease": made.lease,
    }


def trace(found: StoredTrace, following: str | None) -> JSON:
    return {
        "trace_id": found.trace_id,
        "spans_shown": len(found.spans),
        "spans_total": found.spans_total,
        "calls_shown": len(found.calls),
        "calls_total": found.calls_total,
        "spans": [span(one) for one in found.spans],
        "calls": [call_in_full(one) for one in found.calls],
        "next": following,
    }


def span(found: StoredSpan) -> JSON:
    sent, known = found.message, found.understood
    start_ns, end_ns = sent.start_time_unix_nano, sent.end_time_unix_nano
    return {
        "span_id": known.span_id.hex(),
        "parent_id": known.parent_id.hex() or None,
        "name": sent.name,
        "kind": word(SPAN_KINDS, sent.kind),
        "category": Category(known.category).name.lower(),
        "service": known.service,
        "environment": known.environment,
        "scope": found.scope.name or None,
        "started_at": safe_moment(start_ns),
        "ended_at": safe_moment(end_ns),
        "duration_ms": (end_ns - start_ns) / 1e6 if end_ns >= start_ns else None,
        "status": word(STATUSES, sent.status.code),
        "message": sent.status.message or None,
        "failed": known.failed,
        "failure_class": known.failure_class,
        "attributes": attributes(sent.attributes),
        "resource": attributes(found.resource.attributes),
        "events": [
            {
                "name": event.name,
                "at": safe_moment(event.time_unix_nano),
                "attributes": attributes(event.attributes),
            }
            for event in sent.events
        ],
        "links": [
            {
                "trace_id": link.trace_id.hex(),
                "span_id": link.span_id.hex(),
                "attributes": attributes(link.attributes),
            }
            for link in sent.links
        ],
    }


def safe_moment(ns: int) -> str | None:
    """As sent, if a calendar has such a day: senders may write any 64 bits."""
    try:
        return moment(ns)
    except (OverflowError, ValueError):
        return None


def word(words: tuple[str, ...], number: int) -> str:
    return words[number] if 0 <= number < len(words) else words[0]


def attributes(sent: Any) -> JSON:
    return {key: value(sent[key]) for key in sorted(sent)}


def value(sent: Any, depth: int = 0) -> Any:
    """An ``AnyValue`` as JSON: bytes are hex, and infinities are words."""
    which = sent.WhichOneof("value")
    if which is None:
        return None
    inner = getattr(sent, which)
    if which in {"array_value", "kvlist_value"}:
        return several(inner.values, depth + 1)
    if which == "bytes_value":
        return inner.hex()
    if which == "double_value" and not math.isfinite(inner):
        return str(inner)
    return inner


def several(values: Any, depth: int) -> Any:
    if depth == DEEPEST:
        return "(nested too deeply)"
    if hasattr(values, "keys"):
        return {key: value(values[key], depth) for key in sorted(values)}
    return [value(one, depth) for one in values]


def target(both: tuple[Target, Figures]) -> JSON:
    found, beside = both
    return {
        "kind": found.kind,
        "target": found.target,
        "providers": found.providers,
        "environments": found.environments,
        "services": found.services,
    } | beside


def tenant(both: tuple[str, Figures]) -> JSON:
    name, beside = both
    return {"tenant": name} | beside


def service(both: tuple[Service, Figures]) -> JSON:
    found, beside = both
    return {
        "service": found.service,
        "environments": found.environments,
        "retry_coverage": {
            "explicit": found.coverage[Coverage.EXPLICIT],
            "inferred": found.coverage[Coverage.INFERRED],
            "invisible": found.coverage[Coverage.INVISIBLE],
        },
    } | beside


def session(found: Session) -> JSON:
    return {
        "session": found.session,
        "user": found.who,
        "tenant": found.tenant,
        "calls": found.calls,
        "errors": found.errors,
        "traces": found.traces,
        "first_at": moment(found.first_ns),
        "last_at": moment(found.last_ns),
    }
