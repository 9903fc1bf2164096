"""Counting the spans of a large body before it is decoded.

An empty span (or the resource or scope around none) is two bytes here and 150 as a
message, so a hostile body of 20 MiB could take gigabytes. Walking the outline costs
0.3 us a span and no memory, and stops at the limit; a small body cannot hold enough of
them to matter.
"""

from __future__ import annotations

from collections.abc import Iterator

from ingest.errors import RejectedExport
from ingest.otlp.limits import refuse_more_than_max

_LARGE_BYTES = 128 * 1024
_GROUPS, _PARTS, _SPANS = 1, 2, 2
_MORE = 0x80
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def refuse_too_many(body: bytes) -> None:
    if len(body) <= _LARGE_BYTES:
        return
    found = 0
    try:
        for group in _fields(body, (0, len(body)), _GROUPS):
            found += 1
            for part in _fields(body, group, _PARTS):
                found += 1
                for _ in _fields(body, part, _SPANS):
                    found += 1
                    refuse_more_than_max(found)
                refuse_more_than_max(found)
            refuse_more_than_max(found)
    except IndexError:
        # A length that leads past the end: what can be read of it is decided later.
        return


def _fields(
    body: bytes, within: tuple[int, int], number: int
) -> Iterator[tuple[int, int]]:
    """Where the submessages ``number`` start and end."""
    at, end = within
    while at < end:
        tag, at = _varint(body, at)
        kind = tag & 7
        if kind == _BYTES:
            size, at = _varint(body, at)
            if tag >> 3 == number:
                yield at, min(at + size, end)
            at += size
        elif kind == _VARINT:
            _, at = _varint(body, at)
        elif kind == _FIXED64:
            at += 8
        elif kind == _FIXED32:
            at += 4
        else:
            message = "the body is not an OTLP export: groups are not in use"
            raise RejectedExport(message)


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = body[at]
        at += 1
        value |= (byte % _MORE) << shift
        if byte < _MORE:
            return value, at
        shift += 7
