"""Hints: "something changed", said once to every process; who hears it reads rows.

A hint carries numbers, never data, and may be lost, doubled, late or out of order
without harm: rows are the truth, and every listener looks at them by itself now and
then. ``announce`` and ``announce_acks`` may be called from any thread of any process,
and never fail: they tell the listeners of this process at once, and the other
processes over Redis when there is one. A listener is called on its own event loop.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from django.conf import settings

if TYPE_CHECKING:
    from redis import Redis

logger = logging.getLogger(__name__)

# An edit waits for Redis twice this long at most; the other processes then find it by
# looking at the rows.
PATIENCE_S = 0.5
AGAIN_S = 1.0
# Then it is left alone for a while: nothing is lost that rows would not tell.
QUIET_S = 3.0
REMIND_S = 300.0
LISTEN_S = 5.0  # between looks at whether Redis is still there
ORIGIN = secrets.token_hex(8)


class Topic(StrEnum):
    POLICY = "policy"  # there is a new policy version
    ACKS = "acks"  # instances said something new about theirs


class Hint(NamedTuple):
    topic: Topic
    project_id: int
    environment: str
    version: int = 0  # of the policy; acks have none


Heard = Callable[[Hint], None]


def announce(project_id: int, environment: str, version: int) -> None:
    """A new policy version is committed."""
    _tell_all(Hint(Topic.POLICY, project_id, environment, version))


def announce_acks(project_id: int, environment: str) -> None:
    """What instances run, or why they refuse, has changed and is committed."""
    _tell_all(Hint(Topic.ACKS, project_id, environment))


def subscribe(topic: Topic, heard: Heard) -> Callable[[], None]:
    """Call ``heard`` on the running loop for every hint; returns what ends that."""
    return _listeners.add(topic, heard)


class Listeners:
    """Who wants to hear in this process, and one ear on Redis for all of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[object, tuple[Topic, Heard, asyncio.AbstractEventLoop]] = {}
        self._ears: dict[asyncio.AbstractEventLoop, asyncio.Task[None]] = {}

    def add(self, topic: Topic, heard: Heard) -> Callable[[], None]:
        loop = asyncio.get_running_loop()
        entry = object()
        with self._lock:
            self._entries[entry] = (topic, heard, loop)
        if settings.REDIS_URL and loop not in self._ears:
            self._ears[loop] = loop.create_task(self._hear(settings.REDIS_URL, loop))

        def remove() -> None:
            with self._lock:
                self._entries.pop(entry, None)
                is_last = all(kept[2] is not loop for kept in self._entries.values())
            if is_last and (ear := self._ears.pop(loop, None)):
                ear.cancel()

        return remove

    def tell(
        self, hint: Hint, *, only: asyncio.AbstractEventLoop | None = None
    ) -> None:
        with self._lock:
            entries = list(self._entries.values())
        for topic, heard, loop in entries:
            if topic is not hint.topic or only not in {None, loop}:
                continue
            try:
                loop.call_soon_threadsafe(heard, hint)
            except RuntimeError:  # that loop is closed: its server has stopped
                logger.debug("hints.loop_closed")

    async def _hear(self, url: str, loop: asyncio.AbstractEventLoop) -> None:
        import redis  # as in ``publisher``

        told_at = 0.0
        while True:
            try:
                await self._hear_for_a_while(url, loop)
            except (redis.RedisError, OSError):
                if not told_at or loop.time() - told_at > REMIND_S:
                    logger.warning("hints.subscription_failed", exc_info=True)
                    told_at = loop.time()
            await asyncio.sleep(AGAIN_S)

    async def _hear_for_a_while(
        self, url: str, loop: asyncio.AbstractEventLoop
    ) -> None:
        import redis.asyncio  # as in ``publisher``

        client = redis.asyncio.from_url(
            url,
            client_name=f"switchgear.hints.{ORIGIN}",
            socket_connect_timeout=PATIENCE_S,
            health_check_interval=LISTEN_S,
        )
        async with client, client.pubsub() as ear:
            await ear.subscribe(channel_name(url))
            while True:
                message = await ear.get_message(
                    ignore_subscribe_messages=True, timeout=LISTEN_S
                )
                if message and (hint := from_elsewhere(message["data"])):
                    self.tell(hint, only=loop)


_listeners = Listeners()
_quiet_until: dict[str, float] = {}


def _tell_all(hint: Hint) -> None:
    _listeners.tell(hint)
    if settings.REDIS_URL:
        publish(settings.REDIS_URL, hint)


def publish(url: str, hint: Hint) -> None:
    import redis  # as in ``publisher``

    if time.monotonic() < _quiet_until.get(url, 0.0):
        return
    message = json.dumps([ORIGIN, *hint])
    try:
        publisher(url).publish(channel_name(url), message)
    except redis.RedisError as error:
        # Other processes look at the rows every few seconds: late, but not lost.
        logger.warning("hints.publish_failed", extra={"error": str(error)})
        _quiet_until[url] = time.monotonic() + QUIET_S


@lru_cache
def publisher(url: str) -> Redis:
    # Imported here: it takes 25 MB, and without REDIS_URL nobody needs it.
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return Redis.from_url(
        url,
        socket_timeout=PATIENCE_S,
        socket_connect_timeout=PATIENCE_S,
        # Once more, on a new connection: the kept one may be of an earlier Redis.
        retry=Retry(NoBackoff(), 1),
    )


def channel_name(url: str) -> str:
    # Pub/sub knows no database numbers: two installations must not share a channel.
    return f"switchgear.hints{urlsplit(url).path.rstrip('/') or '/0'}"


def from_elsewhere(data: bytes) -> Hint | None:
    """The hint in a message of another process; None for our own, or for nonsense."""
    try:
        origin, topic, project_id, environment, version = json.loads(data)
        hint = Hint(Topic(topic), int(project_id), str(environment), int(version))
    except (ValueError, TypeError):
        logger.warning("hints.not_understood")
        return None
    return None if origin == ORIGIN else hint
