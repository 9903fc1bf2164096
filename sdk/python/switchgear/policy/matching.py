"""A policy ready to be obeyed: what applies to a call, found once and then remembered.

Calls that are alike in all facts that some rule looks at share all of it: the rules,
the keys under which their state is kept, the plan. It holds until a rule expires.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Generic, NamedTuple, TypeVar, cast

from switchgear.policy.facts import CallFacts
from switchgear.policy.machines.state import Key
from switchgear.policy.plan import Guard, Plan, hop_of, hops_after
from switchgear.policy.precedence import Index, expired
from switchgear.policy.rules import (
    CircuitBreaker,
    Concurrency,
    Fallback,
    KillSwitch,
    Quota,
    RateLimit,
    Retry,
    Rule,
    RunBudget,
    Timeout,
)
from switchgear.policy.rules.selectors import fact

# A plan is always about these.
_ALWAYS = ("kind", "target", "service")
# Answers remembered at a time; tenants and users may be without number.
_REMEMBERED = 4096
R = TypeVar("R", bound=Rule)
L = TypeVar("L", bound=Concurrency | RateLimit | Quota)


class Match(NamedTuple, Generic[L]):
    """A limit that applies to a call, and the key of what it counts."""

    rule: L
    key: Key


@dataclass(frozen=True, slots=True)
class Matched:
    """All rules that apply to calls that are alike."""

    plan: Plan
    guards: tuple[Guard, ...] = ()
    kill_switches: tuple[KillSwitch, ...] = ()
    run_budgets: tuple[RunBudget, ...] = ()
    concurrency: tuple[Match[Concurrency], ...] = ()
    rate_limits: tuple[Match[RateLimit], ...] = ()
    quotas: tuple[Match[Quota], ...] = ()


class Policy:
    """An index with what it has answered; answers depend on nothing else."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self._likeness = attrgetter(*_facts_that_matter(index.rules))
        self._answers: dict[tuple[object, ...], Matched] = {}

    def matched(self, call: CallFacts, now: float) -> Matched:
        """All that applies to a call now."""
        first = call.fallback_for
        stands_for = self._likeness(first) if first else None
        asked = (self._likeness(call), stands_for, self.index.epoch(now))
        answer = self._answers.get(asked)
        if answer is None:
            if len(self._answers) >= _REMEMBERED:
                self._answers.clear()
            answer = self._answers[asked] = _match(self.index, call, now)
        return answer


def _facts_that_matter(rules: Iterable[Rule]) -> tuple[str, ...]:
    """The facts by which these rules can tell two calls apart."""
    names = dict.fromkeys(_ALWAYS)
    for rule in rules:
        names |= dict.fromkeys(name for name, _ in rule.selector.conditions)
        names |= dict.fromkeys(getattr(rule, "per", ()))
        names |= dict.fromkeys(getattr(rule, "scope", ()))
    return tuple(names)


def _match(index: Index, call: CallFacts, now: float) -> Matched:
    plan = _plan(index, call, now)
    limits = index.limits(call, now)
    shadow = index.shadows(call, now).get(CircuitBreaker.KIND)
    guards = [plan.guard, _guard(cast("CircuitBreaker | None", shadow), call)]
    quotas = _with_parents(index, _of(Quota, limits), now)
    return Matched(
        plan,
        guards=tuple(guard for guard in guards if guard),
        kill_switches=_of(KillSwitch, limits),
        run_budgets=_of(RunBudget, limits),
        concurrency=_kept("slots", _of(Concurrency, limits), call),
        rate_limits=_kept("rate", _of(RateLimit, limits), call),
        quotas=_kept("quota", quotas, call),
    )


def _plan(index: Index, call: CallFacts, now: float) -> Plan:
    won = index.winners(call, now)
    first = call.fallback_for or call
    of_first = won if first is call else index.winners(first, now)
    retry = cast("Retry | None", won.get(Retry.KIND))
    fallback = cast("Fallback | None", of_first.get(Fallback.KIND))
    shared = (call.service, call.kind, call.target)
    return Plan(
        retry=retry,
        timeout=cast("Timeout | None", won.get(Timeout.KIND)),
        fallback=fallback,
        guard=_guard(cast("CircuitBreaker | None", won.get(CircuitBreaker.KIND)), call),
        reserve=("retries", retry.id, *shared) if retry else (),
        hop=hop_of(fallback, first, call) if fallback and first is not call else None,
        hops=hops_after(fallback, first, call) if fallback else (),
    )


def _guard(rule: CircuitBreaker | None, call: CallFacts) -> Guard | None:
    if rule is None:
        return None
    shared = _shared(rule.scope, call)
    # Calls that lack a fact are alike in that; without any they are just strangers.
    if not any(shared.values()):
        return None
    parts = _parts(shared)
    return Guard(rule, ("breaker", rule.id, *parts), ("throttle", rule.id, *parts))


def _kept(what: str, rules: Iterable[L], call: CallFacts) -> tuple[Match[L], ...]:
    matches = []
    for rule in rules:
        shared = _shared(rule.per, call)
        # A call without the fact shares no bucket with others that lack it.
        if None not in shared.values():
            # Tokens are no calls: in another unit, counting begins anew.
            unit = () if isinstance(rule, Concurrency) else (rule.unit,)
            key = (what, rule.id, *unit, *_parts(shared))
            matches.append(Match(rule, key))
    return tuple(matches)


def _shared(names: Iterable[str], call: CallFacts) -> dict[str, str | None]:
    return {name: fact(call, name) for name in names}


def _parts(shared: dict[str, str | None]) -> tuple[str, ...]:
    return tuple(f"{name}={value or ''}" for name, value in shared.items())


def _of(kind: type[R], rules: Iterable[Rule]) -> tuple[R, ...]:
    return tuple(rule for rule in rules if isinstance(rule, kind))


def _with_parents(
    index: Index, quotas: tuple[Quota, ...], now: float
) -> tuple[Quota, ...]:
    """What counts for a quota counts for the one it is a part of, and so on up."""
    found = {quota.id: quota for quota in quotas}
    waiting = list(quotas)
    while waiting:
        parent = index.rule(waiting.pop().parent or "")
        if not isinstance(parent, Quota) or expired(parent, now):
            continue
        if parent.id not in found:
            found[parent.id] = parent
            waiting.append(parent)
    return tuple(found.values())
