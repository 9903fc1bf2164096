"""Forms of rules, built from the kernel's table of parameters. Pure.

A form is fields and what stands in them; ``typed`` turns what a browser sends into the
document of a rule. Nothing is judged here: text that is no number stays text, the
kernel refuses it with a pointer, and the pointer names the field that shows why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from dashboards.policy.kinds import KINDS, LABELS
from dashboards.policy.words import Condition, conditions
from switchgear.policy.rules import COMMON, parameters
from switchgear.policy.rules.parameters import Parameter, Type

Posted = Mapping[str, Sequence[str]]
Document = dict[str, Any]
Errors = Mapping[str, str]  # by pointer

# How a condition compares, as a select shows it.
TESTS = {"": "is", "one of": "is one of", "like": "is like", "not": "is not"}
NUMBERS = {Type.INT, Type.NUMBER, Type.NUMBERS, Type.DECIMAL}
UNITS = ("_ms", "_s", "_usd", "_percent")
MINUTES, SECONDS = "2026-11-20T16:00", "2026-11-20T16:00:00"
TWICE = "stands here twice: use 'is one of' with several values"


@dataclass(frozen=True, slots=True)
class Field:
    """One input: what may be in it, what is in it, and what is wrong with that."""

    parameter: Parameter
    pointer: str
    value: Any
    error: str = ""
    parts: tuple[Field, ...] = ()
    hops: tuple[Hop, ...] = ()
    blank: Hop | None = None

    @property
    def name(self) -> str:
        """As the browser sends it: the pointer with dots, without its numbers."""
        steps = self.pointer[1:].split("/")
        return ".".join(step for step in steps if not step.isdigit())

    @property
    def id(self) -> str:
        return "f" + self.pointer.replace("/", "-")

    @property
    def label(self) -> str:
        name = self.parameter.name
        if name in LABELS:
            return LABELS[name]
        if self.parameter.unit:
            name = next((name.removesuffix(u) for u in UNITS if name.endswith(u)), name)
        return name.replace("_", " ").capitalize()

    @property
    def number(self) -> bool:
        return self.parameter.type in NUMBERS

    @property
    def changed(self) -> bool:
        """Whether it says anything else than its default."""
        return bool(self.value != shown(self.parameter, self.parameter.default))

    @property
    def placeholder(self) -> str:
        """What holds as long as nothing is typed."""
        if self.parameter.required:
            return "required"
        return str(shown(self.parameter, self.parameter.default)) or "none"

    @property
    def wrong(self) -> bool:
        inner = any(part.wrong for part in self.parts)
        return bool(self.error) or inner or any(hop.error for hop in self.hops)


@dataclass(frozen=True, slots=True)
class Hop:
    """One target of a chain."""

    fields: tuple[Field, ...]
    error: str = ""


@dataclass(frozen=True, slots=True)
class ConditionRow:
    typed: Condition
    error: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    id: Field
    mode: Field
    conditions: tuple[ConditionRow, ...]
    first: tuple[Field, ...]  # what says what the rule is
    more: tuple[Field, ...]  # what mostly stays as it is
    error: str  # what is wrong with the rule as a whole

    @property
    def unfolded(self) -> bool:
        return any(one.wrong or one.changed for one in self.more)


def form(kind: str, document: Document, errors: Errors) -> Form:
    fields = {
        one.name: _field(one, f"/{one.name}", document, errors)
        for one in (*COMMON, *parameters(kind))
        if one.type is not Type.SELECTOR
    }
    first = KINDS[kind].first
    apart = {"id", "rev", "mode", *first}
    own = [one.name for one in parameters(kind)]
    rest = (*own, "tier", "priority", "expires_at")
    selector = document.get("selector")
    known = {field.pointer for field in fields.values()}
    return Form(
        id=fields["id"],
        mode=fields["mode"],
        conditions=_conditions(selector if isinstance(selector, dict) else {}, errors),
        first=tuple(fields[name] for name in first),
        more=tuple(fields[name] for name in rest if name not in apart),
        error=_elsewhere(known, errors),
    )


def _elsewhere(known: set[str], errors: Errors) -> str:
    """What is wrong where no field is."""
    for pointer, text in errors.items():
        if "/" + pointer[1:].partition("/")[0] not in known | {"/selector"}:
            return text
    return errors.get("/selector", "")


def _field(
    parameter: Parameter, pointer: str, document: Document, errors: Errors
) -> Field:
    stored = document.get(parameter.name, parameter.default)
    error = errors.get(pointer, "")
    if parameter.type is Type.CHAIN:
        chain = stored if isinstance(stored, list) else []
        hops = (
            _hop(parameter, f"{pointer}/{n}", hop, errors)
            for n, hop in enumerate(chain)
        )
        blank = _hop(parameter, f"{pointer}/0", {}, {})
        return Field(parameter, pointer, chain, error, hops=tuple(hops), blank=blank)
    if parameter.type is Type.OBJECT:
        inner = dict(stored) if isinstance(stored, dict) else {}
        parts = (
            _field(p, f"{pointer}/{p.name}", inner, errors) for p in parameter.parts
        )
        return Field(parameter, pointer, inner, error, parts=tuple(parts))
    return Field(parameter, pointer, shown(parameter, stored), error)


def _hop(chain: Parameter, pointer: str, hop: Document, errors: Errors) -> Hop:
    fields = tuple(_field(p, f"{pointer}/{p.name}", hop, errors) for p in chain.parts)
    inner = next((one.error for one in fields if one.error), "")
    return Hop(fields, errors.get(pointer, inner))


def _conditions(selector: Document, errors: Errors) -> tuple[ConditionRow, ...]:
    def wrong(fact: str) -> str:
        at = f"/selector/{fact}"
        found = (
            text for where, text in errors.items() if f"{where}/".startswith(f"{at}/")
        )
        return next(found, "")

    return tuple(ConditionRow(one, wrong(one.fact)) for one in conditions(selector))


def shown(parameter: Parameter, stored: Any) -> Any:
    """What an input holds for what a document says."""
    if parameter.type is Type.FLAG:
        return bool(stored)
    if parameter.type is Type.CHOICES:
        return list(stored or ())
    if parameter.type is Type.TIME and isinstance(stored, str):
        return stored.removesuffix("Z")[: len(SECONDS)]
    return stored if isinstance(stored, dict) else _written(stored)


def _written(stored: Any) -> str:
    if stored is None:
        return ""
    if isinstance(stored, (list, tuple)):
        return ", ".join(map(_written, stored))
    return f"{stored:g}" if isinstance(stored, float) else str(stored)


def typed(kind: str, posted: Posted) -> tuple[Document, dict[str, str]]:
    """The document in a form, and what cannot even be written as one."""
    selector, errors = _selector(posted)
    document: Document = {"selector": selector}
    for one in (*COMMON, *parameters(kind)):
        if one.name in {"selector", "rev"}:
            continue
        value = _value(one, one.name, posted)
        if value is not None:
            document[one.name] = value
    return document, errors


def _value(parameter: Parameter, name: str, posted: Posted) -> Any:
    """None for what was left empty: then the default holds."""
    if parameter.type is Type.CHAIN:
        return _chain(parameter, name, posted)
    if parameter.type is Type.OBJECT:
        parts = {p.name: _value(p, f"{name}.{p.name}", posted) for p in parameter.parts}
        return {key: value for key, value in parts.items() if value is not None}
    given = posted.get(name, ())
    if parameter.type is Type.CHOICES:
        return list(given)
    if parameter.type is Type.FLAG:
        return bool(given)
    text = given[-1].strip() if given else ""
    return _read(parameter.type, text) if text else None


def _chain(parameter: Parameter, name: str, posted: Posted) -> list[Document]:
    columns = [posted.get(f"{name}.{part.name}", ()) for part in parameter.parts]
    return [
        {
            part.name: _read(part.type, text.strip())
            for part, text in zip(parameter.parts, row, strict=True)
            if text.strip() or part.required
        }
        for row in zip_longest(*columns, fillvalue="")
    ]


def _read(type_: Type, text: str) -> Any:
    read = READ.get(type_)
    try:
        return read(text) if read else text
    except ValueError:
        return text


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def _time(text: str) -> str:
    """What <input type="datetime-local"> holds is UTC here."""
    if len(text) == len(MINUTES):
        return f"{text}:00Z"
    return f"{text}Z" if len(text) == len(SECONDS) else text


READ: dict[Type, Callable[[str], Any]] = {
    Type.INT: int,
    Type.NUMBER: float,
    Type.NUMBERS: _numbers,
    Type.TIME: _time,
}


def _selector(posted: Posted) -> tuple[Document, dict[str, str]]:
    facts, tests, values = (
        posted.get(f"selector.{column}", ()) for column in ("fact", "test", "value")
    )
    selector: Document = {}
    errors = {}
    for fact, test, value in zip(facts, tests, values, strict=False):
        if fact in selector:
            errors[f"/selector/{fact}"] = TWICE
        selector[fact] = _wanted(test, value.strip())
    return selector, errors


def _wanted(test: str, value: str) -> Any:
    several = [part.strip() for part in value.split(",")]
    if test == "one of":
        return several
    if test == "like":
        return {"glob": value}
    return {"not": several} if test == "not" else value
