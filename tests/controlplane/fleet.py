"""Services in miniature: real connections that hear, fetch, apply and acknowledge.

An instance keeps two sockets, as real ones do: its stream, and one to ask on. It obeys
docs/protocol.md and nothing else, and notes when it heard, held and acknowledged what.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple, Self

PATIENCE_S = 60.0


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Line:
    """A connection to ask on; opened anew when the server closed it."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._key = key
        self._asking = asyncio.Lock()
        self._ends: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> Reply:
        async with self._asking:
            for _ in range(2):
                try:
                    return await self._ask(method, path, body, headers)
                except (OSError, asyncio.IncompleteReadError):
                    self.close()
            return await self._ask(method, path, body, headers)

    async def _ask(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> Reply:
        if self._ends is None:
            self._ends = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._ends
        writer.write(head(method, path, self._key, headers, len(body)) + body)
        status, told = await read_head(reader)
        length = int(told.get("content-length", "0"))
        return Reply(status, told, await reader.readexactly(length))

    def close(self) -> None:
        if self._ends is not None:
            self._ends[1].close()
            self._ends = None


def head(
    method: str, path: str, key: str, headers: dict[str, str], length: int = 0
) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: here", f"x-api-key: {key}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines += [f"content-length: {length}"] if length else []
    return "\r\n".join([*lines, "", ""]).encode()


async def read_head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines if line)
    return int(first.split()[1]), headers


class Instance:
    def __init__(
        self, uid: str, port: int, key: str, *, lose: float = 0.0, seed: int = 0
    ) -> None:
        self.uid = uid
        self.port = port
        self.version = 0
        self.etag = ""
        self.held: list[tuple[int, float]] = []  # version, when it was there
        self.acked: dict[int, float] = {}
        self.connected_at: list[float] = []
        self.refused: list[tuple[int, float]] = []  # status, Retry-After
        self.drained: list[tuple[int, int]] = []
        self._key = key
        self.lose = lose
        self._rng = random.Random(f"{uid} {seed}")
        self._line = Line(port, key)
        self._query = f"service=checkout&environment=prod&instance={uid}"
        self._writer: asyncio.StreamWriter | None = None

    async def live(self) -> None:
        """Connect, and again whenever the connection ends, until cancelled."""
        wait = 1.0
        try:
            while True:
                wait = await self._once() or min(self._rng.uniform(1, 3 * wait), 60)
                await asyncio.sleep(wait)
        finally:
            self.close()

    async def refresh(self) -> None:
        headers = {"if_none_match": self.etag} if self.etag else {}
        reply = await self._line.ask("GET", f"/v1/policy?{self._query}", **headers)
        if reply.status != 200:
            return
        version = json.loads(reply.body)["version"]
        if version <= self.version:
            return
        self.version, self.etag = version, reply.headers["etag"]
        self.held.append((version, time.monotonic()))
        await self.say(state="APPLIED", running_version=version)
        self.acked[version] = time.monotonic()

    async def say(self, **fields: Any) -> Reply:
        told = {
            "instance_uid": self.uid,
            "boot_id": "b1",
            "service": "checkout",
            "environment": "prod",
            "received_version": self.version or None,
        } | fields
        body = json.dumps(told).encode()
        return await self._line.ask("POST", "/v1/policy/status", body)

    def close(self) -> None:
        self._line.close()
        if self._writer is not None:
            self._writer.close()

    async def _once(self) -> float:
        """One connection, to its end; how long the server asked to stay away."""
        try:
            reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return 0.0
        path = f"/v1/policy/stream?{self._query}"
        self._writer.write(head("GET", path, self._key, {}))
        try:
            status, headers = await read_head(reader)
            if status != 200:
                after_s = float(headers.get("retry-after", "1"))
                self.refused.append((status, after_s))
                return after_s + self._rng.random()
            self.connected_at.append(time.monotonic())
            return await self._hear(reader)
        except (OSError, asyncio.IncompleteReadError):
            return 0.0
        finally:
            self._writer.close()

    async def _hear(self, reader: asyncio.StreamReader) -> float:
        event = ""
        while line := await reader.readline():
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "event":
                event = value
            elif name == "data" and event == "drain":
                least, most = json.loads(value)["reconnect_after_ms"]
                self.drained.append((least, most))
                return self._rng.uniform(least, most) / 1000
            elif name == "data" and event == "policy":
                is_news = json.loads(value)["version"] > self.version
                if is_news and self._rng.random() >= self.lose:
                    await self.refresh()
        return 0.0


async def until(holds: Callable[[], bool], within_s: float = PATIENCE_S) -> float:
    """Seconds until it holds; fails when it does not in time."""
    began = time.monotonic()
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return time.monotonic() - began


class Fleet:
    """Many instances in one loop, spread over the ports of one or more servers."""

    def __init__(self, ports: list[int], key: str, count: int) -> None:
        self.instances = [
            Instance(f"i{number}", ports[number % len(ports)], key)
            for number in range(count)
        ]
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(each.live()) for each in self.instances]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0.1)  # the sockets close a turn of the loop later

    async def all_on(self, version: int, within_s: float = PATIENCE_S) -> float:
        return await until(
            lambda: all(each.version >= version for each in self.instances), within_s
        )

    async def all_acked(self, version: int, within_s: float = PATIENCE_S) -> float:
        return await until(
            lambda: all(version in each.acked for each in self.instances), within_s
        )

    def went_back(self) -> list[str]:
        """Instances that held a version after a higher one."""
        return [each.uid for each in self.instances if each.held != sorted(each.held)]


class Operator:
    """Edits a rule of its own through REST, as a person at a board does."""

    def __init__(self, port: int, key: str) -> None:
        self._line = Line(port, key)
        self._rule = f"rt-{uuid.uuid4().hex}"

    async def make(self) -> None:
        await self._send("POST", "/api/v1/rules/retry/", 1)

    async def save(self, attempts: int) -> None:
        await self._send("PUT", f"/api/v1/rules/retry/{self._rule}/", attempts)

    async def _send(self, method: str, path: str, attempts: int) -> None:
        rule = {"id": self._rule, "selector": {"target": "search"}}
        body = json.dumps(rule | {"max_attempts": attempts}).encode()
        reply = await self._line.ask(
            method, path, body, content_type="application/json"
        )
        assert reply.status in {200, 201}, reply.body

    def close(self) -> None:
        self._line.close()
