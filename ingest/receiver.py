"""OTLP/HTTP as bare ASGI: who sends, how much, which signal; then the pipeline.

The order is the protection: path and method, then the key, then sizes while reading,
and only then is anything inflated or decoded. Every answer is in the encoding of the
request, and there is no 500: whatever goes wrong here is logged and answered 503,
which every exporter tries again, because the spans are not to blame.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from controlplane import keys
from controlplane.readings import Access
from ingest import pipeline
from ingest.errors import Busy, RejectedExport
from ingest.otlp import answers, limits, signals
from ingest.otlp.answers import Encoding, Signal

logger = logging.getLogger(__name__)

AsgiScope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = dict[bytes, bytes]

PATHS = {
    "/v1/traces": Signal.TRACES,
    "/api/public/otel/v1/traces": Signal.TRACES,
    "/v1/metrics": Signal.METRICS,
    "/v1/logs": Signal.LOGS,
}
MAX_RETRY_AFTER = 3  # seconds; stock exporters drop what has to wait longer than 10

budget = limits.Budget(limits.BUDGET_BYTES)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    encoding: Encoding
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


async def app(scope: AsgiScope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await _send(send, await _answer(scope, receive))
    elif scope["type"] == "lifespan":
        await _lifespan(receive, send)
    else:
        await send({"type": "websocket.close"})


async def _answer(scope: AsgiScope, receive: Receive) -> Answer:
    headers: Headers = dict(scope["headers"])
    encoding = _encoding_for_errors(headers)
    try:
        return Answer(200, encoding, await _export(scope, headers, receive))
    except RejectedExport as error:
        return _failed(
            encoding, error.status, str(error), *_HINTS.get(error.status, ())
        )
    except Busy as error:
        return _busy(encoding, str(error), error.retry_after)
    except Exception:
        logger.exception("ingest.receive_failed", extra={"path": scope["path"]})
        return _busy(encoding, "the export could not be handled now", 1)


async def _export(scope: AsgiScope, headers: Headers, receive: Receive) -> bytes:
    signal = PATHS.get(scope["path"])
    if signal is None:
        raise RejectedExport("there is nothing at this path", status=404)
    if scope["method"] != "POST":
        raise RejectedExport("exports are sent with POST", status=405)
    access = await _authenticated(scope)
    content_type = headers.get(b"content-type", b"").decode("latin-1")
    answers.encoding_of(content_type)
    _refuse_declared_length(headers)
    content_encoding = headers.get(b"content-encoding", b"").decode("latin-1")
    body = limits.Body(content_encoding.strip().lower(), budget)
    try:
        await _read(body, receive)
        return await _handed_on(signal, access, body.close(), content_type)
    finally:
        body.release()


async def _authenticated(scope: AsgiScope) -> Access:
    access = await keys.aauthenticate(scope["headers"])
    if access is None:
        raise RejectedExport("an API key is required, and this is none", status=401)
    if "ingest" not in access.scopes:
        raise RejectedExport("this API key has no scope 'ingest'", status=403)
    return access


async def _read(body: limits.Body, receive: Receive) -> None:
    try:
        async with asyncio.timeout(limits.READ_SECONDS):
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RejectedExport("the connection closed inside the body")
                for _ in body.feed(message.get("body", b"")):
                    await asyncio.sleep(0)
                more = message.get("more_body", False)
    except TimeoutError:
        text = f"the body took longer than {limits.READ_SECONDS:.0f} s to arrive"
        raise RejectedExport(text, status=408) from None


async def _handed_on(
    signal: Signal, access: Access, body: bytes, content_type: str
) -> bytes:
    encoding = answers.encoding_of(content_type)
    if signal is Signal.TRACES:
        accepted = await pipeline.accept(access, body, content_type)
        return answers.success(
            encoding,
            rejected=accepted.rejected.total(),
            message=answers.explain(accepted.rejected, accepted.quirks),
        )
    records = await asyncio.to_thread(signals.count, signal, body, content_type)
    if not records:
        return answers.success(encoding, signal)
    message = f"{signal} are not stored here: send traces, switch {signal} off"
    return answers.success(encoding, signal, rejected=records, message=message)


def _refuse_declared_length(headers: Headers) -> None:
    # An honest sender learns it before sending 20 MiB; a lying one is counted anyway.
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > limits.MAX_BODY_BYTES:
        raise limits.too_large("body")


def _encoding_for_errors(headers: Headers) -> Encoding:
    try:
        return answers.encoding_of(headers.get(b"content-type", b"").decode("latin-1"))
    except RejectedExport:
        return Encoding.JSON  # which people can read


_HINTS: dict[int, tuple[tuple[bytes, bytes], ...]] = {
    401: ((b"www-authenticate", b"Bearer"),),
    405: ((b"allow", b"POST"),),
}


def _failed(
    encoding: Encoding, status: int, message: str, *headers: tuple[bytes, bytes]
) -> Answer:
    body = answers.failure(encoding, status, message)
    return Answer(status, encoding, body, headers)


def _busy(encoding: Encoding, message: str, retry_after: int) -> Answer:
    seconds = min(max(retry_after, 1), MAX_RETRY_AFTER)
    return _failed(encoding, 503, message, (b"retry-after", b"%d" % seconds))


async def _send(send: Send, answer: Answer) -> None:
    headers = [
        (b"content-type", answer.encoding.encode()),
        (b"content-length", b"%d" % len(answer.body)),
        *answer.headers,
    ]
    start = {"type": "http.response.start", "status": answer.status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": answer.body})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        event = (await receive())["type"]
        await send({"type": f"{event}.complete"})
        if event == "lifespan.shutdown":
            return
