"""What we answer, in the encoding of the request.

Full success leaves ``partial_success`` unset; it appears when something was rejected,
or with a count of 0 when there is something the sender should know. Errors are a
``google.rpc.Status``.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum

import msgspec

from ingest.errors import RejectedExport
from ingest.otlp.schema import Response, RpcStatus


class Encoding(StrEnum):
    PROTOBUF = "application/x-protobuf"
    JSON = "application/json"


class Signal(StrEnum):
    TRACES = "traces"
    LOGS = "logs"
    METRICS = "metrics"


_COUNTED = {
    Signal.TRACES: "rejectedSpans",
    Signal.LOGS: "rejectedLogRecords",
    Signal.METRICS: "rejectedDataPoints",
}

# google.rpc.Code, by the HTTP status it stands beside.
_CODES = {
    400: 3,
    401: 16,
    403: 7,
    404: 5,
    405: 12,
    408: 4,
    413: 8,
    415: 3,
    503: 14,
}
_UNKNOWN = 2


def encoding_of(content_type: str) -> Encoding:
    """The encoding a Content-Type names; parameters such as charset are tolerated."""
    essence = content_type.partition(";")[0].strip().lower()
    if essence == Encoding.JSON:
        return Encoding.JSON
    if essence in {Encoding.PROTOBUF, "application/protobuf"}:
        return Encoding.PROTOBUF
    message = f"Content-Type {essence!r} is not {Encoding.PROTOBUF} or {Encoding.JSON}"
    raise RejectedExport(message, status=415)


def success(
    encoding: Encoding,
    signal: Signal = Signal.TRACES,
    *,
    rejected: int = 0,
    message: str = "",
) -> bytes:
    if encoding is Encoding.JSON:
        if not rejected and not message:
            return b"{}"
        # 64-bit integers are strings in proto3's JSON.
        partial = {_COUNTED[signal]: str(rejected), "errorMessage": message}
        return msgspec.json.encode({"partialSuccess": partial})
    answer = Response()
    if rejected or message:
        answer.partial_success.rejected = rejected
        answer.partial_success.message = message
    return bytes(answer.SerializeToString())


def failure(encoding: Encoding, status: int, message: str) -> bytes:
    code = _CODES.get(status, _UNKNOWN)
    if encoding is Encoding.JSON:
        return msgspec.json.encode({"code": code, "message": message})
    return bytes(RpcStatus(code=code, message=message).SerializeToString())


def explain(rejected: Counter[str], quirks: Counter[str]) -> str:
    """One line for the sender's log: what was rejected, what was put up with."""
    parts = []
    if rejected:
        parts.append("rejected: " + _listed(rejected))
    if quirks:
        parts.append("accepted, but please mend: " + _listed(quirks))
    return "; ".join(parts)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} ({counts[name]})" for name in sorted(counts))
