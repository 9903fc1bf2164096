"""Write the rules of a project to a file, or make them those of a file."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from controlplane import actions, policyfile, rulebook
from controlplane.actions import PolicyRefused, Published
from controlplane.models import Project
from switchgear.policy import rules as kernel
from switchgear.policy.review import review
from switchgear.policy.review.changes import sentences

Rules = dict[str, kernel.Rule]


class Command(BaseCommand):
    help = __doc__ or ""

    def add_arguments(self, parser: ArgumentParser) -> None:
        ways = parser.add_subparsers(dest="way", required=True)
        for way, what in (
            ("export", "write all rules; - is standard output"),
            ("import", "make the rules those of the file, and no others; - is input"),
        ):
            one = ways.add_parser(way, help=what)
            one.add_argument("file")
            one.add_argument("--project", required=True, help="its name")
            if way == "import":
                one.add_argument("--reason", default="", help="kept in the history")
                one.add_argument(
                    "--dry-run", action="store_true", help="only say what would change"
                )

    def handle(self, *args: Any, **options: Any) -> None:
        project = actions.project_named(options["project"])
        if project is None:
            msg = f"There is no project {options['project']}."
            raise CommandError(msg)
        if options["way"] == "export":
            self.export(project, options["file"])
            return
        try:
            self.import_(
                project,
                options["file"],
                reason=options["reason"],
                dry=options["dry_run"],
            )
        except PolicyRefused as error:
            msg = f"{options['file']}{error.pointer}: {error.message}"
            raise CommandError(msg) from error

    def export(self, project: Project, file: str) -> None:
        text = policyfile.exported(project)
        if file == "-":
            self.stdout.write(text, ending="")
        else:
            Path(file).write_text(text, encoding="utf-8")

    def import_(self, project: Project, file: str, *, reason: str, dry: bool) -> None:
        documents = policyfile.read(content_of(file))
        # The whole import is made and taken back, so a dry run refuses all that the
        # real one would.
        with transaction.atomic():
            before = rulebook.rules_of(project)
            published = actions.import_rules(
                project,
                documents,
                actor=None,
                actor_name="manage.py policy",
                reason=reason or f"import of {Path(file).name}"[:500],
            )
            after = rulebook.rules_of(project)
            transaction.set_rollback(dry)
        self.say(before, after, published, dry=dry)

    def say(
        self, before: Rules, after: Rules, published: Published, *, dry: bool
    ) -> None:
        said = sentences(before.values(), after.values())
        for sentence in said:
            self.stdout.write(str(sentence))
        for change in published.changes:
            if change.slug not in {sentence.rule for sentence in said}:
                self.stdout.write(f"{change.slug}: its owner")
        for finding in review(after.values()):
            self.stdout.write(f"Warning: {finding.message}")
        made = ", ".join(map(str, published.versions)) or "no version"
        if not published.changes:
            self.stdout.write("Nothing to change.")
        elif dry:
            self.stdout.write(f"Not done. It would publish {made}.")
        else:
            self.stdout.write(f"Published {made}.")


def content_of(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise CommandError(str(error)) from error
