"""Which of two limits of one kind refuses first, if it applies to the same calls."""

from __future__ import annotations

from collections.abc import Collection

from switchgear.policy.rules import (
    Concurrency,
    KillSwitch,
    Quota,
    RateLimit,
    Rule,
    RunBudget,
    parameters,
)


def tighter(one: Rule, other: Rule) -> bool:
    """Whether `one` is surely reached no later than `other`; False across kinds."""
    match one, other:
        case KillSwitch(), KillSwitch():
            return one.effect in ("deny", other.effect)
        case Concurrency(), Concurrency():
            fewer = one.max_concurrent_calls <= other.max_concurrent_calls
            return fewer and _coarser(one.per, other.per)
        case RateLimit(), RateLimit():
            return _slower(one, other) and _coarser(one.per, other.per)
        case Quota(), Quota():
            same = (one.unit, one.window) == (other.unit, other.window)
            return same and one.limit <= other.limit and _coarser(one.per, other.per)
        case RunBudget(), RunBudget():
            return _scantier(one, other)
    return False


def _coarser(one: Collection[str], other: Collection[str]) -> bool:
    """Whether calls that share a bucket of `other` always share one of `one`."""
    return set(one) <= set(other)


def _slower(one: RateLimit, other: RateLimit) -> bool:
    rate = one.limit * other.period_s <= other.limit * one.period_s
    burst = (one.burst or one.limit) <= (other.burst or other.limit)
    return one.unit == other.unit and rate and burst


def _scantier(one: RunBudget, other: RunBudget) -> bool:
    pairs = (
        (getattr(one, each.name), getattr(other, each.name))
        for each in parameters(RunBudget.KIND)
    )
    return all(
        theirs is None or (mine is not None and mine <= theirs)
        for mine, theirs in pairs
    )
