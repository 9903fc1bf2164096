from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from controlplane import first_run, keys
from controlplane.models import ApiKey, Project, Role


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def test_a_key_is_all_that_create_key_prints(db):
    printed = run("create_key", "--project", "My Project", "--scopes", "ingest,read")

    token = printed.strip()
    assert printed == f"{token}\n"
    access = keys.authenticate([(b"x-api-key", token.encode())])
    assert access.scopes == {"ingest", "read"}
    assert access.project.slug == "my-project"


def test_a_second_key_is_for_the_same_project(project):
    run("create_key", "--project", "Acme", "--scopes", "ingest")
    run("create_key", "--project", "acme", "--scopes", "read", "--tenant", "t1")

    assert Project.objects.get().keys.count() == 2
    assert ApiKey.objects.latest("pk").tenant == "t1"


def test_an_unknown_scope_is_an_error_and_makes_no_key(project):
    with pytest.raises(CommandError, match="fly"):
        run("create_key", "--project", "Acme", "--scopes", "fly")

    assert not ApiKey.objects.exists()


def test_create_project_prints_its_slug_and_refuses_a_second(db):
    assert run("create_project", "My Project") == "my-project\n"

    with pytest.raises(CommandError):
        run("create_project", "My Project")


def test_a_login_link_is_printed_for_people_who_exist(user, client):
    link = run("login_link", "ada").strip()

    response = client.post(link.removeprefix("http://127.0.0.1:8000"))

    assert response.status_code == 302
    with pytest.raises(CommandError, match="nobody"):
        run("login_link", "nobody")


def test_the_first_start_makes_a_way_in_and_a_key(db):
    welcome = first_run.prepare()

    assert welcome.login_token
    headers = [(b"x-api-key", welcome.ingest_key.encode())]
    assert keys.authenticate(headers).scopes == {"ingest"}
    project = Project.objects.get()
    assert project.memberships.get().role == Role.OWNER


def test_a_start_gives_links_until_the_admin_was_in_and_never_a_second_key(db, client):
    first_run.prepare()

    second = first_run.prepare()
    client.post(f"/login/{second.login_token}/")
    third = first_run.prepare()

    assert second.ingest_key is None
    assert second.login_token
    assert third.login_token is None
    assert Project.objects.count() == 1


def test_no_admin_is_made_where_operators_made_their_own_users(user):
    assert first_run.prepare().login_token is None
