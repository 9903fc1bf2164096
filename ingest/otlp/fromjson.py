"""OTLP/JSON to the protobuf message, field by field from the one schema.

What is wrong inside a span rejects that span and names why; what is wrong around
spans (a resource, a scope) rejects the spans under it; only text that is no JSON
object rejects the export. 64-bit numbers never pass through a float. What senders
commonly get wrong and can be understood is put up with and counted as a quirk.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from ingest.errors import RejectedExport
from ingest.otlp import schema
from ingest.otlp.limits import MAX_DEPTH, MAX_JSON_NODES, refuse_more_than_max

Message = Any  # generated at start-up from the schema, so no type can name it
Setter = Callable[[Message, Any, Counter[str]], None]

_ID_BYTES = {
    "trace_id": schema.TRACE_ID_BYTES,
    "span_id": schema.SPAN_ID_BYTES,
    "parent_span_id": schema.SPAN_ID_BYTES,
}
_ENUMS = {
    "SPAN_KIND_UNSPECIFIED": 0,
    "SPAN_KIND_INTERNAL": 1,
    "SPAN_KIND_SERVER": 2,
    "SPAN_KIND_CLIENT": 3,
    "SPAN_KIND_PRODUCER": 4,
    "SPAN_KIND_CONSUMER": 5,
    "STATUS_CODE_UNSET": 0,
    "STATUS_CODE_OK": 1,
    "STATUS_CODE_ERROR": 2,
}
# Reading again in Python keeps everybody waiting, up to a second for this much.
_MENDABLE_BYTES = 4 * 1024 * 1024
_OTHER_SIGNALS = {"resourceLogs": "logs", "resourceMetrics": "metrics"}


class _Unusable(Exception):
    """The value at hand cannot be understood; the argument is the reason."""


def parse(body: bytes) -> tuple[Message, Counter[str], Counter[str]]:
    """The export in ``body``, its quirks, and its rejected spans by reason."""
    quirks: Counter[str] = Counter()
    rejected: Counter[str] = Counter()
    document = read(body, quirks)
    for key, signal in _OTHER_SIGNALS.items():
        if key in document:
            message = f"this looks like OTLP {signal}, use /v1/{signal}"
            raise RejectedExport(message)
    request = schema.ExportRequest()
    try:
        groups = _list(_get(document, "resourceSpans", "resource_spans"))
        refuse_more_than_max(sum(map(_spans_under, groups)))
        for group in groups:
            _add_group(request, group, quirks, rejected)
    except _Unusable as error:
        message = f"resourceSpans cannot be understood: {error}"
        raise RejectedExport(message) from None
    return request, quirks, rejected


def read(body: bytes, quirks: Counter[str]) -> dict[str, Any]:
    """The JSON object in ``body``, mending what is not Unicode."""
    # Each is an object of Python: 20 MiB of brackets would stop the process for 5 s.
    if body.count(b"{") + body.count(b"[") > MAX_JSON_NODES:
        message = f"more than {MAX_JSON_NODES} objects and arrays in one body"
        raise RejectedExport(message, status=413)
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # Rare: broken UTF-8, half of a surrogate pair, NaN. One more try that mends.
        document = _read_leniently(body)
        quirks["json_repaired"] += 1
    if not isinstance(document, dict):
        message = "the body is not a JSON object"
        raise RejectedExport(message)
    return document


def _read_leniently(body: bytes) -> Any:
    if len(body) > _MENDABLE_BYTES:
        message = "the body is not valid JSON, or not UTF-8"
        raise RejectedExport(message)
    try:
        loose = json.loads(body.decode("utf-8", "replace"))
        text = json.dumps(loose, ensure_ascii=False)
        # Whole pairs meet in UTF-16; a lone half becomes U+FFFD.
        whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return json.loads(whole)
    except RecursionError as error:
        message = "the JSON body is nested too deeply"
        raise RejectedExport(message) from error
    except ValueError as error:
        message = f"the body is not valid JSON: {error}"
        raise RejectedExport(message) from error


def _add_group(
    request: Message,
    group: dict[str, Any],
    quirks: Counter[str],
    rejected: Counter[str],
) -> None:
    spans = request.resource_spans.add()
    try:
        _fill(spans, group, _FORMS["ResourceSpans"], quirks)
    except (_Unusable, TypeError, ValueError) as error:
        del request.resource_spans[-1]
        rejected[_reason(error)] += _spans_under(group)
        return
    for part in _parts_of(group):
        _add_part(spans, part, quirks, rejected)


def _add_part(
    group: Message,
    part: dict[str, Any],
    quirks: Counter[str],
    rejected: Counter[str],
) -> None:
    spans = group.scope_spans.add()
    try:
        _fill(spans, part, _FORMS["ScopeSpans"], quirks)
    except (_Unusable, TypeError, ValueError) as error:
        del group.scope_spans[-1]
        rejected[_reason(error)] += len(_spans_of(part))
        return
    for span in _spans_of(part):
        try:
            _fill(spans.spans.add(), _object(span), _FORMS["Span"], quirks)
        except (_Unusable, TypeError, ValueError) as error:
            del spans.spans[-1]
            rejected[_reason(error)] += 1


def _spans_under(group: Any) -> int:
    return sum(len(_spans_of(part)) for part in _parts_of(group))


def _parts_of(group: Any) -> list[Any]:
    return _list(_get(_object(group), "scopeSpans", "scope_spans"))


def _spans_of(part: Any) -> list[Any]:
    return _list(_object(part).get("spans"))


def _reason(error: Exception) -> str:
    # What upb itself refuses (a number out of range, text for a number) has no name.
    return str(error) if isinstance(error, _Unusable) else "value_invalid"


def _fill(
    message: Message,
    source: dict[str, Any],
    form: dict[str, Setter],
    quirks: Counter[str],
) -> None:
    for key, value in source.items():
        setter = form.get(key)
        if setter is not None and value is not None:
            setter(message, value, quirks)


def _get(source: dict[str, Any], key: str, snake: str) -> Any:
    return source.get(key, source.get(snake))


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        reason = "not_an_array"
        raise _Unusable(reason)
    return value


def _object(value: Any) -> dict[str, Any]:
    if type(value) is dict:
        return value
    reason = "not_an_object"
    raise _Unusable(reason)


# -- one setter per kind of field ----------------------------------------------------


def _plain_setter(field: str) -> Setter:
    def put(message: Message, value: Any, _quirks: Counter[str]) -> None:
        setattr(message, field, value)

    return put


def _integer_setter(field: str) -> Setter:
    def put(message: Message, value: Any, _quirks: Counter[str]) -> None:
        setattr(message, field, _integer(value))

    return put


def _enum_setter(field: str) -> Setter:
    def put(message: Message, value: Any, quirks: Counter[str]) -> None:
        if isinstance(value, str) and not value.isdigit():
            quirks["json_enum_names"] += 1
            value = _ENUMS.get(value, 0)
        setattr(message, field, _integer(value))

    return put


def _id_setter(field: str) -> Setter:
    length = _ID_BYTES[field]
    invalid = f"{field.removesuffix('_span_id').removesuffix('_id')}_id_invalid"

    def put(message: Message, value: Any, quirks: Counter[str]) -> None:
        setattr(message, field, _identifier(value, length, invalid, quirks))

    return put


def _map_setter(field: str) -> Setter:
    def put(message: Message, value: Any, _quirks: Counter[str]) -> None:
        if not isinstance(value, list):
            reason = f"{field}_not_array"
            raise _Unusable(reason)
        _put_pairs(getattr(message, field), value, MAX_DEPTH)

    return put


def _message_setter(field: str, name: str) -> Setter:
    def put(message: Message, value: Any, quirks: Counter[str]) -> None:
        inner = getattr(message, field)
        inner.SetInParent()
        _fill(inner, _object(value), _FORMS[name], quirks)

    return put


def _repeated_setter(field: str, name: str) -> Setter:
    def put(message: Message, value: Any, quirks: Counter[str]) -> None:
        for item in _list(value):
            _fill(getattr(message, field).add(), _object(item), _FORMS[name], quirks)

    return put


def _integer(value: Any) -> int:
    if isinstance(value, float) and not value.is_integer():
        reason = "value_invalid"
        raise _Unusable(reason)
    return int(value)


def _identifier(value: Any, length: int, invalid: str, quirks: Counter[str]) -> bytes:
    """Hex in any case; base64 of the right length is a known mistake of senders."""
    if not isinstance(value, str):
        raise _Unusable(invalid)
    try:
        return bytes.fromhex(value)
    except ValueError:
        pass
    decoded = _from_base64(value, invalid)
    if len(decoded) != length:
        raise _Unusable(invalid)
    quirks["json_base64_ids"] += 1
    return decoded


def _from_base64(value: Any, invalid: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise _Unusable(invalid) from None


def _put_pairs(pairs: Message, items: list[Any], depth: int) -> None:
    for item in items:
        pair = _object(item)
        _put_value(pairs[pair.get("key", "")], pair.get("value"), depth)
    if len(pairs) != len(items):
        # A key sent twice keeps its last value, as it does on the wire.
        last = {item.get("key", ""): item for item in items}
        pairs.clear()
        _put_pairs(pairs, list(last.values()), depth)


def _put_value(target: Message, value: Any, depth: int) -> None:
    if value is None:
        return
    if depth == 0:
        reason = "nested_too_deep"
        raise _Unusable(reason)
    for key, inner in _object(value).items():
        if key == "stringValue" and inner is not None:
            target.string_value = inner  # three of four values
            continue
        put = _VALUES.get(key)
        if put is not None and inner is not None:
            put(target, inner, depth)


def _put_bool(target: Message, value: Any, _depth: int) -> None:
    if not isinstance(value, bool):
        reason = "value_invalid"
        raise _Unusable(reason)
    target.bool_value = value


def _put_int(target: Message, value: Any, _depth: int) -> None:
    target.int_value = _integer(value)


def _put_double(target: Message, value: Any, _depth: int) -> None:
    # float() also reads the strings "NaN" and "Infinity" of proto3's JSON.
    target.double_value = float(value)


def _put_bytes(target: Message, value: Any, _depth: int) -> None:
    target.bytes_value = _from_base64(value, "value_invalid")


def _put_array(target: Message, value: Any, depth: int) -> None:
    array = target.array_value
    array.SetInParent()
    for item in _list(_object(value).get("values")):
        _put_value(array.values.add(), item, depth - 1)


def _put_kvlist(target: Message, value: Any, depth: int) -> None:
    kvlist = target.kvlist_value
    kvlist.SetInParent()
    _put_pairs(kvlist.values, _list(_object(value).get("values")), depth - 1)


_VALUES: dict[str, Callable[[Message, Any, int], None]] = {
    "boolValue": _put_bool,
    "intValue": _put_int,
    "doubleValue": _put_double,
    "bytesValue": _put_bytes,
    "arrayValue": _put_array,
    "kvlistValue": _put_kvlist,
}


def _setter_of(field: str, kind: str) -> Setter:
    if field in _ID_BYTES:
        return _id_setter(field)
    if field in {"kind", "code"}:
        return _enum_setter(field)
    if kind.startswith("*"):
        return _repeated_setter(field, kind[1:])
    if kind in schema.MESSAGES:
        return _message_setter(field, kind)
    simple = {"map": _map_setter, "string": _plain_setter}
    return simple.get(kind, _integer_setter)(field)


def _camel(field: str) -> str:
    head, *rest = field.split("_")
    return head + "".join(part.title() for part in rest)


def _form(name: str) -> dict[str, Setter]:
    """A setter for each JSON name of a message, in the spelling of either mapping."""
    form: dict[str, Setter] = {}
    for _, field, kind in schema.MESSAGES[name]:
        if field in {"scope_spans", "spans"}:
            continue  # walked one by one, so that one cannot spoil the others
        form[field] = form[_camel(field)] = _setter_of(field, kind)
    return form


_FORMS = {
    name: _form(name)
    for name in (
        "ResourceSpans",
        "Resource",
        "ScopeSpans",
        "Scope",
        "Span",
        "Event",
        "Link",
        "Status",
    )
}
