"""What a service may ask, as bare ASGI: fetch its policy, hear of news, say what runs.

The order is the protection: address and method, then the key, then the size of what
was sent, and only then is anything read. No page of another site can ask: nothing
here allows another origin, and nothing is answered to a cookie.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from controlplane import keys
from controlplane.acks import Key, key_of
from controlplane.actions import PolicyRefused
from controlplane.plane import asking, plane
from controlplane.plane.admission import refusal
from controlplane.plane.asking import Asked
from controlplane.plane.inbox import Crowded, NoRoom
from controlplane.plane.members import LongPoll, Receive, Send, Stream
from controlplane.plane.plane import SCOPE, Plane
from controlplane.plane.problems import (
    NotNow,
    Problem,
    Unauthorized,
    WrongMethod,
    body_of,
)
from controlplane.plane.snapshots import Place, Snapshot

logger = logging.getLogger(__name__)

AsgiScope = dict[str, Any]
Headers = list[tuple[bytes, bytes]]

MOST_BODY_BYTES = 64 * 1024
BODY_WITHIN_S = 10.0
HEARTBEAT_S = 30


@dataclass(frozen=True, slots=True)
class Request:
    scope: AsgiScope
    receive: Receive
    send: Send
    project_id: int
    key: str  # digest of the API key

    def header(self, name: bytes) -> bytes:
        return b",".join(v for n, v in self.scope["headers"] if n == name)


Answer = Callable[[Request], Awaitable[None]]


async def app(scope: AsgiScope, receive: Receive, send: Send) -> None:
    try:
        answer = _route(scope)
        await answer(await _authenticated(scope, receive, send))
    except Problem as problem:
        await _refuse(send, problem)
    except PolicyRefused as refused:
        told = (400, "invalid_field", refused.message)
        await _refuse(send, Problem(*told, pointer=refused.pointer))
    except Exception:
        logger.exception("plane.request_failed", extra={"path": scope["path"]})
        await _refuse(send, NotNow("unavailable", "This cannot be answered now."))


def _route(scope: AsgiScope) -> Answer:
    method, answer = ROUTES[scope["path"]]
    if scope["method"] != method:
        raise WrongMethod(method)
    return answer


async def _authenticated(scope: AsgiScope, receive: Receive, send: Send) -> Request:
    access = await keys.aauthenticate(scope["headers"])
    if access is None:
        raise Unauthorized
    if SCOPE not in access.scopes:
        text = "This API key has no scope 'policy'."
        raise Problem(403, "scope_missing", text)
    if access.tenant is not None:
        text = "This API key is bound to a tenant, and policy names all of them."
        raise Problem(403, "key_bound_to_tenant", text)
    digest = keys.digest_of(keys.token_in(scope["headers"]))
    return Request(scope, receive, send, access.project_id, digest)


async def fetch(request: Request) -> None:
    asked = asking.asked(request.scope["query_string"])
    held = _held(request.header(b"if-none-match"))

    def is_new(snapshot: Snapshot) -> bool:
        return not (
            held & {snapshot.etag, b"*"} or asked.instance in snapshot.refused_by
        )

    if asked.wait:
        snapshot = await _wait(request, asked, is_new)
    else:
        snapshot = await plane.current().snapshots.get(_place(request, asked))
    if is_new(snapshot):
        await _send_snapshot(request, snapshot)
    else:
        # Who refused it and shows no other has nothing for which 304 were an answer.
        headers = _headers(snapshot) if held & {snapshot.etag, b"*"} else []
        await _answer(request.send, 304 if held else 204, headers)


async def _wait(
    request: Request, asked: Asked, is_new: Callable[[Snapshot], bool]
) -> Snapshot:
    here = plane.current()
    _refuse_crowd(here, request.key)
    poll = LongPoll(request.key, is_new)
    try:
        await here.hub.join(_place(request, asked), poll)
        await poll.run(request.receive, asked.wait)
    finally:
        here.hub.leave(poll)
    if poll.drained:
        raise _leaving(poll.drained)
    if poll.latest is None:
        raise NotNow("unavailable", "The policy cannot be read now.")
    return poll.latest


async def stream(request: Request) -> None:
    asked = asking.asked(request.scope["query_string"])
    here = plane.current()
    _refuse_crowd(here, request.key)
    wait_s = here.admission.ask(
        now=asyncio.get_running_loop().time(),
        chance=random.random(),  # noqa: S311  spreads, hides nothing
    )
    if wait_s:
        text = "Too many streams open at once: come back after Retry-After."
        raise NotNow("too_many_handshakes", text, after_s=wait_s)
    await _stream(request, asked, here)


async def _stream(request: Request, asked: Asked, here: Plane) -> None:
    place = _place(request, asked)
    member = Stream(request.key, asked.instance)
    key = Key(*place, asked.instance) if asked.instance else None
    if key:
        here.inbox.opened(key)
    try:
        await _join(here, place, member)
        await member.run(request.receive, request.send)
    finally:
        here.hub.leave(member)
        if key:
            here.inbox.closed(key)


async def _join(here: Plane, place: Place, member: Stream) -> None:
    try:
        await here.hub.join(place, member)
    except PolicyRefused:
        raise
    except Exception:
        # It is in the room: the hub offers it the policy once that can be read.
        logger.exception("plane.join_failed")


async def status(request: Request) -> None:
    report = asking.report(await _body(request))
    try:
        await plane.current().inbox.hand_in(key_of(request.project_id, report), report)
    except Crowded:
        raise NotNow("busy", "Too many statuses are waiting.") from None
    except NoRoom:
        text = "This project has as many instances as it may."
        raise NotNow("too_many_instances", text, after_s=60) from None
    now = timezone.now().timestamp()
    body = json.dumps({"heartbeat_s": HEARTBEAT_S, "server_time": round(now, 3)})
    await _answer(request.send, 200, [], body.encode())


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            more = True
            while more:
                message = await request.receive()
                body += message.get("body", b"")
                more = message.get("more_body", False)
                if len(body) > MOST_BODY_BYTES:
                    text = f"A status is at most {MOST_BODY_BYTES} bytes."
                    raise Problem(413, "body_too_large", text)
    except TimeoutError:
        text = f"The body took longer than {BODY_WITHIN_S:.0f} s to arrive."
        raise Problem(408, "body_too_slow", text) from None
    return bytes(body)


def _place(request: Request, asked: Asked) -> Place:
    return Place(request.project_id, asked.environment, asked.service)


def _held(if_none_match: bytes) -> frozenset[bytes]:
    """The entity tags the client holds; gzip or not does not matter here."""
    tags = (tag.strip().removeprefix(b"W/") for tag in if_none_match.split(b","))
    return frozenset(tag for tag in tags if tag)


def _refuse_crowd(here: Plane, key: str) -> None:
    if here.leaving:
        raise _leaving(here.leaving)
    if why := refusal(streams=len(here.hub), of_key=here.hub.of_key[key]):
        raise NotNow("too_many_streams", why, after_s=random.uniform(5, 15))  # noqa: S311


def _leaving(reconnect_after_ms: tuple[int, int]) -> NotNow:
    after_ms = random.uniform(*reconnect_after_ms)  # noqa: S311
    text = "This process is stopping: come back after Retry-After."
    return NotNow("draining", text, after_s=after_ms / 1000)


async def _send_snapshot(request: Request, snapshot: Snapshot) -> None:
    headers, body = _headers(snapshot), snapshot.body
    if snapshot.zipped and b"gzip" in request.header(b"accept-encoding").lower():
        headers.append((b"content-encoding", b"gzip"))
        body = snapshot.zipped
    await _answer(request.send, 200, headers, body)


def _headers(snapshot: Snapshot) -> Headers:
    """The same with 200 and with 304: caches take them over from either."""
    return [
        (b"etag", snapshot.etag),
        (b"cache-control", b"private, no-cache"),
        (b"vary", b"accept-encoding"),
    ]


async def _refuse(send: Send, problem: Problem) -> None:
    headers = [(b"content-type", b"application/problem+json"), *problem.headers]
    if problem.status in {408, 413}:
        # What is left of the body is not read.
        headers.append((b"connection", b"close"))
    await _answer(send, problem.status, headers, body_of(problem))


async def _answer(send: Send, status: int, headers: Headers, body: bytes = b"") -> None:
    named = {name for name, _ in headers}
    if status not in {204, 304}:
        headers = [*headers, (b"content-length", b"%d" % len(body))]
        if b"content-type" not in named:
            headers.append((b"content-type", b"application/json"))
    if b"cache-control" not in named:
        headers = [*headers, (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


ROUTES: dict[str, tuple[str, Answer]] = {
    "/v1/policy": ("GET", fetch),
    "/v1/policy/stream": ("GET", stream),
    "/v1/policy/status": ("POST", status),
}
PATHS = ROUTES.keys()


def start() -> None:
    """Hear hints from now on; the server does it once."""
    plane.current()


def drain() -> None:
    """Ask every stream to leave; the server is about to stop."""
    plane.current().drain()


async def stop() -> None:
    await plane.close()
