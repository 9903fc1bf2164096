"""The rules that the project Demo begins with: a few of each kind that helps. Data.

They are made once. From then on they belong to whoever edits them on the board.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

# What a rule says, and why it is there.
Reasoned = tuple[dict[str, Any], str]


def first_rules(now: datetime) -> tuple[Reasoned, ...]:
    return (*LASTING, switch_off_openai(now + timedelta(hours=23)))


def switch_off_openai(ends: datetime) -> Reasoned:
    """Ready to be flipped by who does not want to wait for an outage."""
    document = {
        "id": "openai-off",
        "kind": "kill_switch",
        "mode": "off",
        "selector": {"kind": "model", "provider": "openai"},
        "effect": "fallback",
        "message": "OpenAI is switched off.",
        "expires_at": f"{ends:%Y-%m-%dT%H:%M:%SZ}",
        "owner": "platform",
    }
    return document, "Enforce it to see the fallbacks answer"


LASTING: tuple[Reasoned, ...] = (
    (
        {
            "id": "retry-transient",
            "kind": "retry",
            "tier": "default",
            "max_attempts": 3,
            "wait_duration_ms": 200,
            "retry_budget_percent": 50,
            "owner": "platform",
        },
        "What may pass is tried again, but never what may have had an effect",
    ),
    (
        {
            "id": "timeout-tools",
            "kind": "timeout",
            "tier": "default",
            "selector": {"kind": "tool"},
            "timeout_ms": 8_000,
            "owner": "platform",
        },
        "Nobody waits longer for a tool",
    ),
    (
        {
            "id": "breaker-payments",
            "kind": "circuit_breaker",
            "selector": {"target": {"glob": "payments.*"}},
            "minimum_number_of_calls": 5,
            "wait_duration_in_open_state_ms": 10_000,
            "owner": "payments",
        },
        "A payment server that is down is not helped by more requests",
    ),
    (
        {
            "id": "breaker-search",
            "kind": "circuit_breaker",
            "selector": {"target": "search.web"},
            "minimum_number_of_calls": 10,
            "wait_duration_in_open_state_ms": 10_000,
            "owner": "research",
        },
        "Leave the search provider alone while it fails",
    ),
    (
        {
            "id": "breaker-models",
            "kind": "circuit_breaker",
            "selector": {"kind": "model"},
            "minimum_number_of_calls": 8,
            "wait_duration_in_open_state_ms": 10_000,
            "scope": ["kind", "target", "provider"],
            "owner": "platform",
        },
        "Go to the fallback at once when a model is down",
    ),
    (
        {
            "id": "fallback-gpt-4o",
            "kind": "fallback",
            "selector": {"kind": "model", "target": "gpt-4o"},
            "chain": [{"target": "gpt-4o-mini"}, {"target": "claude-haiku-4-5"}],
            "owner": "support",
        },
        "The small sister first, it knows our prompts; then another provider",
    ),
    (
        {
            "id": "fallback-gpt-4o-mini",
            "kind": "fallback",
            "selector": {"kind": "model", "target": "gpt-4o-mini"},
            "chain": [{"target": "claude-haiku-4-5"}],
            "owner": "support",
        },
        "Customers get an answer when OpenAI is down",
    ),
    (
        {
            "id": "fallback-sonnet",
            "kind": "fallback",
            "selector": {"kind": "model", "target": "claude-sonnet-4-5"},
            "chain": [{"target": "gpt-4o"}],
            "owner": "research",
        },
        "Research goes on when Anthropic is down",
    ),
    (
        {
            "id": "fallback-search",
            "kind": "fallback",
            "selector": {"kind": "tool", "target": "search.web"},
            "chain": [{"target": "docs.lookup"}],
            "owner": "research",
        },
        "What we know ourselves is better than nothing",
    ),
    (
        {
            "id": "code-per-tenant",
            "kind": "rate_limit",
            "selector": {"target": "code.run"},
            "limit": 5,
            "period_s": 60,
            "burst": 2,
            "per": ["tenant"],
            "owner": "platform",
        },
        "One tenant must not keep the sandboxes from all others",
    ),
    (
        {
            "id": "mail-per-tenant",
            "kind": "quota",
            "selector": {"target": "mail.send"},
            "unit": "calls",
            "limit": "30",
            "window": {"period": "PT15M"},
            "per": ["tenant"],
            "owner": "support",
        },
        "What our mail provider allows per customer",
    ),
    (
        {
            "id": "research-in-circles",
            "kind": "run_budget",
            "mode": "shadow",
            "selector": {"service": "research-agent"},
            "max_steps": 60,
            "loop_threshold": 2,
            "owner": "research",
        },
        "See first whom it would stop, then enforce it",
    ),
)
