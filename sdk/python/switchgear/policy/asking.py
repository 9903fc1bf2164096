"""One question about one attempt, and what its answer will have changed.

What a refused attempt has taken so far is never written down, so nothing has to be
undone: a later refusal gives back whatever an earlier rule had granted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from switchgear.policy.decision import Permit, Refusal
from switchgear.policy.facts import CallFacts
from switchgear.policy.frozen import frozen
from switchgear.policy.machines.state import Changes, Key, Remembered, State, Transition
from switchgear.policy.plan import Plan
from switchgear.policy.rules import Mode, Rule


@frozen
class Asked:
    """What is asked about: one attempt of a call, at a time."""

    call: CallFacts
    plan: Plan
    attempt: int
    now: float
    chance: float


@dataclass(slots=True)
class Book:
    """What one decision reads, and what it will have changed.

    `noted` is what time or the operator changed: true whatever the answer is. `taken`
    is true only if the attempt is let through.
    """

    state: State
    noted: Changes = field(default_factory=dict)
    taken: Changes = field(default_factory=dict)
    permits: list[Permit] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    would_refuse: list[Refusal] = field(default_factory=list)
    breaker_state: str | None = None

    def take(self, key: Key, value: Remembered, permit: Permit) -> None:
        self.taken[key] = value
        self.permits.append(permit)

    def obey(self, rule: Rule, refusal: Refusal) -> Refusal | None:
        """The refusal, unless its rule is in shadow: then it is only told."""
        if rule.mode is Mode.ENFORCE:
            return refusal
        self.would_refuse.append(refusal)
        return None


def in_seconds(wait_s: float) -> str:
    return f"{math.ceil(wait_s)} s"
