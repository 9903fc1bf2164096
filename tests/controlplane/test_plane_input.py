"""Who may ask the service plane, and what is no question or status at all."""

from __future__ import annotations

import asyncio
import json

import pytest

from controlplane.models import Instance
from tests.controlplane.planes import (
    Caller,
    play,
    policy_key,
    publish,
)

pytestmark = pytest.mark.django_db(transaction=True)


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
