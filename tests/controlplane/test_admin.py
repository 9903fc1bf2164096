from __future__ import annotations

import pytest
from django.urls import reverse

from controlplane import actions
from controlplane.models import ApiKey, AuditEntry, Membership, Price, Project


@pytest.fixture
def post(admin_client):
    def send(page, /, *args, **fields):
        response = admin_client.post(
            reverse(f"admin:controlplane_{page}", args=args), fields
        )
        if response.status_code == 200:
            pytest.fail(str(response.context["errors"]))
        return response

    return send


def actions_taken() -> list[tuple[str, str]]:
    entries = AuditEntry.objects.order_by("pk")
    return list(entries.values_list("action", "actor_name"))


def test_a_project_is_made_through_its_action(post):
    post("project_add", name="New one", tenant_keys="[]", raw_retention_days="7")

    project = Project.objects.get(slug="new-one")
    assert project.raw_retention_days == 7
    assert ("project.created", "admin") in actions_taken()


def test_a_taken_name_is_an_error_of_the_form(admin_client, project):
    url = reverse("admin:controlplane_project_add")

    response = admin_client.post(
        url, {"name": "Acme", "tenant_keys": "[]", "raw_retention_days": "7"}
    )

    assert "A project of this name exists." in response.content.decode()


def test_a_project_is_changed_through_its_action(post, project):
    post(
        "project_change",
        project.pk,
        name="Acme 2",
        tenant_keys='["org.id"]',
        raw_retention_days="30",
    )

    project.refresh_from_db()
    assert (project.name, project.tenant_keys) == ("Acme 2", ["org.id"])
    assert actions_taken() == [("project.updated", "admin")]


def test_a_key_is_shown_once_and_revoked_by_an_action(post, admin_client, project):
    post("apikey_add", project=project.pk, name="ci", scopes=["read"])
    key = ApiKey.objects.get()
    page = admin_client.get(reverse("admin:controlplane_apikey_changelist"))

    assert f"shown this once: {key.prefix}" in page.content.decode()

    post("apikey_changelist", action="revoke", _selected_action=[key.pk])

    key.refresh_from_db()
    assert key.revoked_at is not None
    assert [name for name, _ in actions_taken()] == ["key.created", "key.revoked"]


def test_a_key_cannot_be_edited(admin_client, project):
    made = actions.create_key(project, scopes=["read"], actor=None)
    url = reverse("admin:controlplane_apikey_change", args=[made.key.pk])

    response = admin_client.post(url, {"scopes": ["write"]})

    assert response.status_code == 403


def test_members_come_and_go_through_actions(post, project, user):
    post("membership_add", project=project.pk, user=user.pk, role="viewer")
    membership = Membership.objects.get()
    post("membership_change", membership.pk, role="admin")
    post("membership_delete", membership.pk, post="yes")

    assert not Membership.objects.exists()
    names = [name for name, _ in actions_taken()]
    assert names == ["member.set", "member.set", "member.removed"]


def test_selected_members_are_removed_one_by_one(post, project, user):
    membership = actions.set_member(project, user=user, role="viewer", actor=None)

    post(
        "membership_changelist",
        action="delete_selected",
        _selected_action=[membership.pk],
        post="yes",
    )

    assert actions_taken()[-1] == ("member.removed", "admin")


def test_a_price_is_set_and_ended(post, project):
    post(
        "price_add",
        project=project.pk,
        kind="tool",
        target="search",
        unit="call",
        nano_usd="1000",
        valid_from_0="2026-01-01",
        valid_from_1="00:00:00",
    )
    price = Price.objects.get()
    post("price_changelist", action="end", _selected_action=[price.pk])

    price.refresh_from_db()
    assert price.valid_to is not None
    assert [name for name, _ in actions_taken()] == ["price.set", "price.ended"]


@pytest.mark.parametrize("page", ["add", "changelist"])
def test_the_audit_trail_can_only_be_read(admin_client, page, project):
    url = reverse(f"admin:controlplane_auditentry_{page}")

    assert admin_client.get(url).status_code == (403 if page == "add" else 200)
