"""A service fetches its snapshot: by ETag, zipped, by long poll, never an old one."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import replace

import pytest
from django.db import OperationalError

from controlplane.plane import plane as planes
from controlplane.plane.snapshots import Place, Snapshot, Snapshots
from tests.controlplane.planes import RETRY, aside, play, publish, snapshot

pytestmark = pytest.mark.django_db(transaction=True)


MANY = [
    {"kind": "retry", "id": f"rt-{number}", "rev": 1, "selector": {"target": "x"}}
    for number in range(50)
]


def test_a_service_gets_its_snapshot_with_its_digest_as_tag(project, caller):
    version = publish(project)

    answer = play(caller.policy)

    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["version"] == version
    assert answer.json["service"] == "checkout"
    assert [rule["id"] for rule in answer.json["rules"]] == ["rt-search"]
    assert answer.headers["etag"] == f'"{answer.json["digest"]}"'


def test_rules_of_other_services_are_not_in_it(project, caller):
    other = RETRY | {"id": "rt-other", "selector": {"service": "billing"}}
    publish(project, rules=[RETRY, other])

    async def scene():
        return await caller.policy("checkout"), await caller.policy("billing")

    checkout, billing = play(scene)

    assert [rule["id"] for rule in checkout.json["rules"]] == ["rt-search"]
    assert len(billing.json["rules"]) == 2
    assert checkout.headers["etag"] != billing.headers["etag"]


@pytest.mark.parametrize(
    "form", ["{}", "W/{}", '"sha256:old", {}', "*"], ids=["same", "weak", "list", "any"]
)
def test_who_holds_it_already_gets_nothing(project, caller, form):
    publish(project)

    async def scene():
        etag = (await caller.policy()).headers["etag"]
        return await caller.policy(etag=form.format(etag))

    answer = play(scene)

    assert (answer.status, answer.body) == (304, b"")


def test_a_cache_learns_from_304_what_it_learned_from_200(project, caller):
    publish(project)

    async def scene():
        whole = await caller.policy()
        return whole, await caller.policy(etag=whole.headers["etag"])

    whole, same = play(scene)

    for name in ("etag", "cache-control", "vary"):
        assert same.headers[name] == whole.headers[name]


def test_an_edit_is_there_as_soon_as_it_is_committed_hint_or_no_hint(project, caller):
    publish(project)

    async def scene():
        etag = (await caller.policy()).headers["etag"]
        await aside(publish, project, hint=False)
        return await caller.policy(etag=etag)

    answer = play(scene)

    assert (answer.status, answer.json["version"]) == (200, 2)


def test_a_large_snapshot_is_zipped_for_who_takes_it(project, caller):
    publish(project, rules=MANY)
    path = "/v1/policy?service=checkout&environment=prod"

    async def scene():
        zipped = await caller.get(path, accept_encoding="br, gzip;q=0.8")
        return zipped, await caller.get(path)

    zipped, plain = play(scene)

    assert zipped.headers["content-encoding"] == "gzip"
    assert len(zipped.body) < len(plain.body) / 4
    assert gzip.decompress(zipped.body) == plain.body
    assert zipped.headers["etag"] == plain.headers["etag"]
    assert zipped.headers["vary"] == "accept-encoding"


def test_without_an_environment_it_is_the_default_one(project, caller):
    publish(project, "default")

    answer = play(lambda: caller.get("/v1/policy?service=checkout"))

    assert answer.json["environment"] == "default"


def test_a_long_poll_answers_when_there_is_a_new_version(project, caller):
    publish(project)

    async def scene():
        etag = (await caller.policy()).headers["etag"]
        waiting = asyncio.create_task(caller.policy(etag=etag, wait=30))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        await aside(publish, project)
        return await waiting

    answer = play(scene)

    assert (answer.status, answer.json["version"]) == (200, 2)


def test_a_long_poll_ends_empty_when_nothing_comes(project, caller):
    publish(project)

    async def scene():
        etag = (await caller.policy()).headers["etag"]
        return await caller.policy(etag=etag, wait=0.1)

    assert play(scene).status == 304


def test_a_long_poll_that_is_given_up_leaves_nothing_behind(project, caller):
    publish(project)

    async def scene():
        etag = (await caller.policy()).headers["etag"]
        path = "/v1/policy?service=checkout&environment=prod&wait=60"
        waiting = caller.begin("GET", path, if_none_match=etag)
        await asyncio.sleep(0.2)
        waited = len(planes.current().hub)
        await waiting.leave()
        return waited, len(planes.current().hub)

    assert play(scene) == (1, 0)


def test_a_database_that_is_down_keeps_who_is_known_going(project, caller, monkeypatch):
    publish(project)

    def down(*_):
        raise OperationalError

    async def scene():
        etag = (await caller.policy()).headers["etag"]
        monkeypatch.setattr("controlplane.compiling.snapshot_for", down)
        known = await caller.policy()
        same = await caller.policy(etag=etag)
        stream = caller.stream()
        text = await stream.shows('"version":1,')
        await stream.leave()
        return known, same, text, await caller.policy("never asked before")

    known, same, text, unknown = play(scene)

    assert (known.status, known.json["version"]) == (200, 1)
    assert same.status == 304
    assert "event: policy" in text
    assert (unknown.status, unknown.headers["retry-after"]) == (503, "1")


def test_memory_for_what_is_kept_in_case_the_database_goes_is_bounded(monkeypatch):
    kept = Snapshots(most=250)
    monkeypatch.setattr(
        "controlplane.plane.snapshots.read",
        lambda place, _: replace(snapshot(1), body=place.service.encode() * 100),
    )

    async def scene():
        for service in "aabcbd":
            await kept.get(Place(1, "prod", service))
        monkeypatch.setattr("controlplane.plane.snapshots.read", down)
        found = [kept.get(Place(1, "prod", service)) for service in "abcd"]
        return await asyncio.gather(*found, return_exceptions=True)

    def down(*_):
        raise OperationalError

    found = asyncio.run(scene())

    assert [isinstance(one, Snapshot) for one in found] == [False, True, False, True]
