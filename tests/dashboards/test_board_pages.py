"""Pages over HTTP: who gets in, what they say, and what the script may fetch."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from controlplane.actions import create_key, create_project
from controlplane.models import Membership, Project, Role
from dashboards import panels

pytestmark = pytest.mark.django_db

NOTHING = {"state": "for tests"}


@pytest.fixture
def member(project, user, client):
    Membership.objects.create(project=project, user=user, role=Role.OPERATOR)
    client.force_login(user)
    return user


@pytest.fixture
def secret(db):
    return Project.objects.create(
        slug="secret", name="Secret", created_at=timezone.now()
    )


def test_the_first_page_leads_to_the_board_of_ones_project(member, client):
    answer = client.get("/")

    assert answer.headers["location"] == "/live/?project=acme"


def test_whoever_is_member_of_nothing_is_told_what_to_do(user, client):
    client.force_login(user)

    answer = client.get("/")

    assert answer.status_code == 404
    assert "create_project" in answer.text


@pytest.mark.parametrize("path", ["/", "/live/", "/live/?project=acme&range=6h"])
def test_a_stranger_is_sent_to_the_login_and_back(project, client, path):
    answer = client.get(path)

    assert answer.status_code == 302
    assert answer.headers["location"].startswith("/login/?next=/")


@pytest.mark.parametrize(
    "path",
    [
        "/live/?project=secret",
        "/live/?project=none",
        "/live/data/?project=secret",
        "/live/choices/?project=secret&field=tenant",
    ],
)
def test_a_project_of_others_is_as_absent_as_one_that_is_not(
    member, secret, client, path
):
    assert client.get(path).status_code == 404


def test_the_page_knows_its_project_theme_and_endpoints(member, client):
    client.cookies["theme"] = "dark"
    client.cookies["nav"] = "min"

    page = client.get("/live/?project=acme").text

    assert '<html lang="en" data-theme="dark">' in page
    assert 'data-nav="min"' in page
    assert 'data-project="acme"' in page
    assert 'OTEL_EXPORTER_OTLP_ENDPOINT=<span class="s">"http://testserver"' in page
    assert "Log out" in page


def test_the_theme_is_one_of_two_whatever_the_cookie_says(member, client):
    client.cookies["theme"] = '"><b>'

    assert '<html lang="en">' in client.get("/live/").text


def test_only_what_is_there_is_linked(member, client):
    page = client.get("/live/").text

    assert "API docs" in page
    assert reverse("admin:index") not in page


def test_an_address_that_names_nothing_says_what_is_wrong(member, client):
    answer = client.get("/live/?range=2h")

    assert answer.status_code == 400
    assert "range must be one of" in answer.text


def test_keys_do_not_open_pages(project, client):
    key = create_key(project, scopes=["read"], actor=None).token

    answer = client.get("/live/", headers={"x-api-key": key})

    assert answer.status_code == 404


def test_no_page_runs_a_script_of_its_own(member, client):
    pages = [client.get(path).text for path in ("/live/", "/nothing-here", "/login/x/")]

    for page in pages:
        scripts = re.findall(r"<script(?![^>]*\bsrc=)([^>]*)>", page)
        assert all('type="application/json"' in script for script in scripts)
        assert not re.search(r"\son\w+=", page)


@pytest.mark.parametrize("name", ["403.html", "404.html", "500.html"])
def test_an_error_page_needs_nothing_to_be_drawn(name):
    page = render_to_string(name)

    assert "Go to the live board" in page


def test_every_module_a_page_loads_is_there():
    root = Path(__file__).parents[2] / "static/js"

    for module in root.glob("*.js"):
        for name in re.findall(r"from '\./([\w.]+)'", module.read_text()):
            assert (root / name).exists(), f"{module.name} imports {name}"


def test_the_poll_gives_what_the_socket_would(member, client, monkeypatch):
    monkeypatch.setattr(panels, "live", lambda *_, **__: NOTHING)

    answer = client.get("/live/data/?project=acme&range=6h").json()

    assert answer["type"] == "snapshot"
    assert answer["state"] == NOTHING


@pytest.mark.parametrize("query", ["range=2h", "seq=x"])
def test_the_poll_refuses_what_it_does_not_understand(member, client, query):
    answer = client.get(f"/live/data/?project=acme&{query}")

    assert answer.status_code == 400
    assert answer.json()["type"] == "refused"


def test_the_poll_says_when_the_store_is_not_there(member, client, monkeypatch, caplog):
    def down(*_, now):
        raise ConnectionError

    monkeypatch.setattr(panels, "live", down)

    answer = client.get("/live/data/?project=acme")

    assert answer.status_code == 503
    assert answer.json() == {"type": "trouble"}


def test_choices_are_those_who_made_calls(member, project, client, monkeypatch):
    def run(query, *, project_id, now):
        assert project_id == project.pk
        series = [
            {"labels": {"tenant": name}, "totals": {"calls": calls}}
            for name, calls in (("acme", 1200), (None, 7))
        ]
        return {"meta": {"series_total": 2}, "series": series}

    monkeypatch.setattr(panels.metrics, "run", run)

    answer = client.get("/live/choices/?project=acme&field=tenant")

    assert json.loads(answer.content) == {
        "total": 1,
        "items": [{"value": "acme", "calls": "1,200"}],
    }


@pytest.mark.parametrize(
    ("query", "status"), [("field=color", 404), ("field=tenant&range=2h", 400)]
)
def test_choices_are_of_fields_and_times_that_exist(member, client, query, status):
    assert client.get(f"/live/choices/?project=acme&{query}").status_code == status


def test_an_admin_sees_every_project_in_the_switcher(client):
    create_project("One", actor=None)
    create_project("Two", actor=None)
    client.force_login(get_user_model().objects.create_superuser("root"))

    page = client.get("/live/?project=two").text

    assert 'href="/live/?project=one"' in page
    assert reverse("admin:index") in page
