"""The plane at full counts: a thousand streams, and crowds that come back at once.

Only `make soak` runs these. They print what they measured.
"""

from __future__ import annotations

import asyncio
import signal
import time
from bisect import bisect_left
from collections import Counter

import psutil
import pytest

from controlplane.plane.admission import BURST, RATE
from tests.controlplane.fleet import Fleet, Operator, until
from tests.controlplane.serving import stop
from tests.controlplane.test_plane_servers import policy_key, port_of
from tests.controlplane.test_scaled import postgres_urls  # noqa: F401  a fixture

REDIS_URL = "redis://127.0.0.1:6379/13"
EDITS = 20

pytestmark = [
    pytest.mark.soak,
    # A connection that was being opened when its fleet ended.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def rss(server) -> int:
    return psutil.Process(server.process.pid).memory_info().rss


async def edits(fleet, operator) -> None:
    """Twenty edits, each held by all within 2 s and acknowledged within 5 s."""
    held, acked, times = [], [], []
    version = fleet.instances[0].version
    for attempts in range(EDITS):
        began = time.monotonic()
        await operator.save(1 + (attempts + 1) % 10)
        version += 1
        await fleet.all_on(version)
        held.append(time.monotonic() - began)
        await fleet.all_acked(version)
        acked.append(time.monotonic() - began)
        times += [
            at - began
            for instance in fleet.instances
            for number, at in instance.held
            if number == version
        ]
        await asyncio.sleep(0.5)
    times.sort()
    print(  # noqa: T201
        f"from save to held: p50 {times[len(times) // 2]:.3f} s,"
        f" p99 {times[len(times) * 99 // 100]:.3f} s;"
        f" last to hold {max(held):.3f} s, last to acknowledge {max(acked):.3f} s"
    )
    assert max(held) < 2
    assert max(acked) < 5
    assert fleet.went_back() == []


async def thousand(ports, key, measure=lambda: 0) -> None:
    operator = Operator(ports[0], key)
    await operator.make()
    async with Fleet(ports, key, 1000) as fleet:
        await until(lambda: all(each.connected_at for each in fleet.instances))
        await fleet.all_acked(1)
        measure()
        await edits(fleet, operator)
    operator.close()


def test_a_thousand_streams_hold_an_edit_within_two_seconds(servers):
    server = servers()
    key = policy_key(server)
    empty = rss(server)
    grown = []

    asyncio.run(
        thousand([port_of(server)], key, lambda: grown.append(rss(server) - empty))
    )

    each_kb = grown[0] / 1000 / 1000
    print(f"{each_kb:.1f} kB per idle connection")  # noqa: T201
    assert each_kb < 100


@pytest.mark.needs("postgres", "redis")
def test_a_thousand_streams_over_two_nodes(servers, postgres_urls):  # noqa: F811
    control, telemetry = postgres_urls
    shared = {
        "DATABASE_URL": control,
        "TELEMETRY_DATABASE_URL": telemetry,
        "REDIS_URL": REDIS_URL,
    }
    pair = [servers(**shared), servers(**shared)]

    asyncio.run(thousand([port_of(each) for each in pair], policy_key(pair[0])))

    for server in pair:  # before their databases go
        stop(server)


def busiest(moments: list[float]) -> int:
    """The most that came within any second."""
    order = sorted(moments)
    return max(
        bisect_left(order, began + 1) - index for index, began in enumerate(order)
    )


@pytest.mark.parametrize("count", [500, 2000])
def test_a_killed_server_gets_its_clients_back_spread_and_within_90_seconds(
    servers, count
):
    first = servers()
    key = policy_key(first)

    async def play():
        async with Fleet([port_of(first)], key, count) as fleet:
            await until(lambda: all(each.connected_at for each in fleet.instances), 120)
            for instance in fleet.instances:
                instance.connected_at.clear()
                instance.refused.clear()
            first.process.send_signal(signal.SIGKILL)
            first.process.communicate()
            environ = first.environment
            await asyncio.to_thread(servers, SWITCHGEAR_PORT=environ["SWITCHGEAR_PORT"])
            began = time.monotonic()
            all_back = lambda: all(each.connected_at for each in fleet.instances)  # noqa: E731
            await until(all_back, 120)
            return fleet, began

    fleet, began = asyncio.run(play())

    back = [each.connected_at[0] - began for each in fleet.instances]
    refused = Counter(status for each in fleet.instances for status, _ in each.refused)
    print(  # noqa: T201
        f"{count} back after {max(back):.1f} s, at most {busiest(back)} in a second,"
        f" refused {dict(refused)}"
    )
    assert max(back) < 90
    # What the door lets in, seen from the other side of it: a tenth of slack.
    assert busiest(back) <= (BURST + RATE) * 1.1
