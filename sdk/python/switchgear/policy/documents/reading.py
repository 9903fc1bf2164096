"""Documents to rules and back.

Strict reading is the server's: whatever it does not know is refused, so that a typing
error never becomes a rule without effect. Lenient reading is the client's: it passes
over fields of a later version, but not over a condition of a selector, because without
it the rule would be about more calls than its author meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from switchgear.policy.documents import canonical
from switchgear.policy.documents.values import (
    READERS,
    SLUG,
    members_of,
    text,
    texts,
    time_text,
)
from switchgear.policy.errors import PolicyError, below, step
from switchgear.policy.rules import (
    COMMON,
    KINDS,
    KillSwitch,
    Rule,
    RunBudget,
    parameters,
)
from switchgear.policy.rules.parameters import Parameter, Type, document_of
from switchgear.policy.rules.selectors import (
    FACTS,
    Comparison,
    Condition,
    Selector,
    Target,
)
from switchgear.policy.vocabulary import Kind

DAY_S = 86_400.0
KIND_WORDS = tuple(each.value for each in Kind)
Document = Mapping[str, Any]


def read_rule(
    document: object, *, strict: bool, at: str = "", now: float | None = None
) -> Rule:
    """The rule a document describes, or PolicyError with a pointer that begins `at`."""
    try:
        canonical.check(document, at)
        rule = _rule(mapping(document, at), at, strict=strict)
        if strict and now is not None:
            _ends_soon(rule, at, now)
    except PolicyError as error:
        raise error.about(_name_of(document)) from None
    return rule


def _name_of(document: object) -> str | None:
    """What a refused document says it is called, if that can be said."""
    name = document.get("id") if isinstance(document, Mapping) else None
    return name if isinstance(name, str) and SLUG.fullmatch(name) else None


def rule_document(rule: Rule) -> dict[str, object]:
    """All of a rule, with its defaults; what is None is absent."""
    document = {"kind": rule.KIND} | document_of(rule, COMMON)
    if rule.expires_at is not None:
        document["expires_at"] = time_text(rule.expires_at)
    return document | document_of(rule, parameters(rule.KIND))


def mapping(value: object, at: str) -> Document:
    if not isinstance(value, Mapping):
        raise PolicyError(at, "must be an object")
    return value


def refuse_unknown(document: Document, known: Iterable[str], at: str) -> None:
    names = tuple(known)
    for name in document:
        if name not in names:
            message = f"is not known here; known are {', '.join(names)}"
            raise PolicyError(step(at, name), message)


def _rule(fields: Document, at: str, *, strict: bool) -> Rule:
    kind = fields.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise PolicyError(step(at, "kind"), f"must be one of {', '.join(KINDS)}")
    own = parameters(kind)
    if kind == RunBudget.KIND and not any(each.name in fields for each in own):
        raise PolicyError(at, f"must set one of {', '.join(each.name for each in own)}")
    values = _members(fields, (*COMMON, *own), at, strict=strict, also=("kind",))
    rule = KINDS[kind](**values)
    for name, message in rule.faults():
        raise PolicyError(below(at, name), message)
    return rule


def _ends_soon(rule: Rule, at: str, now: float) -> None:
    if isinstance(rule, KillSwitch) and (rule.expires_at or 0) > now + DAY_S:
        message = "must be at most 24 hours ahead; a kill switch can be renewed"
        raise PolicyError(step(at, "expires_at"), message)


def _members(
    document: Document,
    known: Sequence[Parameter],
    at: str,
    *,
    strict: bool,
    also: tuple[str, ...] = (),
) -> dict[str, Any]:
    if strict:
        refuse_unknown(document, (*also, *(each.name for each in known)), at)
    values = {}
    for each in known:
        if each.name in document:
            here = step(at, each.name)
            values[each.name] = _value(document[each.name], each, here, strict=strict)
        elif each.required:
            raise PolicyError(step(at, each.name), "is required")
    return values


def _value(value: object, parameter: Parameter, at: str, *, strict: bool) -> Any:
    if value is None:
        raise PolicyError(at, "must not be null; leave it out instead")
    if parameter.type is Type.SELECTOR:
        return read_selector(value, at)
    if parameter.type is Type.OBJECT:
        return _object(value, parameter, at, strict=strict)
    if parameter.type is Type.CHAIN:
        members = members_of(value, at, least=parameter.least, most=parameter.most)
        return tuple(
            _object(each, parameter, step(at, index), strict=strict)
            for index, each in enumerate(members)
        )
    return READERS[parameter.type](value, parameter, at)


def _object(value: object, parameter: Parameter, at: str, *, strict: bool) -> Any:
    fields = mapping(value, at)
    return parameter.holder(**_members(fields, parameter.parts, at, strict=strict))


def read_selector(value: object, at: str = "") -> Selector:
    """A selector, strictly: what is not understood would select too much."""
    fields = mapping(value, at)
    refuse_unknown(fields, FACTS, at)
    given = [name for name in FACTS if name in fields]
    return Selector(
        tuple((name, _condition(name, fields[name], step(at, name))) for name in given)
    )


def _condition(name: str, value: object, at: str) -> Condition:
    condition = _compared(value, at)
    if condition.comparison is not Comparison.GLOB:
        for each in condition.values:
            _check_fact(name, each, at)
    return condition


def _compared(value: object, at: str) -> Condition:
    if isinstance(value, str):
        return Condition(Comparison.EXACT, (text(value, at),))
    if isinstance(value, list | tuple):
        values = texts(value, at)
        only = len(values) == 1
        return Condition(Comparison.EXACT if only else Comparison.LIST, values)
    if isinstance(value, Mapping) and set(value) == {"glob"}:
        return Condition(Comparison.GLOB, (text(value["glob"], step(at, "glob")),))
    if isinstance(value, Mapping) and set(value) == {"not"}:
        return Condition(Comparison.NOT, texts(value["not"], step(at, "not")))
    message = 'must be a text, a list of texts, {"glob": "search.*"} or {"not": [...]}'
    raise PolicyError(at, message)


def _check_fact(name: str, value: str, at: str) -> None:
    if name == "kind" and value not in KIND_WORDS:
        raise PolicyError(at, f"{value} is none of {', '.join(KIND_WORDS)}")
    if name == "target" and not Target.parse(value).name.strip():
        raise PolicyError(at, "must name a target after its kind")
