from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from controlplane import actions, hints, rulebook
from controlplane.compiling import snapshot_for
from controlplane.models import AuditEntry, PolicyVersion, RetryRule, RuleChange
from switchgear.policy.documents.snapshot import read_snapshot
from tests.controlplane.policies import (
    OF_EACH_KIND,
    fallback,
    kill_switch,
    quota,
    retry,
    timeout,
)


@pytest.fixture
def prod(project):
    """An environment that somebody asked for, so that edits give it versions."""
    snapshot_for(project.pk, "prod", "shop")
    return "prod"


@pytest.fixture
def save(project, user):
    def make(document, **how):
        return actions.save_rule(project, document["kind"], document, actor=user, **how)

    return make


def numbers(project, environment="prod"):
    versions = PolicyVersion.objects.of_environment(project.pk, environment)
    return [version.number for version in versions]


def told(project, environment="prod", service="shop"):
    """The rules a service is told, by id."""
    body = snapshot_for(project.pk, environment, service).body
    return {rule.id: rule for rule in read_snapshot(body).rules}


@pytest.mark.parametrize("document", OF_EACH_KIND, ids=lambda each: each["kind"])
def test_what_is_saved_is_what_services_are_told(project, prod, save, document):
    if document["kind"] == "fallback":
        document = document | {"selector": {"target": "tool:search"}}

    view = save(document)

    assert told(project) == {document["id"]: view.rule}
    assert numbers(project) == [2, 1]


def test_an_edit_says_who_when_and_why(project, prod, save, user):
    save(retry(max_attempts=3, owner="team-search"))
    view = save(retry(max_attempts=5), reason="search flaps")

    change = RuleChange.objects.of_rule(project, "rt").first()
    version = PolicyVersion.objects.of_environment(project.pk, "prod").first()
    entry = AuditEntry.objects.latest("pk")
    assert (view.rev, view.reason, view.updated_by) == (2, "search flaps", "ada")
    assert (change.before["max_attempts"], change.after["max_attempts"]) == (3, 5)
    assert (change.before["owner"], change.actor) == ("team-search", user)
    assert (version.reason, version.actor_name) == ("search flaps", "ada")
    assert (entry.action, entry.subject) == ("rule.saved", "rt")
    assert entry.after["max_attempts"] == 5


def test_a_key_that_edits_is_named_everywhere(project, prod):
    view = actions.save_rule(
        project, "retry", retry(), actor=None, actor_name="key sg_12ab"
    )

    assert view.updated_by == "key sg_12ab"
    assert RuleChange.objects.get().actor_name == "key sg_12ab"
    assert AuditEntry.objects.latest("pk").actor_name == "key sg_12ab"
    version = PolicyVersion.objects.of_environment(project.pk, "prod").first()
    assert version.actor_name == "key sg_12ab"


def test_a_save_that_changes_nothing_makes_nothing(project, prod, save):
    save(retry(max_attempts=4))
    before = AuditEntry.objects.count()

    view = save(retry(max_attempts=4, mode="enforce"))

    assert view.rev == 1
    assert numbers(project) == [2, 1]
    assert RuleChange.objects.count() == 1
    assert AuditEntry.objects.count() == before


def test_an_edit_makes_versions_only_where_it_concerns_calls(project, prod, save):
    snapshot_for(project.pk, "staging", "shop")

    save(retry(selector={"environment": "staging"}))

    assert numbers(project, "prod") == [1]
    assert numbers(project, "staging") == [2, 1]


def test_a_rule_that_leaves_an_environment_makes_a_version_there(project, prod, save):
    save(retry())

    save(retry(selector={"environment": "staging"}))

    assert numbers(project) == [3, 2, 1]
    assert told(project) == {}


def test_versions_are_announced_when_they_are_committed(
    project, prod, save, monkeypatch, django_capture_on_commit_callbacks
):
    heard = []
    monkeypatch.setattr(hints, "announce", lambda *hint: heard.append(hint))

    with django_capture_on_commit_callbacks(execute=True):
        save(retry())
        assert heard == []

    assert heard == [(project.pk, "prod", 2)]


def test_a_hint_that_goes_astray_does_not_look_like_a_failed_edit(
    project, prod, save, monkeypatch, django_capture_on_commit_callbacks
):
    def fail(*hint):
        raise OSError

    monkeypatch.setattr(hints, "announce", fail)

    with django_capture_on_commit_callbacks(execute=True):
        save(retry())

    assert numbers(project) == [2, 1]


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        (retry(max_attempts=None), "/max_attempts"),
        (retry(max_attempts=float("nan")), "/max_attempts"),
        (retry(max_attempts=10**30), "/max_attempts"),
        (retry(max_attempts=-1), "/max_attempts"),
        (retry(max_attempts=True), "/max_attempts"),
        (retry(retry_on=[]), "/retry_on"),
        (retry(retry_on=["timeout", "timeout"]), "/retry_on/1"),
        (retry(mode=""), "/mode"),
        (retry(expires_at="tomorrow"), "/expires_at"),
        (retry(max_attempts="3"), "/max_attempts"),
        (retry(max_atempts=3), "/max_atempts"),
        (retry(wait_duration_ms=500, max_wait_ms=100), "/max_wait_ms"),
        (retry(selector={"tool": "search"}), "/selector/tool"),
        (retry(selector={"target": " "}), "/selector/target"),
        (retry(slug=""), "/id"),
        (retry(owner=5), "/owner"),
        (retry(owner="x" * 101), "/owner"),
        (retry(owner="a\0b"), "/owner"),
        (retry(owner="half \ud83d"), "/owner"),
        (retry(slug="half-\ud83d"), "/id"),
        ({"kind": "retry"}, "/id"),
        (fallback("fb", "search"), "/chain"),
        (kill_switch(hours=25), "/expires_at"),
        (kill_switch(hours=-1), "/expires_at"),
        (quota(limit=5), "/limit"),
    ],
)
def test_bad_input_is_refused_at_its_field_and_leaves_no_trace(
    project, prod, save, document, pointer
):
    before = AuditEntry.objects.count()

    with pytest.raises(actions.PolicyRefused) as refused:
        save(document)

    assert refused.value.pointer == pointer
    assert rulebook.rules_in(project) == []
    assert numbers(project) == [1]
    assert AuditEntry.objects.count() == before


def test_the_kind_of_a_document_is_that_of_its_place(project, user):
    with pytest.raises(actions.PolicyRefused, match="must be timeout here"):
        actions.save_rule(project, "timeout", retry(), actor=user)


@pytest.mark.parametrize("reason", ["x" * 501, "a\0b", "a\nb", "half \ud83d"])
def test_a_reason_is_a_line_that_any_database_takes(project, save, reason):
    with pytest.raises(actions.PolicyRefused) as refused:
        save(retry(), reason=reason)

    assert refused.value.pointer == "/reason"


def test_a_document_deeper_than_any_rule_is_refused_where_it_goes_too_deep(
    project, user
):
    deep = "end"
    for _ in range(5_000):
        deep = {"not": [deep]}

    with pytest.raises(actions.PolicyRefused) as refused:
        actions.save_rule(
            project, "retry", retry(selector={"tenant": deep}), actor=user
        )

    assert refused.value.pointer.startswith("/selector/tenant/not/0/not")
    assert len(refused.value.pointer) < 200


@pytest.mark.parametrize("document", [None, [], "retry", 5])
def test_what_is_no_object_is_no_rule(project, user, document):
    with pytest.raises(actions.PolicyRefused, match="must be an object"):
        actions.create_rule(project, "retry", document, actor=user)


def test_fallbacks_that_come_back_are_refused_naming_the_way(project, prod, save):
    save(fallback("fb-1", "tool:a", "tool:b"))
    save(fallback("fb-2", "tool:b", "tool:c"))

    with pytest.raises(actions.PolicyRefused) as refused:
        save(fallback("fb-3", "tool:c", "tool:a"))

    assert refused.value.pointer == "/chain"
    for target in ("tool:a", "tool:b", "tool:c"):
        assert target in refused.value.message
    assert numbers(project) == [3, 2, 1]


def test_a_quota_is_a_part_of_a_quota_that_is_there(project, save):
    save(retry("rt"))

    for parent in ("nowhere", "rt"):
        with pytest.raises(actions.PolicyRefused) as refused:
            save(quota("q", parent=parent))
        assert refused.value.pointer == "/parent"


def test_quotas_are_not_parts_of_each_other(project, save):
    save(quota("whole"))
    save(quota("part", parent="whole"))

    with pytest.raises(actions.PolicyRefused, match="contains itself"):
        save(quota("whole", parent="part"))


def test_a_quota_that_has_parts_cannot_go(project, save, user):
    save(quota("whole"))
    save(quota("part", parent="whole"))

    with pytest.raises(actions.PolicyRefused, match="part: whole is no quota"):
        actions.delete_rule(project, "whole", actor=user)


def test_the_whole_comes_along_with_its_part(project, prod, save):
    save(quota("whole", selector={"service": "billing"}))
    save(quota("part", parent="whole", selector={"service": "shop"}))

    assert set(told(project, service="shop")) == {"part", "whole"}
    assert set(told(project, service="billing")) == {"whole"}


def test_an_edit_of_what_has_changed_meanwhile_is_refused(project, save):
    save(retry(max_attempts=2))
    save(retry(max_attempts=3))

    with pytest.raises(actions.RuleChanged, match="revision 2"):
        save(retry(max_attempts=4), rev=1)
    with pytest.raises(actions.RuleChanged):
        save(retry(max_attempts=4, rev=1))

    assert RetryRule.objects.get().max_attempts == 3
    assert save(retry(max_attempts=4), rev=2).rev == 3


def test_an_edit_of_what_is_gone_is_refused(project, save):
    with pytest.raises(actions.RuleChanged, match="is gone"):
        save(retry(), rev=1)


def test_making_a_rule_does_not_overwrite_one(project, save, user):
    save(retry("same"))

    with pytest.raises(actions.PolicyRefused) as refused:
        actions.create_rule(project, "timeout", timeout("same"), actor=user)

    assert refused.value.pointer == "/id"
    assert refused.value.message == "same is the id of a retry rule already"


def test_an_id_names_one_rule_over_all_kinds(project, save):
    save(retry("same"))

    with pytest.raises(actions.PolicyRefused, match="a rule keeps its kind"):
        save(timeout("same"))


def test_a_rule_is_deleted_and_counts_on_when_it_comes_back(project, prod, save, user):
    save(retry())
    actions.delete_rule(project, "rt", actor=user, reason="not needed")

    assert told(project) == {}
    assert AuditEntry.objects.latest("pk").action == "rule.deleted"
    assert save(retry()).rev == 3
    assert [change.rev for change in RuleChange.objects.order_by("pk")] == [1, 2, 3]


def test_what_is_not_there_cannot_be_deleted(project, user):
    with pytest.raises(actions.PolicyRefused, match="no rule rt"):
        actions.delete_rule(project, "rt", actor=user)


def test_rules_of_one_project_are_nobody_elses(project, prod, save, user):
    other = actions.create_project("Other", actor=None)
    snapshot_for(other.pk, "prod", "shop")

    save(retry())

    assert told(other) == {}
    assert numbers(other) == [1]
    with pytest.raises(actions.PolicyRefused):
        actions.delete_rule(other, "rt", actor=user)


def test_an_expired_rule_is_told_and_shown_as_expired(project, prod, save):
    view = save(kill_switch(hours=1))
    later = timezone.now() + timedelta(hours=2)

    assert not view.expired(timezone.now())
    assert view.expired(later)
    assert set(told(project)) == {"ks"}


def test_a_policy_larger_than_any_service_takes_is_refused(project, save, monkeypatch):
    monkeypatch.setattr("controlplane.actions.checking.MAX_RULES", 2)
    save(retry("a"))
    save(retry("b"))

    with pytest.raises(actions.PolicyRefused, match="at most 2 rules") as refused:
        save(retry("c"))

    assert refused.value.pointer == "/rules"


def test_a_policy_of_more_bytes_than_any_service_takes_is_refused(
    project, save, monkeypatch
):
    monkeypatch.setattr("controlplane.actions.checking.MOST_RULE_BYTES", 600)
    save(retry("a"))

    with pytest.raises(actions.PolicyRefused, match="at most 600 bytes"):
        save(retry("b"))


def test_the_rules_of_a_project_cost_a_fixed_number_of_queries(
    project, save, django_assert_num_queries
):
    for document in OF_EACH_KIND:
        save(document)

    with django_assert_num_queries(9):  # one per kind
        assert len(rulebook.rules_in(project)) == 9
