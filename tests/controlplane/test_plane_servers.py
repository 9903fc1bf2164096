"""The plane as it runs: real servers, real sockets, with Redis and without.

A hundred instances here; the full counts are in test_plane_soak.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading

import pytest

from tests.controlplane.fleet import Fleet, Line, Operator, until
from tests.controlplane.serving import environment, start, stop

REDIS_URL = "redis://127.0.0.1:6379/12"
COUNT = 100
SNAPSHOT = "/v1/policy?service=checkout&environment=prod"


class Cable:
    """A way to Redis that can be cut."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        opening = asyncio.start_server(self._carry, "127.0.0.1", 0)
        self._server = self._loop.run_until_complete(opening)
        self.port = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def cut(self) -> None:
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result(10)

    async def _cut(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        there = await asyncio.open_connection("127.0.0.1", 6379)
        self._writers |= {writer, there[1]}
        await asyncio.gather(copy(reader, there[1]), copy(there[0], writer))

    def close(self) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()


def policy_key(server, scopes: str = "policy,read,write") -> str:
    made = server.manage("create_key", "--project", "Default", "--scopes", scopes)
    return made.strip()


def port_of(server) -> int:
    return int(server.environment["SWITCHGEAR_PORT"])


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """One process, SQLite, nothing else; its port and a key."""
    server = start(environment(tmp_path_factory.mktemp("alone")))
    try:
        yield port_of(server), policy_key(server)
    finally:
        stop(server)


@pytest.fixture
def pair(servers):
    """Two web processes on the same rows, and the cable between them and Redis."""
    cable = Cable()
    shared = {"REDIS_URL": REDIS_URL.replace("6379", str(cable.port))}
    both = [servers(**shared), servers(**shared)]
    yield [port_of(each) for each in both], policy_key(both[0]), cable
    cable.close()


def edited(ports, key, scene, *, count=COUNT):
    """Play a scene with a connected fleet, an operator, and the version all hold."""

    async def play():
        operator = Operator(ports[0], key)
        await operator.make()
        try:
            async with Fleet(ports, key, count) as fleet:
                await fleet.all_on(1)
                await until(lambda: len({i.version for i in fleet.instances}) == 1)
                await scene(fleet, operator, fleet.instances[0].version)
                return fleet
        finally:
            operator.close()

    return asyncio.run(play())


def test_an_edit_is_held_by_all_at_once_and_acknowledged(alone):
    port, key = alone

    async def scene(fleet, operator, version):
        await operator.save(4)
        await fleet.all_on(version + 1, within_s=2)
        await fleet.all_acked(version + 1, within_s=5)

    fleet = edited([port], key, scene)

    assert fleet.went_back() == []


@pytest.mark.needs("redis")
def test_processes_tell_each_other_over_redis_and_find_edits_in_rows_without(pair):
    ports, key, cable = pair
    took = []

    async def scene(fleet, operator, version):
        for attempts in (4, 5, 6):
            await operator.save(attempts)
            version += 1
            took.append(await fleet.all_on(version))
        await asyncio.to_thread(cable.cut)
        await operator.save(7)
        await fleet.all_on(version + 1, within_s=15)
        await fleet.all_acked(version + 1, within_s=15)

    fleet = edited(ports, key, scene)

    # Faster than three looks at the rows in a row: the hints did it.
    assert sorted(took)[1] < 2
    assert fleet.went_back() == []


def test_instances_that_miss_three_hints_in_ten_converge_and_none_goes_back(alone):
    port, key = alone

    async def scene(fleet, operator, version):
        for instance in fleet.instances:
            instance.lose = 0.3
        for attempts in (5, 6, 7, 8, 9, 10):
            await operator.save(attempts)
            await asyncio.sleep(0.1)
        await asyncio.sleep(1)
        for instance in fleet.instances:  # as they do by themselves every minute
            await instance.refresh()
        await fleet.all_on(version + 6, within_s=5)

    fleet = edited([port], key, scene)

    assert fleet.went_back() == []


def test_a_server_that_stops_drains_and_starts_again_with_the_same_versions(servers):
    server = servers()
    key = policy_key(server)
    before = {}

    async def scene(fleet, operator, version):
        await operator.save(4)
        await fleet.all_on(version + 1)
        before.update(await snapshot_of(port_of(server), key))
        rest = await asyncio.to_thread(stop, server)
        assert "Traceback" not in rest
        assert "Cancel" not in rest
        await until(lambda: all(each.drained for each in fleet.instances), 5)

    fleet = edited([port_of(server)], key, scene)
    again = servers()
    after = asyncio.run(snapshot_of(port_of(again), key))

    assert set(fleet.instances[0].drained) == {(500, 1000 + 1000 * COUNT // 50)}
    assert server.process.returncode == 0
    assert after == before


async def snapshot_of(port: int, key: str):
    line = Line(port, key)
    reply = await line.ask("GET", SNAPSHOT)
    line.close()
    return json.loads(reply.body)
