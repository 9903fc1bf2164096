"""The service plane in a test: versions to publish, and a client for one event loop.

Versions are written as rows, without the actions that make them: what the plane shows
is what the rows say.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.db import connection
from django.utils import timezone

from controlplane import actions, hints, plane
from controlplane.models import Environment, Instance, PolicyVersion, Project
from controlplane.plane.snapshots import Snapshot, policy_event
from switchgear.policy.documents.canonical import dumps
from switchgear.policy.documents.reading import read_rule
from switchgear.policy.documents.snapshot import seal, snapshot_document

PATIENCE_S = 10
RETRY = {"kind": "retry", "id": "rt-search", "rev": 1, "selector": {"target": "search"}}


def publish(
    project: Project,
    environment: str = "prod",
    *,
    rules: list[dict[str, Any]] | None = None,
    hint: bool = True,
) -> int:
    """The number of a new version, committed and hinted at."""
    where, _ = Environment.objects.get_or_create(
        project=project, name=environment, defaults={"created_at": timezone.now()}
    )
    newest = PolicyVersion.objects.of_environment(project.pk, environment).first()
    number = newest.number + 1 if newest else 1
    documents = [RETRY | {"rev": number}] if rules is None else rules
    snapshot = seal(
        environment=environment,
        service="",
        version=number,
        rules=[read_rule(document, strict=True) for document in documents],
        issued_at=timezone.now().timestamp(),
    )
    PolicyVersion.objects.create(
        environment=where,
        number=number,
        document=dumps(snapshot_document(snapshot)).decode(),
        digest=snapshot.digest,
        rule_count=len(documents),
        created_at=timezone.now(),
        actor_name="ada",
    )
    if hint:
        hints.announce(project.pk, environment, number)
    return number


def policy_key(project: Project, *scopes: str, **more: Any) -> str:
    made = actions.create_key(project, scopes=scopes or ["policy"], actor=None, **more)
    return made.token


def snapshot(version: int, refused_by=()) -> Snapshot:
    """A snapshot that no row has, for what only passes it on."""
    digest = f"sha256:{version:064x}"
    return Snapshot(
        version=version,
        digest=digest,
        etag=f'"{digest}"'.encode(),
        body=b"{}",
        zipped=None,
        event=policy_event(version, digest),
        refused_by=frozenset(refused_by),
    )


def instance(uid: str) -> Instance:
    return Instance.objects.get(uid=uid)


async def aside(function, *args, **kwargs):
    """Run what uses the database on a thread that leaves no connection behind."""

    def run():
        try:
            return function(*args, **kwargs)
        finally:
            connection.close()

    return await asyncio.to_thread(run)


def play(scene) -> Any:
    """Run a scene in a loop with a plane of its own."""

    async def run():
        plane.start()
        try:
            async with asyncio.timeout(60):
                return await scene()
        finally:
            await plane.stop()

    return asyncio.run(run())


@dataclass
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Exchange:
    """One request to the plane's ASGI application, and what came back so far."""

    def __init__(
        self, method: str, path: str, headers: dict[str, str], body: list[bytes]
    ) -> None:
        address, _, query = path.partition("?")
        self.scope = {
            "type": "http",
            "method": method,
            "path": address,
            "query_string": query.encode("latin-1"),
            "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
        }
        self.answer = Answer()
        self.ended = False
        self._body = list(body)
        self._more = asyncio.Event()
        self._gone = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        await plane.app(self.scope, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        if self._body:
            chunk = self._body.pop(0)
            more = bool(self._body)
            return {"type": "http.request", "body": chunk, "more_body": more}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            assert not self.answer.status
            self.answer.status = message["status"]
            self.answer.headers = {
                name.decode(): value.decode() for name, value in message["headers"]
            }
        else:
            self.answer.body += message.get("body", b"")
            self.ended = not message.get("more_body", False)
        self._more.set()

    async def finish(self) -> Answer:
        async with asyncio.timeout(PATIENCE_S):
            await self._task
        return self.answer

    async def shows(self, text: str) -> str:
        """What a stream has sent, once ``text`` is in it."""
        async with asyncio.timeout(PATIENCE_S):
            while text not in self.answer.body.decode():
                self._more.clear()
                await self._more.wait()
        return self.answer.body.decode()

    async def leave(self) -> None:
        self._gone.set()
        await self.finish()


@dataclass(frozen=True)
class Caller:
    """A service, or whoever claims to be one."""

    key: str | None = None

    def begin(self, method: str, path: str, *body: bytes, **headers: str) -> Exchange:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.key:
            sent["authorization"] = f"Bearer {self.key}"
        return Exchange(method, path, sent, list(body) or [b""])

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.begin("GET", path, **headers).finish()

    async def policy(self, service: str = "checkout", *, etag="", **query) -> Answer:
        query = {"service": service, "environment": "prod"} | query
        headers = {"if_none_match": etag} if etag else {}
        return await self.get(f"/v1/policy?{urlencode(query)}", **headers)

    def stream(self, service: str = "checkout", **query) -> Exchange:
        query = {"service": service, "environment": "prod"} | query
        return self.begin("GET", f"/v1/policy/stream?{urlencode(query)}")

    async def post(self, body: bytes, **headers: str) -> Answer:
        return await self.begin("POST", "/v1/policy/status", body, **headers).finish()

    async def status(self, uid: str, **fields: Any) -> Answer:
        document = {
            "instance_uid": uid,
            "boot_id": "b1",
            "service": "checkout",
            "environment": "prod",
        } | fields
        return await self.post(json.dumps(document).encode())
