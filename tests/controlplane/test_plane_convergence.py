"""What an operator reads: how many run the newest version, who does not, and why."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from controlplane import compiling
from controlplane.acks import Failed, Report, key_of
from controlplane.actions import instances
from controlplane.convergence import Presence, Standing, convergence
from controlplane.models import Instance, PolicyVersion, Project
from tests.controlplane.planes import publish

pytestmark = pytest.mark.django_db


@pytest.fixture
def report(project):
    """Say something as an instance, so many seconds ago."""

    def say(uid, *, ago_s=0.0, service="checkout", owner=project, **fields):
        told = Report(uid, fields.pop("boot", "b1"), service, "prod", **fields)
        moment = timezone.now() - timedelta(seconds=ago_s)
        instances.record_reports({key_of(owner.pk, told): told}, now=moment)

    return say


def on(version: int, **fields):
    return {
        "state": "APPLIED",
        "running_version": version,
        "received_version": version,
    } | fields


def read(project, environment="prod"):
    return convergence(project.pk, environment, now=timezone.now())


def sentence(project) -> str:
    return read(project).services[0].sentence


def test_eleven_of_twelve_and_why_the_other_one_is_not(project, report):
    for _ in range(42):
        publish(project, hint=False)
    for number in range(11):
        report(f"i{number}", **on(42))
    report(
        "i11",
        state="REJECTED",
        running_version=41,
        received_version=42,
        failed=Failed(42, "fb-model", "/rules/0/chain", 'unknown kind "cache"'),
    )

    read_now = read(project)

    assert read_now.version == 42
    (checkout,) = read_now.services
    assert checkout.sentence == '11 of 12 on v42, 1 rejected: unknown kind "cache"'
    assert not checkout.converged
    refusing = next(each for each in read_now.instances if each.uid == "i11")
    assert refusing.standing is Standing.REJECTED
    assert (refusing.running_version, refusing.failed_version) == (41, 42)
    assert (refusing.failed_rule, refusing.failed_pointer) == (
        "fb-model",
        "/rules/0/chain",
    )


def test_who_is_on_the_way_and_who_lags_is_told_apart(project, report):
    publish(project, hint=False)
    publish(project, hint=False)
    report("old", **on(1))
    report("taking", state="RECEIVED", running_version=1, received_version=2)
    report("there", **on(2))

    assert sentence(project) == "1 of 3 on v2, 1 applying, 1 behind"


@pytest.mark.parametrize(
    ("silent_s", "presence"),
    [
        (0, Presence.LIVE),
        (70, Presence.LIVE),
        (80, Presence.STALE),
        (590, Presence.STALE),
        (610, Presence.GONE),
    ],
)
def test_silence_makes_an_instance_stale_and_then_gone(
    project, report, silent_s, presence
):
    publish(project, hint=False)
    report("i1", ago_s=silent_s, **on(1))

    read_now = read(project)

    assert read_now.instances[0].presence is presence
    (checkout,) = read_now.services
    counts = {
        Presence.LIVE: checkout.live,
        Presence.STALE: checkout.stale,
        Presence.GONE: checkout.gone,
    }
    assert counts[presence] == 1
    assert sum(counts.values()) == 1
    assert checkout.total == (0 if presence is Presence.GONE else 1)


def test_who_is_gone_holds_nothing_up(project, report):
    publish(project, hint=False)
    publish(project, hint=False)
    report("gone", ago_s=3600, **on(1))
    report("here", **on(2))

    assert sentence(project) == "1 of 1 on v2"
    assert read(project).services[0].converged


def test_another_content_under_the_same_number_is_drift(project, report):
    publish(project, hint=False)
    version = PolicyVersion.objects.get()
    right = compiling.compiled_for(version, "checkout").digest
    report("right", **on(1, digest=right))
    report("other", **on(1, digest=right, running_digest=f"sha256:{'0' * 64}"))

    read_now = read(project)

    drifted = {each.uid: each.drifted for each in read_now.instances}
    assert drifted == {"right": False, "other": True}
    assert read_now.services[0].drifted == 1


def test_how_long_it_took_is_known_of_those_who_waited_for_it(project, report):
    report("early", ago_s=100, **on(0))
    publish(project, hint=False)
    PolicyVersion.objects.update(created_at=timezone.now() - timedelta(seconds=10))
    report("early", ago_s=9.5, **on(1))
    report("late", **on(1))

    took = {each.uid: each.applied_ms for each in read(project).instances}

    assert took["late"] is None
    assert 490 <= took["early"] <= 520


def test_heartbeats_do_not_make_it_longer(project, report):
    report("i1", ago_s=100, **on(0))
    publish(project, hint=False)
    PolicyVersion.objects.update(created_at=timezone.now() - timedelta(seconds=10))
    for ago_s in (9.5, 5, 1):
        report("i1", ago_s=ago_s, **on(1))

    assert read(project).instances[0].applied_ms <= 520


def test_services_are_counted_apart_and_projects_and_environments_never_mixed(
    project, report
):
    other = Project.objects.create(
        slug="other", name="Other", created_at=timezone.now()
    )
    publish(project, hint=False)
    report("i1", **on(1))
    report("i2", service="billing", **on(1))
    report("i3", owner=other, **on(1))

    assert [each.service for each in read(project).services] == ["billing", "checkout"]
    assert read(project, "stage").instances == ()
    assert [each.uid for each in read(other).instances] == ["i3"]
    assert read(other).services[0].sentence == "no policy version yet, instances: 1"


def test_it_costs_two_queries_however_many_there_are(
    project, report, django_assert_num_queries
):
    publish(project, hint=False)
    for number in range(30):
        report(f"i{number}", service=f"s{number % 3}", **on(1))
    read(project)  # the three snapshots are cut once

    with django_assert_num_queries(2):
        read(project)


def test_instances_not_seen_for_a_week_are_forgotten(project, report):
    report("old", ago_s=8 * 86_400)
    report("kept", ago_s=6 * 86_400)

    forgotten = instances.forget_instances(now=timezone.now())

    assert forgotten == 1
    assert [row.uid for row in Instance.objects.all()] == ["kept"]
