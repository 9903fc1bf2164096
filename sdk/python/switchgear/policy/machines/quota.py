"""Quotas, counted by each instance for itself.

There is no ledger over all instances here: N instances may spend N times the limit.
What an attempt is expected to cost counts as spent from the moment it is let through,
so nothing slips between the look and the spending; when it has ended, the truth
replaces the estimate. An attempt that never reports stays counted.
"""

from __future__ import annotations

from dataclasses import replace

from switchgear.policy.facts import CallFacts
from switchgear.policy.frozen import frozen
from switchgear.policy.machines.periods import Period, period_at
from switchgear.policy.machines.state import steady
from switchgear.policy.rules import Quota, Window

# So many calls of unknown price use a limit up: what nobody can price is not free.
UNPRICED_CALLS = 100


@frozen
class Spent:
    """What went in one window, in units of the rule, and the dearest attempt in it."""

    window: Window
    period: Period
    units: int = 0
    dearest: int = 0
    guessed: int = 0

    def idle(self, now: float) -> bool:
        return now >= self.period.until


@frozen
class Charge:
    """What one attempt counts for, in which window."""

    period: str
    units: int
    guessed: bool = False


def current(spent: Spent | None, rule: Quota, now: float) -> Spent:
    """What went in the window of now."""
    if spent is not None and spent.window == rule.window:
        since, until = spent.period.since, spent.period.until
        if since <= steady(now, since, until - since) < until:
            return spent
    return Spent(rule.window, period_at(rule.window, now))


def charge_for(spent: Spent, rule: Quota, call: CallFacts, *, first: bool) -> Charge:
    """What to count for an attempt before it is made."""
    name = spent.period.name
    if rule.unit == "calls":
        return Charge(name, int(first))
    if rule.unit == "tokens_total":
        return Charge(name, max(0, call.tokens))
    if rule.unit == "usd" and call.cost_nano is not None:
        return Charge(name, max(0, call.cost_nano))
    if rule.unit == "usd":
        return Charge(name, unpriced(spent.dearest, rule.limit_units), guessed=True)
    # Nobody knows how long it will take: as long as the longest did.
    return Charge(name, spent.dearest)


def unpriced(dearest: int, limit: int) -> int:
    """What a call of unknown price counts for."""
    return dearest or -(-limit // UNPRICED_CALLS)


def fits(spent: Spent, rule: Quota, charge: Charge, *, first: bool) -> bool:
    """Whether the attempt may still be made; with nothing left, not even a free one."""
    if rule.unit == "calls" and not first:
        return True
    limit = rule.limit_units
    return spent.units < limit and spent.units + charge.units <= limit


def charged(spent: Spent, charge: Charge) -> Spent:
    return replace(
        spent,
        units=spent.units + charge.units,
        guessed=spent.guessed + charge.guessed,
    )


def settled(spent: Spent, charge: Charge, actual: int | None) -> Spent:
    """The truth in the place of the estimate; None: it is still not known.

    What ends after its window does not touch the next one.
    """
    if actual is None or spent.period.name != charge.period:
        return spent
    return replace(
        spent,
        units=spent.units - charge.units + max(0, actual),
        dearest=max(spent.dearest, actual),
        guessed=spent.guessed - charge.guessed,
    )
