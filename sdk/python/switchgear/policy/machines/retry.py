"""When to try again, how long to wait before it, and how often a target can take it.

The retry budget of a target is earned by calls and spent when a retry is decided, not
when it is made: retries that are asleep have been paid for, so however many of them
wake up at once, there are never more than the calls have earned.
"""

from __future__ import annotations

from switchgear.policy.facts import CallFacts
from switchgear.policy.frozen import frozen
from switchgear.policy.machines.state import forgotten
from switchgear.policy.rules import Retry
from switchgear.policy.vocabulary import Kind

# A retry costs a hundred points; a call earns as many as the rule has percent.
_PRICE = 100
# Retries that a target which was quiet for long can take.
FULL = 10 * _PRICE


@frozen
class Reserve:
    """The points a target has left; one that nobody knows is full."""

    points: int
    seen: float

    def idle(self, now: float) -> bool:
        return self.points >= FULL or forgotten(self.seen, now)


def earned(reserve: Reserve, rule: Retry, now: float) -> Reserve:
    """The reserve after one more call was let through."""
    return Reserve(min(FULL, reserve.points + rule.retry_budget_percent), now)


def spent(reserve: Reserve | None, now: float) -> Reserve | None:
    """The reserve after one more retry; None when it is not enough for that."""
    points = FULL if reserve is None else reserve.points
    return Reserve(points - _PRICE, now) if points >= _PRICE else None


def repeatable(rule: Retry, call: CallFacts) -> bool:
    """Whether a second attempt can do no harm: only tools have effects."""
    return call.idempotent or call.kind != Kind.TOOL or not rule.idempotent_only


def wait_s(rule: Retry, attempts: int, *, at_least: float, chance: float) -> float:
    """How long to wait after so many attempts, and after what the target asked for.

    The random part comes on top: callers that were told the same time to come back
    must not come back at the same time.
    """
    longer = rule.exponential_backoff_multiplier ** (attempts - 1)
    wait = min(rule.wait_duration_ms * longer, rule.max_wait_ms) / 1000
    return at_least + (wait * chance if rule.jitter == "full" else wait)
