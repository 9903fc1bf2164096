"""A target that said "too many" is left alone until it wants to be called again.

That is no sign of illness, so it opens no breaker: it sets a deadline. A later deadline
wins over an earlier one, whichever was learned first.
"""

from __future__ import annotations

from dataclasses import dataclass

from switchgear.policy.machines.state import waiting
from switchgear.policy.vocabulary import FailureClass

# Where the target does not say how long.
COOLDOWN_S = 1.0
# What a target may ask for: a rate limit for an hour, a quota for a month.
_LONGEST_S = {
    FailureClass.RATE_LIMITED: 3600.0,
    FailureClass.UPSTREAM_QUOTA: 31 * 86_400.0,
}


@dataclass(frozen=True, slots=True)
class Throttle:
    """From when until when a target is left alone, and why."""

    since: float
    until: float
    failure_class: FailureClass

    def idle(self, now: float) -> bool:
        return not waiting(self.since, self.until, now)


def throttled(
    throttle: Throttle | None,
    failure_class: FailureClass,
    *,
    retry_after: float | None,
    unsaid_s: float,
    now: float,
) -> Throttle:
    """The throttle after one more answer of that class; `unsaid_s` if it says not."""
    asked_s = said(retry_after)
    wait_s = unsaid_s if asked_s is None else asked_s
    until = now + min(wait_s, _LONGEST_S[failure_class])
    if throttle is not None and left(throttle, now) >= until - now:
        return throttle
    return Throttle(now, until, failure_class)


def said(retry_after: float | None) -> float | None:
    """What a target said in earnest: not a negative time, and a number at all."""
    return retry_after if retry_after is not None and retry_after >= 0 else None


def left(throttle: Throttle | None, now: float) -> float:
    """How long the target is to be left alone."""
    if throttle is None or throttle.idle(now):
        return 0.0
    return throttle.until - now
