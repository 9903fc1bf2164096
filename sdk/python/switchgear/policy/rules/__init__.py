"""All kinds of rules, and what each can be told.

Values are ready to be obeyed: defaults filled in, times as unix seconds. `reading`
makes rules out of documents and documents out of rules.
"""

from __future__ import annotations

from switchgear.policy.rules.limiting import (
    Concurrency,
    KillSwitch,
    Quota,
    RateLimit,
    RunBudget,
    Window,
)
from switchgear.policy.rules.parameters import Parameter, parts
from switchgear.policy.rules.rule import Mode, Rule, Tier
from switchgear.policy.rules.shaping import (
    CircuitBreaker,
    Fallback,
    Hop,
    Retry,
    Timeout,
)

__all__ = [
    "COMMON",
    "KINDS",
    "CircuitBreaker",
    "Concurrency",
    "Fallback",
    "Hop",
    "KillSwitch",
    "Mode",
    "Parameter",
    "Quota",
    "RateLimit",
    "Retry",
    "Rule",
    "RunBudget",
    "Tier",
    "Timeout",
    "Window",
    "parameters",
]

KINDS: dict[str, type[Rule]] = {
    kind.KIND: kind
    for kind in (
        Retry,
        Timeout,
        CircuitBreaker,
        Fallback,
        RateLimit,
        Concurrency,
        Quota,
        RunBudget,
        KillSwitch,
    )
}

COMMON = parts(Rule)
_PARAMETERS = {name: parts(kind) for name, kind in KINDS.items()}


def parameters(kind: str) -> tuple[Parameter, ...]:
    """What a kind of rule can be told, beyond what all rules have (`COMMON`)."""
    return _PARAMETERS[kind]
