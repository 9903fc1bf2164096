"""OTLP/HTTP from outside, through a real server: statuses, encodings, limits."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import json
import logging
import socket
import time
import zlib

import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceResponse,
)

from ingest import receiver
from ingest.errors import Busy, RejectedExport
from ingest.otlp import limits
from tests.ingest.otlp import JSON, PROTOBUF, export, json_body, logs, metrics
from tests.ingest.receiving import KEY, READ_KEY, receiving

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def running():
    with pytest.MonkeyPatch.context() as patch, receiving(patch) as pair:
        yield pair


@pytest.fixture
def store(running):
    store = running[1]
    store.__init__()
    return store


@pytest.fixture
def sender(running, store):
    yield running[0]
    # A connection that was cut is noticed by the server a moment later.
    for _ in range(500):
        if receiver.budget.held == 0:
            break
        time.sleep(0.01)
    assert receiver.budget.held == 0


def body_of(*spans):
    return export(*(spans or ({},))).SerializeToString()


def padded(size):
    """An export of one span whose body has exactly ``size`` bytes."""
    pad = size - 300
    pad += size - len(body_of({"attributes": {"pad": "x" * pad}}))
    return body_of({"attributes": {"pad": "x" * pad}})


def status_of(reply):
    """What an error says, in whichever encoding it came."""
    if reply.headers["content-type"] == JSON:
        return json.loads(reply.body)
    status = Status.FromString(reply.body)
    return {"code": status.code, "message": status.message}


def test_a_protobuf_export_is_stored_and_answered_empty(sender, store):
    reply = sender.post(body_of({}, {}), PROTOBUF)

    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["content-type"] == PROTOBUF
    assert len(store.spans) == 2


def test_a_json_export_is_stored_and_answered_with_an_empty_object(sender, store):
    reply = sender.post(json_body(export({})), "application/json; charset=utf-8")

    assert (reply.status, reply.body) == (200, b"{}")
    assert reply.headers["content-type"] == JSON
    assert len(store.spans) == 1


def test_the_alias_path_is_the_same_place(sender, store):
    path = "/api/public/otel/v1/traces"

    assert sender.post(body_of(), PROTOBUF, path=path).status == 200
    assert len(store.spans) == 1


@pytest.mark.parametrize(("content_type", "body"), [(PROTOBUF, b""), (JSON, b"{}")])
def test_an_empty_body_is_success(sender, content_type, body):
    reply = sender.post(b"", content_type)

    assert (reply.status, reply.body) == (200, body)
    assert reply.headers["content-type"] == content_type


def test_one_bad_span_is_told_and_its_neighbours_are_stored(sender, store):
    def change(spans):
        spans[1]["attributes"] = {"a": 1}

    reply = sender.post(json_body(export({}, {}, {}), change), JSON)

    assert reply.status == 200
    assert json.loads(reply.body) == {
        "partialSuccess": {
            "rejectedSpans": "1",
            "errorMessage": "rejected: attributes_not_array (1)",
        }
    }
    assert len(store.spans) == 2


def test_partial_success_is_told_in_protobuf_to_who_sent_protobuf(sender):
    span = b"\x0a\x10short"
    bad = b"\x0a\x0b\x12\x09\x12\x07" + span
    reply = sender.post(body_of() + bad, PROTOBUF)

    partial = ExportTraceServiceResponse.FromString(reply.body).partial_success
    assert (reply.status, partial.rejected_spans) == (200, 1)
    assert "span_undecodable (1)" in partial.error_message


def test_quirks_are_a_warning_that_rejects_nothing(sender, store):
    def change(spans):
        spans[0]["kind"] = "SPAN_KIND_CLIENT"

    reply = sender.post(json_body(export({}), change), JSON)

    partial = json.loads(reply.body)["partialSuccess"]
    assert partial["rejectedSpans"] == "0"
    assert "json_enum_names (1)" in partial["errorMessage"]
    assert len(store.spans) == 1


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
def test_what_is_no_export_is_400_with_a_status(sender, content_type):
    reply = sender.post(b"garbage!!", content_type)

    assert (reply.status, status_of(reply)["code"]) == (400, 3)
    assert reply.headers["content-type"] == content_type


def test_an_unknown_content_type_is_415_in_json(sender):
    reply = sender.post(b"x", "text/plain")

    assert (reply.status, status_of(reply)["code"]) == (415, 3)
    assert "application/x-protobuf" in status_of(reply)["message"]


def test_no_content_type_is_415(sender):
    assert sender.post(b"", None).status == 415


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
@pytest.mark.parametrize("key", [None, "sg_wrong"])
def test_without_a_key_it_is_401_in_the_encoding_of_the_request(
    sender, store, key, content_type
):
    reply = sender.post(body_of(), content_type, key=key)

    assert (reply.status, status_of(reply)["code"]) == (401, 16)
    assert reply.headers["www-authenticate"] == "Bearer"
    assert store.exports == 0


def test_a_key_without_the_scope_is_403(sender, store):
    reply = sender.post(body_of(), PROTOBUF, key=READ_KEY)

    assert (reply.status, status_of(reply)["code"]) == (403, 7)
    assert store.exports == 0


def test_the_key_is_asked_before_the_body_is_looked_at(sender):
    reply = sender.post(b"\xff" * 100, "text/plain", key=None, content_encoding="br")

    assert reply.status == 401


def test_another_method_is_405(sender):
    reply = sender.request("GET", "/v1/traces")

    assert (reply.status, reply.headers["allow"]) == (405, "POST")


def test_another_path_is_404(sender):
    assert sender.post(b"", PROTOBUF, path="/v1/profiles").status == 404


# -- encodings of the body -----------------------------------------------------------


def raw_deflate(body):
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(body) + compressor.flush()


def two_members(body):
    return gzip.compress(body[:50]) + gzip.compress(body[50:])


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("GZIP", gzip.compress),
        ("gzip", two_members),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
        ("identity", bytes),
    ],
    ids=["gzip", "case", "members", "zlib", "raw", "identity"],
)
def test_every_encoding_is_understood(sender, store, encoding, compress):
    body = compress(body_of({}, {}, {}))

    assert sender.post(body, PROTOBUF, content_encoding=encoding).status == 200
    assert len(store.spans) == 3


def test_a_large_compressed_body_in_many_chunks_is_whole(sender, store):
    spans = [{"attributes": {"n": str(n) * 50}} for n in range(20_000)]
    body = gzip.compress(body_of(*spans))
    pieces = (body[at : at + 1_000] for at in range(0, len(body), 1_000))

    reply = sender.post(pieces, PROTOBUF, content_encoding="gzip")

    assert (reply.status, len(store.spans)) == (200, 20_000)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip"])
def test_an_unknown_encoding_is_415(sender, encoding):
    reply = sender.post(body_of(), PROTOBUF, content_encoding=encoding)

    assert reply.status == 415
    assert encoding in status_of(reply)["message"]


@pytest.mark.parametrize(
    ("encoding", "damage"),
    [
        ("gzip", lambda body: gzip.compress(body)[:-9]),
        ("gzip", lambda body: gzip.compress(body) + b"more"),
        ("gzip", lambda body: body),
        ("gzip", lambda _: gzip.compress(b"")[:5]),
        ("gzip", lambda _: gzip.compress(b"") * 1_001),
        ("deflate", lambda body: zlib.compress(body)[:-1]),
        ("deflate", lambda body: raw_deflate(body)[:-1]),
        ("deflate", lambda _: b"\xff\xff"),
    ],
    ids=[
        "truncated gzip",
        "more behind gzip",
        "no gzip",
        "half a header",
        "too many members",
        "truncated zlib",
        "truncated raw",
        "no deflate",
    ],
)
def test_a_damaged_encoding_is_400(sender, store, encoding, damage):
    reply = sender.post(damage(body_of()), PROTOBUF, content_encoding=encoding)

    assert (reply.status, status_of(reply)["code"]) == (400, 3)
    assert store.exports == 0


# -- limits --------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_body_of_exactly_the_limit_is_accepted(sender, store, encoding):
    body = padded(limits.MAX_BODY_BYTES)
    sent = gzip.compress(body, 1) if encoding == "gzip" else body
    assert len(body) == 20 * MIB

    assert sender.post(sent, PROTOBUF, content_encoding=encoding).status == 200
    assert len(store.spans) == 1


@pytest.mark.parametrize("encoding", ["identity", "gzip", "deflate"])
def test_one_byte_more_is_413(sender, store, encoding):
    body = b"\0" * (limits.MAX_BODY_BYTES + 1)
    compress = {"identity": bytes, "gzip": gzip.compress, "deflate": zlib.compress}

    reply = sender.post(compress[encoding](body), PROTOBUF, content_encoding=encoding)

    assert (reply.status, status_of(reply)["code"]) == (413, 8)
    assert str(limits.MAX_BODY_BYTES) in status_of(reply)["message"]
    assert store.exports == 0


def test_a_chunked_body_beyond_the_limit_is_413(sender, store):
    chunks = (b"\0" * MIB for _ in range(21))

    reply = sender.post(chunks, PROTOBUF)

    assert (reply.status, store.exports) == (413, 0)


def test_a_chunked_body_without_a_length_is_accepted(sender, store):
    body = body_of({}, {})

    assert sender.post(iter([body[:10], body[10:]]), PROTOBUF).status == 200
    assert len(store.spans) == 2


def test_a_bomb_is_413_before_it_is_whole(sender):
    bomb = gzip.compress(b"\0" * (64 * MIB))

    reply = sender.post(bomb, PROTOBUF, content_encoding="gzip")

    assert len(bomb) < 70_000
    assert reply.status == 413


def test_a_bomb_without_a_key_is_401(sender):
    bomb = gzip.compress(b"\0" * (64 * MIB))

    assert sender.post(bomb, PROTOBUF, key=None, content_encoding="gzip").status == 401


def raw_exchange(port, head, body):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head + body)
        connection.shutdown(socket.SHUT_WR)
        return connection.recv(65_536)


HEAD = (
    b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    b"Authorization: Bearer " + KEY.encode() + b"\r\n"
    b"Content-Type: application/x-protobuf\r\n"
)


def test_a_declared_length_beyond_the_limit_is_413_at_once(sender, store):
    head = HEAD + b"Content-Length: 99999999999\r\n\r\n"

    assert raw_exchange(sender.port, head, b"").startswith(b"HTTP/1.1 413")


def test_a_declared_length_that_lies_stores_nothing(sender, store):
    body = body_of()
    head = HEAD + b"Content-Length: %d\r\n\r\n" % (len(body) + 10)

    raw_exchange(sender.port, head, body)

    assert store.exports == 0


def test_a_body_that_does_not_arrive_in_time_is_408(sender, monkeypatch):
    monkeypatch.setattr(limits, "READ_SECONDS", 0.05)
    head = HEAD + b"Content-Length: 10\r\n\r\n"

    with socket.create_connection(("127.0.0.1", sender.port), timeout=10) as connection:
        connection.sendall(head + b"half")
        answer = connection.recv(65_536)

    assert answer.startswith(b"HTTP/1.1 408")


def test_more_bytes_in_flight_than_the_budget_are_503(sender, monkeypatch):
    monkeypatch.setattr(receiver, "budget", limits.Budget(10))

    reply = sender.post(body_of(), PROTOBUF)

    assert (reply.status, reply.headers["retry-after"]) == (503, "1")
    assert receiver.budget.held == 0


def test_a_connection_goes_on_after_a_refusal_that_left_the_body_unread(sender, store):
    connection = http.client.HTTPConnection("127.0.0.1", sender.port, timeout=20)
    large, small = b"\0" * (30 * MIB), body_of()
    good = {"authorization": f"Bearer {KEY}", "content-type": PROTOBUF}
    statuses = []

    for body, headers in ((large, {}), (large, good), (small, good)):
        connection.request("POST", "/v1/traces", body, headers)
        response = connection.getresponse()
        response.read()
        statuses.append(response.status)
    connection.close()

    assert statuses == [401, 413, 200]
    assert len(store.spans) == 1


# -- trouble behind ------------------------------------------------------------------


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
@pytest.mark.parametrize(("asked", "told"), [(0, "1"), (2, "2"), (30, "3")])
def test_busy_is_503_with_a_wait_that_exporters_can_bear(
    sender, store, content_type, asked, told
):
    store.troubles = [Busy("the queue is full", retry_after=asked)]

    reply = sender.post(b"", content_type)

    assert (reply.status, reply.headers["retry-after"]) == (503, told)
    assert status_of(reply) == {"code": 14, "message": "the queue is full"}
    assert reply.headers["content-type"] == content_type


def test_what_nobody_foresaw_is_logged_and_503(sender, store, caplog):
    store.troubles = [RuntimeError("surprise")]

    with caplog.at_level(logging.ERROR, logger="ingest.receiver"):
        reply = sender.post(body_of(), PROTOBUF)

    assert (reply.status, reply.headers["retry-after"]) == (503, "1")
    assert b"surprise" not in reply.body
    assert [record.message for record in caplog.records] == ["ingest.receive_failed"]


def test_a_refusal_from_behind_keeps_its_status(sender, store):
    store.troubles = [RejectedExport("strange", status=418)]

    reply = sender.post(body_of(), PROTOBUF)

    assert (reply.status, status_of(reply)["code"]) == (418, 2)


# -- the other signals ---------------------------------------------------------------


def test_logs_are_answered_200_and_told_not_to_be_stored(sender, store):
    reply = sender.post(logs(3).SerializeToString(), PROTOBUF, path="/v1/logs")

    partial = ExportLogsServiceResponse.FromString(reply.body).partial_success
    assert (reply.status, partial.rejected_log_records) == (200, 3)
    assert "not stored" in partial.error_message
    assert store.exports == 0


def test_metrics_are_counted_by_data_point(sender):
    reply = sender.post(metrics(5).SerializeToString(), PROTOBUF, path="/v1/metrics")

    partial = ExportMetricsServiceResponse.FromString(reply.body).partial_success
    assert (reply.status, partial.rejected_data_points) == (200, 5)


@pytest.mark.parametrize(
    ("path", "document", "name", "count"),
    [
        (
            "/v1/logs",
            {"resourceLogs": [{"scopeLogs": [{"logRecords": [{}, {}, 1]}, 1]}, 1]},
            "rejectedLogRecords",
            "2",
        ),
        (
            "/v1/metrics",
            {
                "resourceMetrics": [
                    {
                        "scopeMetrics": [
                            {
                                "metrics": [
                                    {"sum": {"dataPoints": [{}, {}]}},
                                    {"gauge": {"dataPoints": [{}]}, "sum": 1},
                                ]
                            }
                        ]
                    }
                ]
            },
            "rejectedDataPoints",
            "3",
        ),
    ],
)
def test_the_other_signals_are_counted_in_json(sender, path, document, name, count):
    reply = sender.post(json.dumps(document).encode(), JSON, path=path)

    assert reply.status == 200
    assert json.loads(reply.body)["partialSuccess"][name] == count


@pytest.mark.parametrize("path", ["/v1/logs", "/v1/metrics"])
@pytest.mark.parametrize(
    ("content_type", "body"), [(PROTOBUF, b""), (JSON, b"{}"), (JSON, b"")]
)
def test_nothing_of_the_other_signals_is_full_success(sender, path, content_type, body):
    reply = sender.post(body, content_type, path=path)

    assert (reply.status, len(reply.body)) == (200, 2 if content_type == JSON else 0)


@pytest.mark.parametrize("path", ["/v1/logs", "/v1/metrics"])
def test_garbage_of_the_other_signals_is_400(sender, path):
    assert sender.post(b"garbage!!", PROTOBUF, path=path).status == 400


@pytest.mark.parametrize(
    ("body", "path"),
    [(logs(), "/v1/logs"), (metrics(), "/v1/metrics")],
    ids=["logs", "metrics"],
)
def test_the_other_signals_on_the_path_of_traces_are_400(sender, body, path):
    reply = sender.post(body.SerializeToString(), PROTOBUF)

    assert reply.status == 400
    assert path in status_of(reply)["message"]


# -- the shape of ASGI ---------------------------------------------------------------


def events_of(scope, *received):
    """What the app sends when these events arrive."""
    sent, waiting = [], list(received)

    async def receive():
        return waiting.pop(0)

    async def send(event):
        sent.append(event)

    asyncio.run(receiver.app(scope, receive, send))
    return sent


def test_lifespan_is_answered():
    events = events_of(
        {"type": "lifespan"},
        {"type": "lifespan.startup"},
        {"type": "lifespan.shutdown"},
    )

    assert [event["type"] for event in events] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


def test_a_socket_is_closed():
    assert events_of({"type": "websocket"}) == [{"type": "websocket.close"}]
