"""What a span is about: its name, its ids, what it used; one function per category."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec.structs import replace

from ingest.dialects import answer, categories, identity
from ingest.dialects.events import Told
from ingest.dialects.plan import Plan
from ingest.dialects.source import Source
from ingest.records import Category, Usage
from switchgear.policy.vocabulary import Kind

_SERVER = 2
_CACHE_DECISION = "cache"


class Seen(NamedTuple):
    """A span half understood: ``fields`` become the record."""

    message: Any
    values: Any  # its attributes
    plan: Plan
    category: Category
    fields: dict[str, Any]
    facts: dict[str, Any]
    heard: Told
    source: Source


def describe(seen: Seen) -> None:
    """Complete ``fields`` with what the span is about."""
    fields, facts = seen.fields, seen.facts
    fields["category"] = seen.category
    if "own_call" in facts:
        fields["call_id"] = identity.call_id(facts["own_call"])
    _DESCRIBE[seen.category](seen)
    if facts.get("cached") or fields.get("decision") == _CACHE_DECISION:
        fields["cache_hit"] = True
    said = facts.get("fallback_from")
    if said is not None:
        to = facts.get("fallback_to") or fields["name"]
        fields["fallbacks"] = (*seen.heard.fallbacks, (said, to))
    elif seen.heard.fallbacks:
        fields["fallbacks"] = seen.heard.fallbacks


def _tool(seen: Seen) -> None:
    fields, facts, heard = seen.fields, seen.facts, seen.heard
    target = facts.get("target") or (
        "" if "attempt" in facts else identity.tool_name(seen.message.name)
    )
    fields["name"], category = identity.named_tool(target, seen.source.scope)
    if category is Category.PSEUDO:
        fields["category"] = category
        return
    said = facts.get("tool_call") or heard.call_id
    if said is not None and "call_id" not in fields:
        fields["call_id"] = identity.call_id(said)
    said = facts.get("tool_arguments") or heard.arguments
    if said is not None:
        fields["arguments"] = identity.arguments(
            said, seen.source.reading.fingerprint_key
        )
    if seen.message.kind == _SERVER and "mcp.method.name" in seen.values:
        fields.setdefault("server", fields["service"])
    _price(seen)


def _model(seen: Seen) -> None:
    fields, facts = seen.fields, seen.facts
    failed = "failed" in fields
    name = facts.get("request_model") or fields.get("response_model") or ""
    fields["name"] = name
    if (
        "reasoning" in facts
        and seen.source.scope == categories.REASONING_TWICE_SCOPE
        and categories.REASONING_ONCE_MODEL not in name
    ):
        output = facts.get("output", 0)
        facts["output"] = max(output - facts["reasoning"], 0)
    if seen.category is Category.MODEL:
        if _prepares_only(seen, failed=failed):
            fields["category"] = Category.STEP
            return
        if not failed:
            # On failures some senders put an id of their own where this belongs.
            fields["response_id"] = identity.response_id(answer.response_id(facts))
        if categories.MODEL_ATTEMPT_KEY in seen.values:
            fields["model_attempt"] = True
    fields["ttft_us"] = answer.first_token_us(
        facts,
        seen.heard,
        start_ns=fields["start_ns"],
        milliseconds=seen.source.milliseconds,
    )
    _price(seen)


def _prepares_only(seen: Seen, *, failed: bool) -> bool:
    """OpenInference's model spans without tokens and answer call nobody."""
    if failed or "input" in seen.facts or "output" in seen.facts:
        return False
    return "openinference.span.kind" in seen.values and not any(
        key.startswith("llm.output_messages") for key in seen.values
    )


def _other_call(seen: Seen) -> None:
    fields, facts = seen.fields, seen.facts
    fields["name"] = (
        facts.get("target")
        or facts.get("request_model")
        or identity.tool_name(seen.message.name)
    )
    _price(seen)


def _agent(seen: Seen) -> None:
    fields = seen.fields
    name = fields.get("agent") or identity.agent_name(
        seen.message.name, native=seen.source.native
    )
    fields["name"] = name
    if name:
        fields["agent"] = name
    _container(seen)


def _container(seen: Seen) -> None:
    """Agents and steps restate what was used inside; deriving decides if it counts."""
    fields, facts = seen.fields, seen.facts
    fields.setdefault("name", "")
    if "request_model" in facts:
        fields["response_model"] = facts["request_model"]
    if seen.plan.tells_usage and (
        used := answer.usage(facts, failed="failed" in fields)
    ):
        _bill(seen, used)


def _http(seen: Seen) -> None:
    facts = seen.facts
    address = facts.get("url", "").partition("?")[0]
    seen.fields["name"] = sys.intern(f"{facts.get('method', '')} {address}".strip())


def _nameless(seen: Seen) -> None:
    seen.fields["name"] = ""


def _price(seen: Seen) -> None:
    """What a call used and cost; some cost something without using tokens."""
    fields, facts = seen.fields, seen.facts
    used = None
    if seen.plan.tells_usage:
        used = answer.usage(facts, failed="failed" in fields)
    if used is not None or seen.source.reading.price_book.prices_calls:
        _bill(seen, used)


def _bill(seen: Seen, used: Usage | None) -> None:
    """Usage with a cost: reported, else from the price book, else unpriced."""
    fields = seen.fields
    if used is None or used.cost is None:
        cost = _cost(seen, used)
        if cost is not None:
            used = Usage(cost=cost) if used is None else replace(used, cost=cost)
    if used is not None:
        fields["usage"] = used
        fields["unpriced"] = used.cost is None


def _cost(seen: Seen, used: Usage | None) -> int | None:
    fields, facts, source = seen.fields, seen.facts, seen.source
    if fields.get("refusal_reason") or fields.get("decision") == _CACHE_DECISION:
        return None
    start_ns, end_ns = fields["start_ns"], fields["end_ns"]
    timed = 0 < start_ns <= end_ns and not fields["future"]
    return source.reading.price_book.cost(
        kind=_KIND[seen.category],
        target=fields["name"],
        at_ns=end_ns if timed else source.received_ns,
        tokens=used,
        provider=fields.get("provider"),
        model=fields.get("response_model") or facts.get("request_model"),
        lasted_ns=end_ns - start_ns if timed else None,
        units=facts.get("units"),
    )


# By category; whatever is no call and has tokens restates a model's.
_KIND: tuple[str, ...] = tuple(
    {
        Category.TOOL: Kind.TOOL.value,
        Category.EMBEDDING: Kind.EMBEDDING.value,
        Category.RETRIEVAL: Kind.RETRIEVAL.value,
        Category.GUARDRAIL: Kind.GUARDRAIL.value,
    }.get(category, Kind.MODEL.value)
    for category in Category
)
_DESCRIBE: tuple[Callable[[Seen], None], ...] = tuple(
    {
        Category.TOOL: _tool,
        Category.MODEL: _model,
        Category.EMBEDDING: _model,
        Category.RETRIEVAL: _other_call,
        Category.GUARDRAIL: _other_call,
        Category.AGENT: _agent,
        Category.WORKFLOW: _container,
        Category.STEP: _container,
        Category.HTTP: _http,
    }.get(category, _nameless)
    for category in Category
)
