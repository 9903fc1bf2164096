"""Documents of rules, short enough to be read in a test."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone


def retry(slug: str = "rt", **fields):
    return {"id": slug, "kind": "retry", **fields}


def timeout(slug: str = "to", **fields):
    return {"id": slug, "kind": "timeout", **fields}


def fallback(slug: str, selected: str, *targets: str, **fields):
    return {
        "id": slug,
        "kind": "fallback",
        "selector": {"target": selected},
        "chain": [{"target": target} for target in targets],
        **fields,
    }


def quota(slug: str = "q", **fields):
    return {"id": slug, "kind": "quota", "unit": "usd", "limit": "12.50", **fields}


def kill_switch(slug: str = "ks", *, hours: float = 1, **fields):
    ends = timezone.now() + timedelta(hours=hours)
    text = ends.isoformat().replace("+00:00", "Z")
    return {"id": slug, "kind": "kill_switch", "expires_at": text, **fields}


# One of each kind, with what it needs and something nested where it can have it.
OF_EACH_KIND = [
    retry("rt", max_attempts=4, retry_on=["timeout"], total_deadline_ms=60_000),
    timeout("to", timeout_ms=2500),
    {
        "id": "cb",
        "kind": "circuit_breaker",
        "selector": {"target": {"glob": "search*"}, "tenant": {"not": ["acme"]}},
        "wait_backoff_multiplier": 1.5,
    },
    {
        "id": "fb",
        "kind": "fallback",
        "selector": {"target": "tool:search", "environment": ["prod", "staging"]},
        "chain": [
            {"target": "tool:lite", "timeout_ms": 900, "max_cost_usd": "0.01"},
            {"target": "archive"},
        ],
        "on": ["timeout", "breaker"],
    },
    {"id": "rl", "kind": "rate_limit", "limit": 10, "per": ["tenant"]},
    {"id": "co", "kind": "concurrency", "max_concurrent_calls": 3},
    quota("q", window={"period": "P1W", "week_start": "sunday"}, warn_at=[0.5, 1]),
    {"id": "rb", "kind": "run_budget", "max_steps": 20, "max_usd": "0.25"},
    kill_switch("ks", message="Payments are paused.", mode="shadow"),
]
