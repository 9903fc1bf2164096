"""Span messages of any dialect -> our own records.

``normalise`` never raises on what a sender wrote: a span it cannot take is counted by
reason and removed from the message, so that positions in the stored body match. Every
attribute key of a span is looked at once. What is read per resource and per scope is
read once there.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ingest.dialects import answer, attributes, categories, identity, tries, verdict
from ingest.dialects.events import NOTHING, Told, told
from ingest.dialects.plan import Dictionary, Plan, dictionary
from ingest.dialects.readers import word
from ingest.prices import PriceBook
from ingest.records import Category, Span, Usage

DEFAULT_ENVIRONMENT = "default"
_TRACE_ID, _SPAN_ID = 16, 8
_NO_TRACE_ID, _NO_SPAN_ID = bytes(_TRACE_ID), bytes(_SPAN_ID)
# A clock before this is no clock.
_FIRST_VALID_NS = 946_684_800 * 10**9
_LAST_NS = 2**63 - 1
_SERVER = 2
_STATUS_ERROR = 2
_TOOLS = frozenset({Category.TOOL, Category.PSEUDO})
_MODELS = frozenset({Category.MODEL, Category.EMBEDDING, Category.RETRIEVAL})
_CONTAINERS = frozenset({Category.AGENT, Category.WORKFLOW, Category.STEP})


@dataclass(frozen=True, slots=True)
class Reading:
    """What a project decides about how its spans are read."""

    project_id: int
    tenant: str | None  # the key is bound to it
    tenant_keys: tuple[str, ...]
    fingerprint_key: bytes
    price_book: PriceBook
    oldest_ns: int  # spans that ended before are refused


@dataclass(frozen=True, slots=True)
class Normalised:
    """Spans in the order of the request, and what was removed from it."""

    spans: list[Span]
    rejected: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Source:
    """What all spans of one scope have in common."""

    reading: Reading
    dictionary: Dictionary
    received_ns: int
    service: str
    environment: str | None
    tenant: str | None
    scope: str
    native: bool
    milliseconds: bool


def normalise(request: Any, reading: Reading, *, received_ns: int) -> Normalised:
    """Understand every span of a request; remove those that cannot be taken."""
    done = Normalised([])
    known = dictionary(reading.tenant_keys)
    for resource_spans in request.resource_spans:
        of_resource = _resource(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            scope = scope_spans.scope.name
            source = _Source(
                reading,
                known,
                received_ns,
                *of_resource,
                scope,
                native=scope.startswith(categories.NATIVE_SCOPES),
                milliseconds=scope in categories.MILLISECOND_SCOPES,
            )
            _take(scope_spans.spans, source, done)
    return done


def _resource(values: Any) -> tuple[str, str | None, str | None]:
    """Service, environment and tenant of a resource."""
    service = _first(values, attributes.SERVICE) or "unknown_service"
    environment = _first(values, attributes.ENVIRONMENT)
    return service, environment, _first(values, attributes.RESOURCE_TENANT)


def _first(values: Any, keys: tuple[str, ...]) -> str | None:
    for key in keys:
        value = values.get(key)
        if value is not None and (found := word(value)):
            return found
    return None


def _take(spans: Any, source: _Source, done: Normalised) -> None:
    refused = []
    oldest_ns = source.reading.oldest_ns
    for position, span in enumerate(spans):
        reason = _refusal(span, oldest_ns)
        if reason is None:
            done.spans.append(_span(span, source))
        else:
            refused.append(position)
            done.rejected[reason] += 1
    for position in reversed(refused):
        del spans[position]


def _refusal(span: Any, oldest_ns: int) -> str | None:
    trace_id, span_id = span.trace_id, span.span_id
    if len(trace_id) != _TRACE_ID:
        return "trace_id_length"
    if trace_id == _NO_TRACE_ID:
        return "trace_id_zero"
    if len(span_id) != _SPAN_ID:
        return "span_id_length"
    if span_id == _NO_SPAN_ID:
        return "span_id_zero"
    at = span.end_time_unix_nano or span.start_time_unix_nano
    return "too_old" if _FIRST_VALID_NS <= at < oldest_ns else None


def _span(span: Any, source: _Source) -> Span:
    """One span, understood: its category first, because it decides what is read."""
    values, events = span.attributes, span.events
    plan = source.dictionary.plan(values)
    category = identity.category(span, plan, values)
    facts = _read(plan, category, values)
    heard = told(events) if len(events) else NOTHING
    get = facts.get
    name = _name(span, category, facts, source)
    if category is Category.TOOL and identity.is_pseudo(name, source.scope):
        category = Category.PSEUDO
    went = (
        verdict.judge(category, facts, span.status, heard, source.scope)
        if plan.tells_failure
        or "result" in facts
        or heard.exception_type
        or span.status.code == _STATUS_ERROR
        else verdict.FINE
    )
    if category is Category.MODEL and _prepares_only(facts, values, went.failed):
        category = Category.STEP
    start_ns = min(span.start_time_unix_nano, _LAST_NS)
    end_ns = min(span.end_time_unix_nano, _LAST_NS)
    tried = tries.tries(category, facts, heard)
    used = _usage(category, name, facts, went.failed, start_ns, end_ns, source)
    parent_id = span.parent_span_id
    bound = source.reading.tenant
    return Span(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_id=parent_id if parent_id != _NO_SPAN_ID else b"",
        start_ns=start_ns,
        end_ns=end_ns,
        received_ns=source.received_ns,
        weight=len(values) + len(events),
        category=category,
        service=source.service,
        environment=source.environment or get("environment") or DEFAULT_ENVIRONMENT,
        name=name,
        provider=get("provider"),
        server=_server(span, category, facts, values, source),
        agent=name if category is Category.AGENT and name else get("agent"),
        tenant=bound or get("tenant"),
        tenant_copy=None if bound else get("tenant_copy"),
        tenant_resource=None if bound else source.tenant,
        session=get("session"),
        user=get("user"),
        call_id=_call_id(category, facts, heard),
        arguments=_arguments(category, facts, heard, source.reading.fingerprint_key),
        response_id=_response_id(category, facts, went.failed),
        failed=went.failed,
        failure_class=went.failure_class,
        message=went.message,
        refusal_reason=went.refusal,
        outcome=get("outcome"),
        decision=get("decision"),
        fallbacks=_fallbacks(name, facts, heard),
        attempts=tried.attempts,
        numbered=tried.numbered,
        backoff_us=tried.backoff_us,
        model_attempt=category is Category.MODEL
        and categories.MODEL_ATTEMPT_KEY in values,
        response_model=get("response_model"),
        usage=used,
        unpriced=used is not None and used.cost is None,
        ttft_us=answer.first_token_us(
            facts, heard, start_ns=start_ns, milliseconds=source.milliseconds
        ),
        native=source.native,
        cache_hit=get("decision") == "cache" or get("cache_hit") is True,
        policy_version=get("policy_version"),
        rule=get("rule"),
        lease=get("lease"),
    )


def _read(plan: Plan, category: Category, values: Any) -> dict[str, Any]:
    """The facts of a span: for every field the first alias with a usable value."""
    facts = {}
    for name, read, key, others in plan.steps[category]:
        found = read(values[key])
        if found is None:
            for other, read_other in others:
                found = read_other(values[other])
                if found is not None:
                    break
            else:
                continue
        facts[name] = found
    return facts


def _name(span: Any, category: Category, facts: dict[str, Any], source: _Source) -> str:
    """What the span is about: target, agent, or method and address."""
    if category is Category.TOOL:
        return facts.get("target") or identity.tool_name(span.name)
    if category in (Category.MODEL, Category.EMBEDDING):
        return facts.get("request_model") or facts.get("response_model") or ""
    if category is Category.RETRIEVAL or category is Category.GUARDRAIL:
        return (
            facts.get("target")
            or facts.get("request_model")
            or identity.tool_name(span.name)
        )
    if category is Category.AGENT:
        return facts.get("agent") or identity.agent_name(
            span.name, native=source.native
        )
    if category is Category.HTTP:
        url = facts.get("url", "").partition("?")[0]
        return sys.intern(f"{facts.get('method', '')} {url}".strip())
    return ""


def _prepares_only(facts: dict[str, Any], values: Any, failed: bool) -> bool:
    """OpenInference's model spans without tokens and answer call nobody."""
    if failed or "input" in facts or "output" in facts:
        return False
    kind = values.get("openinference.span.kind")
    return kind is not None and not any(
        key.startswith("llm.output_messages") for key in values
    )


def _server(
    span: Any, category: Category, facts: dict[str, Any], values: Any, source: _Source
) -> str | None:
    """The MCP server of a tool: named, or the service that answers the request."""
    if category is not Category.TOOL:
        return None
    if span.kind == _SERVER and "mcp.method.name" in values:
        return facts.get("server") or source.service
    return facts.get("server")


def _call_id(category: Category, facts: dict[str, Any], heard: Told) -> bytes:
    if category not in _TOOLS:
        return b""
    return identity.call_id(facts.get("call_id") or heard.call_id)


def _arguments(
    category: Category, facts: dict[str, Any], heard: Told, key: bytes
) -> bytes:
    if category is not Category.TOOL:
        return b""
    said = facts.get("arguments")
    return identity.arguments(heard.arguments if said is None else said, key)


def _response_id(category: Category, facts: dict[str, Any], failed: bool) -> bytes:
    """Only of answers: on failures some senders write an id of their own there."""
    if failed or category is not Category.MODEL:
        return b""
    return identity.response_id(answer.response_id(facts))


def _fallbacks(
    name: str, facts: dict[str, Any], heard: Told
) -> tuple[tuple[str, str], ...]:
    said = facts.get("fallback_from")
    if said is None:
        return heard.fallbacks
    return (*heard.fallbacks, (said, facts.get("fallback_to") or name))


def _usage(
    category: Category,
    name: str,
    facts: dict[str, Any],
    failed: bool,
    start_ns: int,
    end_ns: int,
    source: _Source,
) -> Usage | None:
    """What the span used, with a cost where anybody knows one."""
    if category in _MODELS or category in _CONTAINERS:
        used = answer.usage(facts, failed=failed)
    else:
        used = None
    return used
