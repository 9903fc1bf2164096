"""A project's data never reaches another's key or user, at no address there is."""

from __future__ import annotations

import json

import pytest

from controlplane.models import Membership, Role
from dashboards.api.fields import cursor
from dashboards.api.urls import operations
from tests.dashboards.conftest import ACME_TRACE, SECRET_TRACE, reader_of
from tests.dashboards.stored import span_id

GROUPS = ["kind", "target", "tool", "tenant", "service", "environment", "agent"]


def addresses(trace_id, anchor):
    """Every operation, aimed at a trace and a call that are there."""
    for operation in operations:
        route = str(operation.pattern)
        route = route.replace("<call_id:id>", f"{trace_id.hex()}-{anchor.hex()}")
        route = route.replace("<trace_id:trace_id>", trace_id.hex())
        if route == "metrics/query":
            yield from (f"/api/v1/{route}?metrics=calls&group_by={g}" for g in GROUPS)
        else:
            yield f"/api/v1/{route}"


AT_SECRET = list(addresses(SECRET_TRACE, span_id(2)))
AT_OURS = list(addresses(ACME_TRACE, span_id(4)))


def shows_nothing(answer):
    assert answer.status_code in {200, 404}
    assert b"secret" not in answer.content
    assert SECRET_TRACE.hex().encode() not in answer.content


@pytest.fixture
def owner(secret):
    return reader_of(secret)


def test_the_secret_is_there_to_be_found(owner):
    answers = [owner.get(path) for path in AT_SECRET]

    assert all(answer.status_code == 200 for answer in answers)
    found = [answer for answer in answers if b"secret" in answer.content]
    assert len(found) >= len(operations) - 1  # the catalogue is the same for all


def test_no_address_shows_another_project_to_a_key(secret, reader):
    for path in AT_SECRET:
        shows_nothing(reader.get(path))


def test_no_filter_reaches_into_another_project(secret, reader):
    for field, value in (
        ("tenant", "secret-tenant"),
        ("target", "secret.tool"),
        ("session", "secret-s"),
        ("service", "secret-service"),
        ("text", "secret"),
    ):
        answer = reader.get("/api/v1/calls", {field: value})

        assert answer.json() == {"items": [], "next": None}


def test_no_cursor_reaches_into_another_project(secret, reader):
    above_everything = cursor((2**63 - 1, 2**63 - 1))

    following = reader.get("/api/v1/calls", {"next": above_everything})

    assert following.json()["items"]
    shows_nothing(following)


def test_no_address_shows_another_project_to_a_member(secret, project, user, client):
    Membership.objects.create(user=user, project=project, role=Role.OWNER)
    client.force_login(user)

    for path in AT_SECRET:
        shows_nothing(client.get(path))
        joint = "&" if "?" in path else "?"
        assert client.get(f"{path}{joint}project=other").status_code == 403


def test_a_query_posted_by_one_project_counts_its_own_calls_only(secret, reader):
    asked = {"metrics": ["calls"], "group_by": ["tool"], "from": "now-1h"}

    answer = reader.post(
        "/api/v1/metrics/query", json.dumps(asked), content_type="application/json"
    )

    tools = {series["labels"]["tool"] for series in answer.json()["series"]}
    assert tools == {"pay", "search.web"}


def test_a_key_bound_to_a_tenant_is_shown_no_other_tenant(telemetry):
    bound = reader_of(telemetry, tenant="globex")

    for path in AT_OURS:
        answer = bound.get(path)

        assert answer.status_code in {200, 403, 404}, path
        assert b"acme" not in answer.content, path
        assert b"pay" not in answer.content, path
