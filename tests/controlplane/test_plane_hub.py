"""Hints are coalesced, read once for all, and nobody is offered less than before."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random

import pytest

from controlplane.plane import hub as hubs
from controlplane.plane.hub import Hub
from controlplane.plane.sharing import SharedReads
from controlplane.plane.snapshots import Place, Snapshot
from tests.controlplane.planes import snapshot

PROD = (1, "prod")
HERE = Place(1, "prod", "checkout")


class World:
    """Versions as rows would hold them, and a hub that reads them."""

    def __init__(self) -> None:
        self.version = 1
        self.reads: Counter[Place] = Counter()
        self.usable = {"k1", "k2"}
        self.broken = False
        shared = SharedReads(self.read)
        self.hub = Hub(shared.get, self.newest, self.check)

    async def read(self, place: Place) -> Snapshot:
        self.reads[place] += 1
        version = self.version
        await asyncio.sleep(0.001)
        if self.broken:
            raise OSError
        return snapshot(version)

    async def newest(self, environments):
        return dict.fromkeys(environments, self.version)

    async def check(self, digests):
        return self.usable & set(digests)


class Watcher:
    def __init__(self, key: str = "k1") -> None:
        self.key = key
        self.offered: list[int] = []
        self.left: list[object] = []

    def offer(self, offered: Snapshot) -> None:
        self.offered.append(offered.version)

    def leave(self, reconnect_after_ms) -> None:
        self.left.append(reconnect_after_ms)

    @property
    def latest(self) -> int:
        return max(self.offered, default=0)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(hubs, "EVERY_S", 0.02)


async def settled(seconds: float = 0.1) -> None:
    await asyncio.sleep(seconds)


def test_who_joins_is_offered_what_there_is():
    async def scene():
        world, watcher = World(), Watcher()
        await world.hub.join(HERE, watcher)
        return watcher.offered

    assert asyncio.run(scene()) == [1]


def test_a_thousand_who_join_at_once_cost_a_handful_of_reads():
    async def scene():
        world, watchers = World(), [Watcher() for _ in range(1000)]
        await asyncio.gather(*(world.hub.join(HERE, each) for each in watchers))
        return world.reads[HERE], {each.latest for each in watchers}

    reads, latest = asyncio.run(scene())

    assert reads <= 3
    assert latest == {1}


def test_a_storm_of_hints_is_one_read_per_beat(monkeypatch):
    monkeypatch.setattr(hubs, "EVERY_S", 0.1)

    async def scene():
        world, watcher = World(), Watcher()
        await world.hub.join(HERE, watcher)
        before = world.reads[HERE]
        for version in range(2, 302):
            world.version = version
            world.hub.hint(PROD, version)
            await asyncio.sleep(0.001)
        await settled(0.3)
        return world.reads[HERE] - before, watcher.offered

    reads, offered = asyncio.run(scene())

    assert reads <= 8  # 0.3 s and a bit more of storm, one read per 0.1 s
    assert offered[-1] == 301
    assert offered == sorted(offered)


def test_a_version_between_joining_and_reading_is_not_missed(quick):
    async def scene():
        world, watcher = World(), Watcher()
        joining = asyncio.create_task(world.hub.join(HERE, watcher))
        await asyncio.sleep(0)  # the read has begun
        world.version = 2
        world.hub.hint(PROD, 2)
        await joining
        await settled()
        return watcher.latest

    assert asyncio.run(scene()) == 2


def test_one_who_joins_late_brings_the_news_to_all(quick):
    async def scene():
        world, early, late = World(), Watcher(), Watcher()
        await world.hub.join(HERE, early)
        world.version = 2  # and the hint is lost
        await world.hub.join(HERE, late)
        return early.latest, late.latest

    assert asyncio.run(scene()) == (2, 2)


def test_a_lost_hint_is_made_up_for_by_a_look_at_the_rows(quick):
    async def scene():
        world, watcher = World(), Watcher()
        await world.hub.join(HERE, watcher)
        world.version = 2
        await world.hub.look()
        await settled()
        return watcher.latest

    assert asyncio.run(scene()) == 2


def test_a_hint_that_says_more_than_the_rows_does_no_harm(quick):
    async def scene():
        world, watcher = World(), Watcher()
        await world.hub.join(HERE, watcher)
        world.hub.hint(PROD, 10**9)
        await settled()
        world.version = 2
        world.hub.hint(PROD, 2)
        await settled()
        return watcher.offered

    assert asyncio.run(scene()) == [1, 2]


def test_a_read_that_fails_is_made_up_for_later(quick):
    async def scene():
        world, watcher = World(), Watcher()
        await world.hub.join(HERE, watcher)
        world.version, world.broken = 2, True
        world.hub.hint(PROD, 2)
        await settled()
        world.broken = False
        await world.hub.look()
        await settled()
        return watcher.latest

    assert asyncio.run(scene()) == 2


def test_other_environments_and_projects_hear_nothing(quick):
    async def scene():
        world = World()
        places = [HERE, Place(1, "stage", "checkout"), Place(2, "prod", "checkout")]
        watchers = [Watcher() for _ in places]
        for place, watcher in zip(places, watchers, strict=True):
            await world.hub.join(place, watcher)
        world.version = 2
        world.hub.hint(PROD, 2)
        await settled()
        return [watcher.latest for watcher in watchers]

    assert asyncio.run(scene()) == [2, 1, 1]


def test_only_streams_of_a_lost_key_end():
    async def scene():
        world, lost, kept = World(), Watcher("k1"), Watcher("k2")
        await world.hub.join(HERE, lost)
        await world.hub.join(HERE, kept)
        world.usable = {"k2"}
        await world.hub.check_keys()
        return lost.left, kept.left

    assert asyncio.run(scene()) == ([None], [])


def test_who_left_costs_nothing():
    async def scene():
        world, watchers = World(), [Watcher() for _ in range(3)]
        for watcher in watchers:
            await world.hub.join(HERE, watcher)
        for watcher in watchers:
            world.hub.leave(watcher)
            world.hub.leave(watcher)  # twice does no harm
        return len(world.hub), dict(world.hub.of_key), world.hub._rooms

    assert asyncio.run(scene()) == (0, {}, {})


def test_hints_dropped_doubled_and_reordered_converge_and_nobody_goes_back(quick):
    """A tenth of everything goes wrong three ways; a client keeps the highest."""
    rng = Random(3)

    async def scene():
        worlds = [World() for _ in range(3)]  # three processes
        watchers = [Watcher() for _ in range(60)]
        for number, watcher in enumerate(watchers):
            await worlds[number % 3].hub.join(HERE, watcher)
        late: list[tuple[Hub, int]] = []
        for version in range(2, 42):
            for world in worlds:
                world.version = version
                if (fate := rng.random()) < 0.3:
                    continue
                late += [(world.hub, version)] * (2 if fate < 0.6 else 1)
            rng.shuffle(late)
            for hub, number in late[: len(late) // 2]:
                hub.hint(PROD, number)
            del late[: len(late) // 2]
            await asyncio.sleep(0.005)
        for world in worlds:
            await world.hub.look()
        await settled(0.2)
        return watchers

    for watcher in asyncio.run(scene()):
        assert watcher.latest == 41
        assert watcher.offered == sorted(watcher.offered)


def test_a_storm_of_connects_and_disconnects_leaves_no_gap(quick):
    rng = Random(5)

    async def scene():
        world, here = World(), []
        for step in range(400):
            if here and rng.random() < 0.4:
                world.hub.leave(here.pop(rng.randrange(len(here))))
            else:
                here.append(Watcher())
                await world.hub.join(HERE, here[-1])
            if step % 10 == 0:
                world.version += 1
                world.hub.hint(PROD, world.version)
        await settled()
        return world.version, here

    version, here = asyncio.run(scene())

    assert len(here) > 20
    assert {watcher.latest for watcher in here} == {version}
