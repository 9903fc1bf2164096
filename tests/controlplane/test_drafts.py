from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from controlplane import actions, rulebook
from controlplane.compiling import snapshot_for
from controlplane.models import AuditEntry, Draft, PolicyVersion, RuleChange
from controlplane.rulebook import Change
from tests.controlplane.policies import (
    fallback,
    kill_switch,
    quota,
    retry,
    timeout,
)


@pytest.fixture
def save(project, user):
    def make(document, **how):
        return actions.save_rule(project, document["kind"], document, actor=user, **how)

    return make


@pytest.fixture
def draft(project, user):
    snapshot_for(project.pk, "prod", "shop")
    return actions.open_draft(project, title="Calm the search", actor=user)


def numbers(project):
    versions = PolicyVersion.objects.of_environment(project.pk, "prod")
    return [version.number for version in versions]


def seen(project, draft):
    views = rulebook.rules_in(project, draft)
    return {view.id: view.change for view in views}


def test_edits_in_a_draft_are_for_nobody_yet(project, draft, save):
    view = save(retry(max_attempts=5), draft=draft, reason="flaps")

    assert rulebook.rules_in(project) == []
    assert numbers(project) == [1]
    assert (view.change, view.rule.max_attempts) == (Change.ADDED, 5)
    assert (view.reason, view.updated_by) == ("flaps", "ada")
    assert RuleChange.objects.count() == 0


def test_a_draft_shows_what_it_adds_changes_and_removes(project, save, user, draft):
    save(retry("stays"))
    save(retry("changes"))
    save(retry("goes"))
    draft = actions.open_draft(project, actor=user)

    save(retry("changes", max_attempts=9), draft=draft)
    save(timeout("comes"), draft=draft)
    actions.delete_rule(project, "goes", actor=user, draft=draft)

    assert seen(project, draft) == {
        "changes": Change.CHANGED,
        "comes": Change.ADDED,
        "goes": Change.REMOVED,
        "stays": Change.NONE,
    }
    assert set(seen(project, None).values()) == {Change.NONE}


def test_publishing_a_draft_is_one_version_with_all_of_it(project, save, user, draft):
    save(retry("one"), draft=draft, reason="first")
    save(timeout("two"), draft=draft)

    published = actions.publish_draft(draft, actor=user)

    assert numbers(project) == [2, 1]
    assert [version.number for version in published.versions] == [2]
    assert set(seen(project, None)) == {"one", "two"}
    reasons = dict(RuleChange.objects.values_list("slug", "reason"))
    assert reasons == {"one": "first", "two": "Calm the search"}
    assert AuditEntry.objects.latest("pk").after["versions"] == ["prod v2"]
    draft.refresh_from_db()
    assert draft.state == "published"
    assert draft.closed_at is not None


@pytest.mark.parametrize("end", [actions.publish_draft, actions.discard_draft])
def test_a_draft_ends_once(project, save, user, draft, end):
    end(draft, actor=user)

    for again in (actions.publish_draft, actions.discard_draft, actions.rebase_draft):
        with pytest.raises(actions.PolicyRefused, match="already"):
            again(draft, actor=user)
    with pytest.raises(actions.PolicyRefused, match="already"):
        save(retry(), draft=draft)


def test_a_discarded_draft_leaves_everything_as_it_was(project, save, user, draft):
    save(retry(), draft=draft)

    actions.discard_draft(draft, actor=user)

    assert rulebook.rules_in(project) == []
    assert numbers(project) == [1]
    assert draft.changes.count() == 1


def test_a_removal_waits_for_the_draft_too(project, save, user, draft):
    save(retry("goes"))
    draft = actions.open_draft(project, actor=user)
    actions.delete_rule(project, "goes", actor=user, draft=draft, reason="unused")

    assert set(seen(project, None)) == {"goes"}
    actions.publish_draft(draft, actor=user)

    assert rulebook.rules_in(project) == []
    assert RuleChange.objects.latest("pk").reason == "unused"
    assert numbers(project) == [3, 2, 1]


def test_what_others_have_removed_meanwhile_is_removed_once(project, save, user, draft):
    save(retry("goes"))
    draft = actions.open_draft(project, actor=user)
    actions.delete_rule(project, "goes", actor=user, draft=draft)
    actions.delete_rule(project, "goes", actor=user)

    assert seen(project, draft) == {}
    actions.rebase_draft(draft, actor=user)
    published = actions.publish_draft(draft, actor=user)

    assert (published.changes, published.versions) == ([], [])


def test_an_edit_that_is_undone_in_the_draft_is_none(project, save, user, draft):
    save(retry(max_attempts=3, owner="a"))
    draft = actions.open_draft(project, actor=user)
    save(retry(max_attempts=5, owner="a"), draft=draft)
    save(timeout("new"), draft=draft)

    save(retry(max_attempts=3, owner="a"), draft=draft)
    actions.delete_rule(project, "new", actor=user, draft=draft)

    assert draft.changes.count() == 0
    assert seen(project, draft) == {"rt": Change.NONE}


def test_one_edit_is_taken_back_and_the_rest_stays(project, save, user, draft):
    save(retry("one"), draft=draft)
    save(retry("two"), draft=draft)

    actions.take_back(draft, "one", actor=user)

    assert set(seen(project, draft)) == {"two"}
    with pytest.raises(actions.PolicyRefused, match="does nothing to one"):
        actions.take_back(draft, "one", actor=user)


def test_what_others_need_is_not_taken_back(project, save, user, draft):
    save(quota("whole"), draft=draft)
    save(quota("part", parent="whole"), draft=draft)

    with pytest.raises(actions.PolicyRefused) as refused:
        actions.take_back(draft, "whole", actor=user)

    assert refused.value.pointer == "/parent"
    assert set(seen(project, draft)) == {"part", "whole"}


def test_a_draft_is_checked_as_a_whole_while_it_grows(project, save, draft):
    save(fallback("one", "tool:a", "tool:b"))
    save(fallback("two", "tool:b", "tool:c"), draft=draft)

    with pytest.raises(actions.PolicyRefused) as refused:
        save(fallback("three", "tool:c", "tool:a"), draft=draft)

    assert refused.value.pointer == "/chain"
    assert set(seen(project, draft)) == {"one", "two"}


def test_a_draft_on_a_base_that_moved_is_refused_with_what_moved(
    project, save, user, draft
):
    save(retry("mine"), draft=draft)
    save(retry("theirs", max_attempts=3))
    save(retry("theirs", max_attempts=7))

    with pytest.raises(actions.DraftMoved) as refused:
        actions.publish_draft(draft, actor=user)

    [moved] = refused.value.moved
    assert "theirs" in moved
    assert numbers(project) == [3, 2, 1]


def test_a_rebased_draft_can_be_published(project, save, user, draft):
    save(retry("mine"), draft=draft)
    save(retry("theirs"))

    moved = actions.rebase_draft(draft, actor=user)
    actions.publish_draft(draft, actor=user)

    assert [sentence.rule for sentence in moved] == ["theirs"]
    assert set(seen(project, None)) == {"mine", "theirs"}


def test_what_moved_there_and_back_has_not_moved(project, save, user, draft):
    save(retry("mine"), draft=draft)
    save(retry("theirs"))
    actions.delete_rule(project, "theirs", actor=user)

    actions.publish_draft(draft, actor=user)

    assert set(seen(project, None)) == {"mine"}


def test_rebasing_checks_the_edits_against_the_rules_of_now(project, save, user, draft):
    save(fallback("one", "tool:a", "tool:b"), draft=draft)
    save(fallback("two", "tool:b", "tool:a"))

    with pytest.raises(actions.PolicyRefused) as refused:
        actions.rebase_draft(draft, actor=user)

    assert refused.value.pointer == "/chain"
    with pytest.raises(actions.DraftMoved):
        actions.publish_draft(draft, actor=user)


def test_two_drafts_do_not_see_each_other(project, save, user, draft):
    other = actions.open_draft(project, title="Other", actor=user)
    save(retry("mine"), draft=draft)
    save(retry("theirs"), draft=other)

    actions.publish_draft(other, actor=user)

    assert set(seen(project, draft)) == {"mine", "theirs"}
    with pytest.raises(actions.DraftMoved):
        actions.publish_draft(draft, actor=user)


def test_an_edit_in_a_draft_of_what_has_changed_meanwhile_is_refused(
    project, save, draft
):
    save(retry())
    save(retry(max_attempts=7))

    with pytest.raises(actions.RuleChanged):
        save(retry(max_attempts=5), draft=draft, rev=1)

    save(retry(max_attempts=5), draft=draft, rev=2)
    save(retry(max_attempts=6), draft=draft, rev=2)


def test_the_draft_of_another_project_takes_no_edits(project, draft, user):
    other = actions.create_project("Other", actor=None)

    with pytest.raises(Draft.DoesNotExist):
        actions.save_rule(other, "retry", retry(), actor=user, draft=draft)


def test_a_draft_is_open_or_it_has_ended(draft):
    with pytest.raises(IntegrityError, match="draft_closed"), transaction.atomic():
        Draft.objects.filter(pk=draft.pk).update(state="published")


def test_a_rule_that_ended_while_the_draft_lay_is_not_published(
    project, save, user, draft, monkeypatch
):
    save(kill_switch("ks", hours=1), draft=draft)
    later = timezone.now() + timedelta(hours=2)
    monkeypatch.setattr("django.utils.timezone.now", lambda: later)

    with pytest.raises(actions.PolicyRefused, match="ks would have ended") as refused:
        actions.publish_draft(draft, actor=user)

    assert refused.value.pointer == "/expires_at"
    assert rulebook.rules_in(project) == []


def test_a_title_has_an_end(project, user):
    with pytest.raises(actions.PolicyRefused):
        actions.open_draft(project, title="x" * 201, actor=user)

    assert actions.open_draft(project, actor=user).title == "Draft of ada"
