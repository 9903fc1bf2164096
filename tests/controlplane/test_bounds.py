"""Bodies of pages and REST are bounded before Django sees them."""

from __future__ import annotations

import asyncio
import json
from collections import deque

from controlplane import bounds
from controlplane.bounds import MAX_BODY_BYTES, bounded


def run(chunks: list[bytes]) -> tuple[list[bytes], list[dict], int]:
    """What the application read, what was answered, and how many chunks were left."""
    waiting = deque(chunks)
    read, sent = [], []

    async def receive():
        body = waiting.popleft()
        return {"type": "http.request", "body": body, "more_body": bool(waiting)}

    async def send(message):
        sent.append(message)

    async def app(scope, receive, send):
        more = True
        while more:
            message = await receive()
            read.append(message["body"])
            more = message["more_body"]

    asyncio.run(bounded(app, {"type": "http"}, receive, send))
    return read, sent, len(waiting)


def test_a_body_of_the_largest_size_reaches_the_application_whole():
    half = b"x" * (MAX_BODY_BYTES // 2)

    read, sent, _ = run([half, half])

    assert b"".join(read) == half + half
    assert sent == []


def test_a_body_that_never_ends_is_answered_408(monkeypatch):
    monkeypatch.setattr(bounds, "READ_SECONDS", 0)
    sent = []

    async def never():
        await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    asyncio.run(bounded(None, {"type": "http"}, never, send))

    assert sent[0]["status"] == 408
    assert json.loads(sent[1]["body"])["code"] == "body_too_slow"


def test_one_byte_more_is_answered_413_and_the_rest_is_not_read():
    half = b"x" * (MAX_BODY_BYTES // 2)

    read, sent, left = run([half, half, b"x", b"never", b"read"])

    assert read == []
    assert sent[0]["status"] == 413
    assert json.loads(sent[1]["body"])["code"] == "body_too_large"
    assert left == 2
