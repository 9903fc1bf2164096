"""Make an API key and print it, and nothing else, on standard output.

The project is made when it is absent. A running server accepts the key at once.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from controlplane import actions


class Command(BaseCommand):
    help = __doc__ or ""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--project", required=True, help="its name")
        parser.add_argument("--scopes", default="ingest", help="separated by commas")
        parser.add_argument("--name", default="", help="a note for people")
        parser.add_argument("--tenant", help="all it sends belongs to this tenant")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            made = actions.create_key(
                actions.find_or_create_project(options["project"], actor=None),
                scopes=options["scopes"].split(","),
                name=options["name"],
                tenant=options["tenant"],
                actor=None,
            )
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        self.stdout.write(made.token)
