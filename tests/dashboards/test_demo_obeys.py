"""A service of the demo obeys what operators edit, and its spans say so."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from urllib.request import Request, urlopen

import pytest

from tests.controlplane import serving
from tests.controlplane.policies import kill_switch

PATIENCE_S = 60


class Demo:
    """A running product, one instance of a service, and an operator's key."""

    def __init__(self, server, key):
        self.server, self.key = server, key
        self.service = None

    def ask(self, path, document=None):
        asked = Request(  # noqa: S310  our own server
            self.server.url(path),
            data=None if document is None else json.dumps(document).encode(),
            headers={
                "Authorization": f"Bearer {self.key}",
                "Content-Type": "application/json",
            },
        )
        with urlopen(asked, timeout=PATIENCE_S) as answer:  # noqa: S310
            return json.load(answer)

    def calls(self, **filters):
        query = "&".join(f"{name}={value}" for name, value in filters.items())
        return self.ask(f"/api/v1/calls?{query}")["items"]

    def instances(self, service):
        found = self.ask("/api/v1/instances")["items"]
        return [one for one in found if one["service"] == service]

    def begin(self, name):
        base = self.server.url("")
        self.service = subprocess.Popen(
            [
                *(sys.executable, "-m", "dashboards.demo.process", name),
                f"--base={base}",
                f"--cache={self.server.environment['SWITCHGEAR_DATA_DIR']}",
            ],
            cwd=serving.ROOT,
            env=self.server.environment,
            stdin=subprocess.PIPE,
            text=True,
        )
        self.service.stdin.write(f"{self.key}\n")
        self.service.stdin.flush()


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    server = serving.start(serving.environment(tmp_path_factory.mktemp("product")))
    scopes = "ingest,policy,read,write"
    key = server.manage("create_key", "--project", "Demo", "--scopes", scopes).strip()
    yield server, key
    serving.stop(server)


@pytest.fixture
def demo(product):
    running = Demo(*product)
    yield running
    if running.service is not None:
        running.service.stdin.close()  # as when the server is gone
        running.service.wait(PATIENCE_S)


def wait_for(look):
    until = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < until
        time.sleep(0.1)
    return found


def test_calls_of_a_killed_tool_are_refused_by_its_rule_in_the_version_it_came_with(
    demo,
):
    demo.begin("tool-gateway")
    before = wait_for(lambda: demo.calls(target="weather.now", outcome="ok"))
    document = kill_switch("no-weather", selector={"target": "weather.now"})

    demo.ask("/api/v1/rules/kill_switch/", document)

    (refused, *_) = wait_for(
        lambda: demo.calls(target="weather.now", outcome="refused")
    )
    assert refused["refusal_reason"] == "kill_switch"
    assert refused["rule"] == "no-weather"
    assert refused["attempts"] == 0
    assert {call["policy_version"] for call in before} == {1}
    assert refused["policy_version"] == 2
    (instance,) = demo.instances("tool-gateway")
    assert (instance["instance"], instance["spans"] > 0) == ("tool-gateway-1", True)
    assert instance["policy"]["running_version"] == 2


def test_a_service_without_the_client_is_seen_and_obeys_nothing(demo):
    demo.begin("billing")

    seen = wait_for(lambda: demo.calls(target="sql.query"))

    assert {call["policy_version"] for call in seen} == {None}
    assert [one["policy"] for one in demo.instances("billing")] == [None]
