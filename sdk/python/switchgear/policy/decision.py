"""The answers of the kernel: what happens to a call, and what it took.

A permit is what an attempt holds while it runs. Every permit of a decision that let an
attempt through is settled exactly once: by its end, or by never having been made.
"""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum

from switchgear.policy.facts import CallFacts
from switchgear.policy.frozen import frozen
from switchgear.policy.machines.breaker import Admission
from switchgear.policy.machines.budget import Share
from switchgear.policy.machines.limiter import Bucket
from switchgear.policy.machines.quota import Charge
from switchgear.policy.machines.slots import Slot
from switchgear.policy.machines.state import Changes, Key, Transition
from switchgear.policy.plan import Guard, Plan
from switchgear.policy.rules import Quota, RateLimit
from switchgear.policy.rules.selectors import Target
from switchgear.policy.vocabulary import FailureClass, RefusalReason


class Verdict(StrEnum):
    """What happens to an attempt."""

    ALLOW = "allow"
    REFUSE = "refuse"
    FALLBACK = "fallback"
    # Let through, but a rule in shadow would have refused it.
    SHADOW_REFUSE = "shadow_refuse"


@frozen
class Refusal:
    """Why an attempt is not made, for programs and for models."""

    reason: RefusalReason
    rule: str
    message: str
    # Seconds; None: nobody knows, or waiting will not help.
    retry_after: float | None = None
    # Whether the same call may succeed after a short wait.
    retryable: bool = True
    # Whether the next target of a chain is to answer, whatever the chain says.
    pass_on: bool = False


@frozen
class RunPermit:
    key: Key
    call: CallFacts
    share: Share
    attempt: int


@frozen
class SlotPermit:
    key: Key
    slot: Slot


@frozen
class RatePermit:
    key: Key
    rule: RateLimit
    units: int
    poured: Bucket


@frozen
class QuotaPermit:
    key: Key
    rule: Quota
    charge: Charge


@frozen
class BreakerPermit:
    guard: Guard
    admission: Admission


Permit = RunPermit | SlotPermit | RatePermit | QuotaPermit | BreakerPermit
Permits = tuple[Permit, ...]


@frozen
class GoTo:
    """Another target is to answer. Decide about `call` like about any other."""

    target: Target
    call: CallFacts


@frozen
class Decision:
    """What happens to one attempt. Its changes are to be made whatever it says."""

    verdict: Verdict
    plan: Plan
    changes: Changes
    permits: Permits = ()
    transitions: tuple[Transition, ...] = ()
    refusal: Refusal | None = None
    would_refuse: tuple[Refusal, ...] = ()
    go_to: GoTo | None = None
    breaker_state: str | None = None

    @property
    def cause(self) -> Refusal | None:
        """The refusal to tell of: the real one, else the first of a shadow rule."""
        if self.refusal is None and self.would_refuse:
            return self.would_refuse[0]
        return self.refusal

    @property
    def reason(self) -> RefusalReason | None:
        return self.cause.reason if self.cause else None

    @property
    def rule(self) -> str | None:
        cause = self.cause
        return cause.rule if cause else None

    @property
    def message(self) -> str:
        return self.cause.message if self.cause else ""

    @property
    def retry_after(self) -> float | None:
        return self.cause.retry_after if self.cause else None

    @property
    def retryable(self) -> bool:
        return self.cause.retryable if self.cause else False

    @property
    def alternatives(self) -> tuple[Target, ...]:
        """What else a caller could ask for."""
        return tuple(hop.target for hop in self.plan.hops)


@frozen
class Result:
    """How an attempt ended. None is what nobody knows: its estimate stays."""

    failure_class: FailureClass | None
    took_s: float
    retry_after: float | None = None
    tokens: int | None = None
    cost_nano: int | None = None


@frozen
class Tried:
    """A call so far: how often it was attempted, since when, how it ended last."""

    attempts: int
    started_at: float
    result: Result


@frozen
class Step:
    """What the end of an attempt changes."""

    changes: Changes
    transitions: tuple[Transition, ...] = ()
    breaker_state: str | None = None


@frozen
class Again:
    """Try again after a while. Its changes are to be made before waiting."""

    after_s: float
    changes: Changes = field(default_factory=dict)


class Halt(StrEnum):
    """Why nothing more is tried."""

    CANCELLED = "cancelled"
    NO_RETRY_RULE = "no_retry_rule"
    NOT_RETRYABLE = "not_retryable"
    NOT_REPEATABLE = "not_repeatable"
    ATTEMPTS = "attempts"
    BREAKER = "breaker"
    WAIT_TOO_LONG = "wait_too_long"
    DEADLINE = "deadline"
    RETRY_BUDGET = "retry_budget"


@frozen
class Stop:
    """The call has failed for good."""

    why: Halt


Next = Again | GoTo | Stop
