"""One span as a sender writes it, and what we make of it."""

from __future__ import annotations

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

from ingest.normalise import Reading, normalise
from ingest.otlp.schema import ExportRequest
from ingest.prices import PriceBook
from tests.ingest.otlp import TRACE, pairs

RECEIVED_NS = 1_795_172_577 * 10**9
START_NS = RECEIVED_NS - 60 * 10**9
END_NS = START_NS + 250_000_000
ERROR = 2


def reading(**changes):
    given = {
        "project_id": 1,
        "tenant": None,
        "tenant_keys": (),
        "fingerprint_key": b"k" * 32,
        "price_book": PriceBook(),
        "oldest_ns": 0,
    }
    return Reading(**{**given, **changes})


def request(*spans, resource=None, scope="tests"):
    """A decoded request of one scope; each span is a dict of what it says."""
    made = ExportTraceServiceRequest()
    group = made.resource_spans.add()
    group.resource.attributes.extend(
        pairs({"service.name": "shop"} if resource is None else resource)
    )
    part = group.scope_spans.add()
    part.scope.name = scope
    for number, said in enumerate(spans, start=1):
        _add(part, number, **said)
    return ExportRequest.FromString(made.SerializeToString())


def _add(part, number, *, attributes=None, events=(), status=0, message="", **fields):
    span = part.spans.add(
        **{
            "trace_id": TRACE,
            "span_id": number.to_bytes(8, "big"),
            "name": "span",
            "kind": 1,
            "start_time_unix_nano": START_NS,
            "end_time_unix_nano": END_NS,
            **fields,
        },
        attributes=pairs(attributes or {}),
    )
    span.status.code = status
    span.status.message = message
    for name, said in events:
        span.events.add(
            name=name, time_unix_nano=START_NS + 40_000_000, attributes=pairs(said)
        )


def understood(attributes=None, *, resource=None, scope="tests", read=None, **fields):
    """What we make of one span."""
    asked = request(
        {"attributes": attributes, **fields}, resource=resource, scope=scope
    )
    done = normalise(asked, read or reading(), received_ns=RECEIVED_NS)
    (span,) = done.spans
    return span


def tool(attributes=None, **fields):
    return understood(
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "search",
            **(attributes or {}),
        },
        **fields,
    )


def model(attributes=None, **fields):
    return understood({"gen_ai.operation.name": "chat", **(attributes or {})}, **fields)
