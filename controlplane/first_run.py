"""What a new installation needs before anyone can use it: tables, an admin, a key."""

from __future__ import annotations

import contextlib
from typing import NamedTuple

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import IntegrityError

from controlplane import actions
from controlplane.models import ApiKey, Role

ADMIN = "admin"
PROJECT = "Default"


class Welcome(NamedTuple):
    """What is shown once: a way in for people, and one for spans."""

    login_token: str | None
    ingest_key: str | None


def migrate() -> None:
    for alias in settings.DATABASES:
        call_command("migrate", database=alias, verbosity=0, interactive=False)


def prepare() -> Welcome:
    """Make what is missing. Until the admin was in, each start gives a new link."""
    project = actions.find_or_create_project(PROJECT, actor=None)
    admin = first_admin()
    token = None
    if admin is not None and admin.last_login is None:
        if not admin.memberships.filter(project=project).exists():
            actions.set_member(project, user=admin, role=Role.OWNER, actor=None)
        token = actions.make_login_link(admin, actor=None)
    return Welcome(token, first_key())


def first_admin() -> User | None:
    """The admin we made, or None when operators have made users of their own."""
    if not User.objects.exists():
        # Of several servers that start together, one makes it and all find it.
        with contextlib.suppress(IntegrityError):
            return User.objects.create_superuser(ADMIN)
    return User.objects.filter(username=ADMIN, is_superuser=True).first()


def first_key() -> str | None:
    if ApiKey.objects.exists():
        return None
    project = actions.find_or_create_project(PROJECT, actor=None)
    made = actions.create_key(
        project, scopes=["ingest"], name="made at the first start", actor=None
    )
    return made.token
