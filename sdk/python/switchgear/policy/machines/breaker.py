"""The circuit breaker: a state machine over values, with resilience4j's parameters.

    closed -> open -> half open -> closed, or open again with a longer wait

Every change of phase makes a new generation. A result counts only in the generation
that admitted it, so what ends late neither closes a breaker nor opens it again, nor
does it extend a wait. In half open the permits are counted and have deadlines: a probe
that never comes back has failed at its deadline. One failed probe is enough.
"""

from __future__ import annotations

import math
from dataclasses import replace
from enum import StrEnum

from switchgear.policy.frozen import frozen
from switchgear.policy.machines.slots import Slot, held
from switchgear.policy.machines.state import forgotten, waiting
from switchgear.policy.machines.window import EMPTY, Window, kept_as
from switchgear.policy.rules import CircuitBreaker
from switchgear.policy.vocabulary import FailureClass

# They say nothing about whether the target works, unless a rule records them.
_SILENT = frozenset(
    {
        FailureClass.RATE_LIMITED,
        FailureClass.UPSTREAM_QUOTA,
        FailureClass.CANCELLED,
        FailureClass.REFUSED,
        FailureClass.UNKNOWN,
    }
)
_ABANDONED_S = 86_400.0
# Backing off further would overflow a float.
_MOST_DOUBLINGS = 300


class Phase(StrEnum):
    """What a breaker does with calls."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    # The operator's hand:
    FORCED_OPEN = "forced_open"
    DISABLED = "disabled"
    METRICS_ONLY = "metrics_only"


_BY_OPERATOR = frozenset({Phase.FORCED_OPEN, Phase.DISABLED, Phase.METRICS_ONLY})
_COUNTING = frozenset({Phase.CLOSED, Phase.METRICS_ONLY})


@frozen
class Breaker:
    """What one breaker knows."""

    phase: Phase = Phase.CLOSED
    generation: int = 0
    window: Window = EMPTY
    seen: float = 0.0
    # When the phase began, and when it may be over.
    since: float = 0.0
    until: float = 0.0
    # How often it opened since it was last closed.
    opened: int = 0
    probes: tuple[Slot, ...] = ()
    issued: int = 0
    passed: int = 0
    slow: int = 0

    def idle(self, now: float) -> bool:
        if self.phase is Phase.CLOSED:
            return forgotten(self.seen, now)
        # Whoever trips a breaker and never comes back must not be kept for ever.
        return self.phase not in _BY_OPERATOR and now - self.until >= _ABANDONED_S


@frozen
class Turn:
    """A change of phase, and why."""

    before: Breaker
    after: Breaker
    cause: str


@frozen
class Admission:
    """What an attempt carries: the generation that let it through, its probe slot."""

    generation: int
    probe: Slot | None = None


@frozen
class Finding:
    """What an attempt says about its target."""

    failure_class: str | None
    took_s: float


Turns = tuple[Turn, ...]
NEW = Breaker()


def due(
    breaker: Breaker, rule: CircuitBreaker, now: float, chance: float
) -> tuple[Breaker, Turns]:
    """What the operator or the time has changed since somebody last looked."""
    if breaker.phase is Phase.CLOSED and rule.operator_state == "automatic":
        return breaker, ()
    if rule.operator_state != "automatic":
        return _turned(breaker, Phase(rule.operator_state), now, "operator")
    if breaker.phase in _BY_OPERATOR:
        return _turned(breaker, Phase.CLOSED, now, "operator")
    if breaker.phase is Phase.HALF_OPEN:
        return _overdue(breaker, rule, now, chance)
    return breaker, ()


def _overdue(
    breaker: Breaker, rule: CircuitBreaker, now: float, chance: float
) -> tuple[Breaker, Turns]:
    if len(held(breaker.probes, now)) < len(breaker.probes):
        lost_at = min(now, *(probe.until for probe in breaker.probes))
        return _tripped(breaker, rule, lost_at, chance, "probe_lost")
    if breaker.passed >= rule.permitted_calls_in_half_open:
        # The rule asks for fewer probes than it did when they were sent.
        return _turned(breaker, Phase.CLOSED, now, "probes_passed")
    return breaker, ()


def blocked_for(breaker: Breaker, rule: CircuitBreaker, now: float) -> float:
    """How long the next attempt has to wait: 0 if it may go, infinite if for good."""
    if breaker.phase is Phase.FORCED_OPEN:
        return math.inf
    if breaker.phase is Phase.OPEN and waiting(breaker.since, breaker.until, now):
        return breaker.until - now
    if breaker.phase is Phase.HALF_OPEN:
        sent = len(breaker.probes) + breaker.passed
        if sent >= rule.permitted_calls_in_half_open:
            return min((each.until for each in breaker.probes), default=now) - now
    return 0.0


def admit(
    breaker: Breaker, rule: CircuitBreaker, now: float
) -> tuple[Breaker, Admission | None, Turns]:
    """Let one attempt through that is not blocked; None: nobody wants its result."""
    turns: Turns = ()
    if breaker.phase is Phase.DISABLED:
        return breaker, None, turns
    if breaker.phase is Phase.OPEN:
        breaker, turns = _turned(breaker, Phase.HALF_OPEN, now, "wait_over")
    if breaker.phase is not Phase.HALF_OPEN:
        return breaker, Admission(breaker.generation), turns
    ttl_s = rule.max_wait_duration_in_half_open_ms / 1000
    probe = Slot(breaker.issued, now, now + ttl_s)
    probes = (*breaker.probes, probe)
    breaker = replace(breaker, probes=probes, issued=breaker.issued + 1)
    return breaker, Admission(breaker.generation, probe), turns


def give_back(breaker: Breaker, admission: Admission) -> Breaker:
    """The attempt was never made: its probe slot is free again."""
    if admission.probe not in breaker.probes:
        return breaker
    left = tuple(probe for probe in breaker.probes if probe != admission.probe)
    return replace(breaker, probes=left)


def record(
    breaker: Breaker,
    rule: CircuitBreaker,
    admission: Admission,
    finding: Finding,
    *,
    now: float,
    chance: float,
) -> tuple[Breaker, Turns]:
    """Count one result, if it is of this generation and says something."""
    turns: Turns = ()
    if breaker.phase is Phase.HALF_OPEN:
        # A probe that comes back after its deadline has failed, seen or unseen.
        breaker, turns = _overdue(breaker, rule, now, chance)
    if admission.generation != breaker.generation:
        return breaker, turns
    failed = finding.failure_class in rule.record_failures
    if finding.failure_class in _SILENT and not failed:
        return give_back(breaker, admission), ()
    slow = finding.took_s * 1000 >= rule.slow_call_duration_threshold_ms
    if breaker.phase in _COUNTING:
        return _counted(breaker, rule, now, chance, failed=failed, slow=slow)
    if failed:
        return _tripped(breaker, rule, now, chance, "probe_failed")
    return _passed(give_back(breaker, admission), rule, now, chance, slow=slow)


def _counted(
    breaker: Breaker,
    rule: CircuitBreaker,
    now: float,
    chance: float,
    *,
    failed: bool,
    slow: bool,
) -> tuple[Breaker, Turns]:
    size = rule.sliding_window_size
    window = kept_as(breaker.window, rule.sliding_window_type)
    window = window.add(now, size, failed=failed, slow=slow)
    # By hand: this is on the way of every attempt, and `replace` is slow.
    breaker = Breaker(breaker.phase, breaker.generation, window, now, breaker.since)
    if breaker.phase is Phase.METRICS_ONLY:
        return breaker, ()
    if window.calls < rule.minimum_number_of_calls:
        return breaker, ()
    if 100 * window.failed >= rule.failure_rate_threshold * window.calls:
        return _tripped(breaker, rule, now, chance, "failure_rate")
    if 100 * window.slow >= rule.slow_call_rate_threshold * window.calls:
        return _tripped(breaker, rule, now, chance, "slow_call_rate")
    return breaker, ()


def _passed(
    breaker: Breaker, rule: CircuitBreaker, now: float, chance: float, *, slow: bool
) -> tuple[Breaker, Turns]:
    passed, slows = breaker.passed + 1, breaker.slow + slow
    breaker = replace(breaker, passed=passed, slow=slows, seen=now)
    if passed < rule.permitted_calls_in_half_open:
        return breaker, ()
    if 100 * slows >= rule.slow_call_rate_threshold * passed:
        return _tripped(breaker, rule, now, chance, "slow_call_rate")
    return _turned(breaker, Phase.CLOSED, now, "probes_passed")


def _tripped(
    breaker: Breaker, rule: CircuitBreaker, at: float, chance: float, cause: str
) -> tuple[Breaker, Turns]:
    """Open from the moment of the failure; each time in a row for longer."""
    longer = rule.wait_backoff_multiplier ** min(breaker.opened, _MOST_DOUBLINGS)
    wait_ms = min(
        rule.wait_duration_in_open_state_ms * longer,
        rule.max_wait_duration_in_open_state_ms,
    )
    # After the cap, or a fleet that has reached it would probe all at once.
    wait_ms *= 1 + rule.wait_jitter_percent / 100 * chance
    after = Breaker(
        Phase.OPEN,
        breaker.generation + 1,
        seen=at,
        since=at,
        until=at + wait_ms / 1000,
        opened=breaker.opened + 1,
    )
    return after, (Turn(breaker, after, cause),)


def _turned(
    breaker: Breaker, phase: Phase, now: float, cause: str
) -> tuple[Breaker, Turns]:
    if breaker.phase is phase:
        return breaker, ()
    opened = breaker.opened if phase is Phase.HALF_OPEN else 0
    after = Breaker(
        phase,
        breaker.generation + 1,
        seen=now,
        since=now,
        until=now,
        opened=opened,
    )
    return after, (Turn(breaker, after, cause),)
