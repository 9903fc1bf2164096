"""How policy gets to a service, and what happens when it does not."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

import switchgear.client
from switchgear import Client, jitter
from switchgear.clock import Clock
from switchgear.delivery import Delivery
from switchgear.keeper import SOAK_S, Keeper
from switchgear.policy.documents.snapshot import digest_of
from switchgear.transport import Plane
from tests.sdk.plane import digest_in, serving, snapshot_body
from tests.sdk.rules import kill_switch, rule

SOAK = os.environ.get("SWITCHGEAR_SOAK") == "1"
RETRY = rule("retry", id="retry")
V1, V2, V3 = (snapshot_body(number, RETRY) for number in (1, 2, 3))


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Clients are in a hurry: the schedule itself is tested where it is made."""
    monkeypatch.setattr(jitter, "FIRST_CONTACT_S", 0.0)
    monkeypatch.setattr(jitter, "BASE_S", 0.02)
    monkeypatch.setattr(jitter, "CAP_S", 0.2)


@pytest.fixture
def make_client(plane, tmp_path):
    clients = []

    def make(**changes):
        given = {
            "endpoint": plane.endpoint,
            "api_key": "key",
            "service": "shop",
            "cache_dir": tmp_path,
        }
        clients.append(Client(**given | changes))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def eventually(happened, timeout: float = 5.0) -> None:
    until = time.monotonic() + timeout
    while not happened():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.005)


def runs(client, version) -> None:
    eventually(lambda: client.policy_version == version)


def acknowledged(plane, version, state="APPLIED") -> dict:
    """The report of an instance that has received this version."""

    def said():
        last = plane.statuses[-1:]
        return last and (last[0]["received_version"], last[0]["state"]) == (
            version,
            state,
        )

    plane.wait_for(said)
    return plane.statuses[-1]


def test_a_service_runs_what_is_published_and_says_so(plane, make_client):
    plane.body = V1
    client = make_client(instance="shop-1")

    assert client.wait_until_ready()
    runs(client, 1)

    said = acknowledged(plane, 1)
    assert {key: said[key] for key in ("instance_uid", "service", "environment")} == {
        "instance_uid": "shop-1",
        "service": "shop",
        "environment": "default",
    }
    assert said["sdk"].startswith("switchgear-python/")
    assert (said["running_version"], said["digest"]) == (1, digest_in(V1))
    assert plane.statuses[0]["state"] is None
    assert {status["boot_id"] for status in plane.statuses} == {said["boot_id"]}


def test_an_edit_is_obeyed_at_once(plane, make_client):
    plane.body = V1
    client = make_client()
    runs(client, 1)
    plane.wait_for(lambda: plane.streams)

    began = time.monotonic()
    plane.publish(V2)
    runs(client, 2)

    assert time.monotonic() - began < 1.0
    acknowledged(plane, 2)


def test_lost_doubled_and_reordered_hints_harm_nobody(plane, make_client):
    clients = [make_client(cache_dir=None) for _ in range(5)]
    plane.wait_for(lambda: len(plane.streams) == 5)
    chance = random.Random(3)
    seen = {id(client): [] for client in clients}

    hints = []
    for version in range(1, 25):
        body = snapshot_body(version, RETRY, issued_at=1.8e9 + version)
        plane.heard_of_news = False
        plane.publish(body)
        hints.append((version, digest_in(body)))
        if chance.random() < 0.3:
            continue  # lost
        for _ in range(chance.choice([1, 1, 2])):
            plane.hint(*chance.choice(hints[-3:]))
        time.sleep(0.01)
        for client in clients:
            seen[id(client)].append(client.policy_version or 0)
    plane.hint(*hints[-1])

    for client in clients:
        runs(client, 24)
        assert seen[id(client)] == sorted(seen[id(client)])


def test_without_any_hint_all_converge_by_looking(plane, make_client, monkeypatch):
    monkeypatch.setattr(jitter, "POLL_S", 0.05)
    plane.heard_of_news = False
    plane.body = V1
    client = make_client()
    runs(client, 1)

    plane.publish(V2)
    plane.tell(": tick\n\n")  # the thread looks at its clock when it hears anything
    eventually(lambda: plane.tell(": tick\n\n") or client.policy_version == 2)


def test_an_instance_that_cannot_apply_keeps_its_old_policy_and_says_why(
    plane, make_client
):
    plane.body = V1
    client = make_client()
    runs(client, 1)
    plane.wait_for(lambda: plane.streams)
    document = json.loads(V2) | {"must_understand": ["teleport"]}
    document["rules"].append({"id": "beam", "kind": "teleport", "selector": {}})
    bad = json.dumps(document | {"digest": digest_of(document)}).encode()

    began = time.monotonic()
    plane.publish(bad)

    said = acknowledged(plane, 2, "REJECTED")
    assert time.monotonic() - began < 2.0
    assert (said["running_version"], said["received_version"]) == (1, 2)
    assert said["failed"]["version"] == 2
    assert said["failed"]["pointer"] == "/rules/1/kind"
    assert said["failed"]["rule"] == "beam"
    assert client.policy_version == 1
    fetched = [path for _, path, _ in plane.requests if path.startswith("/v1/policy?")]
    plane.publish(bad)  # hinted at again: it is known, so nobody asks
    plane.publish(V3)
    runs(client, 3)
    again = [path for _, path, _ in plane.requests if path.startswith("/v1/policy?")]
    assert len(again) == len(fetched) + 1


ANSWERS = {
    "garbage": lambda handler, path: handler.reply(200, b"<html>not you</html>"),
    "wrong digest": lambda handler, path: handler.reply(
        200, V2.replace(b'"version":2', b'"version":3')
    ),
    "oversize": lambda handler, path: handler.reply(200, b"[" * (5 * 2**20)),
    "unavailable": lambda handler, path: handler.reply(503, b"", Retry_After="1"),
    "unauthorized": lambda handler, path: handler.reply(401, b""),
    "hangs up": lambda handler, path: handler.connection.shutdown(2),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_a_control_plane_that_answers_anything_changes_nothing(
    plane, make_client, answer, caplog
):
    plane.body = snapshot_body(1, kill_switch("search"))
    client = make_client()
    runs(client, 1)
    search = client.tool("search", fallback=lambda: "offered")(lambda: "found")

    plane.misbehave = answer
    plane.cut()
    asked = len(plane.requests)
    eventually(lambda: len(plane.requests) > asked + 2, timeout=10)
    eventually(lambda: caplog.records)

    assert search() == "offered"
    assert client.policy_version == 1
    kinds = Counter(record.message.split(":")[0] for record in caplog.records)
    assert set(kinds.values()) == {1}


def test_a_control_plane_that_was_never_there_costs_one_line(tmp_path, caplog):
    with Client("http://127.0.0.1:9", service="shop", cache_dir=tmp_path) as client:
        search = client.tool("search")(lambda: "found")
        assert not client.wait_until_ready(0.3)
        assert [search() for _ in range(3)] == ["found"] * 3

    assert len(caplog.records) == 1
    assert "no policy" in caplog.records[0].message


def test_an_endpoint_that_is_none_costs_one_line(caplog):
    with Client("ftp://nowhere", service="shop") as client:
        assert client.tool("search")(lambda: "found")() == "found"
        assert not client.wait_until_ready(0)

    assert len(caplog.records) == 1


def test_a_control_plane_that_is_killed_and_comes_back(tmp_path, caplog):
    with serving() as first:
        first.body = V1
        port = first.server_port
        client = Client(first.endpoint, service="shop", cache_dir=tmp_path)
        runs(client, 1)
    eventually(lambda: caplog.records)
    assert client.policy_version == 1
    with serving(port) as second:
        second.body = V2
        runs(client, 2)
        acknowledged(second, 2)
    client.close()

    assert "policy version 1" in caplog.records[0].message


def test_a_service_that_starts_alone_runs_what_ran_last(plane, make_client):
    plane.body = snapshot_body(7, kill_switch("search"))
    make_client()
    acknowledged(plane, 7)
    plane.stop()

    alone = make_client()

    search = alone.tool("search", fallback=lambda: "offered")(lambda: "found")
    assert alone.policy_version == 7
    assert search() == "offered"


def test_a_folder_that_cannot_be_written_costs_one_line(
    plane, make_client, tmp_path, caplog
):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    plane.body = V1
    client = make_client(cache_dir=blocked)
    runs(client, 1)
    plane.wait_for(lambda: plane.streams)
    plane.publish(V2)
    runs(client, 2)

    eventually(lambda: caplog.records)
    assert len(caplog.records) == 1


def test_a_drain_is_left_and_come_back_from_in_time(plane, make_client):
    plane.body = V1
    client = make_client()
    runs(client, 1)
    plane.wait_for(lambda: plane.streams)

    began = time.monotonic()
    (old,) = plane.streams
    plane.tell('event: drain\ndata: {"reconnect_after_ms": [80, 160]}\n\n')
    plane.wait_for(lambda: plane.streams and plane.streams != [old])

    assert 0.05 < time.monotonic() - began < 2.0


def test_a_broken_report_does_not_stop_policies(plane, make_client, caplog):
    plane.reported = lambda status: 1 / 0
    plane.body = V1
    client = make_client()
    runs(client, 1)
    plane.wait_for(lambda: plane.streams)


def test_closing_does_not_hang(plane, make_client):
    plane.body = V1
    client = make_client()
    runs(client, 1)
    plane.wait_for(lambda: plane.streams)

    began = time.monotonic()
    client.close()
    client.close()

    assert time.monotonic() - began < 1.0
    assert not client._delivery._thread.is_alive()
    assert client.policy_version == 1


def test_a_dropped_client_listens_no_more(plane):
    client = Client(plane.endpoint, service="shop", cache_dir=None)
    plane.wait_for(lambda: plane.streams)

    del client

    plane.wait_for(lambda: not plane.streams)


PROGRAM = """
import sys
from switchgear import Client
client = Client(sys.argv[1], service="shop", cache_dir=sys.argv[2])
client.wait_until_ready(5)
print(client.policy_version, flush=True)
{end}
"""


@pytest.mark.parametrize(
    "end", ["", "sys.exit(3)", "raise ValueError", "import os; os._exit(0)"]
)
def test_a_program_ends_when_it_ends(plane, tmp_path, end):
    plane.body = V1
    command = [sys.executable, "-c", PROGRAM.format(end=end), plane.endpoint, tmp_path]

    done = subprocess.run(command, capture_output=True, timeout=20, check=False)

    assert done.stdout == b"1\n"
    assert b"switchgear" not in done.stderr
    assert b"Fatal" not in done.stderr


FORKS = """
import os, sys, time
from switchgear import Client
client = Client(sys.argv[1], service="shop", cache_dir=sys.argv[2], instance="web")
client.wait_until_ready(5)
search = client.tool("search")(lambda: "found")
children = []
for _ in range(3):
    child = os.fork()
    if not child:
        assert client.policy_version == 1
        assert search() == "found"
        assert client.wait_until_ready(5)
        time.sleep(0.5)
        os._exit(0)
    children.append(child)
codes = {os.waitpid(child, 0)[1] for child in children}
print(codes, client.wait_until_ready(0), flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_is_an_instance_of_its_own(plane, tmp_path):
    plane.body = V1

    done = subprocess.run(
        [sys.executable, "-c", FORKS, plane.endpoint, tmp_path],
        capture_output=True,
        timeout=30,
        check=False,
    )

    assert done.stdout == b"{0} True\n", done.stderr
    names = {status["instance_uid"] for status in plane.statuses}
    boots = {status["boot_id"] for status in plane.statuses}
    assert len(names) == len(boots) == 4
    assert "web" in names
    assert all(name.startswith("web") for name in names)


def test_a_child_that_makes_no_call_asks_nobody(client):
    client._forked()

    assert client._delivery is None


def test_after_a_fork_the_first_call_begins_to_listen(plane, make_client):
    plane.body = V1
    client = make_client(instance="web")
    runs(client, 1)
    listening = client._delivery

    switchgear.client._forked()
    assert not client.wait_until_ready(0)
    client.tool("search")(lambda: "found")()

    assert client.wait_until_ready(5)
    plane.wait_for(lambda: len({one["boot_id"] for one in plane.statuses}) == 2)
    names = {one["instance_uid"] for one in plane.statuses}
    assert names == {"web", f"web-{os.getpid()}"}
    listening.close()


def test_nobody_without_a_home_keeps_policies(plane, monkeypatch):
    for name in ("SWITCHGEAR_CACHE_DIR", "XDG_CACHE_HOME", "HOME", "USERPROFILE"):
        monkeypatch.delenv(name, raising=False)
    plane.body = V1

    with Client(plane.endpoint, service="shop") as client:
        runs(client, 1)


class Script:
    """A plane that follows a script, for the thread's own decisions."""

    def __init__(self) -> None:
        self.reports, self.fetches = [], 0

    def report(self, standing):
        self.reports.append(standing)
        return {"heartbeat_s": 10, "server_time": 4_000_000_000.0}

    def fetch(self, known):
        self.fetches += 1

    def interrupt(self):
        pass


@pytest.fixture
def script(holder, trouble, hands):
    keeper = Keeper(
        holder,
        None,
        service="shop",
        environment="default",
        trouble=trouble,
        timing=hands,
    )
    plane, clock = Script(), Clock()
    delivery = Delivery(
        keeper,
        plane,
        instance={},
        clock=clock,
        trouble=trouble,
        timing=hands,
        chance=lambda: 0.5,
    )
    return plane, delivery, keeper, clock


def test_what_never_began_can_be_closed(script):
    _, delivery, _, _ = script

    delivery.close()

    assert delivery._stop.is_set()


def test_the_server_sets_the_pace_and_the_time(script, hands):
    plane, delivery, _, clock = script

    for second in range(61):
        hands.now = 1000.0 + second
        delivery._tick()

    assert len(plane.reports) == 7
    assert plane.fetches == 2
    assert clock.now() == pytest.approx(4_000_000_000.0, abs=5)


@pytest.mark.parametrize(
    ("said", "beat"), [(0, 30.0), (1, 5.0), (1e9, 300.0), ("x", 30.0), (None, 30.0)]
)
def test_a_pace_is_taken_within_reason(script, said, beat):
    plane, delivery, _, _ = script
    plane.report = lambda standing: {"heartbeat_s": said}

    delivery._report()

    assert delivery._beat_s == beat


def test_a_policy_that_broke_is_reported_at_the_next_tick(script, holder):
    plane, delivery, keeper, _ = script
    keeper.take(V1, digest_in(V1))
    holder.error = "KeyError('x')"

    delivery._tick()

    assert plane.reports[-1]["state"] == "REJECTED"
    assert plane.reports[-1]["failed"]["error"] == "KeyError('x')"


def test_waits_grow_until_the_connection_was_healthy(script, hands, monkeypatch):
    _, delivery, _, _ = script
    monkeypatch.setattr(jitter, "BASE_S", 1.0)
    monkeypatch.setattr(jitter, "CAP_S", 60.0)
    waits, lasted = [], iter([0, 0, 0, 61, 0])

    class Stop:
        def is_set(self):
            return len(waits) == 6

        def wait(self, seconds):
            waits.append(seconds)

    def visit():
        hands.now += next(lasted)
        return 0.0

    delivery._stop, delivery._visit = Stop(), visit
    delivery._run()

    assert waits == [0.0, 2.0, 3.5, 5.75, 2.0, 3.5]
    assert SOAK_S <= jitter.HEALTHY_S


def test_a_clock_cannot_be_set_back(monkeypatch):
    clock = Clock()
    before = clock.now()

    monkeypatch.setattr("switchgear.clock.wall_clock", lambda: 0.0)

    assert clock.now() >= before


@pytest.mark.parametrize("said", [None, "x", -5, 0, float("nan"), float("inf")])
def test_a_time_that_is_none_is_not_taken(said):
    clock = Clock()
    before = clock.now()

    clock.agree(said)

    assert clock.now() - before < 1


def test_a_little_difference_is_no_reason_to_jump():
    clock = Clock()

    clock.agree(clock.now() + 1)
    near = clock.now()
    clock.agree(clock.now() - 3600)

    assert abs(near - clock.now() - 3600) < 1


@pytest.mark.soak
def test_500_clients_of_a_killed_server_come_back_without_a_peak(monkeypatch):
    """Really: 500 clients, a server that dies and returns, the true schedule."""
    monkeypatch.setattr(jitter, "BASE_S", 1.0)
    monkeypatch.setattr(jitter, "CAP_S", 60.0)
    with serving() as first:
        first.body, port = V1, first.server_port
        clients = [
            Client(first.endpoint, service="shop", cache_dir="") for _ in range(500)
        ]
        first.wait_for(lambda: len(first.streams) == 500, timeout=60)
    gone = time.monotonic()
    time.sleep(20)
    assert {client.policy_version for client in clients} == {1}
    with serving(port) as second:
        second.body = V1
        back = time.monotonic()
        second.wait_for(lambda: len(second.streams) == 500, timeout=90)
        assert time.monotonic() - back < 90
        assert back - gone > 19
        for client in clients:
            client.close()


def test_an_interrupted_process_goes_on(plane, tmp_path):
    """A signal in the thread's wait is not the end of it."""
    plane.body = V1
    program = PROGRAM.format(
        end="import signal, time; signal.signal(signal.SIGUSR1, lambda *a: None)\n"
        "print('up', flush=True)\n"
        "while client.policy_version != 2: time.sleep(0.01)\n"
        "print(2, flush=True)"
    )
    command = [sys.executable, "-c", program, plane.endpoint, tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"1\n"
        assert process.stdout.readline() == b"up\n"
        process.send_signal(signal.SIGUSR1)
        plane.wait_for(lambda: plane.streams)
        plane.publish(V2)
        assert process.stdout.readline() == b"2\n"


def test_plane_and_client_agree_on_what_is_asked(plane):
    asking = Plane(plane.endpoint, "", {"service": "a b&c", "environment": "ü"})

    asking.fetch(())

    assert plane.requests[-1][1] == "/v1/policy?service=a+b%26c&environment=%C3%BC"
