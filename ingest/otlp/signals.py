"""Telling traces, logs and metrics apart, and counting what we do not store.

The three requests have the same outline, so a body sent to the wrong path often
decodes: logs as spans without ids, metrics as spans whose trace id is a name. The
sender must be told by an error, because exporters do not log partial successes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from google.protobuf.message import DecodeError

from ingest.errors import RejectedExport
from ingest.otlp.answers import Encoding, Signal, encoding_of
from ingest.otlp.fromjson import read
from ingest.otlp.schema import Envelope, LogProbe, MetricProbe, SpanProbe

_POINTS = ("gauge", "sum", "histogram", "exponential_histogram", "summary")
_JSON_POINTS = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")
_JSON_PATHS = {
    Signal.LOGS: ("resourceLogs", "scopeLogs", "logRecords"),
    Signal.METRICS: ("resourceMetrics", "scopeMetrics", "metrics"),
}


def refuse_other_signals(body: bytes) -> None:
    """Raise ``RejectedExport`` naming the right path if no item can be a span."""
    for item in _items(body):
        signal = _signal_of(item)
        if signal is Signal.TRACES:
            return
        if signal is not None:
            message = f"this looks like OTLP {signal}, use /v1/{signal}"
            raise RejectedExport(message)


def count(signal: Signal, body: bytes, content_type: str) -> int:
    """How many records of ``signal`` (data points, for metrics) ``body`` holds."""
    if not body:
        return 0
    if encoding_of(content_type) is Encoding.JSON:
        return sum(_json_records(signal, read(body, Counter())))
    try:
        items = list(_items(body))
        if signal is Signal.LOGS:
            return len(items)
        return sum(_points_in(MetricProbe.FromString(item)) for item in items)
    except DecodeError as error:
        message = f"the body is not an OTLP export of {signal} in protobuf"
        raise RejectedExport(message) from error


def _items(body: bytes) -> Iterator[bytes]:
    for group in Envelope.FromString(body).groups:
        for part in group.parts:
            yield from part.items


def _signal_of(item: bytes) -> Signal | None:
    """What an item is by its own fields, if it says so."""
    # Only spans have fixed64 numbers at 7 and 8: every field below could be one too.
    span = _probe(SpanProbe, item)
    if span is None or span.start or span.end:
        return Signal.TRACES
    metric = _probe(MetricProbe, item)
    if metric is not None and metric.name and _points_in(metric):
        return Signal.METRICS
    log = _probe(LogProbe, item)
    if log is not None and (
        log.time or log.observed or log.severity or log.HasField("body")
    ):
        return Signal.LOGS
    return None


def _probe(kind: Any, item: bytes) -> Any:
    try:
        return kind.FromString(item)
    except DecodeError:
        return None


def _points_in(metric: Any) -> int:
    return sum(len(getattr(metric, field).data_points) for field in _POINTS)


def _json_records(signal: Signal, document: dict[str, Any]) -> Iterator[int]:
    groups, parts, records = _JSON_PATHS[signal]
    for group in _objects(document.get(groups)):
        for part in _objects(group.get(parts)):
            for record in _objects(part.get(records)):
                yield 1 if signal is Signal.LOGS else _json_points(record)


def _json_points(metric: dict[str, Any]) -> int:
    return sum(
        len(_objects(_object(metric.get(field)).get("dataPoints")))
        for field in _JSON_POINTS
    )


def _objects(value: Any) -> list[dict[str, Any]]:
    items = value if isinstance(value, list) else []
    return [item for item in items if isinstance(item, dict)]


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
