"""The contract of the service plane: snapshots, streams, statuses, and who may ask."""

from __future__ import annotations

import asyncio
import gzip
import json

import pytest
from django.db import OperationalError
from django.utils import timezone

from controlplane import actions, hints, keys, plane
from controlplane.convergence import convergence
from controlplane.models import ApiKey, Instance, Project
from controlplane.plane import plane as planes
from switchgear.policy.snapshot import read_snapshot
from tests.controlplane.planes import (
    RETRY,
    Caller,
    aside,
    instance,
    play,
    policy_key,
    publish,
)

pytestmark = pytest.mark.django_db(transaction=True)

MANY = [
    {"kind": "retry", "id": f"rt-{number}", "rev": 1, "selector": {"target": "x"}}
    for number in range(50)
]


@pytest.fixture
def caller(project) -> Caller:
    return Caller(policy_key(project))


# Fetching


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


# Streaming


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


# Statuses


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


# Who may ask, and what is no question


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/policy?service=checkout"),
        ("GET", "/v1/policy/stream?service=checkout"),
        ("POST", "/v1/policy/status"),
    ],
)
def test_only_a_key_with_scope_policy_is_let_in(project, method, path):
    callers = {
        401: [Caller(), Caller("sg_nonsense")],
        403: [
            Caller(policy_key(project, "ingest", "read", "write")),
            Caller(policy_key(project, "policy", tenant="acme")),
        ],
    }

    async def scene():
        return {
            status: [await each.begin(method, path).finish() for each in those]
            for status, those in callers.items()
        }

    answers = play(scene)

    for status, those in answers.items():
        for answer in those:
            assert answer.status == status
            assert answer.headers["content-type"] == "application/problem+json"
    assert answers[401][0].headers["www-authenticate"] == "Bearer"
    assert [each.json["code"] for each in answers[403]] == [
        "scope_missing",
        "key_bound_to_tenant",
    ]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/v1/policy", "GET"),
        ("OPTIONS", "/v1/policy/stream", "GET"),
        ("GET", "/v1/policy/status", "POST"),
    ],
)
def test_other_methods_are_refused_and_other_origins_not_invited(
    caller, method, path, allowed
):
    answer = play(
        lambda: caller.begin(method, path, origin="http://evil.test").finish()
    )

    assert (answer.status, answer.headers["allow"]) == (405, allowed)
    assert not [name for name in answer.headers if name.startswith("access-control")]


LONG = "x" * 201


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("", "/service"),
        ("service=", "/service"),
        ("service=%20%20", "/service"),
        (f"service={LONG}", "/service"),
        ("service=a%00b", "/service"),
        ("service=a%0Ab", "/service"),
        ("service=a&environment=", "/environment"),
        (f"service=a&environment={LONG[:101]}", "/environment"),
        (f"service=a&instance={LONG}", "/instance"),
        ("service=a&wait=soon", "/wait"),
        ("service=a&wait=-1", "/wait"),
        ("service=a&wait=61", "/wait"),
        ("service=a&wait=nan", "/wait"),
        ("service=a&service=b", None),
        ("service=%ff", None),
        ("service=a" + "&x=1" * 30, None),
    ],
)
@pytest.mark.parametrize("path", ["/v1/policy", "/v1/policy/stream"])
def test_a_bad_question_is_told_where_it_is_wrong(caller, path, query, pointer):
    answer = play(lambda: caller.get(f"{path}?{query}"))

    assert answer.status == 400
    if pointer:
        assert [each["pointer"] for each in answer.json["errors"]] == [pointer]


@pytest.mark.parametrize("path", ["/v1/policy", "/v1/policy/stream"])
def test_an_environment_too_many_is_refused(caller, path, monkeypatch):
    monkeypatch.setattr("controlplane.actions.policy.MOST_ENVIRONMENTS", 1)

    async def scene():
        first = await caller.get("/v1/policy?service=checkout&environment=prod")
        return first, await caller.get(f"{path}?service=checkout&environment=stage")

    first, refused = play(scene)

    assert first.json["version"] == 1
    assert (refused.status, refused.json["code"]) == (400, "invalid_field")
    assert refused.json["errors"][0]["pointer"] == "/environment"


def test_an_endless_question_is_refused(caller):
    assert play(lambda: caller.get(f"/v1/policy?service={'x' * 5000}")).status == 414


def test_parameters_of_later_clients_are_ignored(project, caller):
    publish(project)

    assert play(lambda: caller.policy(colour="red")).status == 200


GOOD = {"instance_uid": "i1", "boot_id": "b1", "service": "checkout"}


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"instance_uid": None}, "/instance_uid"),
        ({"instance_uid": ""}, "/instance_uid"),
        ({"instance_uid": 7}, "/instance_uid"),
        ({"instance_uid": LONG}, "/instance_uid"),
        ({"instance_uid": "a\0"}, "/instance_uid"),
        ({"boot_id": []}, "/boot_id"),
        ({"service": " "}, "/service"),
        ({"environment": ""}, "/environment"),
        ({"environment": LONG[:101]}, "/environment"),
        ({"sdk": {"name": "x"}}, "/sdk"),
        ({"state": "applied"}, "/state"),
        ({"state": "ROLLED_BACK"}, "/state"),
        ({"running_version": "42"}, "/running_version"),
        ({"running_version": 1.5}, "/running_version"),
        ({"running_version": True}, "/running_version"),
        ({"running_version": -1}, "/running_version"),
        ({"received_version": 2**63}, "/received_version"),
        ({"digest": "sha256:short"}, "/digest"),
        ({"failed": "because"}, "/failed"),
        ({"failed": {}}, "/failed/version"),
        ({"failed": {"version": 1, "error": 7}}, "/failed/error"),
        ({"state": "REJECTED"}, "/failed"),
    ],
)
def test_a_bad_status_is_told_where_it_is_wrong(caller, fields, pointer):
    body = json.dumps(GOOD | fields).encode()

    answer = play(lambda: caller.post(body))

    assert (answer.status, answer.json["code"]) == (400, "invalid_field")
    assert [each["pointer"] for each in answer.json["errors"]] == [pointer]
    assert Instance.objects.count() == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"null",
        b"[]",
        b'{"instance_uid": NaN}',
        b'{"instance_uid": "\xff"}',
        b'{"instance_uid": "\\ud800"}',
        b'{"x": ' + b"[" * 60_000 + b"]}",
        b'{"running_version": 1' + b"0" * 50_000 + b"}",
    ],
    ids=["empty", "text", "null", "list", "nan", "bytes", "surrogate", "deep", "huge"],
)
def test_what_is_no_status_is_refused(caller, body):
    answer = play(lambda: caller.post(body))

    assert answer.status == 400
    assert Instance.objects.count() == 0


def test_fields_of_later_sdks_are_ignored(caller):
    body = json.dumps(GOOD | {"mood": "good", "failed": None}).encode()

    assert play(lambda: caller.post(body)).status == 200


def test_a_body_is_bounded_in_size_and_time(caller, monkeypatch):
    monkeypatch.setattr("controlplane.plane.endpoints.BODY_WITHIN_S", 0.1)

    async def slow_scene():
        exchange = caller.begin("POST", "/v1/policy/status", b"{", b"}")

        async def first_then_nothing():
            if not exchange._body:
                await asyncio.Event().wait()
            chunk, exchange._body = exchange._body[0], []
            return {"type": "http.request", "body": chunk, "more_body": True}

        exchange._receive = first_then_nothing
        return await exchange.finish()

    async def large_scene():
        return await caller.post(b"x" * 65_537)

    large, slow = play(large_scene), play(slow_scene)

    assert (large.status, large.headers["connection"]) == (413, "close")
    assert (slow.status, slow.headers["connection"]) == (408, "close")


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
