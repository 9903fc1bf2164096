"""The service plane over HTTP: three requests, each bounded in size and in time.

Nothing here decides anything. Whatever a server may answer ends as a value or as one
of the exceptions in ``UNREACHABLE``; no answer makes it wait or read without end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from math import isfinite
from socket import SHUT_RDWR
from time import monotonic
from typing import Any
from urllib.parse import urlencode, urlsplit

UNREACHABLE = (OSError, HTTPException, ValueError, ArithmeticError)
# What a client takes; a byte more tells "too large" from "torn".
MAX_BODY = 4 * 1024 * 1024 + 1
SILENCE_S = 45.0  # a stream says something every 15 s
_TIMEOUT_S, _ANSWER_S = 10.0, 30.0
_MAX_LINE = 64 * 1024
_OK, _NO_CONTENT, _NOT_MODIFIED = 200, 204, 304


class Unwilling(OSError):
    """The server answered, and it was not what was asked for."""

    def __init__(self, status: int, path: str, retry_after_s: float) -> None:
        super().__init__(f"{path} was answered with {status}")
        self.status = status
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Fetched:
    """A snapshot as it came, and the name its sender gives it."""

    body: bytes
    digest: str


@dataclass(frozen=True, slots=True)
class Hint:
    """One event of the stream; a comment has no name."""

    name: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


class Plane:
    """The service plane as one service in one environment sees it."""

    def __init__(self, endpoint: str, api_key: str, asked: Mapping[str, str]) -> None:
        parts = urlsplit(endpoint if "://" in endpoint else f"http://{endpoint}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            message = f"the endpoint is no http(s) address: {endpoint!r}"
            raise ValueError(message)
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/")
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._query = "?" + urlencode(asked)
        self._open: set[HTTPConnection] = set()

    def fetch(self, known: tuple[str, ...]) -> Fetched | None:
        """The snapshot, unless it is one of those whose digests are known."""
        headers = {"If-None-Match": ", ".join(f'"{one}"' for one in known)}
        path = "/v1/policy" + self._query
        with self._asked("GET", path, headers if known else {}) as response:
            if response.status in (_NO_CONTENT, _NOT_MODIFIED):
                return None
            body = _read(response)
            etag = response.getheader("ETag", "").removeprefix("W/").strip('"')
        return Fetched(body, etag or f"sha256:{sha256(body).hexdigest()}")

    def report(self, standing: Mapping[str, object]) -> dict[str, Any]:
        """Tell how far we are; the answer sets the pace of the next report."""
        body = json.dumps(standing).encode()
        headers = {"Content-Type": "application/json"}
        with self._asked("POST", "/v1/policy/status", headers, body) as response:
            found = json.loads(_read(response))
        return found if isinstance(found, dict) else {}

    def stream(self) -> Stream:
        """Subscribe; hints may be lost, doubled or reordered without harm."""
        connection = self._connect(SILENCE_S)
        path = "/v1/policy/stream" + self._query
        try:
            response = self._send(
                connection, "GET", path, {"Accept": "text/event-stream"}
            )
        except BaseException:
            self._close(connection)
            raise
        return Stream(response, lambda: self._close(connection))

    def interrupt(self) -> None:
        """Make whatever another thread waits for end now."""
        for connection in tuple(self._open):
            with suppress(OSError, AttributeError):  # not there yet, or not any more
                connection.sock.shutdown(SHUT_RDWR)

    @contextmanager
    def _asked(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Iterator[HTTPResponse]:
        connection = self._connect(_TIMEOUT_S)
        try:
            yield self._send(connection, method, path, headers, body)
        finally:
            self._close(connection)

    def _connect(self, timeout_s: float) -> HTTPConnection:
        kind = HTTPSConnection if self._secure else HTTPConnection
        connection = kind(self._host, self._port, timeout=_TIMEOUT_S)
        connection.connect()
        connection.sock.settimeout(timeout_s)
        self._open.add(connection)
        return connection

    def _close(self, connection: HTTPConnection) -> None:
        self._open.discard(connection)
        connection.close()

    def _send(
        self,
        connection: HTTPConnection,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes = b"",
    ) -> HTTPResponse:
        connection.request(
            method, self._prefix + path, body or None, {**self._headers, **headers}
        )
        response = connection.getresponse()
        if response.status not in (_OK, _NO_CONTENT, _NOT_MODIFIED):
            wait = _seconds(response.getheader("Retry-After"))
            raise Unwilling(response.status, path.partition("?")[0], wait)
        return response


class Stream:
    """Server-sent events, read line by line."""

    def __init__(self, response: HTTPResponse, hang_up: Callable[[], None]) -> None:
        self._response, self._hang_up = response, hang_up

    def hints(self) -> Iterator[Hint]:
        """Every event, and every comment as a sign of life, until the stream ends."""
        name, data = "", ""
        while raw := self._response.readline(_MAX_LINE):
            if not raw.endswith(b"\n"):
                message = "a line of the stream is too long or torn"
                raise ValueError(message)
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            field, _, value = line.partition(":")
            if not line:
                if name and data:
                    yield Hint(name, _document(data))
                name, data = "", ""
            elif not field:
                yield Hint()
            elif field == "event":
                name = value.strip()
            elif field == "data":
                data = value.strip()

    def close(self) -> None:
        self._response.close()
        self._hang_up()


def _read(response: HTTPResponse) -> bytes:
    """The whole body, as long as that is neither large nor slow."""
    latest = monotonic() + _ANSWER_S
    parts: list[bytes] = []
    left = MAX_BODY
    while left and (part := response.read1(left)):
        if monotonic() > latest:
            message = f"the answer took longer than {_ANSWER_S:.0f} s"
            raise TimeoutError(message)
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _document(data: str) -> dict[str, Any]:
    """A hint we cannot read still hints."""
    with suppress(ValueError, RecursionError):
        found = json.loads(data)
        if isinstance(found, dict):
            return found
    return {}


def _seconds(said: str | None) -> float:
    with suppress(ValueError, TypeError):
        seconds = float(said or 0)
        if isfinite(seconds):
            return min(max(seconds, 0.0), 300.0)
    return 0.0
