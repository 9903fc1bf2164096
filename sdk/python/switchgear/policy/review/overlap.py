"""How two selectors lie to each other: can both select a call, does one cover all.

`overlap` says no only when it is sure, and `covers` says yes only when it is sure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import chain

from switchgear.policy.rules.rule import Rule
from switchgear.policy.rules.selectors import (
    ANYTHING,
    FACTS,
    Comparison,
    Condition,
    Selector,
    Target,
    glob_matches,
)
from switchgear.policy.vocabulary import Kind

_FINITE = (Comparison.EXACT, Comparison.LIST)


def overlap(
    one: Selector, other: Selector, facts: Collection[str] = frozenset(FACTS)
) -> bool:
    """Whether some call may be selected by both, as far as these facts tell."""
    others = dict(other.conditions)
    return all(
        _meet(name, condition, others[name])
        for name, condition in one.conditions
        if name in others and name in facts
    )


def covers(wide: Selector, narrow: Selector) -> bool:
    """Whether every call that `narrow` selects is surely selected by `wide` too."""
    narrower = dict(narrow.conditions)
    return all(
        name in narrower and _implies(name, narrower[name], condition)
        for name, condition in wide.conditions
    )


def rivals(rules: Iterable[Rule]) -> Iterator[tuple[Rule, Rule]]:
    """Pairs of one kind, the earlier first, without those that list other targets."""
    kinds: dict[str, _Earlier] = {}
    for rule in rules:
        earlier = kinds.setdefault(rule.KIND, _Earlier())
        names = _listed_targets(rule.selector)
        yield from ((each, rule) for each in earlier.sharing(names))
        earlier.add(rule, names)


class _Earlier:
    """Rules by the targets they list; those that list none may be about any."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._places: dict[str | None, list[int]] = {}

    def add(self, rule: Rule, names: Collection[str]) -> None:
        for name in names or (None,):
            self._places.setdefault(name, []).append(len(self._rules))
        self._rules.append(rule)

    def sharing(self, names: Collection[str]) -> list[Rule]:
        if not names:
            return list(self._rules)
        found = (self._places.get(name, ()) for name in (None, *names))
        return [self._rules[place] for place in sorted(set(chain(*found)))]


def _listed_targets(selector: Selector) -> set[str]:
    """The names of all targets it can be about; empty when it does not list them."""
    condition = dict(selector.conditions).get("target")
    if condition is None or condition.comparison not in _FINITE:
        return set()
    return {Target.parse(value).name for value in condition.values}


def possible(fact: str, value: str) -> Iterator[tuple[str, str | None]]:
    """What a value written in a selector may be in calls: itself, and its long name."""
    if fact != "target":
        yield value, None
        return
    target = Target.parse(value)
    for kind in Kind if target.kind is None else (target.kind,):
        yield target.name, f"{kind}:{target.name}"


def _meet(fact: str, one: Condition, other: Condition) -> bool:
    for finite, second in ((one, other), (other, one)):
        if finite.comparison in _FINITE:
            return any(
                second.holds(*each)
                for value in finite.values
                for each in possible(fact, value)
            )
    if one.comparison is other.comparison is Comparison.GLOB:
        return _globs_meet(*_patterns(fact, one, other))
    return True  # what is not among a few values can be nearly anything


def _implies(fact: str, narrow: Condition, wide: Condition) -> bool:
    if narrow.comparison in _FINITE:
        return all(
            wide.holds(*each)
            for value in narrow.values
            for each in possible(fact, value)
        )
    if wide.comparison is Comparison.NOT:
        return _excludes(fact, narrow, wide.values)
    if wide.comparison is Comparison.GLOB and narrow.comparison is Comparison.GLOB:
        pattern, narrower = _patterns(fact, wide, narrow)
        # A star in the narrower one can only be met by a star in the wider one.
        same_kind = pattern.kind in (None, narrower.kind)
        return same_kind and glob_matches(pattern.name, narrower.name)
    return wide == ANYTHING


def _excludes(fact: str, narrow: Condition, values: tuple[str, ...]) -> bool:
    """Whether a pattern, or all but a few values, surely has none of these values."""
    return not any(
        narrow.holds(*each) for value in values for each in possible(fact, value)
    )


def _patterns(fact: str, one: Condition, other: Condition) -> tuple[Target, Target]:
    patterns = one.values[0], other.values[0]
    if fact != "target":
        return Target(None, patterns[0]), Target(None, patterns[1])
    return Target.parse(patterns[0]), Target.parse(patterns[1])


def _globs_meet(one: Target, other: Target) -> bool:
    if one.kind and other.kind and one.kind is not other.kind:
        return False
    if "*" not in one.name:
        return glob_matches(other.name, one.name)
    if "*" not in other.name:
        return glob_matches(one.name, other.name)
    # Between its first and last star a pattern gives way to anything.
    heads = one.name.partition("*")[0], other.name.partition("*")[0]
    tails = one.name.rpartition("*")[2], other.name.rpartition("*")[2]
    shorter_head, head = sorted(heads, key=len)
    shorter_tail, tail = sorted(tails, key=len)
    return head.startswith(shorter_head) and tail.endswith(shorter_tail)
