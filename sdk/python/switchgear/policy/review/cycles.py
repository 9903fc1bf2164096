"""Fallback chains that lead back to their beginning, and quotas inside themselves.

A rule that names no target (and no model) is a default: what was tried is not tried
again, so defaults close no cycle. Nor does one rule by itself, whose chain is walked
once; unless it sends a target that it names straight back to itself.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple, TypeVar

from switchgear.policy.errors import PolicyError
from switchgear.policy.review.overlap import overlap, possible
from switchgear.policy.rules import Fallback, Mode, Quota, Rule
from switchgear.policy.rules.selectors import (
    ANYTHING,
    Comparison,
    Condition,
    Selector,
    Target,
)
from switchgear.policy.vocabulary import Kind

Node = TypeVar("Node", bound=Hashable)

_FINITE = (Comparison.EXACT, Comparison.LIST)
# These stay the same from hop to hop.
_INVARIANT = frozenset({"agent", "tenant", "service", "environment"})


class Step(NamedTuple):
    """A fallback rule has sent a call to a target."""

    rule: Fallback
    target: Target


def fallback_cycle(rules: Iterable[Rule]) -> tuple[str, ...] | None:
    """The targets of one cycle as calls meet them, the first again at the end."""
    steps = _cycle_of_steps(rules)
    return None if steps is None else _names(steps)


def check_together(rules: Iterable[Rule]) -> None:
    """Refuse rules that contradict each other; the pointer is into `error.rule`."""
    listed = tuple(rules)
    steps = _cycle_of_steps(listed)
    if steps is not None:
        path = " -> ".join(_names(steps))
        message = f"falls back in a circle: {path}; take one of them out of a chain"
        raise PolicyError("/chain", message, steps[-1].rule.id)
    _check_parents(listed)


def _names(steps: Sequence[Step]) -> tuple[str, ...]:
    return tuple(str(each.target) for each in (steps[-1], *steps))


def _cycle_of_steps(rules: Iterable[Rule]) -> tuple[Step, ...] | None:
    fallbacks = [
        each
        for each in sorted(rules, key=lambda rule: rule.id)
        if isinstance(each, Fallback) and each.mode is not Mode.OFF
    ]
    steps = {rule.id: _steps(rule) for rule in fallbacks}
    for step in chain.from_iterable(steps.values()):
        if _sends_back(step):
            return (step,)
    naming = _Naming(fallbacks)

    def following(step: Step) -> list[Step]:
        rules = naming.of(step)
        return [s for r in rules for s in steps[r.id] if s.target != step.target]

    return cycle(chain.from_iterable(steps.values()), following)


def _steps(rule: Fallback) -> list[Step]:
    own = _own_kind(rule.selector)
    targets = (each.target for each in rule.chain)
    return [Step(rule, Target(each.kind or own, each.name)) for each in targets]


def _own_kind(selector: Selector) -> Kind | None:
    """The kind of the calls a selector is about, if it says so."""
    conditions = dict(selector.conditions)
    kind, target = conditions.get("kind"), conditions.get("target")
    if kind and kind.comparison is Comparison.EXACT:
        return Kind(kind.values[0])
    if target and target.comparison is Comparison.EXACT:
        return Target.parse(target.values[0]).kind
    return Kind.MODEL if "model" in conditions and target is None else None


def _sends_back(step: Step) -> bool:
    selector = step.rule.selector
    named = (each.comparison for each in _naming(selector, step.target))
    return Comparison.EXACT in named and may_select(selector, step.target)


class _Naming:
    """Which rules name a target, without asking all of them about each."""

    def __init__(self, rules: Iterable[Fallback]) -> None:
        self._by_name: dict[str, list[Fallback]] = {}
        self._by_pattern: list[Fallback] = []
        for rule in rules:
            names = _listed_names(rule.selector)
            if names is None:
                self._by_pattern.append(rule)
            for name in names or ():
                self._by_name.setdefault(name, []).append(rule)

    def of(self, step: Step) -> list[Fallback]:
        """The other rules that take over when this step fails as well."""
        named = self._by_name.get(step.target.name, [])
        return [
            rule
            for rule in (*named, *self._by_pattern)
            if rule is not step.rule
            and _names_target(rule.selector, step.target)
            and overlap(rule.selector, step.rule.selector, _INVARIANT)
        ]


def _listed_names(selector: Selector) -> set[str] | None:
    """All names it can be about, or None when it has a pattern or says nothing."""
    conditions = dict(selector.conditions)
    naming = conditions.get("target") or conditions.get("model")
    if naming is None or naming.comparison not in _FINITE:
        return None
    return {Target.parse(value).name for value in naming.values}


def _names_target(selector: Selector, target: Target) -> bool:
    named = map(_says_which, _naming(selector, target))
    return any(named) and may_select(selector, target)


def _naming(selector: Selector, target: Target) -> list[Condition]:
    """The conditions on what a target is called."""
    is_model = target.kind in (None, Kind.MODEL)
    return [
        condition
        for name, condition in selector.conditions
        if name == "target" or (name == "model" and is_model)
    ]


def may_select(selector: Selector, target: Target) -> bool:
    """Whether a selector can be about calls of a target, for some caller."""
    return all(_may_be(name, each, target) for name, each in selector.conditions)


def _says_which(condition: Condition) -> bool:
    """Whether a condition picks some out, rather than all or all but a few."""
    return condition.comparison is not Comparison.NOT and condition != ANYTHING


def _may_be(fact: str, condition: Condition, target: Target) -> bool:
    """Whether a condition can hold for a call of a target."""
    if fact == "target":
        return any(condition.holds(*each) for each in possible(fact, str(target)))
    if fact == "kind":
        return target.kind is None or condition.holds(target.kind)
    if fact == "model" and target.kind in (None, Kind.MODEL):
        return condition.holds(target.name)
    return True


def _check_parents(rules: Iterable[Rule]) -> None:
    quotas = {each.id: each for each in rules if isinstance(each, Quota)}
    for quota in quotas.values():
        if quota.parent is None:
            continue
        parent = quotas.get(quota.parent)
        if parent is None:
            message = f"{quota.parent} is no quota of this policy"
            raise PolicyError("/parent", message, quota.id)
        if parent.unit != quota.unit:
            message = f"{parent.id} counts {parent.unit}, this counts {quota.unit}"
            raise PolicyError("/parent", message, quota.id)
    circle = cycle(quotas, lambda name: [p for p in [quotas[name].parent] if p])
    if circle is not None:
        path = " -> ".join((circle[-1], *circle))
        raise PolicyError("/parent", f"contains itself: {path}", circle[-1])


def cycle(
    nodes: Iterable[Node], following: Callable[[Node], Iterable[Node]]
) -> tuple[Node, ...] | None:
    """Some cycle of a graph, in order; None when there is none."""
    done: set[Node] = set()
    for start in nodes:
        path: dict[Node, Iterator[Node]] = {}
        here: Node | None = start if start not in done else None
        while here is not None:
            if here not in path:
                path[here] = iter(following(here))
            step = next((each for each in path[here] if each not in done), None)
            if step is None:
                path.popitem()
                done.add(here)
                here = next(reversed(path), None)
            elif step in path:
                walked = list(path)
                return tuple(walked[walked.index(step) :])
            else:
                here = step
    return None
