"""Rate limits: the generic cell rate algorithm, as a bucket that leaks.

In any interval of T seconds no more than `burst + limit / period * T` pass. There is no
boundary at which twice as much could pass. What was estimated too high comes back when
the attempt has ended, but never what has leaked out meanwhile.
"""

from __future__ import annotations

from switchgear.policy.frozen import frozen
from switchgear.policy.machines.state import steady
from switchgear.policy.rules import RateLimit

# Unix seconds in a float cannot be told apart any closer.
_INSTANT_S = 1e-6


@frozen
class Bucket:
    """How full it is at a time, and how fast it leaks."""

    level: float
    at: float
    rate: float

    def idle(self, now: float) -> bool:
        return self.level <= (now - self.at) * self.rate


def take(
    bucket: Bucket | None, rule: RateLimit, units: int, now: float
) -> tuple[Bucket, float]:
    """Pour `units` in and wait 0 s; or leave it as it is, and how long to wait.

    More units than the burst pass when the bucket is empty: they are paid back later,
    instead of being refused for ever.
    """
    rate, burst = rule.limit / rule.period_s, rule.burst or rule.limit
    bucket = bucket or Bucket(0.0, now, rate)
    level, at = _leaked(bucket, rule, now)
    if rate < bucket.rate:
        # An edit made it slower: nobody waits longer for what was poured before.
        level *= rate / bucket.rate
    missing = level + min(units, burst) - burst
    if missing > rate * _INSTANT_S:
        return Bucket(level, at, rate), missing / rate
    return Bucket(level + units, at, rate), 0.0


def put_back(
    bucket: Bucket | None, rule: RateLimit, excess: int, poured: Bucket, now: float
) -> Bucket:
    """Take out what was poured in too much (or pour in what was missing).

    `poured` is the bucket right after. The least it can have held since then bounds
    what comes back: the rest has leaked out, and is spent.
    """
    bucket = bucket or Bucket(0.0, now, poured.rate)
    level, at = _leaked(bucket, rule, now)
    held = max(0.0, poured.level - bucket.rate * max(0.0, at - poured.at))
    return Bucket(max(0.0, level - min(excess, held)), at, bucket.rate)


def _leaked(bucket: Bucket, rule: RateLimit, now: float) -> tuple[float, float]:
    """How full it is, and as of when."""
    at = steady(now, bucket.at, rule.period_s)
    return max(0.0, bucket.level - bucket.rate * max(0.0, at - bucket.at)), at
