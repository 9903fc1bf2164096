"""Breakers on the way of an attempt: asked before it, told how it ended.

An attempt looks at its breakers before it takes anything, and gets their permits last,
when nothing else can refuse it any more: so no other rule eats a probe.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from switchgear.policy.asking import Asked, Book, in_seconds
from switchgear.policy.decision import BreakerPermit, Refusal, Result
from switchgear.policy.machines import breaker as breakers
from switchgear.policy.machines import throttle
from switchgear.policy.machines.state import Changes, State, Transition
from switchgear.policy.plan import Guard
from switchgear.policy.rules import Mode
from switchgear.policy.vocabulary import FailureClass, RefusalReason


def breaker_of(guard: Guard, state: State) -> breakers.Breaker:
    breaker: breakers.Breaker = state.get(guard.breaker, breakers.NEW)
    return breaker


def throttle_of(guard: Guard, state: State) -> throttle.Throttle | None:
    """What the target asked for, unless the operator has taken over."""
    if guard.rule.operator_state != "automatic":
        return None
    known: throttle.Throttle | None = state.get(guard.throttle)
    return known


def looks_down(guards: Iterable[Guard], asked: Asked, book: Book) -> Refusal | None:
    """The refusal of the first breaker that would not let the attempt through."""
    for guard in guards:
        refusal = _blocked(guard, asked, book) or _throttled(guard, asked, book)
        if refusal and book.obey(guard.rule, refusal):
            return refusal
    return None


def _blocked(guard: Guard, asked: Asked, book: Book) -> Refusal | None:
    known, turns = breakers.due(
        breaker_of(guard, book.state), guard.rule, asked.now, asked.chance
    )
    if turns:
        book.noted[guard.breaker] = known
        book.transitions += told(guard, turns)
    _show(guard, known, book)
    left = breakers.blocked_for(known, guard.rule, asked.now)
    if not left:
        return None
    name, rule = asked.call.target, guard.rule.id
    if left == math.inf:
        message = f"{name} is switched off by an operator ({rule})."
        return Refusal(RefusalReason.BREAKER, rule, message, retryable=False)
    again = f"Try again in {in_seconds(left)}."
    message = f"{name} is failing and is left alone ({rule}). {again}"
    return Refusal(RefusalReason.BREAKER, rule, message, left)


def _throttled(guard: Guard, asked: Asked, book: Book) -> Refusal | None:
    known = throttle_of(guard, book.state)
    left = throttle.left(known, asked.now)
    if known is None or not left:
        return None
    over = "quota" if known.failure_class == FailureClass.UPSTREAM_QUOTA else "rate"
    again = f"Try again in {in_seconds(left)}."
    message = f"{asked.call.target} says that its {over} limit is reached. {again}"
    return Refusal(RefusalReason.BREAKER, guard.rule.id, message, left)


def admit(guards: Iterable[Guard], asked: Asked, book: Book) -> None:
    """Take the permits of all breakers that let the attempt through."""
    for guard in guards:
        state = book.noted if guard.breaker in book.noted else book.state
        known = breaker_of(guard, state)
        if breakers.blocked_for(known, guard.rule, asked.now):
            continue  # it is in shadow
        known, admission, turns = breakers.admit(known, guard.rule, asked.now)
        if admission is None:
            continue
        book.permits.append(BreakerPermit(guard, admission))
        if admission.probe is not None:
            book.taken[guard.breaker] = known
            book.transitions += told(guard, turns)
            _show(guard, known, book)


def learned(
    permit: BreakerPermit,
    result: Result | None,
    state: State,
    now: float,
    chance: float,
) -> tuple[breakers.Breaker, breakers.Turns]:
    """The breaker after the attempt; without a result, it was never made."""
    guard, admission = permit.guard, permit.admission
    known = breaker_of(guard, state)
    if result is None:
        return breakers.give_back(known, admission), ()
    finding = breakers.Finding(result.failure_class, result.took_s)
    return breakers.record(
        known, guard.rule, admission, finding, now=now, chance=chance
    )


def throttled(guard: Guard, result: Result, state: State, now: float) -> Changes:
    """A target that said "too many" is left alone for a while."""
    failure_class = result.failure_class
    if failure_class == FailureClass.RATE_LIMITED:
        unsaid_s = throttle.COOLDOWN_S
    elif failure_class == FailureClass.UPSTREAM_QUOTA:
        unsaid_s = guard.rule.max_wait_duration_in_open_state_ms / 1000
    else:
        return {}
    known = throttle.throttled(
        throttle_of(guard, state),
        failure_class,
        retry_after=result.retry_after,
        unsaid_s=unsaid_s,
        now=now,
    )
    return {guard.throttle: known}


def is_down(guard: Guard | None, state: State, now: float) -> bool:
    """Whether another attempt would be refused, as far as one can see now."""
    if guard is None:
        return False
    return breakers.blocked_for(breaker_of(guard, state), guard.rule, now) > 0


def told(guard: Guard, turns: breakers.Turns) -> tuple[Transition, ...]:
    """The turns of a breaker, for those who do not know it."""
    return tuple(
        Transition(
            key=guard.breaker,
            before=turn.before.phase,
            after=turn.after.phase,
            generation=turn.after.generation,
            cause=turn.cause,
            at=turn.after.since,
            shadow=guard.rule.mode is Mode.SHADOW,
        )
        for turn in turns
    )


def _show(guard: Guard, known: breakers.Breaker, book: Book) -> None:
    if guard.rule.mode is Mode.ENFORCE:
        book.breaker_state = str(known.phase)
