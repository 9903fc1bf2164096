"""A control plane of our own: it speaks the protocol, and misbehaves when told to."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from switchgear.clock import Clock
from switchgear.policy.documents import canonical
from switchgear.policy.documents.reading import read_rule
from switchgear.policy.documents.snapshot import seal, snapshot_document

ISSUED_AT = 1_800_000_000.0


def snapshot_body(
    version: int,
    *rules: dict[str, Any],
    environment: str = "default",
    service: str = "shop",
    issued_at: float = ISSUED_AT,
) -> bytes:
    """The bytes an instance would receive."""
    sealed = seal(
        environment=environment,
        service=service,
        version=version,
        rules=[read_rule(rule, strict=True) for rule in rules],
        issued_at=issued_at,
    )
    return canonical.dumps(snapshot_document(sealed))


def digest_in(body: bytes) -> str:
    return json.loads(body)["digest"]


class Handler(BaseHTTPRequestHandler):
    """Every answer is the plane's to choose."""

    protocol_version = "HTTP/1.1"
    server: FakePlane

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        plane = self.server
        length = int(self.headers.get("Content-Length") or 0)
        sent = self.rfile.read(length)
        path = self.path.partition("?")[0]
        plane.requests.append((self.command, self.path, dict(self.headers)))
        with suppress(OSError):  # the client may go whenever it likes
            if plane.misbehave is not None:
                plane.misbehave(self, path)
            elif path == "/v1/policy/status":
                plane.reported(json.loads(sent))
                self.reply(200, json.dumps(plane.beat).encode())
            elif path == "/v1/policy/stream":
                plane.stream(self)
            else:
                self._policy(plane)

    def _policy(self, plane: FakePlane) -> None:
        etag = f'"{digest_in(plane.body)}"' if plane.body else ""
        if not plane.body:
            self.reply(204, b"")
        elif etag in (self.headers.get("If-None-Match") or ""):
            self.reply(304, b"", ETag=etag)
        else:
            self.reply(200, plane.body, ETag=etag)

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def log_message(self, *args: object) -> None:
        pass


class FakePlane(ThreadingHTTPServer):
    """What the service plane of a server does, without a server."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.body = b""
        self.beat = {"heartbeat_s": 30, "server_time": Clock().now()}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.statuses: list[dict[str, Any]] = []
        self.misbehave: Any = None
        self.streams: list[Handler] = []
        self.changed = threading.Condition()
        self.heard_of_news = True  # whether streams get hints
        self._thread = threading.Thread(
            target=self.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is nothing to print."""

    def publish(self, body: bytes) -> None:
        with self.changed:
            self.body = body
        if self.heard_of_news:
            self.hint(json.loads(body)["version"], digest_in(body))

    def hint(self, version: int, digest: str) -> None:
        data = json.dumps({"version": version, "digest": digest})
        self.tell(f"event: policy\nid: {version}\ndata: {data}\n\n")

    def tell(self, text: str) -> None:
        for handler in list(self.streams):
            with suppress(OSError):
                handler.chunk(text)

    def stream(self, handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.flush()
        with self.changed:
            self.streams.append(handler)
            self.changed.notify_all()
        with suppress(OSError):
            while handler.connection.recv(1):
                pass
        with self.changed:
            self.streams.remove(handler)
            self.changed.notify_all()

    def reported(self, status: dict[str, Any]) -> None:
        with self.changed:
            self.statuses.append(status)
            self.changed.notify_all()

    def wait_for(self, happened: Any, timeout: float = 5.0) -> None:
        with self.changed:
            assert self.changed.wait_for(happened, timeout), "it did not happen"

    def cut(self) -> None:
        """Drop every stream, as a dying server does."""
        for handler in list(self.streams):
            with suppress(OSError):
                handler.connection.shutdown(2)

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        self.cut()


@contextmanager
def serving(port: int = 0):
    plane = FakePlane(port)
    try:
        yield plane
    finally:
        plane.stop()
