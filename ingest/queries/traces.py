"""One trace: its spans as they were sent, from the stored bodies, and its calls.

A trace may hold 100,000 spans in as many bodies. One page shows a bounded number of
spans, opens a bounded number of bytes, and always says how many there are in all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import zstandard

from ingest import models
from ingest.otlp.schema import ExportRequest
from ingest.queries.calls import FoundCall, of_trace
from ingest.records import Span, unpack_spans

MOST_CALLS = 2_000
# Opened per page, decompressed; one body of 20 MiB is opened all the same, alone.
MOST_BYTES = 16 * 1024 * 1024
BODIES_AT_ONCE = 50

_inflate = zstandard.ZstdDecompressor().decompress


@dataclass(frozen=True, slots=True)
class StoredSpan:
    """A span as it was sent (protobuf messages), and what we understood of it."""

    message: Any
    scope: Any
    resource: Any
    understood: Span


@dataclass(frozen=True, slots=True)
class StoredTrace:
    trace_id: str
    spans: list[StoredSpan]  # of this page, by start
    spans_total: int
    calls: list[FoundCall]
    calls_total: int
    after: bytes | None  # id of the last span of this page, when there are more


def get(
    project_id: int, trace_id: bytes, *, limit: int, after: bytes = b""
) -> StoredTrace | None:
    traces = models.Trace.objects.filter(project_id=project_id, trace_id=trace_id)
    trace = traces.first()
    if trace is None:
        return None
    places = models.Span.objects.filter(trace=trace)
    page = list(places.filter(span_id__gt=after).order_by("span_id")[: limit + 1])
    seen = _open(page[:limit])
    return StoredTrace(
        trace_id=trace_id.hex(),
        spans=sorted((span for span in seen if span is not None), key=_by_start),
        spans_total=places.count(),
        calls=of_trace(trace, limit=MOST_CALLS),
        calls_total=models.Call.objects.filter(trace=trace).count(),
        after=bytes(page[len(seen) - 1].span_id) if len(seen) < len(page) else None,
    )


def _by_start(span: StoredSpan) -> tuple[int, bytes]:
    return span.understood.start_ns, span.understood.span_id


def _open(places: Sequence[models.Span]) -> list[StoredSpan | None]:
    """The spans at the first of these places, as many as ``MOST_BYTES`` can pay for.

    ``None`` stands where retention removed the body since the places were read.
    """
    seen: list[StoredSpan | None] = []
    opened: dict[int, list[StoredSpan]] = {}
    spent = 0
    for first in range(0, len(places), BODIES_AT_ONCE):
        some = places[first : first + BODIES_AT_ONCE]
        bodies = models.Body.objects.in_bulk(
            {place.body_id for place in some} - opened.keys()
        )
        for place in some:
            body = bodies.pop(place.body_id, None)
            if body is not None:
                spent += zstandard.frame_content_size(bytes(body.wire))
                if spent > MOST_BYTES and seen:
                    return seen
                opened[place.body_id] = spans_of(body)
            found = opened.get(place.body_id)
            seen.append(found[place.position] if found else None)
    return seen


def spans_of(body: models.Body) -> list[StoredSpan]:
    """Everything in a body, in the order that ``Span.position`` counts."""
    request = ExportRequest.FromString(_inflate(bytes(body.wire)))
    understood = unpack_spans(_inflate(bytes(body.facts)))
    sent = [
        (message, part.scope, resource.resource)
        for resource in request.resource_spans
        for part in resource.scope_spans
        for message in part.spans
    ]
    return [
        StoredSpan(*parts, understood=span)
        for parts, span in zip(sent, understood, strict=True)
    ]
