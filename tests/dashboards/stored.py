"""Telemetry for tests that read it: real exports through the real way in.

Tests that store use ``transactional_db``: the writer has a connection of its own.
"""

from __future__ import annotations

import time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

from controlplane import keys
from controlplane.readings import Access
from ingest import pipeline
from ingest.stores import open_store
from ingest.writer import Desk
from tests.ingest.otlp import PROTOBUF, pairs

SECOND = 1_000_000_000
MS = 1_000_000


def span_id(number):
    return number.to_bytes(8, "big")


def tool(name, number, *, parent=1, at_ms=0, took_ms=20, message=None, **attributes):
    told = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name}
    if message:
        told["error.type"] = attributes.pop("error_type", "TimeoutError")
    return {
        "number": number,
        "parent": parent,
        "name": f"execute_tool {name}",
        "at_ms": at_ms,
        "took_ms": took_ms,
        "message": message,
        "attributes": told
        | {"gen_ai.tool.call.id": f"call-{number}"}
        | {key.replace("__", "."): value for key, value in attributes.items()},
    }


def model(
    name, number, *, parent=1, at_ms=0, took_ms=400, response=None, tokens=(0, 0)
):
    told = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": name,
        "gen_ai.response.model": name,
        "gen_ai.usage.input_tokens": tokens[0],
        "gen_ai.usage.output_tokens": tokens[1],
    }
    if response:
        told["gen_ai.response.id"] = response
    return {
        "number": number,
        "parent": parent,
        "name": f"chat {name}",
        "at_ms": at_ms,
        "took_ms": took_ms,
        "message": None,
        "attributes": told,
    }


def agent(number=1, *, took_ms=2000, **attributes):
    return {
        "number": number,
        "parent": 0,
        "name": "invoke_agent support",
        "at_ms": 0,
        "took_ms": took_ms,
        "message": None,
        "attributes": {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": "support",
        }
        | {key.replace("__", "."): value for key, value in attributes.items()},
    }


def export(trace_id, *spans, start_ns, service="shop", instance="shop-1"):
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(
        pairs(
            {
                "service.name": service,
                "service.instance.id": instance,
                "telemetry.sdk.name": "opentelemetry",
                "telemetry.sdk.language": "python",
            }
        )
    )
    part = group.scope_spans.add()
    part.scope.name = "tests"
    for told in spans:
        begin = start_ns + told["at_ms"] * MS
        span = part.spans.add(
            trace_id=trace_id,
            span_id=span_id(told["number"]),
            parent_span_id=span_id(told["parent"]) if told["parent"] else b"",
            name=told["name"],
            kind=1,
            start_time_unix_nano=begin,
            end_time_unix_nano=begin + told["took_ms"] * MS,
            attributes=pairs(told["attributes"]),
        )
        if told["message"]:
            span.status.code = 2
            span.status.message = told["message"]
            span.events.add(
                name="exception",
                time_unix_nano=begin,
                attributes=pairs({"exception.message": told["message"]}),
            )
    return request


def store(project, request, *, tenant=None):
    access = Access(
        key_id=0,
        project_id=project.pk,
        scopes=frozenset({"ingest"}),
        tenant=tenant,
        project=keys.project_reading(project, ()),
    )
    body = request.SerializeToString()
    batch, told = pipeline.prepare(access, body, PROTOBUF, time.time_ns())
    assert not told.rejected
    the_store = open_store()
    try:
        answers = Desk(the_store, lambda _: None).store_batches([batch])
    finally:
        the_store.close()
    assert answers == [0]
