"""The whole way of an export, from bytes to rows."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from controlplane.readings import Access, ProjectReading
from ingest import commit, pipeline, prices
from ingest.errors import RejectedExport
from ingest.otlp.schema import ExportRequest
from ingest.writer import Writer
from tests.ingest.conftest import announce_nothing
from tests.ingest.telemetry import calls_of, new_project

pytestmark = pytest.mark.django_db(transaction=True)

PROTOBUF = "application/x-protobuf"
HOUR_NS = 3_600 * 10**9


@pytest.fixture
def access():
    number = new_project()
    project = ProjectReading(number, "acme", ("tenant.id",), b"k" * 32, 14, ())
    return Access(1, number, frozenset({"ingest"}), None, project)


@pytest.fixture
def accept(access, monkeypatch):
    writer = Writer(announce=announce_nothing)
    monkeypatch.setattr("ingest.pipeline.writer.submit", writer.submit)
    yield lambda body: asyncio.run(pipeline.accept(access, body, PROTOBUF))
    writer.drain()


def export(*numbers, trace=b"t" * 16, ended_ns=None, padding=0):
    request = ExportRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    end_ns = ended_ns or time.time_ns() - 10**9
    for number in numbers:
        span = spans.add()
        span.trace_id, span.span_id = trace, number.to_bytes(8, "big")
        span.name = "execute_tool search"
        span.start_time_unix_nano = end_ns - 10**9
        span.end_time_unix_nano = end_ns
        span.attributes["gen_ai.operation.name"].string_value = "execute_tool"
        span.attributes["gen_ai.tool.name"].string_value = "search"
        span.attributes["note"].string_value = "x" * padding
    return request.SerializeToString()


def targets(store, access):
    return [call.target for _, _, call, _ in calls_of(store, access.project_id)]


def test_an_accepted_export_is_stored_when_the_answer_comes(store, accept, access):
    accepted = accept(export(1, 2))

    assert (accepted.stored, accepted.rejected.total()) == (2, 0)
    assert targets(store, access) == ["search", "search"]


def test_a_large_export_takes_the_same_way(store, accept, access):
    body = export(*range(1, 21), padding=20_000)

    accepted = accept(body)

    assert len(body) > pipeline.INLINE_BYTES
    assert accepted.stored == 20
    assert len(targets(store, access)) == 20


def test_the_first_export_waits_for_the_prices_and_not_on_the_event_loop(
    accept, monkeypatch
):
    prices._warmed.clear()
    warm, waited = prices.warm, []
    monkeypatch.setattr(
        prices, "warm", lambda: waited.append(threading.current_thread().name) or warm()
    )

    first, second = accept(export(1)), accept(export(2))

    assert (first.stored, second.stored) == (1, 1)
    assert len(waited) == 1
    assert waited[0].startswith("exports-aside")


def test_refused_spans_are_counted_and_their_neighbours_stored(store, accept, access):
    old_ns = time.time_ns() - 15 * 24 * HOUR_NS
    both = ExportRequest.FromString(export(1))
    both.MergeFromString(export(2, ended_ns=old_ns))

    accepted = accept(both.SerializeToString())

    assert accepted.stored == 1
    assert accepted.rejected == {"too_old": 1}
    assert targets(store, access) == ["search"]


def test_an_export_without_a_usable_span_does_not_reach_the_writer(accept):
    old_ns = time.time_ns() - 15 * 24 * HOUR_NS

    accepted = accept(export(1, ended_ns=old_ns))

    assert (accepted.stored, accepted.rejected) == (0, {"too_old": 1})


def test_a_trace_too_large_is_a_partial_success(accept, monkeypatch):
    monkeypatch.setattr(commit, "LARGE_TRACE", 1)
    monkeypatch.setattr(commit, "LARGEST_TRACE", 2)

    accepted = accept(export(1, 2, 3))

    assert accepted.stored == 2
    assert accepted.rejected == {"trace_too_large": 1}


def test_what_is_no_export_is_rejected(accept):
    with pytest.raises(RejectedExport):
        accept(b"garbage!!")
