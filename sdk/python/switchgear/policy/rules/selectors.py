"""Which calls a rule is about: conditions on the facts of a call, all of which hold.

A condition names one fact. A call that lacks the fact is never selected by it, not even
by "none of": a phantom default would lump strangers together. Patterns know `*` only,
so that matching takes linear time and two patterns can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from switchgear.policy.facts import CallFacts
from switchgear.policy.vocabulary import Kind

_KINDS = frozenset(Kind)


@dataclass(frozen=True, slots=True)
class Target:
    """What is called; without a kind, of the kind of the calls it stands in for."""

    kind: Kind | None
    name: str

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read `tool:search`; only a known kind before the colon is a kind."""
        kind, colon, name = text.partition(":")
        if colon and kind in _KINDS:
            return cls(Kind(kind), name)
        return cls(None, text)

    def document(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.kind else self.name


class Comparison(StrEnum):
    """How a condition looks at the value of its fact."""

    EXACT = "exact"
    LIST = "list"
    GLOB = "glob"
    NOT = "not"


# How much a condition says about the call, for precedence.
_WEIGHTS = {
    Comparison.EXACT: 4,
    Comparison.LIST: 3,
    Comparison.GLOB: 2,
    Comparison.NOT: 1,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One fact compared with one or more values; a pattern is a single value."""

    comparison: Comparison
    values: tuple[str, ...]

    def holds(self, value: str, qualified: str | None = None) -> bool:
        """Whether it holds for a value, or for its longer name (`tool:search`)."""
        if self.comparison is Comparison.GLOB:
            pattern = self.values[0]
            by_kind = qualified is not None and Target.parse(pattern).kind is not None
            return glob_matches(pattern, qualified if qualified and by_kind else value)
        found = value in self.values or qualified in self.values
        return found is not (self.comparison is Comparison.NOT)

    def document(self) -> object:
        if self.comparison is Comparison.EXACT:
            return self.values[0]
        if self.comparison is Comparison.LIST:
            return list(self.values)
        if self.comparison is Comparison.GLOB:
            return {"glob": self.values[0]}
        return {"not": list(self.values)}


ANYTHING = Condition(Comparison.GLOB, ("*",))


def glob_matches(pattern: str, value: str) -> bool:
    """Whether `value` fits `pattern`, in which `*` is any run of characters."""
    first, *rest = pattern.split("*")
    if not rest:
        return value == pattern
    last = rest.pop()
    if len(value) < len(first) + len(last):
        return False
    if not (value.startswith(first) and value.endswith(last)):
        return False
    at, end = len(first), len(value) - len(last)
    for part in rest:
        found = value.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


# The facts a selector may name, the most telling first.
FACTS = (
    "target",
    "model",
    "kind",
    "provider",
    "agent",
    "tenant",
    "service",
    "environment",
)
# Where the sums of two selectors are the same, these decide, in this order.
_DECIDING = (("target", "model"), ("tenant",), ("service",))


def fact(facts: CallFacts, name: str) -> str | None:
    """The value of one fact; the model of a model call is its target."""
    if name == "model" and facts.kind == Kind.MODEL:
        return facts.target
    value: str | None = getattr(facts, name)
    return value


def holds(name: str, condition: Condition, facts: CallFacts) -> bool:
    """Whether a condition on one fact holds for a call."""
    value = fact(facts, name)
    if value is None:
        return False
    return condition.holds(value, f"{facts.kind}:{value}" if name == "target" else None)


@dataclass(frozen=True, slots=True)
class Selector:
    """Conditions by fact, in the order of `FACTS`; without any it selects all calls."""

    conditions: tuple[tuple[str, Condition], ...] = ()

    def matches(self, facts: CallFacts) -> bool:
        return all(holds(name, each, facts) for name, each in self.conditions)

    def could_match(
        self, *, service: str | None = None, environment: str | None = None
    ) -> bool:
        """Whether a call of this service in this environment may be selected.

        None stands for any.
        """
        known = {"service": service, "environment": environment}
        given = ((known.get(name), condition) for name, condition in self.conditions)
        return all(value is None or each.holds(value) for value, each in given)

    def specificity(self) -> tuple[int, ...]:
        """How much is said about the call: another condition never makes it less."""
        weights = {name: _WEIGHTS[each.comparison] for name, each in self.conditions}
        deciding = (sum(weights.get(name, 0) for name in each) for each in _DECIDING)
        return (sum(weights.values()), *deciding)

    def document(self) -> dict[str, object]:
        return {name: condition.document() for name, condition in self.conditions}
