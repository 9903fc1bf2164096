"""Versions, drafts, explanations over REST; services and instances with policy."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from controlplane import actions
from controlplane.models import Instance, Membership, PolicyVersion, Role
from tests.dashboards.conftest import reader_of
from tests.dashboards.test_api_rules import SEARCH, problem, send

pytestmark = pytest.mark.django_db

VERSIONS = "/api/v1/policy/versions/"
PUBLISH = "/api/v1/policy/publish"
DRAFTS = "/api/v1/policy/drafts/"
EXPLAIN = "/api/v1/policy/explain"


def running(project, uid, version, *, service="shop", **told):
    """An instance that said a moment ago what it runs."""
    now = timezone.now()
    words = {
        "environment": "default",
        "boot_id": "b",
        "state": "APPLIED",
        "sdk": "switchgear 0.1",
        "running_version": version,
        "received_version": version,
    }
    times = {"first_seen_at": now, "seen_at": now, "applied_at": now}
    return Instance.objects.create(
        project=project,
        service=service,
        uid=uid,
        **(words | times | told),
    )


def numbers(answer):
    return [one["number"] for one in answer.json()["items"]]


def test_versions_are_listed_newest_first_and_in_pages(policy, editor):
    first = editor.get(VERSIONS, {"limit": 2})
    second = editor.get(VERSIONS, {"limit": 2, "next": first.json()["next"]})

    assert numbers(first) == [3, 2]
    assert numbers(second) == [1]
    assert second.json()["next"] is None
    newest = first.json()["items"][0]
    assert newest["environment"] == "default"
    assert newest["digest"].startswith("sha256:")
    assert newest["rules"] == 2
    assert newest["reason"] == "set up"


def test_an_environment_nobody_named_has_no_versions(policy, editor):
    assert numbers(editor.get(VERSIONS, {"environment": "mars"})) == []


def test_a_version_tells_its_rules_and_what_it_changed(policy, editor):
    told = editor.get(f"{VERSIONS}3/").json()

    assert {rule["id"] for rule in told["document"]["rules"]} == {
        "rt-search",
        "fb-search",
    }
    assert told["document"]["digest"] == told["digest"]
    (change,) = told["changes"]
    assert change["rule"] == "fb-search"
    assert change["change"] == "added"


def test_two_versions_are_compared_in_sentences_either_way(policy, editor):
    send(editor, "patch", SEARCH, {"max_attempts": 5})

    forward = editor.get(f"{VERSIONS}compare?from=3&to=4").json()["changes"]
    back = editor.get(f"{VERSIONS}compare?from=4&to=3").json()["changes"]

    assert [one["text"] for one in forward] == ["search.web: retry max attempts 3 -> 5"]
    assert [one["text"] for one in back] == ["search.web: retry max attempts 5 -> 3"]


def test_versions_that_are_not_there_are_not_found(policy, editor):
    for number in ("99", "9" * 18, "9" * 30):
        problem(editor.get(f"{VERSIONS}{number}/"), 404, "not_found")
    problem(editor.get(f"{DRAFTS}{'9' * 18}/"), 404, "not_found")
    problem(editor.get(f"{VERSIONS}compare?from=1&to=99"), 404, "not_found")
    problem(send(editor, "post", f"{VERSIONS}99/rollback", {}), 404, "not_found")


def test_what_is_in_force_costs_no_question_per_environment(policy, editor, project):
    def asked():
        with CaptureQueriesContext(connection) as queries:
            assert send(editor, "post", PUBLISH, {}).status_code == 200
        return len(queries)

    asked()  # the key is looked up once
    before = asked()
    for name in ("eu", "us", "asia", "test"):
        actions.first_version(project.pk, name)

    # Publishing looks at each once; telling what is in force must not add to that.
    assert asked() - before == 4
    told = send(editor, "post", PUBLISH, {}).json()["current"]
    assert [(one["environment"], one["number"]) for one in told] == [
        ("asia", 1),
        ("default", 3),
        ("eu", 1),
        ("test", 1),
        ("us", 1),
    ]


def test_a_draft_is_opened_filled_read_and_published(policy, editor):
    opened = send(editor, "post", DRAFTS, {"title": "calmer retries"})
    draft = opened.json()["id"]
    send(editor, "patch", f"{SEARCH}?draft={draft}", {"max_attempts": 2})

    read = editor.get(f"{DRAFTS}{draft}/").json()
    done = send(editor, "post", PUBLISH, {"draft": draft, "reason": "less load"})

    assert opened.status_code == 201
    assert read["rules"] == ["rt-search"]
    assert [one["text"] for one in read["changes"]] == [
        "search.web: retry max attempts 3 -> 2"
    ]
    (version,) = done.json()["versions"]
    assert version["reason"] == "less load"
    assert done.json()["current"] == [version]
    assert editor.get(SEARCH).json()["max_attempts"] == 2
    assert editor.get(f"{DRAFTS}{draft}/").json()["state"] == "published"


def test_a_draft_under_which_rules_moved_is_refused_until_it_is_rebased(policy, editor):
    draft = send(editor, "post", DRAFTS, {}).json()["id"]
    send(editor, "patch", f"{SEARCH}?draft={draft}", {"max_attempts": 2})
    actions.save_rule(policy, "timeout", {"id": "to-all"}, actor=None)

    refused = send(editor, "post", PUBLISH, {"draft": draft})
    rebased = send(editor, "post", f"{DRAFTS}{draft}/rebase", {})
    done = send(editor, "post", PUBLISH, {"draft": draft})

    assert "to-all" in problem(refused, 409, "draft_moved")["detail"]
    assert rebased.json()["moved"] == []
    assert len(done.json()["versions"]) == 1


def test_a_draft_is_discarded_once(policy, editor):
    draft = send(editor, "post", DRAFTS, {}).json()["id"]

    assert editor.delete(f"{DRAFTS}{draft}/").status_code == 204
    problem(editor.delete(f"{DRAFTS}{draft}/"), 400, "policy_refused", "/draft")
    problem(send(editor, "post", PUBLISH, {"draft": draft}), 400, "policy_refused")


def test_publishing_when_nothing_waits_makes_no_version(policy, editor):
    done = send(editor, "post", PUBLISH, {})

    assert done.json()["versions"] == []
    assert [one["number"] for one in done.json()["current"]] == [3]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"draft": "1"}, "/draft"),
        ({"reason": 5}, "/reason"),
        ({"drafts": 1}, "/drafts"),
    ],
)
def test_publishing_takes_known_fields_of_their_types(policy, editor, body, pointer):
    answer = send(editor, "post", PUBLISH, body)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == pointer


def test_a_rollback_is_a_new_version_with_the_old_rules(policy, editor):
    send(editor, "patch", SEARCH, {"max_attempts": 5})

    done = send(editor, "post", f"{VERSIONS}3/rollback", {"reason": "made it worse"})

    (version,) = done.json()["versions"]
    assert version["number"] == 5
    assert version["rollback_of"] == 3
    assert version["reason"] == "made it worse"
    assert editor.get(SEARCH).json()["max_attempts"] == 3
    same = editor.get(f"{VERSIONS}compare?from=3&to=5").json()
    assert same["changes"] == []


def test_who_only_reads_neither_publishes_nor_rolls_back(policy, user, client):
    reader = reader_of(policy)
    Membership.objects.create(user=user, project=policy, role=Role.VIEWER)
    client.force_login(user)

    for asker in (reader, client):
        problem(send(asker, "post", PUBLISH, {}), 403, "scope_missing")
        problem(send(asker, "post", f"{VERSIONS}1/rollback", {}), 403, "scope_missing")
        problem(send(asker, "post", DRAFTS, {}), 403, "scope_missing")
    assert PolicyVersion.objects.filter(environment__project=policy).count() == 3


def test_explaining_names_the_winner_and_why_others_lost(policy, editor):
    actions.save_rule(policy, "retry", {"id": "rt-all", "tier": "default"}, actor=None)

    told = editor.get(
        EXPLAIN, {"service": "shop", "target": "search.web", "tenant": "acme"}
    ).json()

    by_kind = {one["kind"]: one for one in told["kinds"]}
    assert by_kind["retry"]["winner"] == "rt-search"
    (loser,) = by_kind["retry"]["losers"]
    assert loser == {
        "rule": "rt-all",
        "verdict": "outranked",
        "reason": "rt-search is of tier normal, this is default",
    }
    assert by_kind["fallback"]["winner"] == "fb-search"
    assert told["version"] == 4


def test_explaining_heeds_the_tenant_and_the_kind_in_a_target(policy, editor):
    asked = {"service": "shop", "environment": "", "tenant": "globex"}

    tool = editor.get(EXPLAIN, asked | {"target": "tool:search.web"}).json()
    model = editor.get(EXPLAIN, asked | {"target": "model:search.web"}).json()

    kinds = {one["kind"]: one for one in tool["kinds"]}
    assert kinds["fallback"]["winner"] is None
    assert kinds["retry"]["winner"] == "rt-search"
    assert model["call"]["kind"] == "model"


@pytest.mark.parametrize("asked", [{"kind": ""}, {"service": "s" * 401}, {"no": "1"}])
def test_a_question_that_cannot_be_asked_is_refused(policy, editor, asked):
    answer = editor.get(EXPLAIN, {"service": "shop", "target": "pay"} | asked)

    assert answer.status_code == 400


def test_an_environment_without_a_version_explains_nothing(policy, editor):
    told = editor.get(EXPLAIN, {"service": "shop", "environment": "mars"}).json()

    assert told["version"] is None
    assert told["kinds"] == []


def test_an_instance_known_by_spans_and_by_its_policy_is_one(telemetry, policy, reader):
    running(policy, "shop-1", 3)
    running(
        policy,
        "shop-2",
        2,
        state="REJECTED",
        received_version=3,
        failed_version=3,
        failed_rule="fb-search",
        failed_pointer="/chain/0",
        failed_error="unknown field",
    )

    told = reader.get("/api/v1/instances").json()["items"]

    by_name = {one["instance"]: one for one in told}
    assert list(by_name) == ["crawler-1", "shop-1", "shop-2"]
    assert by_name["crawler-1"]["policy"] is None
    both = by_name["shop-1"]
    assert both["spans"] > 0
    assert both["policy"]["standing"] == "applied"
    assert both["policy"]["running_version"] == 3
    only = by_name["shop-2"]
    assert only["spans"] == 0
    assert only["last_at"] is None
    assert only["policy"]["standing"] == "rejected"
    assert only["policy"]["failed"] == {
        "version": 3,
        "rule": "fb-search",
        "pointer": "/chain/0",
        "error": "unknown field",
    }


def test_services_tell_how_far_their_instances_are(telemetry, policy, reader):
    running(policy, "shop-1", 3)
    running(policy, "shop-2", 2)
    running(policy, "w-1", 3, service="worker")

    told = reader.get("/api/v1/services").json()["items"]

    assert [one["service"] for one in told] == ["crawler", "shop", "worker"]
    crawler, shop, worker = told
    assert crawler["policy"] == []
    assert shop["policy"][0]["sentence"] == "1 of 2 on v3, 1 behind"
    assert shop["calls"] > 0
    assert worker["calls"] == 0
    assert worker["environments"] == ["default"]


def test_services_without_calls_have_their_place_in_the_pages(
    telemetry, policy, reader
):
    for service in ("a-first", "m-middle", "z-last"):
        running(policy, f"{service}-1", 3, service=service)

    seen, after = [], None
    while after is not None or not seen:
        asked = {"limit": 2} | ({"next": after} if after else {})
        page = reader.get("/api/v1/services", asked).json()
        seen += [one["service"] for one in page["items"]]
        after = page["next"]

    assert seen == ["a-first", "crawler", "m-middle", "shop", "z-last"]


def test_a_key_bound_to_a_tenant_learns_nothing_of_rollouts(telemetry, policy):
    running(policy, "w-1", 3, service="worker")
    bound = reader_of(policy, tenant="acme")

    told = bound.get("/api/v1/services").json()["items"]

    assert [one["service"] for one in told] == ["shop"]
    assert told[0]["policy"] == []
