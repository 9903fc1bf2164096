"""What the events of a span add: exceptions, retries, fallbacks, first tokens."""

from __future__ import annotations

from typing import Any

import msgspec

from ingest.dialects.categories import (
    EVENT_BACKOFF_S,
    EXCEPTION_EVENT,
    FALLBACK_EVENT,
    FIRST_TOKEN_EVENTS,
    RETRY_EVENTS,
    TOOL_MESSAGE_EVENT,
)
from ingest.dialects.readers import number, string, text

_EVENTS_READ = 1000


class Told(msgspec.Struct, frozen=True, gc=False):
    """The events of one span, understood."""

    exception_type: str | None = None
    exception_message: str | None = None
    retries: int = 0
    backoff_s: float | None = None
    fallbacks: tuple[tuple[str, str], ...] = ()
    first_token_ns: int = 0
    call_id: str | None = None
    arguments: str | None = None


NOTHING = Told()


def told(events: Any) -> Told:
    """Read at most the first thousand; a span with more is a stream of chunks."""
    found: dict[str, Any] = {}
    for event in events[:_EVENTS_READ]:
        name = event.name
        if name == EXCEPTION_EVENT:
            found["exception_type"] = _of(event, "exception.type")
            found["exception_message"] = _of(event, "exception.message")
        elif name in RETRY_EVENTS:
            found["retries"] = found.get("retries", 0) + 1
            _add_backoff(event.attributes, found)
        elif name == FALLBACK_EVENT:
            pair = (_of(event, "fallback.from"), _of(event, "fallback.to"))
            if pair[0] and pair[1]:
                found["fallbacks"] = (*found.get("fallbacks", ()), pair)
        elif name in FIRST_TOKEN_EVENTS:
            found.setdefault("first_token_ns", event.time_unix_nano)
        elif name == TOOL_MESSAGE_EVENT:
            found["call_id"] = _of(event, "id")
            content = event.attributes.get("content")
            found["arguments"] = string(content) if content is not None else None
    return Told(**found) if found else NOTHING


def _of(event: Any, key: str) -> str | None:
    value = event.attributes.get(key)
    return text(value) if value is not None else None


def _add_backoff(attributes: Any, found: dict[str, Any]) -> None:
    for key, seconds in EVENT_BACKOFF_S:
        value = attributes.get(key)
        waited = number(value) if value is not None else None
        if waited is not None:
            found["backoff_s"] = found.get("backoff_s", 0.0) + waited * seconds
            return
