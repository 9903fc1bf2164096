"""The loop closed: an operator saves, and a real client of a real server obeys."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from switchgear import Client, Refused
from tests.controlplane.fleet import Line, Reply
from tests.controlplane.test_plane_servers import REDIS_URL, policy_key, port_of

EDITS = 10
PATIENCE_S = 30


class Desk:
    """An operator's REST client, and a switch that stops the tool `search`."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._key = key

    def ask(self, method: str, path: str, document=None) -> Reply:
        async def play():
            line = Line(self._port, self._key)
            body = json.dumps(document).encode() if document else b""
            reply = await line.ask(method, path, body, content_type="application/json")
            line.close()
            return reply

        reply = asyncio.run(play())
        assert reply.status < 300, reply.body
        return reply

    def make(self) -> None:
        self.ask("POST", "/api/v1/rules/kill_switch/", stopping("off"))

    def switch(self, mode: str) -> None:
        self.ask("PUT", "/api/v1/rules/kill_switch/stop-search/", stopping(mode))

    def instances(self) -> list[dict]:
        return json.loads(self.ask("GET", "/api/v1/instances").body)["items"]


def stopping(mode: str) -> dict:
    ends = timezone.now() + timedelta(hours=1)
    return {
        "id": "stop-search",
        "selector": {"target": "search"},
        "mode": mode,
        "message": "search is paused",
        "expires_at": f"{ends:%Y-%m-%dT%H:%M:%SZ}",
    }


def until(holds) -> float:
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < PATIENCE_S
        time.sleep(0.002)
    return time.monotonic() - began


@pytest.fixture
def nodes(servers, request):
    """One process alone, or two that share rows and Redis."""
    more = {} if request.param == 1 else {"REDIS_URL": REDIS_URL}
    return [servers(**more) for _ in range(request.param)]


@pytest.mark.parametrize(
    "nodes",
    [1, pytest.param(2, marks=pytest.mark.needs("redis"))],
    indirect=True,
    ids=["embedded", "two nodes"],
)
def test_what_is_saved_is_what_the_next_call_meets(nodes, tmp_path):
    """The operator is at the first node, the service at the last."""
    key = policy_key(nodes[0])
    desk = Desk(port_of(nodes[0]), key)
    desk.make()
    client = Client(
        endpoint=nodes[-1].url(""),
        api_key=key,
        service="checkout",
        environment="prod",
        instance="c-1",
        cache_dir=tmp_path / "cache",
    )

    @client.tool("search")
    def search() -> str:
        return "found"

    def refused() -> bool:
        try:
            search()
        except Refused as refusal:
            return refusal.rule == "stop-search"
        return False

    def seen(field: str) -> object:
        mine = [each for each in desk.instances() if each["instance"] == "c-1"]
        return mine[0]["policy"][field] if mine else None

    took = []
    try:
        until(lambda: seen("running_version") and seen("connected"))
        first = seen("running_version")
        for mode in ["enforce", "off"] * (EDITS // 2):
            began = time.monotonic()
            desk.switch(mode)
            until(lambda mode=mode: refused() is (mode == "enforce"))
            took.append(time.monotonic() - began)
            time.sleep(0.3)
        acknowledged = until(lambda: seen("running_version") == first + EDITS)
    finally:
        client.close()

    print(f"from save to effect: {sorted(round(each, 3) for each in took)}")  # noqa: T201
    # A hint did it: looking at the rows or polling would take seconds.
    assert sorted(took)[EDITS // 2] < 1
    assert acknowledged < 5
