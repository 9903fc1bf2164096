"""The composition root sends each request to its room, and spans never to Django."""

from __future__ import annotations

import asyncio
import gc
from collections import deque

import pytest
from asgiref.testing import ApplicationCommunicator
from django.conf import settings

from controlplane import asgi
from controlplane.routing import is_same_origin

SPAN_PATHS = [
    "/v1/traces",
    "/api/public/otel/v1/traces",
    "/v1/metrics",
    "/v1/logs",
]


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """Who was asked, in order; nobody answers for real."""
    names = []

    def stand_in(name):
        async def app(*_):
            names.append(name)

        return app

    monkeypatch.setattr(asgi.receiver, "app", stand_in("receiver"))
    monkeypatch.setattr(asgi, "pages", stand_in("pages"))
    monkeypatch.setattr(asgi.plane, "app", stand_in("plane"))
    monkeypatch.setattr(asgi.health, "answer_alive", stand_in("alive"))
    monkeypatch.setattr(asgi.health, "answer_ready", stand_in("ready"))
    return names


async def no_body() -> dict:
    return {"type": "http.request", "body": b"", "more_body": False}


def ask(path: str) -> None:
    asyncio.run(asgi.application({"type": "http", "path": path}, no_body, None))


@pytest.mark.parametrize("path", SPAN_PATHS)
def test_spans_go_to_the_receiver_alone(asked, path):
    ask(path)

    assert asked == ["receiver"]


@pytest.mark.parametrize(
    ("path", "room"),
    [
        ("/v1/policy", "plane"),
        ("/v1/policy/stream", "plane"),
        ("/v1/policy/status", "plane"),
        ("/v1/policy/", "pages"),
        ("/healthz", "alive"),
        ("/readyz", "ready"),
        ("/", "pages"),
        ("/v1/traces/", "pages"),
    ],
)
def test_the_rest_goes_to_the_plane_to_health_and_to_pages(asked, path, room):
    ask(path)

    assert asked == [room]


def test_the_server_listens_for_commits_and_drains_the_writer_last(monkeypatch):
    events = []

    async def stopped():
        events.append("deaf")

    monkeypatch.setattr(asgi, "settle_interpreter", lambda: events.append("settled"))
    monkeypatch.setattr(asgi.live, "attach", lambda: events.append("attached"))
    monkeypatch.setattr(asgi.plane, "start", lambda: events.append("hearing"))
    monkeypatch.setattr(asgi.plane, "stop", stopped)
    monkeypatch.setattr(asgi.writer, "start", lambda: events.append("writing"))
    monkeypatch.setattr(asgi.writer, "drain", lambda: events.append("drained"))
    messages = deque([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive():
        return messages.popleft()

    async def send(message):
        events.append(message["type"])

    asyncio.run(asgi.application({"type": "lifespan"}, receive, send))

    assert events == [
        "settled",
        "attached",
        "hearing",
        "writing",
        "lifespan.startup.complete",
        "deaf",
        "drained",
        "lifespan.shutdown.complete",
    ]


def test_what_lives_as_long_as_the_server_is_left_alone_by_the_collector():
    thresholds = gc.get_threshold()
    try:
        asgi.settle_interpreter()

        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] > thresholds[0]
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({b"host": b"a.example:8000"}, True),
        ({b"host": b"a.example:8000", b"origin": b"http://a.example:8000"}, True),
        ({b"host": b"a.example", b"origin": b"http://evil.example"}, False),
        ({b"host": b"a.example:8000", b"origin": b"http://a.example:9999"}, False),
        ({b"host": b"a.example", b"origin": b"null"}, False),
    ],
    ids=["program", "own page", "other site", "other port", "sandboxed"],
)
def test_only_our_own_pages_open_sockets(headers, expected):
    assert is_same_origin(list(headers.items())) is expected


def test_a_public_address_behind_a_proxy_is_our_own(monkeypatch):
    monkeypatch.setattr(settings, "CSRF_TRUSTED_ORIGINS", ["https://s.example"])
    headers = [(b"host", b"10.0.0.1:8000"), (b"origin", b"https://s.example")]

    assert is_same_origin(headers)


def test_a_socket_of_another_site_is_refused():
    scope = {
        "type": "websocket",
        "path": "/ws/p/acme/live/",
        "headers": [(b"host", b"here"), (b"origin", b"http://evil.example")],
    }

    async def answer():
        socket = ApplicationCommunicator(asgi.application, scope)
        await socket.send_input({"type": "websocket.connect"})
        return await socket.receive_output()

    assert asyncio.run(answer())["type"] == "websocket.close"
