"""What instances say is kept, shown to operators, and changes what they are sent."""

from __future__ import annotations

import asyncio

import pytest
from django.utils import timezone

from controlplane import hints
from controlplane.convergence import convergence
from controlplane.models import Instance
from controlplane.plane import plane as planes
from tests.controlplane.planes import (
    aside,
    instance,
    play,
    publish,
)

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_status_is_kept_and_answered_with_when_to_come_again(project, caller):
    publish(project)

    async def scene():
        return await caller.status(
            "i1", state="APPLIED", running_version=1, received_version=1, sdk="go/1.2"
        )

    answer = play(scene)

    assert answer.status == 200
    assert answer.json["heartbeat_s"] == 30
    assert isinstance(answer.json["server_time"], float)
    row = instance("i1")
    assert (row.project, row.service, row.environment) == (project, "checkout", "prod")
    assert (row.state, row.running_version, row.sdk) == ("APPLIED", 1, "go/1.2")


def test_a_heartbeat_moves_seen_at_and_nothing_else(project, caller):
    async def scene():
        await caller.status("i1", state="APPLIED", running_version=1)
        before = await aside(instance, "i1")
        await caller.status("i1", state="APPLIED", running_version=1)
        return before

    before = play(scene)  # stopping writes what memory answered

    after = instance("i1")
    assert after.seen_at > before.seen_at
    assert after.applied_at == before.applied_at
    assert after.first_seen_at == before.first_seen_at


def test_an_instance_is_connected_while_its_stream_is_open(project, caller):
    publish(project)

    async def scene():
        await caller.status("i1")
        stream = caller.stream(instance="i1")
        await stream.shows('"version":1,')
        await planes.current().inbox.flush()
        during = await aside(instance, "i1")
        await stream.leave()
        return during

    during = play(scene)

    assert during.connected_at is not None
    assert instance("i1").connected_at is None


def test_a_stream_is_said_again_in_case_another_process_saw_an_older_one_end(
    project, caller
):
    publish(project)

    async def scene():
        await caller.status("i1")
        stream = caller.stream(instance="i1")
        await stream.shows('"version":1,')
        here = planes.current().inbox
        await here.flush()
        await aside(Instance.objects.update, connected_at=None)
        here.say_streams_again()
        await here.flush()
        row = await aside(instance, "i1")
        await stream.leave()
        return row

    assert play(scene).connected_at is not None


def test_a_digest_that_was_rejected_is_never_sent_again(project, caller):
    publish(project)

    async def scene():
        old = await caller.policy(instance="i1")
        await aside(publish, project)
        bad = await caller.policy(instance="i1")
        await caller.status(
            "i1",
            state="REJECTED",
            running_version=1,
            received_version=2,
            digest=bad.json["digest"],
            failed={"version": 2, "rule": "rt-search", "error": "unknown kind"},
        )
        fetched = await caller.policy(instance="i1", etag=old.headers["etag"])
        anew = await caller.policy(instance="i1")
        neighbour = await caller.policy(instance="i2")
        stream = caller.stream(instance="i1")
        await stream.shows("connected")
        await asyncio.sleep(0.3)
        before = stream.answer.body.decode()
        await aside(publish, project)
        await stream.shows('"version":3,')
        later = await caller.policy(instance="i1", etag=old.headers["etag"])
        await stream.leave()
        return fetched, anew, neighbour, before, later

    fetched, anew, neighbour, before, later = play(scene)

    assert (fetched.status, fetched.body) == (304, b"")
    assert "etag" not in fetched.headers
    assert (anew.status, anew.body) == (204, b"")
    assert (neighbour.status, neighbour.json["version"]) == (200, 2)
    assert "event: policy" not in before
    assert (later.status, later.json["version"]) == (200, 3)
    row = instance("i1")
    assert (row.running_version, row.failed_version) == (1, 2)
    assert (row.failed_rule, row.failed_error) == ("rt-search", "unknown kind")


def test_a_rejection_is_told_to_who_watches_and_readable_at_once(project, caller):
    publish(project)

    async def scene():
        heard = asyncio.Queue()
        unsubscribe = hints.subscribe(hints.Topic.ACKS, heard.put_nowait)
        await caller.status(
            "i1",
            state="REJECTED",
            received_version=1,
            failed={"version": 1, "rule": "rt-search", "error": "unknown kind"},
        )
        async with asyncio.timeout(2):
            hint = await heard.get()
            now = timezone.now()
            read = await aside(convergence, project.pk, "prod", now=now)
        await caller.status("i1", state="REJECTED", received_version=1)
        await planes.current().inbox.flush()
        unsubscribe()
        return hint, read.services[0].sentence, heard.qsize()

    hint, sentence, more = play(scene)

    assert hint == hints.Hint(hints.Topic.ACKS, project.pk, "prod")
    assert sentence == "0 of 1 on v1, 1 rejected: unknown kind"
    assert more == 0  # a heartbeat is no news


def test_a_new_life_of_an_instance_may_try_what_the_last_one_rejected(project, caller):
    publish(project)

    async def scene():
        got = await caller.policy(instance="i1")
        digest = got.json["digest"]
        await caller.status("i1", state="REJECTED", received_version=1, digest=digest)
        before = await caller.policy(instance="i1")
        await caller.status("i1", boot_id="b2")
        return before, await caller.policy(instance="i1")

    before, after = play(scene)

    assert (before.status, after.status) == (204, 200)


def test_a_rejection_that_names_only_the_version_counts_as_well(project, caller):
    publish(project)

    async def scene():
        await caller.status("i1", state="REJECTED", received_version=1)
        before = await caller.policy(instance="i1")
        await aside(publish, project)
        return before, await caller.policy(instance="i1")

    before, after = play(scene)

    assert (before.status, after.status) == (204, 200)


def test_a_rejection_of_another_service_or_environment_changes_nothing(project, caller):
    publish(project)
    publish(project, "stage")

    async def scene():
        digest = (await caller.policy()).json["digest"]
        told = {"state": "REJECTED", "received_version": 1, "digest": digest}
        await caller.status("i1", **told, environment="stage")
        await caller.status("i1", **told, service="billing")
        return await caller.policy(instance="i1")

    assert play(scene).status == 200


def test_a_project_has_room_for_so_many_instances(project, caller, monkeypatch):
    monkeypatch.setattr("controlplane.actions.instances.MOST_PER_PROJECT", 2)

    async def scene():
        told = [await caller.status(f"i{number}") for number in range(3)]
        return told, await caller.status("i1", sdk="known ones go on")

    told, known = play(scene)

    assert [answer.status for answer in told] == [200, 200, 503]
    assert told[2].json["code"] == "too_many_instances"
    assert known.status == 200
    assert Instance.objects.count() == 2
