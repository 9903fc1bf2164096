"""What can be saved of a body that the strict reader refuses.

One string that is not UTF-8, or one span nested too deeply, must not cost its
neighbours. So the outline is read first, then every span by itself with a twin of the
schema in which text is bytes; text is mended, and what is still unreadable is dropped
and counted. Slow, and only ever run on a body that failed.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError

from ingest.errors import RejectedExport
from ingest.otlp.schema import TEXT_FIELDS, Envelope, ExportRequest, Lenient

Message = Any


def salvage(body: bytes) -> tuple[Message, Counter[str]]:
    """The readable part of ``body``, and the rejected spans by reason."""
    try:
        envelope = Envelope.FromString(body)
    except DecodeError as error:
        message = "the body is not an OTLP export in protobuf"
        raise RejectedExport(message) from error
    rejected: Counter[str] = Counter()
    kept = Envelope()
    for group in envelope.groups:
        _keep_group(kept, group, rejected)
    return ExportRequest.FromString(kept.SerializeToString()), rejected


def _keep_group(kept: Message, group: Message, rejected: Counter[str]) -> None:
    head = _mended("Resource", group.head, _as_resource)
    if head is None:
        spans = sum(len(part.items) for part in group.parts)
        rejected["resource_undecodable"] += spans
        return
    saved = kept.groups.add(head=head, schema_url=_utf8(group.schema_url))
    for part in group.parts:
        head = _mended("Scope", part.head, _as_scope)
        if head is None:
            rejected["scope_undecodable"] += len(part.items)
            continue
        saved_part = saved.parts.add(head=head, schema_url=_utf8(part.schema_url))
        for item in part.items:
            span = _mended("Span", item, _as_span)
            if span is None:
                rejected["span_undecodable"] += 1
            else:
                saved_part.items.append(span)


def _mended(name: str, data: bytes, place: Any) -> bytes | None:
    """``data`` with its text as UTF-8, or None if it stays unreadable in its place."""
    try:
        message = Lenient[name].FromString(data)
        _mend(message)
        mended = bytes(message.SerializeToString())
        # In its place in an export: nesting is counted from the outermost message.
        ExportRequest.FromString(place(mended).SerializeToString())
    except DecodeError:
        return None
    return mended


def _as_resource(head: bytes) -> Message:
    envelope = Envelope()
    envelope.groups.add(head=head)
    return envelope


def _as_scope(head: bytes) -> Message:
    envelope = Envelope()
    envelope.groups.add().parts.add(head=head)
    return envelope


def _as_span(item: bytes) -> Message:
    envelope = Envelope()
    envelope.groups.add().parts.add().items.append(item)
    return envelope


def _mend(message: Message) -> None:
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            for inner in value if field.is_repeated else (value,):
                _mend(inner)
        elif field.full_name in TEXT_FIELDS:
            setattr(message, field.name, _utf8(value))


def _utf8(text: bytes) -> bytes:
    return text.decode("utf-8", "replace").encode()
