"""OTLP/JSON becomes the same message, and forgives what can be understood."""

from __future__ import annotations

import contextlib
import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import RejectedExport
from ingest.otlp.decode import decode
from ingest.otlp.schema import ExportRequest
from tests.ingest.otlp import (
    JSON,
    START_NS,
    TRACE,
    as_json,
    export,
    json_body,
    spans_of,
)


def decoded_with(*changes, spans=3):
    return decode(json_body(export(*[{}] * spans), *changes), JSON)


def with_value(value):
    """The stored value and what was rejected, for one attribute in OTLP/JSON."""

    def change(spans):
        spans[0]["attributes"] = [{"key": "a", "value": value}]

    decoded = decoded_with(change, spans=1)
    spans = spans_of(decoded.request)
    return (spans[0].attributes["a"] if spans else None), decoded.rejected


def test_json_and_protobuf_of_one_export_are_the_same_message():
    request = export(
        {
            "attributes": {
                "text": "ä\u0000b",
                "n": -3,
                "big": 2**63 - 1,
                "x": 0.25,
                "yes": True,
                "raw": b"\x00\xff",
                "list": [1, "two", [3.0], {"k": "v"}],
                "map": {"a": {"b": 1}},
            },
            "message": "it failed",
            "events": [("exception", {"exception.type": "ValueError"})],
        },
        {"parent_span_id": b"\x01" * 8},
    )
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.trace_state, span.flags = "a=b", 257
    span.links.add(trace_id=b"\x07" * 16, span_id=b"\x08" * 8)
    document = as_json(request)
    link = document["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["links"][0]
    link |= {"traceId": "07" * 16, "spanId": "08" * 8}

    decoded = decode(json.dumps(document).encode(), JSON)

    assert decoded.request == ExportRequest.FromString(request.SerializeToString())
    assert (decoded.quirks, decoded.rejected) == (Counter(), Counter())
    assert decoded.raw is None


@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_hex_ids_of_any_case_are_the_same_bytes(case):
    def change(spans):
        spans[0]["traceId"] = case(TRACE.hex())

    decoded = decoded_with(change, spans=1)

    assert spans_of(decoded.request)[0].trace_id == TRACE
    assert decoded.quirks == Counter()


def test_base64_ids_are_accepted_and_counted():
    def change(spans):
        spans[0] |= {"traceId": "Z6z8LqVvEI+kU1/Ci6mXBQ==", "spanId": "gMEgDJS+EXg="}

    decoded = decoded_with(change, spans=1)

    (span,) = spans_of(decoded.request)
    assert span.trace_id.hex() == "67acfc2ea56f108fa4535fc28ba99705"
    assert span.span_id.hex() == "80c1200c94be1178"
    assert decoded.quirks == Counter(json_base64_ids=2)


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("traceId", "trace_id_invalid"),
        ("spanId", "span_id_invalid"),
        ("parentSpanId", "parent_id_invalid"),
    ],
)
@pytest.mark.parametrize("value", ["not an id", "ABCX", 12, "ÄÄ=="])
def test_ids_that_are_neither_hex_nor_base64_reject_their_span(field, reason, value):
    def change(spans):
        spans[1][field] = value

    decoded = decoded_with(change)

    assert len(spans_of(decoded.request)) == 2
    assert decoded.rejected == Counter({reason: 1})


@pytest.mark.parametrize("value", [START_NS, str(START_NS)], ids=["number", "string"])
def test_nanoseconds_lose_nothing(value):
    def change(spans):
        spans[0]["startTimeUnixNano"] = value

    (span,) = spans_of(decoded_with(change, spans=1).request)

    assert span.start_time_unix_nano == START_NS


def test_enum_names_are_accepted_and_counted():
    def change(spans):
        spans[0] |= {
            "kind": "SPAN_KIND_CLIENT",
            "status": {"code": "STATUS_CODE_ERROR"},
        }
        spans[1] |= {"kind": "SPAN_KIND_OF_MAGIC", "status": {"code": "2"}}

    decoded = decoded_with(change, spans=2)

    named, strange = spans_of(decoded.request)
    assert (named.kind, named.status.code) == (3, 2)
    assert (strange.kind, strange.status.code) == (0, 2)
    assert decoded.quirks == Counter(json_enum_names=3)


def test_unknown_fields_and_nulls_are_ignored():
    def change(spans):
        spans[0] |= {"zzz": 1, "traceState": None, "status": {"x": {}}, "events": None}
        spans[0]["attributes"] = [
            {"key": "a", "value": {"futureValue": 1}},
            {"key": "b", "value": None},
            {"key": "c", "value": {"stringValue": None}},
        ]

    decoded = decoded_with(change, spans=1)

    (span,) = spans_of(decoded.request)
    assert set(span.attributes) == {"a", "b", "c"}
    assert decoded.rejected == Counter()


def test_names_of_the_protobuf_fields_are_understood():
    document = {
        "resource_spans": [
            {
                "resource": {"attributes": []},
                "scope_spans": [
                    {
                        "spans": [
                            {
                                "trace_id": TRACE.hex(),
                                "span_id": "01" * 8,
                                "start_time_unix_nano": str(START_NS),
                            }
                        ]
                    }
                ],
            }
        ]
    }

    (span,) = spans_of(decode(json.dumps(document).encode(), JSON).request)

    assert (span.trace_id, span.start_time_unix_nano) == (TRACE, START_NS)


def test_attributes_as_an_object_reject_that_span_alone():
    def change(spans):
        spans[1]["attributes"] = {"a": 1}

    decoded = decoded_with(change)

    assert [span.name for span in spans_of(decoded.request)] == ["span 1", "span 3"]
    assert decoded.rejected == Counter(attributes_not_array=1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"startTimeUnixNano": -1},
        {"startTimeUnixNano": "soon"},
        {"startTimeUnixNano": 1.5},
        {"name": 7},
        {"flags": 2**32},
        {"attributes": [{"key": "a", "value": {"intValue": 2**63}}]},
        {"attributes": [{"key": "a", "value": {"intValue": "1.5"}}]},
        {"attributes": [{"key": "a", "value": {"boolValue": "false"}}]},
        {"attributes": [{"key": "a", "value": {"doubleValue": "much"}}]},
        {"attributes": [{"key": "a", "value": {"bytesValue": "%"}}]},
        {"attributes": [{"key": 1, "value": {"intValue": 1}}]},
    ],
)
def test_a_value_of_the_wrong_kind_rejects_that_span_alone(wrong):
    def change(spans):
        spans[1] |= wrong

    decoded = decoded_with(change)

    assert [span.name for span in spans_of(decoded.request)] == ["span 1", "span 3"]
    assert decoded.rejected == Counter(value_invalid=1)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"events": {}}, "not_an_array"),
        ({"events": [1]}, "not_an_object"),
        ({"status": []}, "not_an_object"),
        ({"attributes": ["a"]}, "not_an_object"),
        ({"attributes": [{"key": "a", "value": 1}]}, "not_an_object"),
    ],
)
def test_a_shape_that_is_wrong_rejects_that_span_alone(wrong, reason):
    def change(spans):
        spans[1] |= wrong

    decoded = decoded_with(change)

    assert len(spans_of(decoded.request)) == 2
    assert decoded.rejected == Counter({reason: 1})


@pytest.mark.parametrize("span", [None, 1, [], "x"])
def test_a_span_that_is_no_object_is_rejected_alone(span):
    decoded = decoded_with(lambda spans: spans.append(span), spans=2)

    assert len(spans_of(decoded.request)) == 2
    assert decoded.rejected == Counter(not_an_object=1)


@pytest.mark.parametrize(
    ("value", "field", "expected"),
    [
        ({"intValue": 7}, "int_value", 7),
        ({"intValue": "-7"}, "int_value", -7),
        ({"intValue": 7.0}, "int_value", 7),
        ({"doubleValue": 1}, "double_value", 1.0),
        ({"doubleValue": "Infinity"}, "double_value", float("inf")),
        ({"boolValue": False}, "bool_value", False),
        ({"bytesValue": "AP8="}, "bytes_value", b"\x00\xff"),
    ],
)
def test_numbers_are_understood_as_text_and_as_numbers(value, field, expected):
    stored, rejected = with_value(value)

    assert getattr(stored, field) == expected
    assert stored.WhichOneof("value") == field
    assert not rejected


def test_empty_arrays_and_lists_stay_what_they_are():
    array, _ = with_value({"arrayValue": {}})
    kvlist, _ = with_value({"kvlistValue": {"values": []}})

    assert array.WhichOneof("value") == "array_value"
    assert kvlist.WhichOneof("value") == "kvlist_value"


def test_a_key_sent_twice_keeps_its_last_value():
    def change(spans):
        spans[0]["attributes"] = [
            {"key": "a", "value": {"stringValue": "first"}},
            {"key": "a", "value": {"intValue": 2}},
        ]

    (span,) = spans_of(decoded_with(change, spans=1).request)

    assert span.attributes["a"].WhichOneof("value") == "int_value"


@pytest.mark.parametrize(("levels", "kept"), [(23, 3), (24, 2), (200, 2)])
def test_deep_nesting_rejects_that_span_alone(levels, kept):
    value = {"stringValue": "core"}
    for level in range(levels):
        value = (
            {"arrayValue": {"values": [value]}}
            if level % 2
            else {"kvlistValue": {"values": [{"key": "k", "value": value}]}}
        )

    def change(spans):
        spans[1]["attributes"] = [{"key": "a", "value": value}]

    decoded = decoded_with(change)
    again = ExportRequest.FromString(decoded.request.SerializeToString())

    assert len(spans_of(again)) == kept
    assert decoded.rejected == Counter(nested_too_deep=3 - kept)


def test_nesting_without_bound_is_rejected_and_not_followed():
    body = b'{"resourceSpans":' + b"[" * 100_000

    with pytest.raises(RejectedExport, match="nested too deeply"):
        decode(body, JSON)


def test_a_resource_or_scope_that_is_wrong_rejects_the_spans_under_it():
    document = as_json(export({}, {}))
    group = document["resourceSpans"][0]
    bad_resource = json.loads(json.dumps(group)) | {"resource": {"attributes": {}}}
    bad_scope = json.loads(json.dumps(group))
    bad_scope["scopeSpans"][0]["scope"] = {"name": 1}
    document["resourceSpans"] += [bad_resource, bad_scope]

    decoded = decode(json.dumps(document).encode(), JSON)

    assert len(spans_of(decoded.request)) == 2
    assert decoded.rejected == Counter(attributes_not_array=2, value_invalid=2)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"resourceSpans":null}',
        b'{"resourceSpans":[{"resource":{}}]}',
        b'{"resourceSpans":[{"scopeSpans":[{}]}]}',
        b'{"somethingElse":1}',
    ],
)
def test_an_export_without_spans_is_an_export_of_nothing(body):
    assert spans_of(decode(body, JSON).request) == []


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"1",
        b"{",
        b"null",
        b"\x0a\x00",
        b'{"resourceSpans":{}}',
        b'{"resourceSpans":[1]}',
        b'{"resourceSpans":[{"scopeSpans":[[]]}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"spans":{}}]}]}',
        b'{"n":' + b"1" * 5_000 + b"x}",
    ],
)
def test_json_that_is_no_export_is_400(body):
    with pytest.raises(RejectedExport) as caught:
        decode(body, JSON)

    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("key", "path"),
    [("resourceLogs", "/v1/logs"), ("resourceMetrics", "/v1/metrics")],
)
def test_another_signal_in_json_is_told_the_right_path(key, path):
    with pytest.raises(RejectedExport, match=path):
        decode(json.dumps({key: []}).encode(), JSON)


def test_more_spans_than_allowed_are_413():
    spans = b"{}," * 100_000 + b"{}"
    body = b'{"resourceSpans":[{"scopeSpans":[{"spans":[%b]}]}]}' % spans

    with pytest.raises(RejectedExport, match="100000 spans") as caught:
        decode(body, JSON)

    assert caught.value.status == 413


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        (rb"\ud800 and on", "\ufffd and on"),
        (rb"\udc00", "\ufffd"),
        (rb"\ud83d\ude00", "\U0001f600"),
        (b"bad \xff byte", "bad \ufffd byte"),
        ("طقس 😀".encode(), "طقس 😀"),
    ],
    ids=["lone high", "lone low", "pair", "not UTF-8", "plain"],
)
def test_text_that_is_no_unicode_is_mended(found, kept):
    body = json_body(export({"attributes": {"a": "HERE"}})).replace(b"HERE", found)

    (span,) = spans_of(decode(body, JSON).request)

    assert span.attributes["a"].string_value == kept


def test_more_objects_and_arrays_than_allowed_are_413():
    body = b"[" + b"[],{}," * 1_000_000 + b"1]"

    with pytest.raises(RejectedExport, match="2000000 objects") as caught:
        decode(body, JSON)

    assert caught.value.status == 413


def test_a_body_too_large_to_be_mended_is_rejected():
    body = json_body(export({"name": "x" * 5_000_000 + "HERE"}))

    with pytest.raises(RejectedExport, match="not UTF-8"):
        decode(body.replace(b"HERE", b"\xff"), JSON)


def test_mending_is_counted():
    body = json_body(export({"name": "HERE"})).replace(b"HERE", b"\xff")

    assert decode(body, JSON).quirks == Counter(json_repaired=1)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
FIELDS = (
    "traceId",
    "name",
    "kind",
    "startTimeUnixNano",
    "attributes",
    "events",
    "links",
    "status",
)


@given(st.sampled_from(FIELDS), json_values)
def test_any_value_in_any_field_spoils_at_most_its_own_span(field, value):
    def change(spans):
        spans[1][field] = value

    decoded = decoded_with(change)

    names = {span.name for span in spans_of(decoded.request)}
    assert {"span 1", "span 3"} <= names
    assert len(spans_of(decoded.request)) + decoded.rejected.total() == 3
    ExportRequest.FromString(decoded.request.SerializeToString())


@given(st.binary(max_size=200) | json_values.map(lambda v: json.dumps(v).encode()))
def test_whatever_the_text_only_rejected_export_is_raised(body):
    with contextlib.suppress(RejectedExport):
        decode(body, JSON)
