"""Start everything, and a fleet of services that are seen and obey.

They fill the last 24 hours of the project Demo (or what is missing since the last time)
and then go on, each instance in a process of its own, until the server stops. The rules
they obey are made once, and then the visitor's.
"""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from django.utils import timezone

from controlplane import actions, first_run
from controlplane.management.commands.up import url_host
from controlplane.models import Price, Project, RuleChange
from dashboards.demo.rules import first_rules
from dashboards.demo.services import ENVIRONMENT
from ingest.queries.presence import presence

PROJECT = "Demo"
NAME = "manage.py demo"
PRICES = {
    "search.web": ("call", 5_000_000),
    "browser.fetch": ("call", 2_000_000),
    "pdf.extract": ("call", 8_000_000),
    "code.run": ("second", 400_000),
}


class Command(BaseCommand):
    help = __doc__ or ""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--history",
            type=float,
            default=24,
            help="hours of the past to fill (24)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            # Imported here: the exporters come with the extra "demo" only.
            from dashboards.demo.fleet import Fleet
        except ImportError as error:
            msg = f"{error}. The fleet needs: pip install 'switchgear-server[demo]'"
            raise CommandError(msg) from error
        first_run.migrate()
        # The first project is the one that the pages open with.
        project = actions.find_or_create_project(PROJECT, actor=None)
        fleet = Fleet(
            f"http://{url_host()}:{settings.PORT}",
            settings.DATA_DIR / "fleet",
            errand=lambda: errand(project, options["history"] * 3600),
        )
        fleet.begin()
        try:
            call_command("up")
        finally:
            fleet.end()


def errand(project: Project, wanted_s: float) -> tuple[str, float]:
    """A key for the fleet, and how much of the past it has to fill."""
    try:
        set_prices(project)
        make_first_rules(project)
        made = actions.create_key(
            project, scopes=["ingest", "policy"], name="the demo fleet", actor=None
        )
        return made.token, missing_s(project, wanted_s)
    finally:
        # Asked on a thread of the fleet's own: nobody else closes its connections.
        connections.close_all()


def set_prices(project: Project) -> None:
    """Models have public prices; tools have those that their operator knows."""
    if Price.objects.of_project(project).exists():
        return
    since = timezone.now() - timedelta(days=2)
    for tool, (unit, nano_usd) in PRICES.items():
        actions.set_price(
            project,
            kind="tool",
            target=tool,
            unit=unit,
            nano_usd=nano_usd,
            valid_from=since,
            actor=None,
        )


def make_first_rules(project: Project) -> None:
    """Once: what visitors made of them since is theirs, an empty list included."""
    if RuleChange.objects.filter(project=project).exists():
        return
    # Version 1 has no rules: going back to it shows what they are good for.
    actions.first_version(project.pk, ENVIRONMENT)
    draft = actions.open_draft(
        project, title="The first rules", actor=None, actor_name=NAME
    )
    for document, reason in first_rules(timezone.now()):
        actions.create_rule(
            project,
            document["kind"],
            document,
            actor=None,
            actor_name=NAME,
            reason=reason,
            draft=draft,
        )
    reason = "What the demo begins with"
    actions.publish_draft(draft, actor=None, actor_name=NAME, reason=reason)


def missing_s(project: Project, wanted_s: float) -> float:
    """How much of the past is not there yet."""
    last = presence(project.pk).last_call
    if last is None:
        return wanted_s
    return min(wanted_s, max(0.0, timezone.now().timestamp() - last))
