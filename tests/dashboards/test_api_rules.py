"""Rules over REST: made, read, changed and deleted, by whom it may be, not blindly."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from controlplane import actions
from controlplane.models import Membership, PolicyVersion, Role, RuleChange
from switchgear.policy.rules import COMMON, KINDS, parameters
from tests.dashboards.conftest import reader_of

pytestmark = pytest.mark.django_db

RETRY = "/api/v1/rules/retry/"
SEARCH = f"{RETRY}rt-search/"
# The least that each kind must be told.
LEAST = {
    "retry": {},
    "timeout": {},
    "circuit_breaker": {},
    "fallback": {"chain": [{"target": "tool:search.lite"}]},
    "rate_limit": {"limit": 100},
    "concurrency": {},
    "quota": {"unit": "usd", "limit": "25"},
    "run_budget": {"max_tool_calls": 20},
    "kill_switch": {},  # and when it ends
}


def send(client, verb, path, body=None, **headers):
    told = {"headers": {name.replace("_", "-"): text for name, text in headers.items()}}
    if body is not None:
        told |= {"data": json.dumps(body), "content_type": "application/json"}
    return getattr(client, verb)(path, **told)


def problem(answer, status, code, pointer=None):
    assert answer.status_code == status, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    told = answer.json()
    assert told["code"] == code
    if pointer is not None:
        assert [one["pointer"] for one in told["errors"]] == [pointer]
    return told


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_made_read_replaced_and_deleted(project, editor, kind):
    path = f"/api/v1/rules/{kind}/"
    told = LEAST[kind] | {"id": f"a-{kind}", "selector": {"service": "shop"}}
    if kind == "kill_switch":
        told["expires_at"] = in_an_hour()

    made = send(editor, "post", path, told)
    assert made.status_code == 201, made.content
    assert made.headers["Location"] == f"{path}a-{kind}/"
    assert made.headers["ETag"] == '"1"'

    read = editor.get(made.headers["Location"])
    assert read.json() == made.json()
    assert read.json()["kind"] == kind

    again = send(editor, "put", made.headers["Location"], read.json() | {"mode": "off"})
    assert again.status_code == 200, again.content
    assert again.json()["rev"] == 2
    assert again.headers["ETag"] == '"2"'

    gone = editor.delete(made.headers["Location"])
    assert gone.status_code == 204
    assert editor.get(made.headers["Location"]).status_code == 404


def in_an_hour():
    return (timezone.now() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_rule_has_its_defaults_and_who_made_it(project, editor):
    answer = send(editor, "post", RETRY, {"id": "rt", "reason": "too many timeouts"})

    told = answer.json()
    assert told["max_attempts"] == 3
    assert told["mode"] == "enforce"
    assert told["owner"] == ""
    assert told["reason"] == "too many timeouts"
    assert told["created_by"].startswith("key ")
    assert told["change"] is None
    (change,) = RuleChange.objects.filter(project=project)
    assert change.actor_name == told["created_by"]


def test_the_catalogue_tells_every_parameter_of_the_kernel(editor):
    told = editor.get("/api/v1/rules/").json()

    assert [one["name"] for one in told["common"]] == [one.name for one in COMMON]
    assert [one["kind"] for one in told["kinds"]] == list(KINDS)
    for kind in told["kinds"]:
        named = [one["name"] for one in kind["parameters"]]
        assert named == [one.name for one in parameters(kind["kind"])]
        assert kind["explained"]
        assert all(one["help"] for one in kind["parameters"])


def test_a_kind_lists_its_own_rules_in_pages(policy, editor):
    for name in ("rt-a", "rt-b"):
        send(editor, "post", RETRY, {"id": name})

    first = editor.get(RETRY, {"limit": 2}).json()
    second = editor.get(RETRY, {"limit": 2, "next": first["next"]}).json()

    assert [one["id"] for one in first["items"]] == ["rt-a", "rt-b"]
    assert [one["id"] for one in second["items"]] == ["rt-search"]
    assert second["next"] is None


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/id"),
        ({"id": ""}, "/id"),
        ({"id": "with space"}, "/id"),
        ({"id": "rt", "max_attempts": 0}, "/max_attempts"),
        ({"id": "rt", "max_attempts": "3"}, "/max_attempts"),
        ({"id": "rt", "max_attempts": None}, "/max_attempts"),
        ({"id": "rt", "max_attempt": 3}, "/max_attempt"),
        ({"id": "rt", "mode": "sometimes"}, "/mode"),
        ({"id": "rt", "kind": "timeout"}, "/kind"),
        ({"id": "rt", "selector": {"colour": "red"}}, "/selector/colour"),
        ({"id": "rt", "selector": {"tenant": ""}}, "/selector/tenant"),
        ({"id": "rt", "retry_on": ["bad_luck"]}, "/retry_on/0"),
        ({"id": "rt", "owner": 7}, "/owner"),
        ({"id": "rt", "reason": 7}, "/reason"),
        ({"id": "rt", "reason": "a\x00b"}, "/reason"),
        ({"id": "rt", "reason": "r" * 501}, "/reason"),
        ({"id": "rt", "total_deadline_ms": 100}, "/total_deadline_ms"),
    ],
)
def test_what_cannot_be_policy_is_refused_with_its_place(
    project, editor, body, pointer
):
    answer = send(editor, "post", RETRY, body)

    problem(answer, 400, "policy_refused", pointer)
    assert not RuleChange.objects.filter(project=project).exists()


@pytest.mark.parametrize("body", ["[]", "3", "null", '"retry"', "{"])
def test_a_body_that_is_no_object_is_malformed(project, editor, body):
    answer = editor.post(RETRY, body, content_type="application/json")

    problem(answer, 400, "malformed")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(project, editor, number):
    body = f'{{"id": "rt", "exponential_backoff_multiplier": {number}}}'

    answer = editor.post(RETRY, body, content_type="application/json")

    assert answer.status_code == 400


def test_an_id_names_one_rule_over_all_kinds(policy, editor):
    problem(
        send(editor, "post", RETRY, {"id": "rt-search"}), 400, "policy_refused", "/id"
    )
    timeout = send(editor, "post", "/api/v1/rules/timeout/", {"id": "rt-search"})
    problem(timeout, 400, "policy_refused", "/id")


def test_a_cycle_of_fallbacks_is_refused_and_named(policy, editor):
    told = {
        "id": "fb-back",
        "selector": {"target": "search.lite"},
        "chain": [{"target": "tool:search.web"}],
    }

    answer = send(editor, "post", "/api/v1/rules/fallback/", told)

    detail = problem(answer, 400, "policy_refused")["detail"]
    assert "search.web" in detail
    assert "search.lite" in detail


def test_the_first_line_of_a_refusal_says_which_field_it_is_about(policy, editor):
    told = {"id": "rt-new", "selector": {"tool": "search"}}

    answer = send(editor, "post", "/api/v1/rules/retry/", told)

    detail = problem(answer, 400, "policy_refused", "/selector/tool")["detail"]
    assert detail.startswith("/selector/tool: is not known here; known are target")


def test_a_patch_changes_what_it_names_and_nothing_else(policy, editor):
    before = editor.get(SEARCH).json()

    after = send(editor, "patch", SEARCH, {"max_attempts": 5}).json()

    assert after["max_attempts"] == 5
    assert after["selector"] == before["selector"]
    assert after["rev"] == before["rev"] + 1


def test_null_in_a_patch_takes_a_value_out(policy, editor):
    send(editor, "patch", SEARCH, {"total_deadline_ms": 60000, "owner": "search team"})

    after = send(editor, "patch", SEARCH, {"total_deadline_ms": None, "owner": None})

    assert "total_deadline_ms" not in after.json()
    assert after.json()["owner"] == ""


def test_putting_leaves_what_is_not_said_at_its_default(policy, editor):
    send(editor, "patch", SEARCH, {"max_attempts": 5})

    after = send(editor, "put", SEARCH, {"id": "rt-search"}).json()

    assert after["max_attempts"] == 3
    assert after["selector"] == {}


def test_an_edit_of_what_was_changed_meanwhile_is_refused(policy, editor):
    seen = editor.get(SEARCH)
    send(editor, "patch", SEARCH, {"max_attempts": 5})

    late = send(
        editor, "patch", SEARCH, {"max_attempts": 2}, If_Match=seen.headers["ETag"]
    )
    by_body = send(editor, "put", SEARCH, seen.json() | {"max_attempts": 2})
    deleting = send(editor, "delete", SEARCH, If_Match=seen.headers["ETag"])

    problem(late, 412, "rule_changed", "/rev")
    problem(by_body, 409, "rule_changed", "/rev")
    problem(deleting, 412, "rule_changed", "/rev")
    assert editor.get(SEARCH).json()["max_attempts"] == 5


def test_an_edit_of_what_was_seen_goes_through(policy, editor):
    seen = editor.get(SEARCH)

    answer = send(
        editor, "patch", SEARCH, {"max_attempts": 2}, If_Match=seen.headers["ETag"]
    )

    assert answer.status_code == 200


def test_a_revision_that_is_none_is_refused(policy, editor):
    answer = send(editor, "patch", SEARCH, {"max_attempts": 2}, If_Match="three")

    problem(answer, 400, "invalid_parameter", "/If-Match")


def test_a_rule_keeps_its_id_and_its_kind(policy, editor):
    renamed = send(editor, "put", SEARCH, {"id": "another"})
    changed = send(editor, "put", SEARCH, {"kind": "timeout"})
    elsewhere = editor.get("/api/v1/rules/timeout/rt-search/")

    problem(renamed, 400, "policy_refused", "/id")
    problem(changed, 400, "policy_refused", "/kind")
    problem(elsewhere, 404, "not_found")


def test_what_is_not_there_is_not_found(project, editor):
    missing = f"{RETRY}missing/"

    problem(editor.get(missing), 404, "not_found")
    problem(send(editor, "put", missing, {}), 404, "not_found")
    problem(send(editor, "patch", missing, {}), 404, "not_found")
    problem(editor.delete(missing), 404, "not_found")
    problem(editor.get("/api/v1/rules/magic/"), 404, "not_found")


def test_addresses_are_answered_with_and_without_the_last_slash(policy, editor):
    assert editor.get("/api/v1/rules/retry").json() == editor.get(RETRY).json()
    assert editor.get(SEARCH.rstrip("/")).json()["id"] == "rt-search"


def test_an_edit_publishes_at_once(policy, editor):
    versions = PolicyVersion.objects.of_environment(policy.pk, "default")
    before = versions.first().number

    send(editor, "patch", SEARCH, {"max_attempts": 5})

    assert versions.first().number == before + 1
    assert '"max_attempts":5' in versions.first().document


def test_an_edit_in_a_draft_changes_nothing_in_force(policy, editor):
    draft = editor.get("/api/v1/policy/drafts/").json()["items"][0]["id"]

    changed = send(editor, "patch", f"{SEARCH}?draft={draft}", {"max_attempts": 5})
    removed = editor.delete(f"/api/v1/rules/fallback/fb-search/?draft={draft}")

    assert changed.json()["change"] == "changed"
    assert removed.status_code == 204
    assert editor.get(SEARCH).json()["max_attempts"] == 3
    assert editor.get(SEARCH, {"draft": draft}).json()["max_attempts"] == 5
    gone = editor.get("/api/v1/rules/fallback/fb-search/", {"draft": draft})
    problem(gone, 404, "not_found")
    listed = editor.get("/api/v1/rules/fallback/", {"draft": draft}).json()["items"]
    assert [one["change"] for one in listed] == ["removed"]


def test_reading_needs_read_and_editing_needs_write(policy):
    reader = reader_of(policy)
    writer = reader_of(policy, scopes=["write"])

    assert reader.get(SEARCH).status_code == 200
    problem(send(reader, "patch", SEARCH, {}), 403, "scope_missing")
    problem(writer.get(SEARCH), 403, "scope_missing")
    assert send(writer, "patch", SEARCH, {"max_attempts": 4}).status_code == 200


def test_a_key_bound_to_a_tenant_may_not_read_rules(policy):
    bound = reader_of(policy, scopes=["read", "write"], tenant="acme")

    problem(bound.get(SEARCH), 403, "tenant_not_allowed")
    problem(send(bound, "patch", SEARCH, {}), 403, "tenant_not_allowed")


@pytest.mark.parametrize(
    ("role", "status"),
    [(Role.VIEWER, 403), (Role.OPERATOR, 200), (Role.ADMIN, 200), (Role.OWNER, 200)],
)
def test_members_edit_from_operator_on(policy, user, client, role, status):
    Membership.objects.create(user=user, project=policy, role=role)
    client.force_login(user)

    answer = send(client, "patch", SEARCH, {"max_attempts": 4})

    assert answer.status_code == status
    assert client.get(SEARCH).status_code == 200
    if status == 200:
        assert answer.json()["updated_by"] == "ada"


def test_a_session_without_a_csrf_token_edits_nothing(policy, user):
    Membership.objects.create(user=user, project=policy, role=Role.OWNER)
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)

    answer = send(client, "patch", SEARCH, {"max_attempts": 4})

    problem(answer, 403, "permission_denied")
    assert client.get(SEARCH).json()["max_attempts"] == 3


def test_a_list_costs_the_same_however_many_rules(
    policy, editor, django_assert_max_num_queries
):
    for number in range(20):
        actions.save_rule(policy, "retry", {"id": f"rt-{number}"}, actor=None)

    # The key, the project, one query per kind.
    with django_assert_max_num_queries(4 + len(KINDS)):
        assert len(editor.get(RETRY).json()["items"]) == 21
