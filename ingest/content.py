"""What of an export may be stored: no secrets, no NUL, no value beyond the limit.

Runs before anything reads the message, so whatever reaches a row, a log or a page has
passed here: attributes of spans, events, links, resources and scopes, their keys,
names, status messages. Nearly every export has nothing to change, so its bytes are
searched first, by two patterns that may find too much, and are kept as received when
they are clean. Time grows with the bytes, never with what they say. A value whose
masking fails is masked as a whole, and the rest of the export goes on.

What changed is told on the span (or resource, or scope) by integer attributes:
``switchgear.masked`` and ``switchgear.repaired`` count values, and
``switchgear.truncated_bytes`` sums what was cut; a cut value ends in ``…[+N bytes]``.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from ingest import masking

logger = logging.getLogger(__name__)

Message = Any

MAX_VALUE_BYTES = 64 * 1024  # of one text, in UTF-8
MASKED_ERROR = b"[masked:error]"

MASKED = "switchgear.masked"
REPAIRED = "switchgear.repaired"
TRUNCATED = "switchgear.truncated_bytes"

_REPLACEMENT = "\ufffd".encode()
_CONTINUATION = 0x80  # the two high bits of a byte inside a UTF-8 character
_LONGEST_CHARACTER = 4
_IDS = frozenset({"trace_id", "span_id", "parent_span_id"})

# A length above the limit, as a varint of three or four bytes. One such length right
# inside another is an attribute, a key or a status message; names of spans and events
# follow eight bytes of id or time.
_LONG = (
    rf"[\x80-\xff]{{2}}(?:[\x{MAX_VALUE_BYTES >> 14:02x}-\x7f]|[\x80-\xff][\x01-\x7f])"
)
_OVERSIZE = (
    rf"[\x0a\x12\x2a\x3a\x4a\x7a]{_LONG}[\x0a\x12\x3a]{_LONG}",
    rf"[\x12\x22]\x08(?s:.{{8}})\x2a{_LONG}",
    rf"\x09(?s:.{{8}})\x12{_LONG}",
)
_suspicious = masking.compile_loose(*_OVERSIZE)

# Where a zero byte is no text: what stands before, the bytes of the number or id, and
# what follows. Lengths look like anything, so text could only pass for one of these
# with control characters in the right places; ``normalise`` drops NUL from columns.
_TOP = rb"[\x15-\x1a]"  # the highest byte of times between 2018 and 2029
_AFTER_ID = rb"(?:\x22\x08.{8}\x2a|\x2a|\x1a.[^\x0a])"  # parent, name or trace state
_BINARY: tuple[tuple[bytes, bytes, int, bytes], ...] = (
    (rb"\x85\x01", rb"[\x00-\x03]", 4, b""),  # flags
    (rb"[\x0a\x12]\x02[\x0a\x10\x18]", b".", 1, b""),  # empty text, false, 0
    (rb"\x39", b".", 7, _TOP + rb"\x41.{7}" + _TOP),  # start
    (_TOP + rb"\x41", b".", 7, _TOP),  # end
    (rb"\x09", b".", 7, _TOP + rb"\x12"),  # time of an event
    (rb"\x0a\x10", b".", 16, rb"\x12\x08.{8}" + _AFTER_ID),  # trace id
    (rb"\x0a\x10.{16}\x12\x08", b".", 8, _AFTER_ID),  # span id
    (rb"\x22\x08", b".", 8, rb"\x2a"),  # parent id
    (rb"[\x0a\x12]\x09\x21", b".", 8, b""),  # double
)


def _explained() -> list[bytes]:
    return [
        rb"(?<=%b%b{%d}\x00)%b{%d}%b" % (before, any_, at, any_, width - 1 - at, after)
        for before, any_, width, after in _BINARY
        for at in range(width)
    ]


# Python's own engine skips from one zero byte to the next and looks back only there.
_nul = re.compile(rb"\x00(?!" + b"|".join(_explained()) + rb")", re.DOTALL)


def protect(request: Message, raw: bytes | None = None) -> bytes:
    """The bytes of ``request`` that may be stored, and ``request`` mended in place.

    ``raw`` is what was received if it is exactly ``request``; it is returned as it is
    when there is nothing to change.
    """
    data = request.SerializeToString() if raw is None else raw
    if not suspicious(data):
        return data
    for group in request.resource_spans:
        _protect_schema_url(group)
        _protect_parts(group.resource)
        for part in group.scope_spans:
            _protect_schema_url(part)
            _protect_parts(part.scope, *part.spans)
    # Nobody looked into fields that the schema does not declare.
    request.DiscardUnknownFields()
    return bytes(request.SerializeToString())


def suspicious(data: bytes) -> bool:
    """Whether serialised bytes may hold something to change; rarely wrong."""
    try:
        return _suspicious.search(data) is not None or _nul.search(data) is not None
    except Exception:
        logger.exception("content.search_failed")
        return True


def _protect_parts(*parts: Message) -> None:
    for part in parts:
        # One guilty span of many is the usual case, and a visit costs 20 searches.
        if suspicious(part.SerializeToString()):
            tally: Counter[str] = Counter()
            _visit(part, tally)
            for name, amount in tally.items():
                part.attributes[name].int_value = amount


def _protect_schema_url(owner: Message) -> None:
    text = owner.schema_url.encode()
    if (kept := clean(text, Counter())) is not text:
        owner.schema_url = kept.decode()


def _visit(message: Message, tally: Counter[str]) -> None:
    """Change what has to change in all texts of a message."""
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_STRING:
            text = value.encode()
            if (kept := clean(text, tally)) is not text:
                setattr(message, field.name, kept.decode())
        elif field.type == FieldDescriptor.TYPE_BYTES and field.name not in _IDS:
            setattr(message, field.name, clean(value, tally, binary=True))
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            if field.message_type.GetOptions().map_entry:
                _visit_pairs(value, tally)
            else:
                for inner in value if field.is_repeated else (value,):
                    _visit(inner, tally)


def _visit_pairs(pairs: Message, tally: Counter[str]) -> None:
    for key in list(pairs):
        _visit(pairs[key], tally)
        text = key.encode()
        if (kept := clean(text, tally)) is not text:
            pairs[kept.decode()].CopyFrom(pairs[key])
            del pairs[key]


def clean(text: bytes, tally: Counter[str], *, binary: bool = False) -> bytes:
    """``text`` as it may be stored; the same object when nothing has to change.

    Zero bytes are what ``binary`` values are made of, so there they stay.
    """
    try:
        kept = masking.mask(text)
        if kept is not text and not binary:
            kept.decode()
    except Exception:
        logger.exception("content.masking_failed")
        kept = MASKED_ERROR
    if kept != text:
        tally[MASKED] += 1
        text = kept
    if b"\0" in text and not binary:
        tally[REPAIRED] += 1
        text = text.replace(b"\0", _REPLACEMENT)
    if len(text) > MAX_VALUE_BYTES:
        return _cut(text, tally)
    return text


def _cut(text: bytes, tally: Counter[str]) -> bytes:
    # Room for the suffix, so that what is kept is within the limit as a whole.
    room = MAX_VALUE_BYTES - len(_suffix(len(text)))
    for _ in range(_LONGEST_CHARACTER - 1):
        if text[room] & 0xC0 != _CONTINUATION:
            break
        room -= 1
    cut = len(text) - room
    tally[TRUNCATED] += cut
    return text[:room] + _suffix(cut)


def _suffix(cut: int) -> bytes:
    return f"…[+{cut} bytes]".encode()
