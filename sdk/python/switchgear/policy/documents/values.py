"""Single values of documents, by type: what is allowed, and what it becomes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from switchgear.policy.errors import PolicyError, step
from switchgear.policy.rules.parameters import EXACT, Parameter, Type
from switchgear.policy.rules.selectors import Target

_EPOCH = datetime.fromtimestamp(0, UTC)
_TEXT_MOST = 255
_LIST_MOST = 100
SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DECIMAL = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?")
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z"
)
_PERIOD = re.compile(r"P1[DWM]|PT1H|PT([1-9][0-9]{0,3})M")
_MINUTES_MOST = 1440
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


def text(value: object, at: str, most: int = _TEXT_MOST) -> str:
    """A text that says something, on one line."""
    if not isinstance(value, str):
        raise PolicyError(at, "must be a text")
    if not value.strip():
        raise PolicyError(at, "must not be blank")
    if value != value.strip() or _CONTROL.search(value):
        message = "must not have spaces around it, nor control characters in it"
        raise PolicyError(at, message)
    if len(value) > most:
        raise PolicyError(at, f"must be at most {most} characters long")
    return value


def texts(value: object, at: str) -> tuple[str, ...]:
    """A list of different texts."""
    members = members_of(value, at, least=1, most=_LIST_MOST)
    return _different([text(each, step(at, i)) for i, each in enumerate(members)], at)


def members_of(
    value: object, at: str, *, least: float | None, most: float | None
) -> list[Any]:
    """A list, with so many members."""
    if not isinstance(value, list | tuple):
        raise PolicyError(at, "must be a list")
    if len(value) < (least or 0):
        raise PolicyError(at, "must not be empty")
    if most is not None and len(value) > most:
        raise PolicyError(at, f"must have at most {most:.0f} members")
    return list(value)


def _different(values: list[str], at: str) -> tuple[str, ...]:
    for index, value in enumerate(values):
        if value in values[:index]:
            raise PolicyError(step(at, index), f"{value} is there twice")
    return tuple(values)


def _int(value: object, parameter: Parameter, at: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise PolicyError(at, "must be a whole number")
    _within(value, parameter, at)
    return value


def _number(value: object, parameter: Parameter, at: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise PolicyError(at, "must be a number")
    _within(value, parameter, at)
    return float(value)


def number_from_one(value: object, at: str) -> int:
    """A version, which counts from 1."""
    counting = Parameter(type=Type.INT, help="", least=1)
    return _int(value, counting, at)


def _within(value: float, parameter: Parameter, at: str) -> None:
    least, most = parameter.least, parameter.most
    if least is not None and value < least:
        raise PolicyError(at, f"must be at least {least}{_unit(parameter)}")
    if most is not None and value > most:
        raise PolicyError(at, f"must be at most {most}{_unit(parameter)}")


def _unit(parameter: Parameter) -> str:
    return f" {parameter.unit}" if parameter.unit else ""


def _flag(value: object, parameter: Parameter, at: str) -> bool:
    if not isinstance(value, bool):
        raise PolicyError(at, "must be true or false")
    return value


def _text(value: object, parameter: Parameter, at: str) -> str:
    return text(value, at, int(parameter.most or _TEXT_MOST))


def _choice(value: object, parameter: Parameter, at: str) -> str:
    for choice in parameter.choices:
        if choice == value:
            return choice
    raise PolicyError(at, f"must be one of {', '.join(parameter.choices)}")


def _choices(value: object, parameter: Parameter, at: str) -> tuple[str, ...]:
    members = members_of(value, at, least=parameter.least, most=_LIST_MOST)
    chosen = [_choice(each, parameter, step(at, i)) for i, each in enumerate(members)]
    return _different(chosen, at)


def _numbers(value: object, parameter: Parameter, at: str) -> tuple[float, ...]:
    members = members_of(value, at, least=0, most=10)
    numbers = [_number(each, parameter, step(at, i)) for i, each in enumerate(members)]
    for index, (lower, upper) in enumerate(pairwise(numbers), 1):
        if upper <= lower:
            raise PolicyError(step(at, index), f"must be greater than {lower:g}")
    return tuple(numbers)


def _fitting(pattern: re.Pattern[str], value: object, at: str, allowed: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise PolicyError(at, f"must be {allowed}")
    return value


def _decimal(value: object, parameter: Parameter, at: str) -> Decimal:
    allowed = 'a number in quotes with at most 9 decimals, such as "0.25"'
    return Decimal(_fitting(_DECIMAL, value, at, allowed)).normalize(EXACT)


def _slug(value: object, parameter: Parameter, at: str) -> str:
    allowed = 'letters, digits and any of "._-", at most 100, such as "retry-search"'
    return _fitting(SLUG, value, at, allowed)


def _time(value: object, parameter: Parameter, at: str) -> float:
    return time_seconds(value, at)


def time_seconds(value: object, at: str) -> float:
    """A time of a document as unix seconds."""
    allowed = 'a time in UTC, such as "2026-11-20T12:00:00Z"'
    written = _fitting(_TIME, value, at, allowed)
    try:
        return (datetime.fromisoformat(written) - _EPOCH).total_seconds()
    except ValueError:
        raise PolicyError(at, f"must be {allowed}") from None


def time_text(seconds: float) -> str:
    """Unix seconds as documents write them."""
    at = _EPOCH + timedelta(seconds=seconds)
    return at.isoformat().replace("+00:00", "Z")


def _period(value: object, parameter: Parameter, at: str) -> str:
    allowed = "PT1H, P1D, P1W, P1M, or minutes from PT1M to PT1440M"
    written = _fitting(_PERIOD, value, at, allowed)
    minutes = _PERIOD.fullmatch(written)
    if minutes and int(minutes[1] or 0) > _MINUTES_MOST:
        raise PolicyError(at, f"must be {allowed}")
    return written


def _zone(value: object, parameter: Parameter, at: str) -> str:
    name = text(value, at)
    if name == "UTC":  # known even where no time zones are installed
        return name
    try:
        return ZoneInfo(name).key
    except (ValueError, OSError, KeyError):
        message = "must be a time zone known here, such as Europe/Berlin"
        raise PolicyError(at, message) from None


def _clock(value: object, parameter: Parameter, at: str) -> str:
    return _fitting(_CLOCK, value, at, "a time of day, such as 09:30")


def _target(value: object, parameter: Parameter, at: str) -> Target:
    target = Target.parse(text(value, at))
    if not target.name.strip():
        raise PolicyError(at, "must name a target after its kind")
    return target


Reader = Callable[[object, Parameter, str], object]

READERS: Mapping[Type, Reader] = {
    Type.INT: _int,
    Type.NUMBER: _number,
    Type.FLAG: _flag,
    Type.TEXT: _text,
    Type.CHOICE: _choice,
    Type.CHOICES: _choices,
    Type.NUMBERS: _numbers,
    Type.DECIMAL: _decimal,
    Type.SLUG: _slug,
    Type.TIME: _time,
    Type.PERIOD: _period,
    Type.ZONE: _zone,
    Type.CLOCK: _clock,
    Type.TARGET: _target,
}
