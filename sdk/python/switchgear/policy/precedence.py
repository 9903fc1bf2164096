"""Which rules decide about a call.

Of a shaping kind, the strongest rule that matches; of a limiting kind, all that match.
Strength is a total order: tier, then priority, then specificity, then id. A rule that
is off or expired does not exist. A rule in shadow never takes the place of one that
is enforced.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from switchgear.policy.documents.snapshot import Snapshot
from switchgear.policy.facts import CallFacts
from switchgear.policy.rules import (
    CircuitBreaker,
    Concurrency,
    Fallback,
    KillSwitch,
    Mode,
    Quota,
    RateLimit,
    Retry,
    Rule,
    RunBudget,
    Tier,
    Timeout,
)

SHAPING = (Retry, Timeout, CircuitBreaker, Fallback)
# The order in which a call is asked about its limits.
LIMITING = (KillSwitch, RunBudget, Concurrency, RateLimit, Quota)
_TIERS = {Tier.OVERRIDE: 0, Tier.NORMAL: 1, Tier.DEFAULT: 2}
# What may decide between two rules, and what the stronger one is then said to have.
CRITERIA = ("tier", "priority", "specificity", "id")

Strength = tuple[int, int, tuple[int, ...], str]


def strength(rule: Rule) -> Strength:
    """A sort key by which the strongest rule comes first."""
    specificity = tuple(-weight for weight in rule.selector.specificity())
    return (_TIERS[rule.tier], -rule.priority, specificity, rule.id)


def decided_by(one: Rule, other: Rule) -> str:
    """What makes one of two different rules the stronger one."""
    pairs = zip(CRITERIA, strength(one), strength(other), strict=True)
    return next(name for name, mine, yours in pairs if mine != yours)


def expired(rule: Rule, now: float) -> bool:
    return rule.expires_at is not None and rule.expires_at <= now


class Index:
    """The rules of a snapshot, sorted once so that asking is cheap.

    Nothing is remembered between calls: whoever remembers an answer may use it as
    long as `epoch` and the facts of the call stay the same.
    """

    def __init__(self, rules: Snapshot | Iterable[Rule]) -> None:
        given = rules.rules if isinstance(rules, Snapshot) else rules
        live = sorted(
            (each for each in given if each.mode is not Mode.OFF), key=strength
        )
        self._shaping = _by_kind(live, SHAPING)
        self._limiting = [rule for _, own in _by_kind(live, LIMITING) for rule in own]
        ends = {rule.expires_at for rule in live if rule.expires_at is not None}
        self.expiries = tuple(sorted(ends))
        self.rules = tuple(live)
        self._by_id = {rule.id: rule for rule in live}

    def rule(self, name: str) -> Rule | None:
        """A rule by its id, unless it is off."""
        return self._by_id.get(name)

    def epoch(self, now: float) -> int:
        """Changes whenever a rule expires, and back when the clock is set back."""
        return bisect_right(self.expiries, now)

    def winners(self, facts: CallFacts, now: float) -> dict[str, Rule]:
        """The enforced rule of each shaping kind, by kind, where there is one."""
        return self._first(facts, now, shadow=False)

    def shadows(self, facts: CallFacts, now: float) -> dict[str, Rule]:
        """The shadow rules of shaping kinds that would win if they were enforced."""
        first = self._first(facts, now, shadow=True)
        return {kind: each for kind, each in first.items() if each.mode is Mode.SHADOW}

    def limits(self, facts: CallFacts, now: float) -> tuple[Rule, ...]:
        """All limiting rules that apply, shadow ones too, in the order of asking."""
        return tuple(
            rule
            for rule in self._limiting
            if rule.selector.matches(facts) and not expired(rule, now)
        )

    def _first(self, facts: CallFacts, now: float, *, shadow: bool) -> dict[str, Rule]:
        found = {}
        for kind, rules in self._shaping:
            for rule in rules:
                enforced = shadow or rule.mode is Mode.ENFORCE
                if enforced and rule.selector.matches(facts) and not expired(rule, now):
                    found[kind] = rule
                    break
        return found


def _by_kind(
    rules: Iterable[Rule], kinds: Iterable[type[Rule]]
) -> list[tuple[str, list[Rule]]]:
    own = list(rules)
    return [(kind.KIND, [r for r in own if type(r) is kind]) for kind in kinds]
