"""The receiver behind a real uvicorn, with the pipeline's end replaced by a list."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field

import uvicorn

from controlplane.readings import Access, ProjectReading
from ingest import receiver
from ingest.content import protect
from ingest.otlp.decode import decode
from ingest.pipeline import Accepted
from tests.ingest.otlp import spans_of

KEY = "sg_test"
READ_KEY = "sg_read"
PROJECT = ProjectReading(1, "acme", (), b"k" * 32, 14, ())


@dataclass
class Store:
    """Stands where the writer stands: what reached it was answered with 200."""

    spans: list = field(default_factory=list)
    troubles: list = field(default_factory=list)  # raised first, one per export
    exports: int = 0

    async def accept(self, access, body, content_type):
        self.exports += 1
        if self.troubles:
            raise self.troubles.pop(0)
        decoded = decode(body, content_type)
        protect(decoded.request, decoded.raw)
        spans = spans_of(decoded.request)
        self.spans += spans
        return Accepted(len(spans), decoded.rejected, decoded.quirks)

    def ids(self):
        return Counter(bytes(span.span_id) for span in self.spans)


def access(*scopes):
    return Access(1, 1, frozenset(scopes), None, PROJECT)


ACCESS = {
    f"Bearer {KEY}".encode(): access("ingest"),
    f"Bearer {READ_KEY}".encode(): access("read"),
}


async def aauthenticate(headers):
    return ACCESS.get(dict(headers).get(b"authorization", b""))


@contextmanager
def serving(app):
    """The port of ``app`` behind uvicorn with httptools, on a thread."""
    config = uvicorn.Config(
        app, port=0, http="httptools", ws="none", lifespan="on", log_config=None
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)


@dataclass
class Reply:
    status: int
    headers: dict
    body: bytes


class Sender:
    """Posts to the receiver; keeps no state, one connection per request."""

    def __init__(self, port):
        self.port = port
        self.url = f"http://127.0.0.1:{port}/v1/traces"

    def post(self, body, content_type, *, path="/v1/traces", key=KEY, **headers):
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if content_type is not None:
            sent["content-type"] = content_type
        if key is not None:
            sent["authorization"] = f"Bearer {key}"
        return self.request("POST", path, body, sent)

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, names, response.read())
        finally:
            connection.close()


@contextmanager
def receiving(monkeypatch):
    """A sender and the store behind the receiver it sends to."""
    store = Store()
    monkeypatch.setattr(receiver.pipeline, "accept", store.accept)
    monkeypatch.setattr(receiver.keys, "aauthenticate", aauthenticate)
    with serving(receiver.app) as port:
        yield Sender(port), store
