"""The kinds of values a query parameter may have. Nothing here knows an endpoint."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from datetime import UTC, datetime
from typing import Any, Generic, NamedTuple, TypeVar

from django.urls.converters import StringConverter
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from switchgear.policy.rules import KINDS

Value = TypeVar("Value")
SECOND_NS = 1_000_000_000
# 1970 to the year 2100: whatever is later is a slip of the keyboard.
LATEST_S = 4_102_444_800
UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
RELATIVE = re.compile(r"now(?:-(\d{1,9})([smhdw]))?")
SECONDS = re.compile(r"\d{1,10}(?:\.\d{1,9})?")
# A comma separates, unless a backslash stands before it.
SEPARATOR = re.compile(r"(?<!\\),")
MOST_WORDS = 50
LONGEST_WORD = 400
LONGEST_CURSOR = 8_000


class Strict(serializers.Field[Value, str, str, Any], Generic[Value]):
    """A form leaves out what is empty; here it is a value, and mostly a wrong one."""

    def get_value(self, dictionary: Any) -> Any:
        return dictionary.get(self.field_name, serializers.empty)


@extend_schema_field(
    {
        "type": "string",
        "pattern": rf"^({RELATIVE.pattern}|{SECONDS.pattern}|\d{{4}}-\d\d-\d\d.*)$",
        "example": "now-1h",
    }
)
class Moment(Strict[int]):
    """ISO 8601, unix seconds or ``now-15m``; nanoseconds since 1970."""

    default_error_messages = {
        "invalid_time": "Give ISO 8601, unix seconds, now, or now-15m (s m h d w)."
    }

    def to_internal_value(self, data: str) -> int:
        text = data.strip()
        if found := RELATIVE.fullmatch(text):
            count, unit = found.groups()
            return ago(int(count) * UNITS_S[unit] if count else 0)
        if SECONDS.fullmatch(text):
            whole, _, part = text.partition(".")
            moment = int(whole) * SECOND_NS + int(part.ljust(9, "0")[:9] or 0)
        else:
            moment = self._iso(text)
        if not 0 <= moment <= LATEST_S * SECOND_NS:
            self.fail("invalid_time")
        return moment

    def _iso(self, text: str) -> int:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self.fail("invalid_time")
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return nanoseconds(moment)


def ago(seconds: int = 0) -> int:
    return max(nanoseconds(timezone.now()) - seconds * SECOND_NS, 0)


def nanoseconds(moment: datetime) -> int:
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    seconds = since.days * UNITS_S["d"] + since.seconds
    return seconds * SECOND_NS + since.microseconds * 1000


class Words(serializers.ListField):
    """A list: the parameter repeated, or separated by commas, or both."""

    def __init__(
        self, words: list[str] | None = None, *, required: bool = False, **told: Any
    ) -> None:
        child = (
            serializers.ChoiceField(choices=words)
            if words
            else serializers.CharField(max_length=LONGEST_WORD)
        )
        super().__init__(child=child, required=required, max_length=MOST_WORDS, **told)

    def get_value(self, dictionary: Any) -> Any:
        values = dictionary.getlist(self.field_name)
        return split(values) if values else serializers.empty


class Repeated(Words):
    """A list whose parts have commas of their own: only repeating separates."""

    def get_value(self, dictionary: Any) -> Any:
        return dictionary.getlist(self.field_name) or serializers.empty


class Flag(serializers.BooleanField):
    """True or false; unlike a check box, absent is not false."""

    default_empty_html = serializers.empty


class Amount(serializers.FloatField):
    """A number one can compare with."""

    def to_internal_value(self, data: Any) -> float:
        amount = super().to_internal_value(data)
        if math.isnan(amount):
            self.fail("invalid")
        return amount


def split(values: list[str]) -> list[str]:
    return [
        part.strip().replace("\\,", ",")
        for value in values
        for part in SEPARATOR.split(value)
    ]


@extend_schema_field(OpenApiTypes.STR)
class Cursor(Strict[tuple[Any, ...]]):
    """The opaque ``next`` of a list: a position, as JSON in base64url."""

    default_error_messages = {"invalid_cursor": "This is no cursor of this list."}

    def __init__(self, *shape: type) -> None:
        self.shape = shape
        super().__init__(required=False)

    def to_internal_value(self, data: str) -> tuple[Any, ...]:
        if len(data) > LONGEST_CURSOR:
            self.fail("invalid_cursor")
        try:
            found = json.loads(base64.urlsafe_b64decode(data.encode()))
        except (ValueError, binascii.Error, RecursionError):
            self.fail("invalid_cursor")
        if not isinstance(found, list) or [type(part) for part in found] != [
            *self.shape
        ]:
            self.fail("invalid_cursor")
        if not all(map(storable, found)):
            self.fail("invalid_cursor")
        return tuple(found)


def storable(part: int | str) -> bool:
    """Whether both databases take it: an int64, or text without NUL and surrogates."""
    if isinstance(part, int):
        return 0 <= part < 2**63
    return not any(
        letter == "\x00" or "\ud800" <= letter <= "\udfff" for letter in part
    )


def cursor(position: tuple[int | str, ...] | None) -> str | None:
    if position is None:
        return None
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


class CallId(NamedTuple):
    """What ``id`` of a call says: where in which trace it began."""

    trace_id: bytes
    anchor: bytes


class TraceIdConverter:
    regex = "[0-9a-fA-F]{32}"

    def to_python(self, text: str) -> bytes:
        return bytes.fromhex(text)

    def to_url(self, trace_id: bytes) -> str:
        return trace_id.hex()


class RuleKindConverter(StringConverter):
    regex = "|".join(KINDS)


class RuleIdConverter(StringConverter):
    regex = "[A-Za-z0-9][A-Za-z0-9._-]{0,99}"


class CallIdConverter:
    regex = "[0-9a-fA-F]{32}-[0-9a-fA-F]{16}"

    def to_python(self, text: str) -> CallId:
        return CallId(*map(bytes.fromhex, text.split("-")))

    def to_url(self, call: CallId) -> str:
        return f"{call.trace_id.hex()}-{call.anchor.hex()}"
