"""What the end of an attempt does to everything it took.

Each kind of permit is settled by its own function, by the rule that granted it: a
policy that changed meanwhile does not change what was taken. A value that is gone from
the state has expired; only a bucket can still be owed something then.
"""

from __future__ import annotations

import math
from typing import Any

from switchgear.policy.decision import (
    BreakerPermit,
    Permits,
    QuotaPermit,
    RatePermit,
    Result,
    RunPermit,
    SlotPermit,
    Step,
)
from switchgear.policy.guarding import learned, throttled, told
from switchgear.policy.machines import budget, limiter, quota, slots
from switchgear.policy.machines.state import Changes, Remembered, State, Transition
from switchgear.policy.rules import Mode


def settle(
    permits: Permits, result: Result | None, state: State, now: float, chance: float
) -> Step:
    """Settle all permits of an attempt that ended; without a result, never began."""
    changes: Changes = {}
    transitions: list[Transition] = []
    breaker_state = None
    for permit in permits:
        if not isinstance(permit, BreakerPermit):
            value = _settled(permit, result, state.get(permit.key), now)
            if value is not None:
                changes[permit.key] = value
            continue
        guard = permit.guard
        known, turns = learned(permit, result, state, now, chance)
        changes[guard.breaker] = known
        if turns:
            transitions += told(guard, turns)
        if result is not None and result.failure_class is not None:
            changes |= throttled(guard, result, state, now)
        if guard.rule.mode is Mode.ENFORCE:
            breaker_state = str(known.phase)
    return Step(changes, tuple(transitions), breaker_state)


def _settled(
    permit: RunPermit | SlotPermit | RatePermit | QuotaPermit,
    result: Result | None,
    held: Any,
    now: float,
) -> Remembered | None:
    """What is remembered after one permit was given back; None: as before."""
    if isinstance(permit, RatePermit):
        return _rate(permit, result, held, now)
    if held is None:
        return None
    if isinstance(permit, SlotPermit):
        return slots.give_back(held, permit.slot)
    if isinstance(permit, QuotaPermit):
        return _quota(permit, result, held)
    return _run(permit, result, held)


def _rate(
    permit: RatePermit, result: Result | None, held: limiter.Bucket | None, now: float
) -> limiter.Bucket | None:
    if result is None:
        excess = permit.units
    elif permit.rule.unit == "calls" or result.tokens is None:
        return None
    else:
        excess = permit.units - max(0, result.tokens)
    return limiter.put_back(held, permit.rule, excess, permit.poured, now)


def _quota(
    permit: QuotaPermit, result: Result | None, held: quota.Spent
) -> quota.Spent:
    actual: int | None = 0
    if result is not None:
        actual = {
            "calls": permit.charge.units,
            "tokens_total": result.tokens,
            "usd": result.cost_nano,
            "seconds": math.ceil(result.took_s * 1000),
        }[permit.rule.unit]
    return quota.settled(held, permit.charge, actual)


def _run(permit: RunPermit, result: Result | None, held: budget.Run) -> budget.Run:
    if result is None:
        return budget.given_back(
            held, permit.call, permit.share, attempt=permit.attempt
        )
    return budget.settled(
        held, permit.share, tokens=result.tokens, cost_nano=result.cost_nano
    )
