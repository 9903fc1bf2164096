"""How spans leave a service: the stock exporter, or JSON for those who have none."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

TIMEOUT_S = 10


def exporter(encoding: str, *, endpoint: str, key: str) -> SpanExporter:
    headers = {"x-api-key": key}
    if encoding == "json":
        return JSONExporter(endpoint, headers)
    return OTLPSpanExporter(endpoint, headers=headers, timeout=TIMEOUT_S)


class JSONExporter(SpanExporter):
    """OTLP/JSON with what Python has; no stock exporter for Python writes it."""

    def __init__(self, endpoint: str, headers: Mapping[str, str]) -> None:
        self._endpoint = endpoint
        self._headers = {**headers, "Content-Type": "application/json"}

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        request = urllib.request.Request(  # noqa: S310  the address we were given
            self._endpoint, json.dumps(document(spans)).encode(), self._headers
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S):  # noqa: S310
                return SpanExportResult.SUCCESS
        except (urllib.error.URLError, TimeoutError):
            return SpanExportResult.FAILURE


def document(spans: Sequence[ReadableSpan]) -> dict[str, Any]:
    """Spans of one resource and scope as an OTLP/JSON request."""
    resource, scope = spans[0].resource, spans[0].instrumentation_scope
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": attributes(resource.attributes)},
                "scopeSpans": [
                    {
                        "scope": {"name": scope.name if scope else ""},
                        "spans": [span(one) for one in spans],
                    }
                ],
            }
        ]
    }


def span(one: ReadableSpan) -> dict[str, Any]:
    told = {
        "traceId": f"{one.context.trace_id:032x}",
        "spanId": f"{one.context.span_id:016x}",
        "name": one.name,
        "kind": one.kind.value + 1,  # the SDK counts from 0, the wire from 1
        "startTimeUnixNano": str(one.start_time),
        "endTimeUnixNano": str(one.end_time),
        "attributes": attributes(one.attributes),
        "events": [
            {
                "name": event.name,
                "timeUnixNano": str(event.timestamp),
                "attributes": attributes(event.attributes),
            }
            for event in one.events
        ],
        "status": {
            "code": one.status.status_code.value,
            "message": one.status.description or "",
        },
    }
    if one.parent is not None:
        told["parentSpanId"] = f"{one.parent.span_id:016x}"
    return told


def attributes(told: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    return [{"key": key, "value": value(one)} for key, one in (told or {}).items()]


def value(one: Any) -> dict[str, Any]:
    if isinstance(one, bool):
        return {"boolValue": one}
    if isinstance(one, int):
        return {"intValue": str(one)}
    if isinstance(one, float):
        return {"doubleValue": one}
    return {"stringValue": str(one)}


class Gather(SpanProcessor):
    """Keeps spans until somebody takes them."""

    def __init__(self) -> None:
        self._ended: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self._ended.append(span)

    def take(self) -> list[ReadableSpan]:
        taken, self._ended = self._ended, []
        return taken
