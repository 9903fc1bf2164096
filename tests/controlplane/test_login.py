from __future__ import annotations

import pytest
from django.urls import reverse

from controlplane import actions


@pytest.fixture
def link(user) -> str:
    return reverse("login_link", args=[actions.make_login_link(user, actor=None)])


def test_looking_at_a_link_does_not_spend_it(client, link):
    page = client.get(link)
    again = client.get(link)
    used = client.post(link)

    assert page.status_code == again.status_code == 200
    assert "_auth_user_id" in client.session
    assert used.url == "/"


def test_a_spent_link_says_so(client, link):
    client.post(link)

    assert client.post(link).status_code == 410


def test_a_password_logs_in_and_logging_out_takes_a_post(client, user):
    entered = client.post(
        reverse("login"), {"username": "ada", "password": "correct horse"}
    )
    looked = client.get(reverse("logout"))
    left = client.post(reverse("logout"))

    assert entered.status_code == 302
    assert looked.status_code == 405
    assert left.url == reverse("login")


def test_pages_forbid_inline_scripts_and_frames(client, db):
    response = client.get(reverse("login"))

    policy = response.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["X-Frame-Options"] == "DENY"


def test_a_form_of_another_site_is_refused(user, rf):
    from django.test import Client

    response = Client(enforce_csrf_checks=True).post(
        reverse("login"), {"username": "ada", "password": "correct horse"}
    )

    assert response.status_code == 403
