"""OTLP exports as the official generated classes write them: an independent writer."""

from __future__ import annotations

import json
from base64 import b64decode

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
TRACE = bytes.fromhex("5b8efff798038103d269b633813fc60c")
START_NS = 1544712660123456789


FIELDS = {
    bool: "bool_value",
    int: "int_value",
    float: "double_value",
    bytes: "bytes_value",
    str: "string_value",
}


def any_value(value):
    built = AnyValue()
    if isinstance(value, list):
        built.array_value.values.extend(map(any_value, value))
    elif isinstance(value, dict):
        built.kvlist_value.values.extend(pairs(value))
    else:
        setattr(built, FIELDS[type(value)], value)
    return built


def pairs(attributes):
    return [
        KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()
    ]


def export(*spans, resource=None):
    """An export of one scope; each span is a dict of fields, ``attributes`` a dict."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(pairs(resource or {"service.name": "shop"}))
    part = group.scope_spans.add()
    part.scope.name = "tests"
    for number, fields in enumerate(spans, start=1):
        span = part.spans.add(
            trace_id=fields.get("trace_id", TRACE),
            span_id=fields.get("span_id", number.to_bytes(8, "big")),
            parent_span_id=fields.get("parent_span_id", b""),
            name=fields.get("name", f"span {number}"),
            kind=fields.get("kind", 3),
            start_time_unix_nano=START_NS,
            end_time_unix_nano=START_NS + 1_000_000,
            attributes=pairs(fields.get("attributes", {})),
        )
        if "message" in fields:
            span.status.code = 2
            span.status.message = fields["message"]
        for name, attributes in fields.get("events", ()):
            span.events.add(
                name=name, time_unix_nano=START_NS, attributes=pairs(attributes)
            )
    return request


def as_json(request):
    """The same export as a document of OTLP/JSON: ids in hex, 64-bit as strings."""
    document = MessageToDict(request, use_integers_for_enums=True)
    for group in document["resourceSpans"]:
        for part in group["scopeSpans"]:
            for span in part["spans"]:
                for field in ("traceId", "spanId", "parentSpanId"):
                    if field in span:
                        span[field] = b64decode(span[field]).hex()
    return document


def json_body(request, *changes):
    """The export as JSON text; each change gets the list of its spans to alter."""
    document = as_json(request)
    for change in changes:
        change(document["resourceSpans"][0]["scopeSpans"][0]["spans"])
    return json.dumps(document).encode()


def logs(count=1):
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for _ in range(count):
        records.add().body.string_value = "hello"
    return request


def metrics(points=1):
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="m")
    for _ in range(points):
        metric.gauge.data_points.add(as_int=1)
    return request


def spans_of(request):
    return [
        span
        for group in request.resource_spans
        for part in group.scope_spans
        for span in part.spans
    ]
