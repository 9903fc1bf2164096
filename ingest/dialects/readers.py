"""Attribute values as senders really write them -> text, counts, numbers, flags.

Every reader answers ``None`` for a value it cannot use and never raises: strings that
are numbers, JSON-quoted scalars, documents cut in the middle, Python literals, NaN,
negative and absurd counts all come from real exporters.
"""

from __future__ import annotations

import ast
import math
import sys
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec

from ingest.dialects.providers import FRAMEWORKS, PROVIDERS

Value: TypeAlias = Any  # an AnyValue message, or what a document holds
Reader: TypeAlias = Callable[[Value], Any]

WORD_LIMIT = 256
COUNT_LIMIT = 10**15
_LITERAL_LIMIT = 16_384
_NUMERIC_LIMIT = 64
_WORDS_KEPT = 16_384
_FLAGS = {"true": True, "1": True, "false": False, "0": False}
_words: dict[str, str] = {}  # as written -> understood
_known_word = _words.get
_decode_json = msgspec.json.Decoder().decode


def plain(value: Value) -> Any:
    """An AnyValue as a Python value."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        values = value.kvlist_value.values
        return {key: plain(values[key]) for key in values}
    return getattr(value, kind)


def clean(text: str) -> str:
    """Text from inside a document may hold what no database stores."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


@lru_cache(maxsize=4)  # the fields of one span share a few
def document(text: str) -> Any:
    """JSON, else a Python literal, else ``None``."""
    try:
        return _decode_json(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return _literal(text)


def _literal(text: str) -> Any:
    if len(text) > _LITERAL_LIMIT or text[:1] not in ("{", "[", "("):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd escapes in somebody else's text
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return None


def inside(found: Any, path: tuple[str, ...]) -> Any:
    """What a document holds at a path; ``None`` when it has no such place."""
    for part in path:
        if isinstance(found, dict):
            found = found.get(part)
        elif isinstance(found, list) and part.isdigit():
            index = int(part)
            found = found[index] if index < len(found) else None
        else:
            return None
    return found


def as_text(value: Any) -> str | None:
    if isinstance(value, str):
        return clean(value[:WORD_LIMIT]).strip() or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return None


def as_count(value: Any) -> int | None:
    number = as_number(value)
    if number is None or number > COUNT_LIMIT:
        return None
    return int(number)


def as_number(value: Any) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, str):
        if len(value) > _NUMERIC_LIMIT:
            return None
        try:
            value = float(value)
        except ValueError:
            return None
    return value if 0 <= value <= sys.float_info.max else None  # nor NaN


def text(value: Value) -> str | None:
    """Short text; JSON-quoted scalars lose their quotes."""
    found: str = value.string_value
    # Below it are space, control characters, the quote, and nothing at all.
    if found >= "#" and len(found) <= WORD_LIMIT and "\0" not in found:
        return found
    return _odd_text(value, found)


def _odd_text(value: Value, found: str) -> str | None:
    if not found:
        return as_text(plain(value))
    if found[0] == '"':
        inner = document(found)
        return as_text(inner if isinstance(inner, str | int) else found)
    return as_text(found)


def word(value: Value) -> str | None:
    """Text that repeats from span to span, understood and kept once."""
    return _known_word(value.string_value) or _new_word(value)


def _new_word(value: Value) -> str | None:
    found, written = text(value), value.string_value
    if found is None:
        return None
    found = sys.intern(found.strip())
    # What was no string must not stand for the empty one.
    if written and len(written) <= WORD_LIMIT:
        if len(_words) >= _WORDS_KEPT:
            _words.clear()
        _words[written] = found
    return found


def as_provider(value: Any) -> str | None:
    found = as_text(value)
    if found is None:
        return None
    name = found.lower()
    if name in FRAMEWORKS:
        return None
    known = PROVIDERS.get(name)
    if known is None:
        # The AI SDK writes ``openai.chat``, ``anthropic.messages``.
        head = name.partition(".")[0]
        known = PROVIDERS.get(head, head)
    return sys.intern(known)


@lru_cache(maxsize=1024)
def _provider(found: str) -> str | None:
    return as_provider(found)


def provider(value: Value) -> str | None:
    """The provider's one name; a framework's name is nobody's."""
    found: str = value.string_value
    return _provider(found[:WORD_LIMIT]) if found else None


def string(value: Value) -> str | None:
    """Text of any length."""
    found: str = value.string_value
    return found or None


def count(value: Value) -> int | None:
    """A whole number that is not negative."""
    found: int = value.int_value
    if 0 < found <= COUNT_LIMIT:
        return found
    return as_count(plain(value))


def number(value: Value) -> float | None:
    """A finite number that is not negative."""
    found: float = value.double_value
    if 0 < found < math.inf:
        return found
    return as_number(plain(value))


def flag(value: Value) -> bool | None:
    """Whether it is said to be so; words that are neither yes nor no say nothing."""
    if value.bool_value or value.int_value == 1:
        return True
    said: str = value.string_value
    return _FLAGS.get(said.lower()) if said else False


def value(found: Value) -> Any:
    """The value as it is: text, or the object it stands for."""
    return found.string_value or plain(found) or None


def in_document(reader: str, path: tuple[str, ...]) -> Reader:
    """A reader of one place inside a document."""
    coerce = _COERCE[reader]

    def read(found: Value) -> Any:
        source = found.string_value
        parsed = document(source) if source else plain(found)
        place = inside(parsed, path)
        return None if place is None else coerce(place)

    return read


def unread(value: Value) -> Value:
    """The value itself, for who may need it: it can be large."""
    return value


READERS: dict[str, Reader] = {
    "text": text,
    "word": word,
    "string": string,
    "count": count,
    "number": number,
    "flag": flag,
    "value": value,
    "provider": provider,
    "unread": unread,
}
_COERCE: dict[str, Reader] = {
    "text": as_text,
    "word": as_text,
    "count": as_count,
    "number": as_number,
}
