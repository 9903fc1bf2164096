"""How far a version has come: in words, in counts, and over the socket."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from channels.db import database_sync_to_async
from django.utils import timezone

from controlplane import actions, compiling, hints
from controlplane.models import Membership, Role
from dashboards import consumers, rollout, streams
from dashboards.address import BadAddress
from dashboards.consumers import NOT_A_MEMBER
from dashboards.live import apply, diff
from dashboards.rollout import Rollout
from tests.dashboards.test_api_policy import running
from tests.dashboards.test_board_socket import Viewer, run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def in_force(project):
    """A project whose environment has a version with a rule in it."""
    compiling.snapshot_for(project.pk, "default", "shop")
    actions.save_rule(project, "retry", {"id": "rt"}, actor=None)
    return project


@pytest.fixture
def member(project, user):
    Membership.objects.create(project=project, user=user, role=Role.VIEWER)
    return user


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(consumers, "CHECK_EVERY_S", 0.2)
    monkeypatch.setattr(streams, "ROLLOUT_EVERY_S", 0.05)


def state_of(project, environment="default"):
    return rollout.state(project.pk, Rollout(environment), now=timezone.now())


def refusing(project, uid, **told):
    told = {
        "state": "REJECTED",
        "received_version": 2,
        "failed_version": 2,
        "failed_error": "unknown kind",
    } | told
    return running(project, uid, 1, **told)


def test_it_says_who_applied_the_newest_version(in_force):
    running(in_force, "a", 2)
    running(in_force, "b", 1)
    refusing(in_force, "c")

    said = state_of(in_force)

    assert said["title"] == "v2"
    assert said["short"] == "1 of 3 applied"
    assert (said["applied"], said["total"]) == (1, 3)
    assert [part["value"] for part in said["meter"]] == [1, 1, 1]


def test_before_there_is_a_version_or_an_instance_it_says_so(project):
    assert state_of(project)["short"] == "no version yet"

    compiling.snapshot_for(project.pk, "default", "shop")
    assert state_of(project)["short"] == "no instance yet"

    long_ago = timezone.now() - timedelta(hours=1)
    running(project, "a", 1, seen_at=long_ago)
    assert state_of(project)["short"] == "none running"


def test_a_heartbeat_alone_is_no_news_and_an_acknowledgement_is(in_force):
    instance = running(in_force, "a", 1)
    before = state_of(in_force)

    instance.seen_at = timezone.now()
    instance.save()
    assert state_of(in_force) == before

    instance.running_version = 2
    instance.save()
    assert state_of(in_force)["digest"] != before["digest"]


def test_how_long_it_took_is_told_at_the_median(in_force):
    made = compiling.PolicyVersion.objects.latest("number").created_at
    for number, ms in enumerate((200, 300, 5000)):
        running(
            in_force,
            f"i-{number}",
            2,
            first_seen_at=made - timedelta(hours=1),
            applied_at=made + timedelta(milliseconds=ms),
        )

    assert state_of(in_force)["speed"] == "p50 300\u00a0ms"


def test_the_same_reason_of_several_is_told_once(in_force):
    for uid in ("a", "b"):
        refusing(in_force, uid)
    refusing(in_force, "c", failed_error="disk is full", failed_rule="rt")

    told = rollout.details(in_force.pk, Rollout(), now=timezone.now())

    assert [one["title"] for one in told["problems"]] == [
        "2 instances keep running v1.",
        "c keeps running v1.",
    ]
    assert told["problems"][1]["text"] == "disk is full (rule rt)"


def test_who_needs_attention_comes_first_and_the_rest_is_counted(in_force, monkeypatch):
    monkeypatch.setattr(rollout, "MOST_TILES", 2)
    for uid in ("a", "b", "c"):
        running(in_force, uid, 2)
    refusing(in_force, "z")

    (service,) = rollout.details(in_force.pk, Rollout(), now=timezone.now())["services"]

    assert [one["name"] for one in service["instances"]] == ["z", "a"]
    assert service["more"] == 2


@pytest.mark.parametrize("name", ["e" * 101, "a\nb", "\x00"])
def test_an_environment_that_cannot_be_is_refused(name):
    with pytest.raises(BadAddress):
        rollout.parse({"env": [name]})


def test_fetch_and_messages_give_what_a_new_fetch_gives(in_force):
    before = state_of(in_force)
    running(in_force, "a", 2)
    after = state_of(in_force)

    assert apply(before, diff(before, after)) == after


def aside(action):
    """On a thread of its own, whose connection is closed afterwards."""
    return database_sync_to_async(action, thread_sensitive=False)


def watching(user, project):
    viewer = Viewer(user, project)
    viewer.scope["path"] = "/ws/rollout/"
    return viewer


def test_an_acknowledgement_reaches_who_looks(member, in_force, quick):
    viewer = watching(member, in_force)

    async def story():
        await viewer.connect()
        await viewer.hear()
        assert viewer.state["short"] == "no instance yet"

        await aside(running)(in_force, "a", 2)
        hints.announce_acks(in_force.pk, "default")
        assert (await viewer.hear())["type"] == "changes"
        assert viewer.state["short"] == "1 of 1 applied"
        await viewer.leave()

    run(story)


def test_an_acknowledgement_nobody_told_of_is_found_in_time(member, in_force, quick):
    viewer = watching(member, in_force)

    async def story():
        await viewer.connect()
        await viewer.hear()
        await aside(running)(in_force, "a", 2)
        async with asyncio.timeout(2):
            await viewer.hear()
        assert viewer.state["applied"] == 1
        await viewer.leave()

    run(story)


def test_a_stranger_to_the_project_hears_nothing(user, in_force, quick):
    viewer = watching(user, in_force)

    async def story():
        await viewer.open()
        told = await viewer.hear()
        assert told == {"type": "closed", "code": NOT_A_MEMBER}

    run(story)


def test_an_environment_that_cannot_be_is_refused_over_the_socket(
    member, in_force, quick
):
    viewer = watching(member, in_force)

    async def story():
        await viewer.connect("env=" + "e" * 101)
        assert (await viewer.hear())["type"] == "refused"
        await viewer.leave()

    run(story)
