"""JSON with exactly one spelling (RFC 8785), so that a digest means something.

What cannot be spelt in one way everywhere is refused with a pointer: NaN, infinities,
integers beyond 2**53, lone surrogates, keys named twice. So are NUL, which databases
refuse, and nesting deeper than any policy needs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Context, Decimal
from json.encoder import encode_basestring
from typing import Any

from switchgear.policy.errors import PolicyError, step

MAX_DEPTH = 16
MAX_INTEGER = 2**53 - 1
_TWICE = object()
_PLAIN_FROM = 1e-3
_ENCODER = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
)
_EXACT = Context(prec=17)
# ECMAScript writes smaller numbers with an exponent.
_SMALLEST_PLAIN = -6


def loads(body: bytes, at: str = "") -> Any:
    """Read JSON and refuse what `check` refuses."""
    try:
        document = json.loads(
            body.decode(),
            parse_int=_whole,
            parse_constant=_constant,
            object_pairs_hook=_members,
        )
    except UnicodeDecodeError:
        raise PolicyError(at, "must be UTF-8") from None
    except RecursionError:
        raise _too_deep(at) from None
    except ValueError as error:
        raise PolicyError(at, f"is not JSON: {error}") from None
    check(document, at)
    return document


def _whole(text: str) -> float:
    # Longer ones are refused anyway, and take quadratic time to read.
    return int(text) if len(text) <= len(str(-MAX_INTEGER)) else math.inf


def _constant(text: str) -> float:
    return math.nan


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                document[key] = _TWICE
            seen.add(key)
    return document


def check(value: object, at: str = "") -> None:
    """Refuse what has no canonical spelling."""
    try:
        _simple(value, MAX_DEPTH)
    except _Unsure:
        _check(value, at, 0)


def _check(value: object, at: str, depth: int) -> None:
    if depth == MAX_DEPTH and isinstance(value, Mapping | list | tuple):
        raise _too_deep(at)
    if isinstance(value, Mapping):
        for key, member in value.items():
            _check_key(key, at)
            _check(member, step(at, key), depth + 1)
    elif isinstance(value, list | tuple):
        for index, member in enumerate(value):
            _check(member, step(at, index), depth + 1)
    else:
        _check_scalar(value, at)


def _check_key(key: object, at: str) -> None:
    if not isinstance(key, str):
        raise PolicyError(at, "must have texts as keys")
    _check_text(key, at)


def _check_scalar(value: object, at: str) -> None:
    if isinstance(value, str):
        _check_text(value, at)
    elif isinstance(value, int | float):
        if not -MAX_INTEGER <= value <= MAX_INTEGER:  # also false for NaN
            message = f"must be a number between -{MAX_INTEGER} and {MAX_INTEGER}"
            raise PolicyError(at, message)
    elif value is _TWICE:
        raise PolicyError(at, "is there twice")
    elif value is not None:
        raise PolicyError(at, f"is not JSON: {type(value).__name__}")


def _check_text(text: str, at: str) -> None:
    if "\0" in text:
        raise PolicyError(at, "must not contain NUL")
    if not text.isascii() and any("\ud800" <= each <= "\udfff" for each in text):
        raise PolicyError(at, "must not contain half of a surrogate pair")


def _too_deep(at: str) -> PolicyError:
    # The pointer may be as deep as the document: its head is enough to find it.
    head = "/".join(at.split("/")[: MAX_DEPTH + 1])
    return PolicyError(head, f"must not be nested deeper than {MAX_DEPTH} levels")


def dumps(value: object) -> bytes:
    """The one spelling of a document; PolicyError when it has none."""
    try:
        return _ENCODER.encode(_simple(value, MAX_DEPTH)).encode()
    except _Unsure:
        _check(value, "", 0)
        return _spelt(value).encode()


class _Unsure(Exception):
    """Rare or wrong: the long way has to decide."""


def _simple(value: Any, room: int) -> Any:
    """A copy that every JSON encoder spells as `_spelt` does: almost all documents.

    Publishing spends its time here, so no pointers are made and exact types asked for.
    """
    kind = type(value)
    if kind is str:
        if value.isascii() and "\0" not in value:
            return value
    elif kind is bool or value is None:
        return value
    elif kind is int or kind is float:
        return _simple_number(value)
    elif kind is dict and room:
        return {_simple_key(k): _simple(v, room - 1) for k, v in value.items()}
    elif (kind is list or kind is tuple) and room:
        return [_simple(member, room - 1) for member in value]
    raise _Unsure


def _simple_key(key: object) -> str:
    if type(key) is str and key.isascii() and "\0" not in key:
        return key
    raise _Unsure


def _simple_number(value: float) -> float:
    if not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise _Unsure
    if value == int(value):
        return int(value)
    # Python writes smaller ones with an exponent, ECMAScript not all of them.
    if -_PLAIN_FROM < value < _PLAIN_FROM:
        raise _Unsure
    return value


def _spelt(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, Mapping):
        keys = sorted(value, key=_utf16)
        members = (f"{encode_basestring(key)}:{_spelt(value[key])}" for key in keys)
        return "{" + ",".join(members) + "}"
    return "[" + ",".join(map(_spelt, value)) + "]"


def _utf16(key: str) -> bytes:
    return key.encode("utf-16-be")


def _number(value: float) -> str:
    """As ECMAScript writes it: the shortest digits that read back the same."""
    if isinstance(value, int) or value.is_integer():
        return str(int(value))
    sign, digits, exponent = Decimal(repr(value)).normalize(_EXACT).as_tuple()
    text = "".join(map(str, digits))
    point = len(digits) + int(exponent)  # where the decimal point goes
    minus = "-" if sign else ""
    if point > 0:
        return f"{minus}{text[:point]}.{text[point:]}"
    if point > _SMALLEST_PLAIN:
        return f"{minus}0.{'0' * -point}{text}"
    fraction = f".{text[1:]}" if len(text) > 1 else ""
    return f"{minus}{text[0]}{fraction}e{point - 1}"
