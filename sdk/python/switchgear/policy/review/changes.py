"""What distinguishes two sets of rules, in sentences for people.

A sentence is made of pieces, so that a page can strike out what was and highlight what
is; as a text it reads `search: retry max attempts 3 -> 5 for tenant acme`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from switchgear.policy.documents.reading import rule_document
from switchgear.policy.review.wording import (
    condition_words,
    kind_words,
    parameter_words,
    selector_words,
    value_words,
)
from switchgear.policy.rules import COMMON, Rule, parameters
from switchgear.policy.rules.parameters import Parameter
from switchgear.policy.rules.selectors import Selector

_NAMING = ("target", "model")
_EVERY = "every call"
# They grow and identify; nobody means to change them.
_SILENT = ("id", "rev")


class Was(str):
    """A piece that is no longer true."""

    __slots__ = ()


class Now(str):
    """A piece that becomes true."""

    __slots__ = ()


class Change(StrEnum):
    """What happened to the rule."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Sentence:
    """One change of one rule."""

    rule: str
    change: Change
    words: tuple[str, ...]

    def __str__(self) -> str:
        return "".join(self.words)


def sentences(before: Iterable[Rule], after: Iterable[Rule]) -> list[Sentence]:
    """What changes, ordered by rule; nothing when only revisions differ."""
    old = {rule.id: rule for rule in before}
    new = {rule.id: rule for rule in after}
    return [
        sentence
        for name in sorted(old | new)
        for sentence in _of_rule(old.get(name), new.get(name))
    ]


def _of_rule(old: Rule | None, new: Rule | None) -> Iterator[Sentence]:
    if old and new and old.KIND == new.KIND:
        yield from _changed(old, new)
        return
    if old:
        yield _removed(old)
    if new:
        yield _added(new)


def _removed(rule: Rule) -> Sentence:
    name = Was(f"{kind_words(rule.KIND)} {rule.id}")
    words = (f"{_subject(rule.selector)}: ", name, f" removed{_rest(rule.selector)}")
    return Sentence(rule.id, Change.REMOVED, words)


def _added(rule: Rule) -> Sentence:
    document = rule_document(rule)
    told = [
        f"{parameter_words(each.name)} {value_words(document[each.name], each)}"
        for each in _parameters(rule)
        if each.name != "selector"
        and document.get(each.name, each.default) != each.default
    ]
    more = f" with {', '.join(told)}" if told else ""
    name = Now(f"{kind_words(rule.KIND)} {rule.id}")
    after = f" added{_rest(rule.selector)}{more}"
    words = (f"{_subject(rule.selector)}: ", name, after)
    return Sentence(rule.id, Change.ADDED, words)


def _changed(old: Rule, new: Rule) -> Iterator[Sentence]:
    before, after = rule_document(old), rule_document(new)
    for each in _parameters(new):
        if before.get(each.name) == after.get(each.name):
            continue
        words = (
            f"{_subject(old.selector)}: {kind_words(old.KIND)} ",
            f"{parameter_words(each.name)} ",
            Was(_value(old, before, each)),
            " -> ",
            Now(_value(new, after, each)),
            "" if each.name == "selector" else _rest(old.selector),
        )
        yield Sentence(old.id, Change.CHANGED, words)


def _parameters(rule: Rule) -> Iterator[Parameter]:
    every = (*COMMON, *parameters(rule.KIND))
    return (each for each in every if each.name not in _SILENT)


def _value(rule: Rule, document: dict[str, object], parameter: Parameter) -> str:
    if parameter.name == "selector":
        return selector_words(rule.selector) or _EVERY
    return value_words(document.get(parameter.name), parameter)


def _subject(selector: Selector) -> str:
    named = [each for name, each in selector.conditions if name in _NAMING]
    return condition_words(named[0]) if named else _EVERY


def _rest(selector: Selector) -> str:
    """Whom else it is about, after what is named as the subject."""
    names = [name for name, _ in selector.conditions]
    subject = next((name for name in names if name in _NAMING), None)
    rest = (each for each in selector.conditions if each[0] != subject)
    words = selector_words(Selector(tuple(rest)))
    return f" for {words}" if words else ""
