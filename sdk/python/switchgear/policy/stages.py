"""What an attempt is asked before it is made, one function for each kind of limit.

A stage looks at all rules of its kind. It takes what they want (a slot, a token, a
share of a budget) or answers with the refusal of the first that says no.
"""

from __future__ import annotations

from collections.abc import Iterable

from switchgear.policy.asking import Asked, Book, in_seconds
from switchgear.policy.decision import (
    QuotaPermit,
    RatePermit,
    Refusal,
    RunPermit,
    SlotPermit,
)
from switchgear.policy.machines import budget, limiter, quota, retry, slots
from switchgear.policy.machines.state import Key
from switchgear.policy.matching import Match
from switchgear.policy.plan import Plan
from switchgear.policy.rules import (
    Concurrency,
    KillSwitch,
    Quota,
    RateLimit,
    RunBudget,
)
from switchgear.policy.vocabulary import RefusalReason

# Where no timeout says how long an attempt may hold its slot: twice the default one.
SLOT_TTL_S = 60.0


def killed(rules: Iterable[KillSwitch], asked: Asked, book: Book) -> Refusal | None:
    for rule in rules:
        left = None if rule.expires_at is None else rule.expires_at - asked.now
        reason, message = RefusalReason.KILL_SWITCH, rule.message
        pass_on = rule.effect == "fallback"
        refusal = Refusal(
            reason, rule.id, message, left, retryable=False, pass_on=pass_on
        )
        if book.obey(rule, refusal):
            return refusal
    return None


def too_dear(asked: Asked, book: Book) -> Refusal | None:
    """Whether a hop would cost more than its chain allows."""
    hop, fallback, cost = asked.plan.hop, asked.plan.fallback, asked.call.cost_nano
    if hop is None or fallback is None or hop.max_cost_nano is None:
        return None
    if cost is not None and cost <= hop.max_cost_nano:
        return None
    costs = "is not known" if cost is None else f"would be {cost / 1e9:f} USD"
    message = (
        f"{asked.call.target} is passed over: its cost {costs},"
        f" and the fallback {fallback.id} allows {hop.max_cost_usd} USD."
    )
    reason = RefusalReason.QUOTA
    return Refusal(reason, fallback.id, message, retryable=False, pass_on=True)


def over_budget(rules: Iterable[RunBudget], asked: Asked, book: Book) -> Refusal | None:
    call, attempt, now = asked.call, asked.attempt, asked.now
    if call.run is None:
        return None
    for rule in rules:
        key = run_key(rule, call.run)
        run: budget.Run = book.state.get(key) or budget.Run(now, now)
        share = budget.share_of(run, rule, call)
        gone = budget.exceeded(run, rule, call, share, attempt=attempt, now=now)
        if gone is None:
            run = budget.taken(run, call, share, attempt=attempt, now=now)
            book.take(key, run, RunPermit(key, call, share, attempt))
            continue
        message = f"This run has used up {gone} ({rule.id}). Finish with what you have."
        refusal = Refusal(RefusalReason.RUN_BUDGET, rule.id, message, retryable=False)
        if book.obey(rule, refusal):
            return refusal
    return None


def run_key(rule: RunBudget, run: str) -> Key:
    return ("run", rule.id, run)


def no_slot(
    matches: Iterable[Match[Concurrency]], asked: Asked, book: Book
) -> Refusal | None:
    for rule, key in matches:
        found: slots.Slots = book.state.get(key, slots.NONE)
        most, ttl_s = rule.max_concurrent_calls, _slot_ttl_s(rule, asked.plan)
        known, slot = slots.take(found, most, ttl_s, asked.now)
        if slot is not None:
            book.take(key, known, SlotPermit(key, slot))
            continue
        message = f"{most} calls are running already, as many as {rule.id} allows."
        refusal = Refusal(RefusalReason.CONCURRENCY, rule.id, message)
        if book.obey(rule, refusal):
            return refusal
    return None


def _slot_ttl_s(rule: Concurrency, plan: Plan) -> float:
    if rule.slot_ttl_s is not None:
        return rule.slot_ttl_s
    return plan.timeout.timeout_ms / 500 if plan.timeout else SLOT_TTL_S


def too_fast(
    matches: Iterable[Match[RateLimit]], asked: Asked, book: Book
) -> Refusal | None:
    for rule, key in matches:
        # An estimate of nothing is no estimate: it pays when the truth is known.
        units = 1 if rule.unit == "calls" else max(1, asked.call.tokens)
        bucket, wait_s = limiter.take(book.state.get(key), rule, units, asked.now)
        if not wait_s:
            book.take(key, bucket, RatePermit(key, rule, units, bucket))
            continue
        # What has leaked out until now, or else a clock that went back stops it.
        book.noted[key] = bucket
        message = (
            f"{rule.limit} {_named(rule.unit)} per {rule.period_s} s are allowed"
            f" ({rule.id}). Try again in {in_seconds(wait_s)}."
        )
        refusal = Refusal(RefusalReason.RATE_LIMIT, rule.id, message, wait_s)
        if book.obey(rule, refusal):
            return refusal
    return None


def all_spent(
    matches: Iterable[Match[Quota]], asked: Asked, book: Book
) -> Refusal | None:
    for rule, key in matches:
        spent = quota.current(book.state.get(key), rule, asked.now)
        first = asked.attempt == 1
        charge = quota.charge_for(spent, rule, asked.call, first=first)
        if quota.fits(spent, rule, charge, first=first):
            permit = QuotaPermit(key, rule, charge)
            book.take(key, quota.charged(spent, charge), permit)
            continue
        left = spent.period.until - asked.now
        message = (
            f"The quota of {rule.limit} {_named(rule.unit)} is used up ({rule.id})."
            f" It begins anew in {in_seconds(left)}."
        )
        reason = RefusalReason.QUOTA
        refusal = Refusal(reason, rule.id, message, left, retryable=False)
        if book.obey(rule, refusal):
            return refusal
    return None


def pay_in(asked: Asked, book: Book) -> None:
    """A call earns its target a part of a retry."""
    rule, key = asked.plan.retry, asked.plan.reserve
    reserve: retry.Reserve | None = book.state.get(key)
    if rule and reserve and asked.attempt == 1:
        book.taken[key] = retry.earned(reserve, rule, asked.now)


def _named(unit: str) -> str:
    return {"tokens_total": "tokens", "usd": "USD"}.get(unit, unit)
