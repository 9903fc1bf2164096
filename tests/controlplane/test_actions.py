from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.utils import timezone

from controlplane import actions
from controlplane.actions import projects
from controlplane.models import AuditEntry, LoginLink, Price, Project


def test_a_project_has_a_readable_slug_and_an_audit_entry(db, user):
    project = actions.create_project("Übung & Co", actor=user)

    entry = AuditEntry.objects.get()
    assert project.slug == "ubung-co"
    assert (entry.action, entry.actor, entry.actor_name) == (
        "project.created",
        user,
        "ada",
    )
    assert entry.after["raw_retention_days"] == 14


def test_a_name_without_letters_we_can_spell_still_gets_a_slug(db):
    project = actions.create_project("東京", actor=None)

    assert project.slug.startswith("project-")
    assert actions.find_or_create_project("東京", actor=None) == project


def test_a_project_is_made_once(db):
    actions.create_project("Acme", actor=None)

    with pytest.raises(ValidationError):
        actions.create_project("acme", actor=None)


def test_a_refused_write_leaves_no_audit_entry(project):
    with pytest.raises(ValidationError):
        actions.update_project(
            project, name="Acme", tenant_keys=[], raw_retention_days=-1, actor=None
        )

    assert not AuditEntry.objects.exists()


def test_whoever_comes_second_finds_the_project_of_the_first(project, monkeypatch):
    """Two processes look, see nothing, and both insert."""
    looks = iter([None, project])
    monkeypatch.setattr(projects, "project_named", lambda _: next(looks))

    def lost_the_race(*args, **kwargs):
        raise IntegrityError

    monkeypatch.setattr(projects, "create_project", lost_the_race)

    assert actions.find_or_create_project("Acme", actor=None) == project


def test_an_insert_that_fails_for_another_reason_is_not_hidden(db, monkeypatch):
    def fail(*args, **kwargs):
        raise IntegrityError

    monkeypatch.setattr(projects, "create_project", fail)

    with pytest.raises(IntegrityError):
        actions.find_or_create_project("Acme", actor=None)


@pytest.mark.parametrize(
    ("scopes", "code"), [(["ingest", "fly"], "unknown_scope"), ([""], "no_scope")]
)
def test_a_key_has_scopes_that_exist(project, scopes, code):
    with pytest.raises(ValidationError) as refused:
        actions.create_key(project, scopes=scopes, actor=None)

    assert refused.value.code == code


def test_an_unknown_role_is_refused(project, user):
    with pytest.raises(ValidationError):
        actions.set_member(project, user=user, role="king", actor=None)


def test_a_changed_role_is_audited_with_what_it_was(project, user):
    actions.set_member(project, user=user, role="viewer", actor=None)
    actions.set_member(project, user=user, role="admin", actor=user)

    entry = AuditEntry.objects.latest("pk")
    assert (entry.before, entry.after) == ({"role": "viewer"}, {"role": "admin"})


def test_a_login_link_lets_its_user_in_once(user):
    token = actions.make_login_link(user, actor=None)

    assert actions.use_login_link(token) == user
    assert actions.use_login_link(token) is None
    assert token not in repr(LoginLink.objects.values().get())


def test_an_old_link_lets_nobody_in(user):
    token = actions.make_login_link(user, actor=None)
    past = timezone.now() - timedelta(days=2)
    LoginLink.objects.update(created_at=past, expires_at=past + timedelta(days=1))

    assert actions.use_login_link(token) is None


def test_a_link_of_a_disabled_user_lets_nobody_in(user):
    token = actions.make_login_link(user, actor=None)
    user.is_active = False
    user.save()

    assert actions.use_login_link(token) is None


def test_a_price_that_never_began_is_removed(project):
    tomorrow = timezone.now() + timedelta(days=1)
    price = actions.set_price(
        project,
        kind="tool",
        target="search",
        unit="call",
        nano_usd=1,
        valid_from=tomorrow,
        actor=None,
    )

    actions.end_price(price, actor=None)

    assert not Price.objects.exists()


def test_a_price_ends_once(project):
    price = actions.set_price(
        project, kind="tool", target="search", unit="call", nano_usd=1, actor=None
    )
    actions.end_price(price, actor=None)

    with pytest.raises(ValidationError):
        actions.end_price(price, actor=None)


def test_a_price_of_an_unknown_kind_is_refused(project):
    with pytest.raises(ValidationError):
        actions.set_price(
            project, kind="car", target="x", unit="call", nano_usd=1, actor=None
        )

    assert Project.objects.get().prices.count() == 0
