"""The OTLP trace request as protobuf messages, with attributes declared as maps.

``repeated KeyValue`` and ``map<string, AnyValue>`` are the same bytes on the wire, so
this schema reads what every exporter writes; but upb then builds a hash table per span
in C, and reading ten attributes does not cost a Python object for each of the others.
A key sent twice keeps its last value. Fields we do not declare survive re-encoding.

Beside it live the messages around it: what we answer, the outer shape that traces,
logs and metrics share, and a twin in which every string is bytes, for the rare body
that a strict reader refuses.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

TRACE_ID_BYTES = 16
SPAN_ID_BYTES = 8

Table = dict[str, list[tuple[int, str, str]]]

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "string": _Field.TYPE_STRING,
    "bool": _Field.TYPE_BOOL,
    "int64": _Field.TYPE_INT64,
    "double": _Field.TYPE_DOUBLE,
    "bytes": _Field.TYPE_BYTES,
    "fixed64": _Field.TYPE_FIXED64,
    "fixed32": _Field.TYPE_FIXED32,
    "uint32": _Field.TYPE_UINT32,
    "int32": _Field.TYPE_INT32,
}

# Message -> fields; "*" repeats, "map" is map<string, AnyValue>, "|" joins the oneof.
MESSAGES: Table = {
    "AnyValue": [
        (1, "string_value", "|string"),
        (2, "bool_value", "|bool"),
        (3, "int_value", "|int64"),
        (4, "double_value", "|double"),
        (5, "array_value", "|ArrayValue"),
        (6, "kvlist_value", "|KeyValueList"),
        (7, "bytes_value", "|bytes"),
    ],
    "ArrayValue": [(1, "values", "*AnyValue")],
    "KeyValueList": [(1, "values", "map")],
    "Resource": [(1, "attributes", "map"), (2, "dropped_attributes_count", "uint32")],
    "Scope": [
        (1, "name", "string"),
        (2, "version", "string"),
        (3, "attributes", "map"),
    ],
    "Event": [
        (1, "time_unix_nano", "fixed64"),
        (2, "name", "string"),
        (3, "attributes", "map"),
        (4, "dropped_attributes_count", "uint32"),
    ],
    "Link": [
        (1, "trace_id", "bytes"),
        (2, "span_id", "bytes"),
        (3, "trace_state", "string"),
        (4, "attributes", "map"),
    ],
    "Status": [(2, "message", "string"), (3, "code", "int32")],
    "Span": [
        (1, "trace_id", "bytes"),
        (2, "span_id", "bytes"),
        (3, "trace_state", "string"),
        (4, "parent_span_id", "bytes"),
        (5, "name", "string"),
        (6, "kind", "int32"),
        (7, "start_time_unix_nano", "fixed64"),
        (8, "end_time_unix_nano", "fixed64"),
        (9, "attributes", "map"),
        (10, "dropped_attributes_count", "uint32"),
        (11, "events", "*Event"),
        (12, "dropped_events_count", "uint32"),
        (13, "links", "*Link"),
        (14, "dropped_links_count", "uint32"),
        (15, "status", "Status"),
        (16, "flags", "fixed32"),
    ],
    "ScopeSpans": [
        (1, "scope", "Scope"),
        (2, "spans", "*Span"),
        (3, "schema_url", "string"),
    ],
    "ResourceSpans": [
        (1, "resource", "Resource"),
        (2, "scope_spans", "*ScopeSpans"),
        (3, "schema_url", "string"),
    ],
    "ExportRequest": [(1, "resource_spans", "*ResourceSpans")],
}


# What we answer. The partial success of all three signals is the same on the wire.
_ANSWERS: Table = {
    "PartialSuccess": [(1, "rejected", "int64"), (2, "message", "string")],
    "Response": [(1, "partial_success", "PartialSuccess")],
    "RpcStatus": [(1, "code", "int32"), (2, "message", "string")],
}

# Traces, logs and metrics are groups of parts of items; and what tells them apart.
_OUTLINE: Table = {
    "Part": [(1, "head", "bytes"), (2, "items", "*bytes"), (3, "schema_url", "bytes")],
    "Group": [(1, "head", "bytes"), (2, "parts", "*Part"), (3, "schema_url", "bytes")],
    "Envelope": [(1, "groups", "*Group")],
    "SpanProbe": [(7, "start", "fixed64"), (8, "end", "fixed64")],
    "LogProbe": [
        (1, "time", "fixed64"),
        (2, "severity", "int32"),
        (5, "body", "BodyProbe"),
        (11, "observed", "fixed64"),
    ],
    "BodyProbe": [(1, "text", "bytes"), (5, "array", "bytes"), (6, "kvlist", "bytes")],
    "MetricProbe": [
        (1, "name", "bytes"),
        (5, "gauge", "Points"),
        (7, "sum", "Points"),
        (9, "histogram", "Points"),
        (10, "exponential_histogram", "Points"),
        (11, "summary", "Points"),
    ],
    "Points": [(1, "data_points", "*bytes")],
}


def _lenient(tables: Table) -> Table:
    """The same bytes on the wire, read without asking whether text is UTF-8."""
    twin = {
        name: [
            (number, field, kind.replace("string", "bytes").replace("map", "*KeyValue"))
            for number, field, kind in fields
        ]
        for name, fields in tables.items()
    }
    return twin | {"KeyValue": [(1, "key", "bytes"), (2, "value", "AnyValue")]}


def _declare(
    package: str,
    message: descriptor_pb2.DescriptorProto,
    field_of: tuple[int, str, str],
) -> None:
    number, name, kind = field_of
    field = message.field.add(name=name, number=number, label=_Field.LABEL_OPTIONAL)
    if kind.startswith("|"):
        if not message.oneof_decl:
            message.oneof_decl.add(name="value")
        field.oneof_index = 0
        kind = kind[1:]
    if kind == "map":
        entry = message.nested_type.add(
            name="".join(part.title() for part in name.split("_")) + "Entry"
        )
        entry.options.map_entry = True
        _declare(package, entry, (1, "key", "string"))
        _declare(package, entry, (2, "value", "AnyValue"))
        field.label, field.type = _Field.LABEL_REPEATED, _Field.TYPE_MESSAGE
        field.type_name = f".{package}.{message.name}.{entry.name}"
        return
    if kind.startswith("*"):
        field.label = _Field.LABEL_REPEATED
        kind = kind[1:]
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{package}.{kind}"


def _build(package: str, tables: Table) -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package}.proto", package=package, syntax="proto3"
    )
    for name, fields in tables.items():
        message = file.message_type.add(name=name)
        for field in fields:
            _declare(package, message, field)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"{package}.{name}")
        )
        for name in tables
    }


_classes = _build("switchgear.otlp", MESSAGES)
ExportRequest = _classes["ExportRequest"]
ResourceSpans = _classes["ResourceSpans"]
ScopeSpans = _classes["ScopeSpans"]
SpanMessage = _classes["Span"]
AnyValue = _classes["AnyValue"]

_answers = _build("switchgear.answers", _ANSWERS)
Response = _answers["Response"]
RpcStatus = _answers["RpcStatus"]

_outline = _build("switchgear.outline", _OUTLINE)
Envelope = _outline["Envelope"]
SpanProbe = _outline["SpanProbe"]
LogProbe = _outline["LogProbe"]
MetricProbe = _outline["MetricProbe"]

Lenient = _build("switchgear.lenient", _lenient(MESSAGES))
# Which of the twin's bytes are text: ids and bytes_value must stay as they are.
TEXT_FIELDS = frozenset(
    f"switchgear.lenient.{name}.{field}"
    for name, fields in MESSAGES.items()
    for _, field, kind in fields
    if kind.endswith("string")
) | {"switchgear.lenient.KeyValue.key"}
