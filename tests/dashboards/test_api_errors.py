"""Whoever is refused is told why, in one shape, by a code that never changes."""

from __future__ import annotations

import json
from base64 import b64encode

import pytest
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone

from controlplane import actions, keys
from controlplane.models import ApiKey, Membership, Role
from dashboards.api import bodies
from dashboards.api.urls import operations
from ingest.queries import calls
from tests.dashboards.conftest import Reader, address_of, reader_of, verb_of

QUERY = "/api/v1/metrics/query"
ASKED = {"metrics": ["calls"]}


def problem(answer, status, code):
    assert answer.status_code == status, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == status
    assert told["code"] == code
    assert {"type", "title", "detail"} <= set(told)
    return told


ADDRESSES = [(verb_of(one), address_of(one)) for one in operations]


@pytest.mark.parametrize(("verb", "path"), ADDRESSES)
def test_nobody_reads_without_a_key(db, verb, path):
    answer = getattr(Client(), verb)(path)

    problem(answer, 401, "not_authenticated")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("verb", "path"), ADDRESSES)
def test_nobody_reads_with_a_wrong_key(db, verb, path):
    problem(getattr(Reader("sg_wrong"), verb)(path), 401, "invalid_key")


@pytest.mark.parametrize(("verb", "path"), ADDRESSES)
def test_a_key_without_the_scope_reads_nothing(project, verb, path):
    key = reader_of(project, scopes=["ingest"])

    problem(getattr(key, verb)(path), 403, "scope_missing")


def test_a_revoked_key_is_refused(project, reader):
    assert reader.get("/api/v1/calls").status_code == 200

    actions.revoke_key(ApiKey.objects.get(), actor=None)
    keys.ring.forget()

    problem(reader.get("/api/v1/calls"), 401, "invalid_key")


def test_a_key_is_taken_in_three_places(project):
    token = reader_of(project).token

    basic = "Basic " + b64encode(f"any:{token}".encode()).decode()

    assert Client(HTTP_X_API_KEY=token).get("/api/v1/calls").status_code == 200
    assert Client(HTTP_AUTHORIZATION=basic).get("/api/v1/calls").status_code == 200
    assert Reader(token).get("/api/v1/calls").status_code == 200


def test_a_key_speaks_for_its_project_only(project, other_project, reader):
    assert reader.get("/api/v1/calls?project=acme").status_code == 200

    problem(reader.get("/api/v1/calls?project=other"), 401, "invalid_key")


@pytest.fixture
def member(project, user, client):
    Membership.objects.create(user=user, project=project, role=Role.VIEWER)
    client.force_login(user)
    return client


def test_a_member_reads_with_a_session(member):
    assert member.get("/api/v1/calls").status_code == 200
    assert member.get("/api/v1/calls?project=acme").status_code == 200


@pytest.mark.parametrize("slug", ["other", "nowhere", "%00"])
def test_a_member_reads_no_project_of_others(member, other_project, slug):
    answer = member.get(f"/api/v1/calls?project={slug}")

    problem(answer, 403, "no_such_project")


def test_a_user_without_a_project_reads_nothing(user, client):
    client.force_login(user)

    problem(client.get("/api/v1/calls"), 403, "no_such_project")


def test_a_session_cannot_be_used_from_another_site(member):
    careful = Client(enforce_csrf_checks=True)
    careful.cookies = member.cookies

    answer = careful.post(QUERY, json.dumps(ASKED), content_type="application/json")

    problem(answer, 403, "permission_denied")


BAD = {
    "limit": ["0", "501", "-1", "many", "1.5", "9" * 400],
    "next": ["garbage", "W10=", "a" * 9000],
    "from": ["yesterday", "now+1h", "99999999999999", "\x00"],
    "to": ["tomorrow", "1960-01-01", ""],
    "outcome": ["happy", "ok,happy", "\x00"],
    "failure_class": ["bad luck"],
    "refusal_reason": ["no"],
    "kind": ["thing"],
    "min_latency_ms": ["-1", "nan", "inf", "1e300", "fast"],
    "target": ["x" * 401, "\x00", ",".join("a" * 51)],
    "tenant": ["\x00"],
    "session": ["a\x00b"],
    "text": ["\x00", "x" * 201],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in BAD.items() for value in values],
    ids=lambda part: part[:12].encode("unicode_escape").decode(),
)
def test_a_parameter_that_means_nothing_is_named(reader, name, value):
    answer = reader.get("/api/v1/calls", {name: value})

    told = problem(answer, 400, answer.json()["code"])
    assert told["code"] in {"invalid_parameter", "invalid_time", "invalid_cursor"}
    assert told["errors"][0]["pointer"].split("/")[1] == name


def test_a_parameter_nobody_knows_is_refused(reader):
    told = problem(reader.get("/api/v1/calls?tennant=acme"), 400, "unknown_parameter")

    assert told["errors"][0]["pointer"] == "/tennant"
    assert "tenant" in told["detail"]


@pytest.mark.parametrize(
    ("verb", "path"), [one for one in ADDRESSES if "query" not in one[1]]
)
def test_every_endpoint_refuses_parameters_nobody_knows(project, verb, path):
    editor = reader_of(project, scopes=["read", "write"])

    problem(getattr(editor, verb)(f"{path}?a~b/c=1"), 400, "unknown_parameter")


@pytest.mark.parametrize(
    "path", ["calls?limit=", "sessions?limit=", "rules/retry/?draft="]
)
def test_an_empty_number_is_refused_not_ignored(project, path):
    editor = reader_of(project, scopes=["read", "write"])

    problem(editor.get(f"/api/v1/{path}"), 400, "invalid_parameter")


def test_a_range_that_ends_before_it_begins_is_refused(reader):
    answer = reader.get("/api/v1/calls?from=now-1h&to=now-2h")

    told = problem(answer, 400, "invalid_parameter")
    assert told["errors"][0]["pointer"] == "/from"


def test_a_range_wider_than_anything_is_kept_is_refused(telemetry, reader):
    problem(reader.get("/api/v1/services?from=0"), 400, "range_too_wide")


@pytest.mark.parametrize("path", ["calls", "metrics/catalog", "nowhere", ""])
def test_what_cannot_be_done_here_is_said(reader, path):
    answer = reader.delete(f"/api/v1/{path}")

    assert answer.status_code in {404, 405}
    problem(answer, answer.status_code, answer.json()["code"])


def test_addresses_nobody_answers_are_not_found(db, client):
    problem(client.get("/api/v1/nowhere"), 404, "not_found")
    problem(client.post("/api/v1/breakers"), 404, "not_found")


def test_a_format_we_do_not_speak_is_refused(reader):
    answer = reader.get("/api/v1/calls", headers={"Accept": "application/xml"})

    problem(answer, 406, "not_acceptable")


def test_a_body_we_do_not_understand_is_refused(reader):
    answer = reader.post(QUERY, "metrics=calls", content_type="text/plain")

    problem(answer, 415, "unsupported_media_type")


def test_a_body_beyond_the_limit_is_refused(reader):
    large = json.dumps(ASKED | {"from": "x" * bodies.MOST_BYTES})

    answer = reader.post(QUERY, large, content_type="application/json")

    problem(answer, 413, "body_too_large")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"metrics": NaN}',
        b'{"metrics": ["\\ud800"]}',
        b'{"from": ' + b"9" * 5000 + b"}",
    ],
    ids=["cut", "binary", "deep", "nan", "surrogate", "huge number"],
)
def test_a_body_that_is_no_json_is_malformed(reader, body):
    answer = reader.post(QUERY, body, content_type="application/json")

    problem(answer, 400, "malformed")


def test_a_store_that_is_down_is_tried_again(project, reader, monkeypatch):
    def locked(*_):
        raise DatabaseError("database is locked")

    monkeypatch.setattr(calls, "search", locked)

    answer = reader.get("/api/v1/calls")

    told = problem(answer, 503, "store_unavailable")
    assert answer.headers["Retry-After"] == "1"
    assert "locked" not in str(told)


def test_our_own_mistakes_tell_nothing_of_the_inside(project, reader, monkeypatch):
    def broken(*_):
        raise RuntimeError("the password is swordfish")

    monkeypatch.setattr(calls, "search", broken)

    told = problem(reader.get("/api/v1/calls"), 500, "internal_error")

    assert "swordfish" not in str(told)


def test_answers_are_not_kept_by_anybody_in_between(reader):
    assert reader.get("/api/v1/calls").headers["Cache-Control"] == "no-store"


def test_an_expired_key_is_refused(project, reader):
    ApiKey.objects.update(expires_at=timezone.now())
    keys.ring.forget()

    problem(reader.get("/api/v1/calls"), 401, "invalid_key")
