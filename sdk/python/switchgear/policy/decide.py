"""What happens to a call. Read this file first.

    decide -> the attempt is made -> attempt_ended -> next_step -> decide again ...
                                     (or never_ran)

Nothing here knows the time, throws dice or remembers: `now` and `chance` (a number from
0 up to 1) are given, the state is read, and every answer carries the changes that the
owner of the state is to make. So a service, a simulation and an explanation all get
the same answer to the same question.
"""

from __future__ import annotations

from switchgear.policy import guarding, settling, stages
from switchgear.policy.asking import Asked, Book
from switchgear.policy.decision import (
    Again,
    Decision,
    GoTo,
    Halt,
    Next,
    Permits,
    Refusal,
    Result,
    Step,
    Stop,
    Tried,
    Verdict,
)
from switchgear.policy.facts import CallFacts
from switchgear.policy.machines import retry, throttle
from switchgear.policy.machines.state import Key, State
from switchgear.policy.matching import Policy
from switchgear.policy.plan import Plan
from switchgear.policy.rules import Retry, RunBudget
from switchgear.policy.vocabulary import FailureClass


def decide(
    policy: Policy,
    call: CallFacts,
    state: State,
    now: float,
    chance: float,
    *,
    attempt: int = 1,
    started_at: float | None = None,
    last_failure: FailureClass | None = None,
) -> Decision:
    """Whether an attempt may be made; to be asked before each.

    Rate limits, slots and tokens are counted per attempt, the steps of a run and quotas
    of calls only with the first. Later attempts say when their call began, and how the
    attempt before failed: a retry that is refused may leave the call to its fallback.
    """
    rules = policy.matched(call, now)
    asked = Asked(call, rules.plan, attempt, now, chance)
    book = Book(state)
    refusal = (
        stages.killed(rules.kill_switches, asked, book)
        or stages.too_dear(asked, book)
        or stages.over_budget(rules.run_budgets, asked, book)
        or guarding.looks_down(rules.guards, asked, book)
        or stages.no_slot(rules.concurrency, asked, book)
        or stages.too_fast(rules.rate_limits, asked, book)
        or stages.all_spent(rules.quotas, asked, book)
    )
    if refusal:
        began = now if started_at is None else started_at
        events = (refusal.reason, FailureClass.REFUSED, last_failure)
        moves_on = refusal.pass_on or _goes_on(rules.plan, *events)
        go_to = _next_target(rules.plan, call, began, now) if moves_on else None
        return _refused(refusal, rules.plan, book, go_to)
    # Last, so that no other rule can refuse a probe that was given its permit.
    guarding.admit(rules.guards, asked, book)
    stages.pay_in(asked, book)
    return Decision(
        Verdict.SHADOW_REFUSE if book.would_refuse else Verdict.ALLOW,
        rules.plan,
        book.noted | book.taken,
        tuple(book.permits),
        tuple(book.transitions),
        would_refuse=tuple(book.would_refuse),
        breaker_state=book.breaker_state,
    )


def _refused(refusal: Refusal, plan: Plan, book: Book, go_to: GoTo | None) -> Decision:
    """A refusal takes nothing; another target may answer instead."""
    return Decision(
        Verdict.FALLBACK if go_to else Verdict.REFUSE,
        plan,
        book.noted,
        transitions=tuple(book.transitions),
        refusal=refusal,
        would_refuse=tuple(book.would_refuse),
        go_to=go_to,
        breaker_state=book.breaker_state,
    )


def attempt_ended(
    permits: Permits, result: Result, state: State, now: float, chance: float
) -> Step:
    """Settle what an attempt took by what it really needed, and learn from it."""
    return settling.settle(permits, result, state, now, chance)


def never_ran(permits: Permits, state: State, now: float) -> Step:
    """Give everything back: the attempt was let through, but not made."""
    return settling.settle(permits, None, state, now, 0.0)


def next_step(
    plan: Plan,
    call: CallFacts,
    tried: Tried,
    state: State,
    *,
    now: float,
    chance: float,
) -> Next:
    """What comes after a failed attempt, once what its end changed is in the state."""
    failure_class = tried.result.failure_class
    if failure_class == FailureClass.CANCELLED:
        return Stop(Halt.CANCELLED)
    step = _again(plan, call, tried, state, now=now, chance=chance)
    if isinstance(step, Again) or not _goes_on(plan, failure_class):
        return step
    return _next_target(plan, call, tried.started_at, now) or step


def run_keys(policy: Policy, run: str) -> tuple[Key, ...]:
    """Under what a run is remembered: to be dropped when it is over."""
    budgets = (each for each in policy.index.rules if isinstance(each, RunBudget))
    return tuple(stages.run_key(budget, run) for budget in budgets)


def _again(
    plan: Plan,
    call: CallFacts,
    tried: Tried,
    state: State,
    *,
    now: float,
    chance: float,
) -> Again | Stop:
    """Try again if it may help and cannot hurt, and if time and budget allow it."""
    rule, result, attempts = plan.retry, tried.result, tried.attempts
    if rule is None:
        return Stop(Halt.NO_RETRY_RULE)
    asked_s = _asked_for_s(plan, rule, result, state, now)
    after_s = retry.wait_s(rule, attempts, at_least=asked_s, chance=chance)
    ends_at = plan.ends_at(call, tried.started_at)
    reserve = retry.spent(state.get(plan.reserve), now)
    hindrances = (
        (Halt.NOT_RETRYABLE, result.failure_class not in rule.retry_on),
        (Halt.NOT_REPEATABLE, not retry.repeatable(rule, call)),
        (Halt.ATTEMPTS, attempts >= rule.max_attempts),
        (Halt.BREAKER, guarding.is_down(plan.guard, state, now)),
        (Halt.WAIT_TOO_LONG, asked_s * 1000 > rule.max_wait_ms),
        (Halt.DEADLINE, ends_at is not None and now + after_s >= ends_at),
    )
    halt = next((halt for halt, holds in hindrances if holds), None)
    if halt or reserve is None:
        return Stop(halt or Halt.RETRY_BUDGET)
    return Again(after_s, {plan.reserve: reserve})


def _asked_for_s(
    plan: Plan, rule: Retry, result: Result, state: State, now: float
) -> float:
    """How long the target wants to be left alone, as far as anybody listens."""
    said_s = throttle.said(result.retry_after) if rule.respect_retry_after else None
    known = guarding.throttle_of(plan.guard, state) if plan.guard else None
    return max(said_s or 0.0, throttle.left(known, now))


def _goes_on(plan: Plan, *events: str | None) -> bool:
    """Whether the chain is to be walked after one of these."""
    chain = plan.fallback
    return chain is not None and any(event in chain.on for event in events)


def _next_target(
    plan: Plan, call: CallFacts, started_at: float, now: float
) -> GoTo | None:
    hop = plan.next_hop(call, started_at, now)
    return None if hop is None else GoTo(plan.hops[0].target, hop)
