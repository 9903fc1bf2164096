"""The OTLP trace request as protobuf messages, with attributes declared as maps.

``repeated KeyValue`` and ``map<string, AnyValue>`` are the same bytes on the wire, so
this schema reads what every exporter writes; but upb then builds a hash table per span
in C, and reading ten attributes does not cost a Python object for each of the others.
A key sent twice keeps its last value. Fields we do not declare survive re-encoding.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "switchgear.otlp"
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
_MESSAGES: dict[str, list[tuple[int, str, str]]] = {
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


def _declare(
    message: descriptor_pb2.DescriptorProto, number: int, name: str, kind: str
) -> None:
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
        _declare(entry, 1, "key", "string")
        _declare(entry, 2, "value", "AnyValue")
        field.label, field.type = _Field.LABEL_REPEATED, _Field.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{message.name}.{entry.name}"
        return
    if kind.startswith("*"):
        field.label = _Field.LABEL_REPEATED
        kind = kind[1:]
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"


def _build() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="switchgear/otlp.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, field, kind in fields:
            _declare(message, number, field, kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")
        )
        for name in _MESSAGES
    }


_classes = _build()
ExportRequest = _classes["ExportRequest"]
ResourceSpans = _classes["ResourceSpans"]
ScopeSpans = _classes["ScopeSpans"]
SpanMessage = _classes["Span"]
AnyValue = _classes["AnyValue"]
