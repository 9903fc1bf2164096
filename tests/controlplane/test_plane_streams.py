"""Streams tell what there is and what changes, to whom it concerns, until they end."""

from __future__ import annotations

import asyncio

import pytest
from django.db import OperationalError

from controlplane import actions, keys, plane
from controlplane.models import ApiKey, Project
from controlplane.plane import plane as planes
from switchgear.policy.documents.snapshot import read_snapshot
from tests.controlplane.planes import (
    RETRY,
    Caller,
    aside,
    play,
    policy_key,
    publish,
)

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_stream_tells_what_there_is_and_then_every_change(project, caller):
    publish(project)

    async def scene():
        stream = caller.stream(instance="i1")
        first = await stream.shows('"version":1,')
        await aside(publish, project)
        both = await stream.shows('"version":2,')
        digest = (await caller.policy()).json["digest"]
        await stream.leave()
        return stream.answer, first, both, digest

    answer, first, both, digest = play(scene)

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert first.count("event: policy") == 1
    assert f'data: {{"version":2,"digest":"{digest}"}}\n\n' in both


def test_a_version_nobody_hinted_at_is_found_in_the_rows(project, caller, monkeypatch):
    monkeypatch.setattr(planes, "LOOK_EVERY_S", 0.1)
    publish(project)

    async def scene():
        stream = caller.stream()
        await stream.shows('"version":1,')
        await aside(publish, project, hint=False)
        text = await stream.shows('"version":2,')
        await stream.leave()
        return text

    assert play(scene).count("event: policy") == 2


def test_a_database_that_is_away_is_said_once_and_looked_for_again(
    project, caller, monkeypatch, caplog
):
    monkeypatch.setattr(planes, "LOOK_EVERY_S", 0.02)
    publish(project)
    read, is_down = planes.read_newest, True

    def sometimes(environments):
        if is_down:
            raise OperationalError
        return read(environments)

    monkeypatch.setattr(planes, "read_newest", sometimes)

    async def scene():
        nonlocal is_down
        stream = caller.stream()
        await stream.shows('"version":1,')
        await asyncio.sleep(0.3)
        await aside(publish, project, hint=False)
        is_down = False
        await stream.shows('"version":2,')
        await stream.leave()

    play(scene)

    assert caplog.text.count("plane.work_failed") == 1


def test_a_last_event_id_brings_no_old_version_back(project, caller):
    for _ in range(5):
        publish(project)
    path = "/v1/policy/stream?service=checkout&environment=prod"

    async def scene():
        stream = caller.begin("GET", path, last_event_id="2")
        text = await stream.shows("event: policy")
        await stream.leave()
        return text

    text = play(scene)

    assert text.count("event: policy") == 1
    assert "id: 5\n" in text


def test_the_largest_snapshot_there_is_arrives_whole(project, caller):
    rules = [
        RETRY | {"id": f"rt-{number}", "selector": {"target": f"t{number}"}}
        for number in range(2000)
    ]
    publish(project, rules=rules)

    answer = play(caller.policy)

    assert len(answer.body) > 500_000
    assert len(read_snapshot(answer.body).rules) == 2000


def test_a_stream_of_another_project_or_environment_sees_nothing(project, caller):
    stranger = Project.objects.create(
        slug="other", name="Other", created_at=project.created_at
    )
    publish(project)
    publish(stranger)
    theirs = Caller(policy_key(stranger))

    async def scene():
        streams = [theirs.stream(), caller.stream(environment="stage")]
        for stream in streams:
            await stream.shows('"version":1,')
        mine = caller.stream()
        await mine.shows('"version":1,')
        await aside(publish, project)
        await mine.shows('"version":2,')
        await asyncio.sleep(0.3)
        for stream in [*streams, mine]:
            await stream.leave()
        return [stream.answer.body.decode() for stream in streams]

    for text in play(scene):
        assert '"version":2,' not in text


def test_another_projects_key_gets_its_own_policy(project, caller):
    stranger = Project.objects.create(
        slug="other", name="Other", created_at=project.created_at
    )
    publish(project, rules=[RETRY | {"id": "secret"}])
    publish(stranger, rules=[])

    answer = play(Caller(policy_key(stranger)).policy)

    assert b"secret" not in answer.body


def test_a_revoked_key_loses_its_stream_within_five_seconds(project, monkeypatch):
    token = policy_key(project)
    publish(project)
    key = ApiKey.objects.get(digest=keys.digest_of(token.encode()))
    # As another process would: this one's memory is not told.
    monkeypatch.setattr(keys.ring, "forget", lambda _: None)

    async def scene():
        loop = asyncio.get_running_loop()
        stream = Caller(token).stream()
        await stream.shows('"version":1,')
        began = loop.time()
        await aside(actions.revoke_key, key, actor=None)
        await stream.finish()
        return stream.ended, loop.time() - began

    ended, took = play(scene)

    assert ended
    assert took < 5


def test_who_leaves_a_stream_is_forgotten(project, caller):
    publish(project)

    async def scene():
        stream = caller.stream(instance="i1")
        await stream.shows('"version":1,')
        here = len(planes.current().hub)
        await stream.leave()
        return here, len(planes.current().hub)

    assert play(scene) == (1, 0)


def test_a_process_that_stops_sends_its_streams_away_and_takes_no_new_ones(
    project, caller
):
    publish(project)

    async def scene():
        streams = [caller.stream() for _ in range(3)]
        for stream in streams:
            await stream.shows('"version":1,')
        etag = (await caller.policy()).headers["etag"]
        polling = asyncio.create_task(caller.policy(etag=etag, wait=30))
        await asyncio.sleep(0.1)
        plane.drain()
        for stream in streams:
            await stream.finish()
        return streams, await polling, await caller.stream().finish()

    streams, polled, late = play(scene)

    for stream in streams:
        assert stream.ended
        assert stream.answer.body.endswith(
            b'event: drain\ndata: {"reconnect_after_ms":[500,1080]}\n\n'
        )
    for refused in (polled, late):
        assert (refused.status, refused.json["code"]) == (503, "draining")
        assert 1 <= int(refused.headers["retry-after"]) <= 2


def test_streams_above_the_rate_are_told_when_to_come_back(project, caller):
    publish(project)

    async def scene():
        door = planes.current().admission
        door.burst, door.rate = 2, 0.001
        streams = [caller.stream() for _ in range(2)]
        for stream in streams:
            await stream.shows('"version":1,')
        refused = await caller.stream().finish()
        for stream in streams:
            await stream.leave()
        return refused

    refused = play(scene)

    assert (refused.status, refused.json["code"]) == (503, "too_many_handshakes")
    assert int(refused.headers["retry-after"]) >= 1


@pytest.mark.parametrize("bound", ["MOST_STREAMS", "MOST_STREAMS_PER_KEY"])
def test_streams_above_a_bound_are_refused_in_words(
    project, caller, monkeypatch, bound
):
    monkeypatch.setattr(f"controlplane.plane.admission.{bound}", 1)
    publish(project)

    async def scene():
        first = caller.stream()
        await first.shows('"version":1,')
        refused = await caller.stream().finish()
        polled = await caller.policy(etag="x", wait=30)
        await first.leave()
        return refused, polled, await caller.policy()

    refused, polled, fetched = play(scene)

    assert (refused.status, refused.json["code"]) == (503, "too_many_streams")
    assert polled.status == 503
    assert fetched.status == 200  # without waiting, it is still answered
