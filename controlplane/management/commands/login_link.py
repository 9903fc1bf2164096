"""Print a link that logs a user in once, for whoever has no password (any more)."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse

from controlplane import actions


class Command(BaseCommand):
    help = __doc__ or ""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username", nargs="?", default="admin")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["username"], is_active=True).first()
        if user is None:
            msg = f"There is no active user {options['username']}."
            raise CommandError(msg)
        token = actions.make_login_link(user, actor=None)
        base = settings.PUBLIC_URL or f"http://{settings.HOST}:{settings.PORT}"
        self.stdout.write(base + reverse("login_link", args=[token]))
