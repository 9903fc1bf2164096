"""A project's data never reaches another's key or user, at no address there is."""

from __future__ import annotations

import json

import pytest

from controlplane.models import Draft, Membership, PolicyVersion, Role, RuleChange
from dashboards.api.fields import cursor
from dashboards.api.urls import operations
from tests.dashboards.conftest import (
    ACME_TRACE,
    SECRET_TRACE,
    address_of,
    reader_of,
    verb_of,
)
from tests.dashboards.stored import span_id

GROUPS = ["kind", "target", "tool", "tenant", "service", "environment", "agent"]
QUESTIONS = {
    "policy/versions/compare": "from=1&to=2",
    "policy/explain": "service=shop&target=pay",
}


def addresses(trace_id, anchor, rule):
    """Every operation that reads, aimed at what is there."""
    parts = {
        "<call_id:id>": f"{trace_id.hex()}-{anchor.hex()}",
        "<trace_id:trace_id>": trace_id.hex(),
        "<rule_id:id>": rule,
        "<digits:number>": "2",
    }
    for operation in operations:
        route, path = str(operation.pattern), address_of(operation, parts)
        if verb_of(operation) != "get":
            continue
        if route == "metrics/query":
            yield from (f"{path}?metrics=calls&group_by={group}" for group in GROUPS)
        else:
            yield f"{path}?{QUESTIONS[route]}" if route in QUESTIONS else path


AT_SECRET = list(addresses(SECRET_TRACE, span_id(2), "secret-rule"))
AT_OURS = list(addresses(ACME_TRACE, span_id(4), "rt-search"))
THE_SAME_FOR_ALL = {"/api/v1/metrics/catalog", "/api/v1/rules/"}


def of_draft(paths, project):
    """The same addresses, aimed at a draft of the project."""
    draft = Draft.objects.get(project=project)
    return [path.replace("/drafts/1/", f"/drafts/{draft.pk}/") for path in paths]


def shows_nothing(answer):
    assert answer.status_code in {200, 404}
    assert b"secret" not in answer.content
    assert SECRET_TRACE.hex().encode() not in answer.content


@pytest.fixture
def owner(secret):
    return reader_of(secret)


def test_the_secret_is_there_to_be_found(secret, owner):
    for path in of_draft(AT_SECRET, secret):
        answer = owner.get(path)

        assert answer.status_code == 200, path
        if path not in THE_SAME_FOR_ALL and "group_by=" not in path:
            assert b"secret" in answer.content, path


def test_no_address_shows_another_project_to_a_key(secret, reader):
    for path in of_draft(AT_SECRET, secret):
        shows_nothing(reader.get(path))


def test_no_edit_reaches_into_another_project(secret, policy, editor):
    (draft,) = Draft.objects.filter(project=secret)
    before = policy_of(secret)

    for verb, path, body in edits(draft.pk):
        send = getattr(editor, verb)
        answer = send(path, json.dumps(body), content_type="application/json")

        assert answer.status_code == 404, (verb, path, answer.content)
        assert b"secret" not in answer.content
    assert policy_of(secret) == before


def edits(draft):
    """Everything that could be done to the policy of the other project."""
    rule = "/api/v1/rules/retry/secret-rule/"
    yield from (
        ("put", rule, {"max_attempts": 9}),
        ("patch", rule, {"max_attempts": 9}),
        ("delete", rule, {}),
        ("post", f"/api/v1/rules/retry/?draft={draft}", {"id": "intruder"}),
        ("put", f"/api/v1/rules/retry/rt-search/?draft={draft}", {}),
        ("delete", f"/api/v1/rules/retry/rt-search/?draft={draft}", {}),
        ("post", "/api/v1/policy/publish", {"draft": draft}),
        ("post", f"/api/v1/policy/drafts/{draft}/rebase", {}),
        ("delete", f"/api/v1/policy/drafts/{draft}/", {}),
        ("post", "/api/v1/policy/versions/99/rollback", {}),
    )


def policy_of(project):
    drafts = Draft.objects.filter(project=project).order_by("pk")
    changes = RuleChange.objects.filter(project=project).order_by("pk")
    versions = PolicyVersion.objects.filter(environment__project=project)
    return (
        list(drafts.values_list("pk", "state", "base")),
        list(changes.values_list("pk", flat=True)),
        list(versions.order_by("pk").values_list("number", flat=True)),
    )


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

    for path in of_draft(AT_SECRET, secret):
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


def test_a_key_bound_to_a_tenant_is_shown_no_other_tenant(telemetry, policy):
    bound = reader_of(telemetry, tenant="globex")

    for path in AT_OURS:
        answer = bound.get(path)

        assert answer.status_code in {200, 403, 404}, path
        assert b"acme" not in answer.content, path
        assert b"pay" not in answer.content, path
