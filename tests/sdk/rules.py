"""Rules as documents, each with what the test is about and nothing else."""

from __future__ import annotations

from typing import Any


def rule(kind: str, **said: Any) -> dict[str, Any]:
    return {"kind": kind, "selector": {}, **said}


def retry(**said: Any) -> dict[str, Any]:
    return rule("retry", **{"id": "retry", "jitter": "none"} | said)


def fallback(*chain: str, **said: Any) -> dict[str, Any]:
    hops = [{"target": target} for target in chain]
    return rule("fallback", **{"id": "fallback", "chain": hops} | said)


def breaker(**said: Any) -> dict[str, Any]:
    few = {"minimum_number_of_calls": 5, "permitted_calls_in_half_open": 1}
    return rule("circuit_breaker", **{"id": "breaker"} | few | said)


def kill_switch(target: str, **said: Any) -> dict[str, Any]:
    ends = {"expires_at": "2100-01-01T00:00:00Z"}
    selector = {"target": target}
    return {"kind": "kill_switch", "id": "kill", "selector": selector} | ends | said
