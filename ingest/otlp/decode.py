"""An export as it arrived, protobuf or JSON, to one protobuf message.

``decode`` raises ``RejectedExport`` and nothing else, whatever the bytes. Protobuf
costs one parse in C; everything else here runs only for JSON or when a body is not
what it should be. Ids are judged later, by ``normalise``, which drops spans.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import DecodeError

from ingest.errors import RejectedExport
from ingest.otlp import fromjson
from ingest.otlp.answers import Encoding, encoding_of
from ingest.otlp.limits import MAX_ATTRIBUTES, MAX_EVENTS, MAX_LINKS
from ingest.otlp.outline import refuse_too_many
from ingest.otlp.salvage import salvage
from ingest.otlp.schema import SPAN_ID_BYTES, TRACE_ID_BYTES, ExportRequest
from ingest.otlp.signals import refuse_other_signals

Message = Any
_UINT32_MAX = 2**32 - 1


@dataclass(slots=True)
class Decoded:
    """An export, understood as a message.

    ``raw`` is what was received if it is exactly ``request``, else None. ``rejected``
    counts spans that are no longer in ``request``, by reason.
    """

    request: Message
    raw: bytes | None = None
    quirks: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)


def decode(body: bytes, content_type: str) -> Decoded:
    if encoding_of(content_type) is Encoding.JSON:
        decoded = _from_json(body)
    else:
        decoded = _from_protobuf(body)
    _bound(decoded)
    return decoded


def _from_json(body: bytes) -> Decoded:
    if not body:
        return Decoded(ExportRequest())
    request, quirks, rejected = fromjson.parse(body)
    return Decoded(request, None, quirks, rejected)


def _from_protobuf(body: bytes) -> Decoded:
    refuse_too_many(body)
    try:
        decoded = Decoded(ExportRequest.FromString(body), body)
    except DecodeError:
        request, rejected = salvage(body)
        decoded = Decoded(request, None, Counter(protobuf_repaired=1), rejected)
    if not _has_an_identified_span(decoded.request):
        refuse_other_signals(body)
    if decoded.rejected and not any(_spans(decoded.request)):
        message = f"none of the {decoded.rejected.total()} spans can be decoded"
        raise RejectedExport(message)
    return decoded


def _spans(request: Message) -> Any:
    for group in request.resource_spans:
        for part in group.scope_spans:
            yield from part.spans


def _has_an_identified_span(request: Message) -> bool:
    return any(
        len(span.trace_id) == TRACE_ID_BYTES and len(span.span_id) == SPAN_ID_BYTES
        for span in _spans(request)
    )


def _bound(decoded: Decoded) -> None:
    """Drop what exceeds the limits of one span, as an SDK does: counted on the span."""
    for span in _spans(decoded.request):
        if (
            len(span.attributes) > MAX_ATTRIBUTES
            or len(span.events) > MAX_EVENTS
            or len(span.links) > MAX_LINKS
        ):
            _trim(span)
            decoded.quirks["span_trimmed"] += 1
            decoded.raw = None


def _trim(span: Message) -> None:
    # Short keys first: a convention's own keys are short, its indexed copies long.
    keys = sorted(span.attributes, key=lambda key: (len(key), key))[MAX_ATTRIBUTES:]
    for key in keys:
        del span.attributes[key]
    _note_dropped(span, "dropped_attributes_count", len(keys))
    # The latest events say how it ended.
    excess = max(len(span.events) - MAX_EVENTS, 0)
    del span.events[:excess]
    _note_dropped(span, "dropped_events_count", excess)
    excess = max(len(span.links) - MAX_LINKS, 0)
    del span.links[MAX_LINKS:]
    _note_dropped(span, "dropped_links_count", excess)


def _note_dropped(span: Message, counter: str, dropped: int) -> None:
    setattr(span, counter, min(getattr(span, counter) + dropped, _UINT32_MAX))
