"""Client and server as they run: an edit is obeyed, and what calls tell adds up."""

from __future__ import annotations

import asyncio
import json
import os
import time
import urllib.error
import urllib.request
from collections import Counter

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from switchgear import Client, Refused
from switchgear.clock import Clock
from switchgear.policy.documents.values import time_text
from tests.controlplane.serving import environment, start, stop
from tests.sdk.rules import breaker, fallback, kill_switch, retry, rule
from tests.sdk.test_spans import World
from tests.sdk.told import Listening

SOAK = os.environ.get("SWITCHGEAR_SOAK") == "1"


SOON = time_text(Clock().now() + 3600)


class Product:
    """A server of its own, asked over REST."""

    def __init__(self, server) -> None:
        self.server = server
        scopes = "ingest,read,policy,write"
        made = server.manage("create_key", "--project", "Default", "--scopes", scopes)
        self.key = made.strip()

    def ask(self, method: str, path: str, body: object = None):
        request = urllib.request.Request(  # noqa: S310  our own server
            self.server.url(path),
            None if body is None else json.dumps(body).encode(),
            {"x-api-key": self.key, "Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            pytest.fail(f"{method} {path}: {error.read().decode()}")

    def make(self, document: dict[str, object]):
        kind = document["kind"]
        return self.ask("POST", f"/api/v1/rules/{kind}/", document)

    def client(self, folder, **changes) -> Client:
        given = {"service": "shop", "cache_dir": folder} | changes
        return Client(self.server.url(""), self.key, **given)

    def send(self, spans) -> None:
        exporter = OTLPSpanExporter(
            self.server.url("/v1/traces"), headers={"x-api-key": self.key}
        )
        for place in range(0, len(spans), 2000):
            done = exporter.export(spans[place : place + 2000])
            assert done is SpanExportResult.SUCCESS
        exporter.shutdown()

    def counted(self, metrics: list[str], by: list[str]) -> Counter:
        asked = {
            "from": "now-1h",
            "to": "now",
            "metrics": metrics,
            "group_by": by,
            "limit": 100,
        }
        found = self.ask("POST", "/api/v1/metrics/query", asked)
        return Counter(
            {
                (*(series["labels"][name] for name in by), metric): int(amount)
                for series in found["series"]
                for metric, amount in series["totals"].items()
                if amount
            }
        )


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    server = start(environment(tmp_path_factory.mktemp("product")))
    try:
        yield Product(server)
    finally:
        stop(server)


def eventually(happened, timeout: float = 10.0) -> float:
    began = time.monotonic()
    while not happened():
        assert time.monotonic() < began + timeout, "it did not happen"
        time.sleep(0.002)
    return time.monotonic() - began


def test_an_edit_changes_what_a_running_service_does_within_a_second(product, tmp_path):
    product.make(kill_switch("bread", id="bread", mode="off", expires_at=SOON))
    with product.client(tmp_path, service="bakery") as client:
        bread = client.tool("bread", fallback=lambda: "cake")(lambda: "bread")
        assert client.wait_until_ready(10)
        assert bread() == "bread"

        product.ask("PATCH", "/api/v1/rules/kill_switch/bread/", {"mode": "enforce"})
        took = eventually(lambda: bread() == "cake")

    assert took < 1.0


def test_the_board_sees_what_an_instance_runs(product, tmp_path):
    with product.client(tmp_path, service="till", instance="till-1") as client:
        assert client.wait_until_ready(10)

        def acknowledged():
            listed = product.ask("GET", "/api/v1/instances")["items"]
            return "till-1" in json.dumps(listed)

        eventually(acknowledged)


RULES = (
    retry(
        max_attempts=3,
        retry_budget_percent=300,
        wait_duration_ms=0,
        max_wait_ms=0,
        selector={"service": "shop"},
    ),
    fallback("cached", selector={"service": "shop", "target": ["search", "fetch"]}),
    {
        **fallback("small-1", selector={"service": "shop", "model": "large-1"}),
        "id": "models",
    },
    breaker(
        selector={"service": "shop", "target": ["fetch", "block"]},
        failure_rate_threshold=20,
        wait_duration_in_open_state_ms=200,
        max_wait_duration_in_open_state_ms=400,
    ),
    kill_switch("killed", expires_at=SOON),
    rule(
        "rate_limit",
        id="rate",
        limit=20,
        period_s=1,
        selector={"service": "shop", "target": "limited"},
    ),
)
NAMES = {
    "ok": "ok",
    "recovered": "recovered",
    "fallback": "fallbacks",
    "refused": "refused",
    "cancelled": "cancelled",
    "failed": "errors",
}


def test_the_metrics_query_counts_what_the_client_counted(product, tmp_path):
    """10,000 calls under random faults and the rules of a real control plane."""
    for document in RULES:
        product.make(document)
    ended = []
    with product.client(tmp_path) as client:
        heard = Listening(client)
        heard.provider = TracerProvider(resource=Resource({"service.name": "shop"}))
        heard.listen(client)
        client._core.listeners.append(ended.append)
        world = World(client, seed=11)
        assert client.wait_until_ready(10)
        eventually(lambda: client.policy_version)
        for _ in range(10_000 if SOAK else 1_000):
            try:
                with client.run(tenant=world.chance.choice(["acme", "globex", None])):
                    world.once()
            except (*World.ERRORS, Refused, asyncio.CancelledError):
                continue
        product.send(heard.spans())

    said = Counter((one.target, one.tenant, NAMES[one.outcome]) for one in ended)
    said += Counter((one.target, one.tenant, "calls") for one in ended)
    for one in ended:
        said[one.target, one.tenant, "attempts"] += one.attempts
    reasons = Counter(one.refusal_reason for one in ended)
    assert {one.outcome for one in ended} == set(NAMES)
    assert set(reasons) == {None, "kill_switch", "rate_limit", "breaker"}
    wanted = [*NAMES.values(), "calls", "attempts"]
    assert product.counted(wanted, ["target", "tenant"]) == +said
    refusals = product.counted(["refusals"], ["refusal_reason"])
    assert refusals == {
        (reason, "refusals"): count for reason, count in reasons.items() if reason
    }
