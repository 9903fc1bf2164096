"""How each kind of rule is called, drawn and ordered on pages. Pure.

What a kind can be told is the kernel's to say; here is only which of it stands first.
"""

from __future__ import annotations

from typing import NamedTuple

from switchgear.policy.rules import KINDS as RULES


class Group(NamedTuple):
    """A heading of the list of rules; kinds that are decided together share one."""

    name: str
    icon: str
    kinds: tuple[str, ...]


class Kind(NamedTuple):
    name: str
    icon: str
    # Parameters that say what the rule is; the others fold away.
    first: tuple[str, ...]


# In the order in which a call meets them, limits first.
GROUPS = (
    Group("Kill switch", "stop", ("kill_switch",)),
    Group("Retry and timeout", "retry", ("retry", "timeout")),
    Group("Circuit breaker", "bolt", ("circuit_breaker",)),
    Group("Fallback chain", "split", ("fallback",)),
    Group("Rate and concurrency", "gauge", ("rate_limit", "concurrency")),
    Group("Quota", "quota", ("quota",)),
    Group("Run budget", "layers", ("run_budget",)),
)
KINDS = {
    "kill_switch": Kind("Kill switch", "stop", ("effect", "message", "expires_at")),
    "retry": Kind(
        "Retry",
        "retry",
        (
            "max_attempts",
            "wait_duration_ms",
            "exponential_backoff_multiplier",
            "retry_on",
        ),
    ),
    "timeout": Kind("Timeout", "clock", ("timeout_ms",)),
    "circuit_breaker": Kind(
        "Circuit breaker",
        "bolt",
        (
            "failure_rate_threshold",
            "minimum_number_of_calls",
            "sliding_window_size",
            "wait_duration_in_open_state_ms",
            "operator_state",
            "record_failures",
        ),
    ),
    "fallback": Kind("Fallback chain", "split", ("on", "chain")),
    "rate_limit": Kind("Rate limit", "gauge", ("limit", "period_s", "unit", "per")),
    "concurrency": Kind("Concurrency", "layers", ("max_concurrent_calls", "per")),
    "quota": Kind("Quota", "quota", ("limit", "unit", "window", "per")),
    "run_budget": Kind(
        "Run budget",
        "layers",
        ("max_tool_calls", "max_wall_clock_s", "max_usd", "loop_threshold"),
    ),
}
# Where the name of a parameter alone would not be understood.
LABELS = {
    "on": "When an attempt ends in",
    "retry_on": "Try again after",
    "record_failures": "Failures that count",
    "per": "Counted apart for each",
    "scope": "One breaker for each",
    "max_cost_usd": "Cost at most",
    "expires_at": "Ends at",
    "max_usd": "Cost",
    "tz": "Time zone",
}
assert KINDS.keys() == RULES.keys()  # noqa: S101  a kind without a name has no page


def explained(kind: str) -> str:
    """What rules of this kind are for, in the kernel's words."""
    return (RULES[kind].__doc__ or "").strip()
