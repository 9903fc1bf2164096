"""What a span is about: its name, its ids, what it used; one function per category."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from ingest.dialects import answer, categories, identity
from ingest.dialects.events import Told
from ingest.dialects.facts import Facts
from ingest.dialects.plan import Plan
from ingest.dialects.source import Source
from ingest.dialects.verdict import Verdict
from ingest.records import Category, Usage
from switchgear.policy.vocabulary import Kind

_SERVER = 2
_CACHE_DECISION = "cache"


class Draft(msgspec.Struct, gc=False):
    """A span half understood, and what ``describe`` finds out about it."""

    message: Any
    values: Any  # its attributes
    plan: Plan
    facts: Facts
    heard: Told
    went: Verdict
    source: Source
    start_ns: int
    end_ns: int
    future: bool
    # Of the record, as ``describe`` leaves them
    category: Category
    name: str = ""
    call_id: bytes = b""
    arguments: bytes = b""
    response_id: bytes = b""
    fallbacks: tuple[tuple[str, str], ...] = ()
    model_attempt: bool = False
    usage: Usage | None = None
    unpriced: bool = False
    ttft_us: int | None = None
    cache_hit: bool = False


def describe(draft: Draft) -> None:
    """Complete a draft, and its facts, with what the span is about."""
    facts = draft.facts
    if facts.own_call is not None:
        draft.call_id = identity.call_id(facts.own_call)
    _DESCRIBE[draft.category](draft, facts)
    if facts.cached or facts.decision == _CACHE_DECISION:
        draft.cache_hit = True
    if facts.fallback_from is not None:
        to = facts.fallback_to or draft.name
        draft.fallbacks = (*draft.heard.fallbacks, (facts.fallback_from, to))
    elif draft.heard.fallbacks:
        draft.fallbacks = draft.heard.fallbacks


def _tool(draft: Draft, facts: Facts) -> None:
    target = facts.target or (
        "" if facts.attempt is not None else identity.tool_name(draft.message.name)
    )
    draft.name, draft.category = identity.named_tool(target, draft.source.scope)
    if draft.category is Category.PSEUDO:
        return
    said = facts.tool_call or draft.heard.call_id
    if said is not None and facts.own_call is None:
        draft.call_id = identity.call_id(said)
    said = facts.tool_arguments or draft.heard.arguments
    if said is not None:
        draft.arguments = identity.arguments(said, draft.source.reading.fingerprint_key)
    if (
        facts.server is None
        and draft.message.kind == _SERVER
        and "mcp.method.name" in draft.values
    ):
        facts.server = draft.source.service
    _price(draft, facts)


def _model(draft: Draft, facts: Facts) -> None:
    name = draft.name = facts.request_model or facts.response_model or ""
    if (
        facts.reasoning is not None
        and draft.source.scope == categories.REASONING_TWICE_SCOPE
        and categories.REASONING_ONCE_MODEL not in name
    ):
        facts.output = max((facts.output or 0) - facts.reasoning, 0)
    if draft.category is Category.MODEL:
        if _prepares_only(draft, facts):
            draft.category = Category.STEP
            return
        if not draft.went.failed:
            # On failures some senders put an id of their own where this belongs.
            draft.response_id = identity.response_id(answer.response_id(facts))
        if categories.MODEL_ATTEMPT_KEY in draft.values:
            draft.model_attempt = True
    draft.ttft_us = answer.first_token_us(
        facts,
        draft.heard,
        start_ns=draft.start_ns,
        milliseconds=draft.source.milliseconds,
    )
    _price(draft, facts)


def _prepares_only(draft: Draft, facts: Facts) -> bool:
    """OpenInference's model spans without tokens and answer call nobody."""
    if draft.went.failed or facts.input is not None or facts.output is not None:
        return False
    return "openinference.span.kind" in draft.values and not any(
        key.startswith("llm.output_messages") for key in draft.values
    )


def _other_call(draft: Draft, facts: Facts) -> None:
    draft.name = (
        facts.target or facts.request_model or identity.tool_name(draft.message.name)
    )
    _price(draft, facts)


def _agent(draft: Draft, facts: Facts) -> None:
    draft.name = facts.agent or identity.agent_name(
        draft.message.name, native=draft.source.native
    )
    facts.agent = draft.name or None
    _container(draft, facts)


def _container(draft: Draft, facts: Facts) -> None:
    """Agents and steps restate what was used inside; deriving decides if it counts."""
    if facts.request_model is not None:
        facts.response_model = facts.request_model
    if draft.plan.tells_usage and (
        used := answer.usage(facts, failed=draft.went.failed)
    ):
        _bill(draft, facts, used)


def _http(draft: Draft, facts: Facts) -> None:
    address = (facts.url or "").partition("?")[0]
    draft.name = sys.intern(f"{facts.method or ''} {address}".strip())


def _nameless(draft: Draft, facts: Facts) -> None:
    pass


def _price(draft: Draft, facts: Facts) -> None:
    """What a call used and cost; some cost something without using tokens."""
    used = None
    if draft.plan.tells_usage:
        used = answer.usage(facts, failed=draft.went.failed)
    if used is not None or draft.source.reading.price_book.prices_calls:
        _bill(draft, facts, used)


def _bill(draft: Draft, facts: Facts, used: Usage | None) -> None:
    """Usage with a cost: reported, else from the price book, else unpriced."""
    if used is None or used.cost is None:
        cost = _cost(draft, facts, used)
        if cost is not None:
            used = Usage(cost=cost) if used is None else replace(used, cost=cost)
    if used is not None:
        draft.usage = used
        draft.unpriced = used.cost is None


def _cost(draft: Draft, facts: Facts, used: Usage | None) -> int | None:
    if draft.went.refusal or facts.decision == _CACHE_DECISION:
        return None
    start_ns, end_ns = draft.start_ns, draft.end_ns
    timed = 0 < start_ns <= end_ns and not draft.future
    return draft.source.reading.price_book.cost(
        kind=_KIND[draft.category],
        target=draft.name,
        at_ns=end_ns if timed else draft.source.received_ns,
        tokens=used,
        provider=facts.provider,
        model=facts.response_model or facts.request_model,
        lasted_ns=end_ns - start_ns if timed else None,
        units=facts.units,
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
_DESCRIBE: tuple[Callable[[Draft, Facts], None], ...] = tuple(
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
