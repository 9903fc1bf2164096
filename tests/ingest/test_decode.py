"""Protobuf bodies: whatever arrives, neighbours survive and nothing else is raised."""

from __future__ import annotations

import contextlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import RejectedExport
from ingest.otlp import limits
from ingest.otlp.decode import decode
from ingest.otlp.schema import ExportRequest
from tests.ingest.otlp import PROTOBUF, export, logs, metrics, spans_of


def body_of(*spans, **others):
    return export(*spans, **others).SerializeToString()


def nested(levels):
    """An attribute value of lists inside lists, as bytes of an AnyValue."""
    value = delimited(0x0A, b"core")
    for _ in range(levels):
        entry = delimited(0x0A, b"k") + delimited(0x12, value)
        value = delimited(0x32, delimited(0x0A, entry))
    return value


def delimited(tag, data):
    """A length-delimited field, with which bodies are built that no library writes."""
    size, length = len(data), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([tag]) + length + bytes([size]) + data


def hostile_span(attribute_value):
    ids = delimited(0x0A, b"\x01" * 16) + delimited(0x12, b"\x02" * 8)
    entry = delimited(0x0A, b"key") + delimited(0x12, attribute_value)
    return ids + delimited(0x4A, entry)


def with_span(body, span):
    """A second group with one span of raw bytes beside those of ``body``."""
    return body + delimited(0x0A, delimited(0x12, delimited(0x12, span)))


def test_a_protobuf_export_is_read_as_it_was_written():
    body = body_of({"name": "search", "attributes": {"n": 3, "deep": {"a": [1, "b"]}}})

    decoded = decode(body, PROTOBUF)

    (span,) = spans_of(decoded.request)
    assert span.name == "search"
    assert span.attributes["n"].int_value == 3
    deep = span.attributes["deep"].kvlist_value.values["a"].array_value.values
    assert [deep[0].int_value, deep[1].string_value] == [1, "b"]
    assert decoded.raw is body
    assert (decoded.quirks, decoded.rejected) == (Counter(), Counter())


@pytest.mark.parametrize("content_type", ["application/x-protobuf", "application/json"])
def test_an_empty_body_is_an_export_of_nothing(content_type):
    decoded = decode(b"", content_type)

    assert spans_of(decoded.request) == []


@pytest.mark.parametrize(
    "content_type",
    ["application/x-protobuf; charset=utf-8", "APPLICATION/PROTOBUF ;v=1"],
)
def test_parameters_and_case_of_the_content_type_do_not_matter(content_type):
    assert len(spans_of(decode(body_of({}), content_type).request)) == 1


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-json"])
def test_another_content_type_is_415_and_named(content_type):
    with pytest.raises(RejectedExport, match="application/x-protobuf") as caught:
        decode(b"", content_type)

    assert caught.value.status == 415


@pytest.mark.parametrize("body", [b"{}", b"garbage!!", b"\x0a\xff", b"\x00"])
def test_bytes_that_are_no_protobuf_are_rejected(body):
    with pytest.raises(RejectedExport) as caught:
        decode(body, PROTOBUF)

    assert caught.value.status == 400


def test_text_that_is_not_utf8_costs_neither_its_span_nor_the_neighbours():
    body = with_span(
        body_of({"name": "before"}), hostile_span(delimited(0x0A, b"bad \xff text"))
    )

    decoded = decode(body, PROTOBUF)

    before, mended = spans_of(decoded.request)
    assert before.name == "before"
    assert mended.attributes["key"].string_value == "bad \ufffd text"
    assert mended.trace_id == b"\x01" * 16
    assert decoded.quirks == Counter(protobuf_repaired=1)
    assert decoded.raw is None


def test_broken_text_around_spans_is_mended_too():
    broken = delimited(0x0A, b"k\xff") + delimited(0x12, delimited(0x0A, b"v\xff"))
    scope = delimited(0x0A, delimited(0x0A, b"lib\xff"))
    span = delimited(0x12, hostile_span(b""))
    group = delimited(0x0A, delimited(0x0A, broken)) + delimited(0x12, scope + span)
    body = delimited(0x0A, group + delimited(0x1A, b"http://\xff"))

    request = decode(body, PROTOBUF).request

    (saved,) = request.resource_spans
    assert saved.resource.attributes["k\ufffd"].string_value == "v\ufffd"
    assert saved.scope_spans[0].scope.name == "lib\ufffd"
    assert saved.schema_url == "http://\ufffd"


def test_a_span_nested_too_deeply_is_rejected_alone():
    body = with_span(body_of({"name": "before"}), hostile_span(nested(10_000)))

    decoded = decode(body, PROTOBUF)

    assert [span.name for span in spans_of(decoded.request)] == ["before"]
    assert decoded.rejected == Counter(span_undecodable=1)


@pytest.mark.parametrize("levels", [24, 30, 31, 32, 40])
def test_what_was_accepted_can_be_read_again(levels):
    body = with_span(body_of({"name": "beside"}), hostile_span(nested(levels)))

    decoded = decode(body, PROTOBUF)
    again = ExportRequest.FromString(decoded.request.SerializeToString())

    assert len(spans_of(again)) + decoded.rejected.total() == 2
    assert "beside" in {span.name for span in spans_of(again)}


@pytest.mark.parametrize(
    ("where", "reason"),
    [("resource", "resource_undecodable"), ("scope", "scope_undecodable")],
)
def test_a_hopeless_resource_or_scope_rejects_the_spans_under_it(where, reason):
    span = delimited(0x12, hostile_span(b""))
    hopeless = delimited(0x0A, b"\x0a\xff")
    if where == "resource":
        group = hopeless + delimited(0x12, span)
    else:
        group = delimited(0x12, hopeless + span)
    body = body_of({"name": "before"}) + delimited(0x0A, group)

    decoded = decode(body, PROTOBUF)

    assert [span.name for span in spans_of(decoded.request)] == ["before"]
    assert decoded.rejected == Counter({reason: 1})


def test_an_export_of_which_nothing_can_be_read_is_rejected_as_a_whole():
    body = with_span(b"", b"\x0a\x10short")

    with pytest.raises(RejectedExport, match="none of the 1 spans"):
        decode(body, PROTOBUF)


def test_logs_sent_as_traces_are_told_the_right_path():
    with pytest.raises(RejectedExport, match=r"OTLP logs, use /v1/logs"):
        decode(logs().SerializeToString(), PROTOBUF)


@pytest.mark.parametrize("identified", [True, False], ids=["in a trace", "alone"])
def test_full_log_records_are_recognised(identified):
    request = logs()
    record = request.resource_logs[0].scope_logs[0].log_records[0]
    record.time_unix_nano = record.observed_time_unix_nano = 1
    record.severity_text = "WARN"
    record.attributes.add(key="k").value.string_value = "v"
    if identified:
        record.trace_id, record.span_id = b"\x01" * 16, b"\x02" * 8

    with pytest.raises(RejectedExport, match=r"/v1/logs"):
        decode(request.SerializeToString(), PROTOBUF)


def test_metrics_sent_as_traces_are_told_the_right_path():
    with pytest.raises(RejectedExport, match=r"OTLP metrics, use /v1/metrics"):
        decode(metrics().SerializeToString(), PROTOBUF)


def test_spans_without_usable_ids_are_left_to_be_rejected_one_by_one():
    body = body_of({"trace_id": b"short", "attributes": {"a": 1}}, {"span_id": b""})

    assert len(spans_of(decode(body, PROTOBUF).request)) == 1 + 1


def test_spans_that_say_nothing_at_all_are_no_other_signal():
    body = with_span(b"", delimited(0x2A, b"\xc3\xa9"))

    assert len(spans_of(decode(body, PROTOBUF).request)) == 1


def test_more_attributes_events_or_links_than_allowed_are_dropped_and_counted():
    request = export(
        {
            "attributes": {f"key.{n:05}": n for n in range(1_500)} | {"short": 1},
            "events": [(f"event {n}", {}) for n in range(1_200)],
        }
    )
    span = request.resource_spans[0].scope_spans[0].spans[0]
    for _ in range(1_003):
        span.links.add(trace_id=b"\x01" * 16, span_id=b"\x02" * 8)

    decoded = decode(request.SerializeToString(), PROTOBUF)

    (kept,) = spans_of(decoded.request)
    assert len(kept.attributes) == limits.MAX_ATTRIBUTES
    assert kept.dropped_attributes_count == 501
    assert "short" in kept.attributes
    assert len(kept.events) == limits.MAX_EVENTS
    assert (kept.dropped_events_count, kept.events[-1].name) == (200, "event 1199")
    assert (len(kept.links), kept.dropped_links_count) == (limits.MAX_LINKS, 3)
    assert decoded.quirks == Counter(span_trimmed=1)
    assert decoded.raw is None


def test_a_drop_counter_that_is_full_stays_full():
    request = export({"attributes": {f"key.{n}": n for n in range(1_001)}})
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.dropped_attributes_count = 2**32 - 1

    decoded = decode(request.SerializeToString(), PROTOBUF)

    assert spans_of(decoded.request)[0].dropped_attributes_count == 2**32 - 1


@pytest.mark.parametrize(
    "body",
    [
        delimited(0x0A, delimited(0x12, b"\x12\x00" * 100_001)),
        delimited(0x0A, b"\x12\x00" * 100_001),
        b"\x0a\x00" * 100_001,
    ],
    ids=["spans", "scopes", "resources"],
)
def test_more_than_the_allowed_spans_are_413_before_they_are_decoded(body):
    with pytest.raises(RejectedExport, match="100000 spans") as caught:
        decode(body, PROTOBUF)

    assert caught.value.status == 413


def test_the_walk_over_a_large_body_knows_every_kind_of_field():
    padding = delimited(0x3A, b"x" * limits.MAX_BODY_BYTES)[: 1024 * 1024 + 100]
    unknown = b"\x28\xff\x01" + b"\x31" + b"8" * 8 + b"\x35" + b"4" * 4
    large = delimited(0x3A, b"x" * (1024 * 1024))

    decoded = decode(unknown + large + body_of({}), PROTOBUF)

    assert len(spans_of(decoded.request)) == 1
    with pytest.raises(RejectedExport, match="not an OTLP export"):
        decode(padding, PROTOBUF)


def test_a_group_cannot_hide_spans_from_the_walk():
    body = b"\x3b\x3c" + b"\x0a\x00" * 600_000

    with pytest.raises(RejectedExport, match="groups are not in use"):
        decode(body, PROTOBUF)


@pytest.mark.parametrize(
    "cut",
    [lambda body: body[:-1], lambda body: body + b"\x0a"],
    ids=["in text", "in a length"],
)
def test_a_large_body_that_ends_in_the_middle_is_rejected(cut):
    body = body_of(*({"attributes": {"text": "x" * 1_000}} for _ in range(1_100)))

    with pytest.raises(RejectedExport):
        decode(cut(body), PROTOBUF)


def readable_or_rejected(body):
    """Anything but ``RejectedExport`` fails the test, as does what cannot be stored."""
    with contextlib.suppress(RejectedExport):
        decoded = decode(body, PROTOBUF)
        ExportRequest.FromString(decoded.request.SerializeToString())


@given(st.binary(max_size=300))
def test_whatever_the_bytes_only_rejected_export_is_raised(body):
    readable_or_rejected(body)


@given(st.data())
def test_a_valid_body_with_some_bytes_changed_raises_only_rejected_export(data):
    body = bytearray(
        body_of({"attributes": {"a": "text", "b": [1, {"c": 2.5}]}, "message": "no"})
    )
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place] = data.draw(st.integers(0, 255))

    readable_or_rejected(bytes(body))
