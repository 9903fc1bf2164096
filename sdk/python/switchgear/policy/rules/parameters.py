"""How the parameters of rules are described: the one table everything is built from.

Reading, forms, the REST schema and the manual ask the same `Parameter`. A rule class
carries them as the metadata of its fields, made by the functions below, so that a
parameter is written down once, beside the value it describes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, replace
from decimal import Context, Decimal
from enum import StrEnum
from typing import Any

# Money is exact, whatever precision the program around us has chosen for itself.
EXACT = Context(prec=40)
NANO = Decimal(10**9)


class Type(StrEnum):
    """What a value looks like in a document."""

    INT = "int"
    NUMBER = "number"
    FLAG = "flag"
    TEXT = "text"
    CHOICE = "choice"  # one of `choices`
    CHOICES = "choices"  # a list of different ones of `choices`
    NUMBERS = "numbers"  # a list of numbers, ascending
    DECIMAL = "decimal"  # a string: floats cannot hold money
    SLUG = "slug"  # the id of a rule
    TIME = "time"  # RFC 3339 in UTC; unix seconds in the rule
    PERIOD = "period"  # ISO 8601: PT5M, PT1H, P1D, P1W, P1M
    ZONE = "zone"  # a name of the IANA time zone database
    CLOCK = "clock"  # HH:MM
    TARGET = "target"  # tool:search, or a bare name
    SELECTOR = "selector"
    OBJECT = "object"  # its members are `parts`
    CHAIN = "chain"  # a list of objects, each with `parts`


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One field of a rule: what it may hold, and what it does in a sentence."""

    type: Type
    help: str
    name: str = ""
    default: object = None  # as it stands in a document; None: absent
    required: bool = False
    unit: str = ""
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    parts: tuple[Parameter, ...] = ()
    holder: Callable[..., Any] = dict  # what the parts become


Metadata = Mapping[str, Parameter]


def described(kind: Type, help_: str, **limits: Any) -> Metadata:
    """Metadata for a dataclass field that is a parameter."""
    return {"parameter": Parameter(type=kind, help=help_, **limits)}


def whole(
    help_: str, *, least: int, most: int = 1_000_000_000, unit: str = ""
) -> Metadata:
    return described(Type.INT, help_, least=least, most=most, unit=unit)


def milliseconds(help_: str, *, least: int = 1) -> Metadata:
    return whole(help_, least=least, most=86_400_000, unit="ms")


def seconds(help_: str, *, most: int = 86_400) -> Metadata:
    return whole(help_, least=1, most=most, unit="s")


def percent(help_: str, *, least: int = 1, most: int = 100) -> Metadata:
    return whole(help_, least=least, most=most, unit="%")


def money(help_: str) -> Metadata:
    return described(Type.DECIMAL, help_, least=0, unit="USD")


def nano(usd: Decimal | None) -> int | None:
    """Money as calls report it: whole nano-USD."""
    return None if usd is None else int(EXACT.multiply(usd, NANO))


def choice(help_: str, of: Iterable[str]) -> Metadata:
    return described(Type.CHOICE, help_, choices=tuple(of))


def choices(help_: str, of: Iterable[str], *, least: int = 0) -> Metadata:
    return described(Type.CHOICES, help_, choices=tuple(of), least=least)


def made_of(kind: Type, help_: str, holder: type, **limits: Any) -> Metadata:
    """Metadata for a field that holds one or more dataclasses with parameters."""
    return described(kind, help_, holder=holder, parts=parts(holder), **limits)


def parts(holder: type) -> tuple[Parameter, ...]:
    """The parameters a dataclass declares itself, in the order of its fields."""
    own = holder.__annotations__
    return tuple(_named(field) for field in fields(holder) if field.name in own)


def _named(field: Field[Any]) -> Parameter:
    parameter: Parameter = field.metadata["parameter"]
    required = field.default is MISSING
    default = None if required else plain(field.default)
    return replace(parameter, name=field.name, default=default, required=required)


def plain(value: Any) -> Any:
    """A value of a rule as it stands in a document."""
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    if hasattr(value, "document"):
        return value.document()
    return value


def document_of(holder: Any, known: Iterable[Parameter]) -> dict[str, object]:
    """Parameters of a dataclass as an object; what is None is absent."""
    values = ((each.name, getattr(holder, each.name)) for each in known)
    return {name: plain(value) for name, value in values if value is not None}
