"""One ear per process: hints come in once and go to this process's own connections.

A hint only says when to look. The hub then reads the snapshot of each service that
somebody here waits for, once, and offers it to all of them: at most every 250 ms per
environment, however many hints came. Hints may be lost, doubled or late, so the hub
also looks at the newest versions every few seconds, with or without Redis.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from typing import Protocol

from controlplane.plane.snapshots import Place, Snapshot

logger = logging.getLogger(__name__)

EVERY_S = 0.25
LOOK_EVERY_S = 3.0
CHECK_KEYS_EVERY_S = 2.0

Environment = tuple[int, str]
Newest = Callable[[Collection[Environment]], Awaitable[dict[Environment, int]]]
Usable = Callable[[Collection[str]], Awaitable[Collection[str]]]


class Member(Protocol):
    """A connection that waits for news. Nothing is queued for it."""

    key: str  # digest of its API key

    def offer(self, snapshot: Snapshot) -> None: ...

    def leave(self, reconnect_after_ms: tuple[int, int] | None) -> None:
        """End soon: its key is gone (None), or this process is."""


class Room:
    """Everybody here who waits for news of one environment."""

    def __init__(
        self, environment: Environment, read: Callable[[Place], Awaitable[Snapshot]]
    ) -> None:
        self.environment = environment
        self.members: dict[str, set[Member]] = {}  # by service
        self.told: dict[str, int] = {}  # newest version offered, by service
        self._read = read
        self._stale = False
        self._next_at = 0.0
        self._task: asyncio.Task[None] | None = None

    def there_is(self, version: int) -> None:
        """Somebody says so; it counts when it is more than what was offered."""
        if any(self.told[service] < version for service in self.members):
            self._stale = True
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._tell())

    async def tell(self, service: str, asking: Member | None = None) -> None:
        """Offer what the rows say now to who asks, and to all when it is new."""
        snapshot = await self._read(Place(*self.environment, service))
        if snapshot.version > self.told.get(service, snapshot.version):
            self.told[service] = snapshot.version
            for member in self.members[service]:
                member.offer(snapshot)
        elif asking is not None:
            asking.offer(snapshot)

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _tell(self) -> None:
        loop = asyncio.get_running_loop()
        while self._stale:
            await asyncio.sleep(max(self._next_at - loop.time(), 0.0))
            self._stale = False
            self._next_at = loop.time() + EVERY_S
            for service in list(self.members):
                try:
                    await self.tell(service)
                except Exception:
                    # The next look at the newest versions comes back to it.
                    logger.exception("plane.tell_failed")


class Hub:
    def __init__(
        self,
        read: Callable[[Place], Awaitable[Snapshot]],
        newest: Newest,
        usable: Usable,
    ) -> None:
        self._read = read
        self._newest = newest
        self._usable = usable
        self._rooms: dict[Environment, Room] = {}
        self._places: dict[Member, Place] = {}
        self.of_key: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._places)

    async def join(self, place: Place, member: Member) -> None:
        """Hear of everything from now on, and first of what there is now."""
        environment = place[:2]
        room = self._rooms.get(environment)
        if room is None:
            room = self._rooms[environment] = Room(environment, self._read)
        # In the room before anything is read: a version published in between is
        # offered twice instead of never.
        room.members.setdefault(place.service, set()).add(member)
        room.told.setdefault(place.service, 0)
        self._places[member] = place
        self.of_key[member.key] += 1
        await room.tell(place.service, member)

    def leave(self, member: Member) -> None:
        place = self._places.pop(member, None)
        if place is None:
            return
        self.of_key[member.key] -= 1
        if not self.of_key[member.key]:
            del self.of_key[member.key]
        room = self._rooms[place[:2]]
        room.members[place.service].discard(member)
        if not room.members[place.service]:
            del room.members[place.service], room.told[place.service]
        if not room.members:
            room.close()
            del self._rooms[room.environment]

    def hint(self, environment: Environment, version: int) -> None:
        room = self._rooms.get(environment)
        if room is not None:
            room.there_is(version)

    def drain(self, reconnect_after_ms: tuple[int, int]) -> None:
        for member in list(self._places):
            member.leave(reconnect_after_ms)

    def close(self) -> None:
        for room in self._rooms.values():
            room.close()

    async def look(self) -> None:
        """Whatever no hint told us."""
        if self._rooms:
            found = await self._newest(list(self._rooms))
            for environment, version in found.items():
                self.hint(environment, version)

    async def check_keys(self) -> None:
        """Streams whose key was revoked, or has expired, end."""
        asked = set(self.of_key)
        if asked:
            lost = asked - set(await self._usable(asked))
            for member in [m for m in self._places if m.key in lost]:
                member.leave(None)
