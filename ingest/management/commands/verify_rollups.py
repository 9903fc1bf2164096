"""Prove the numbers of a window from what is stored, and repair them."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from django.utils import timezone

from controlplane.models import Project
from ingest.stores import Transaction, open_store
from ingest.verify import TICKS, Proof, Wrong


class Command(BaseCommand):
    help = (
        "Counts the stored calls of a window anew and compares every rollup row of it;"
        " derives the traces of the window again and compares their calls. Ends with 1"
        " when something differs, also when it was repaired. On SQLite senders are"
        " told to try again while this runs: take windows of an hour or so."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--project", help="slug; all projects when absent")
        parser.add_argument("--from", dest="since", help="ISO 8601; an hour ago")
        parser.add_argument("--to", dest="until", help="ISO 8601; now")
        parser.add_argument("--repair", action="store_true", help="add what is missing")
        parser.add_argument(
            "--shallow", action="store_true", help="trust the stored calls"
        )

    def handle(self, *args: object, **options: Any) -> None:
        now = int(timezone.now().timestamp())
        start = _seconds(options["since"], now - 3_600)
        end = _seconds(options["until"], now)
        start, end = start - start % 10, end + -end % 10
        projects = Project.objects.order_by("slug")
        if options["project"]:
            projects = projects.filter(slug=options["project"])
            if not projects:
                message = f"There is no project {options['project']!r}."
                raise CommandError(message)
        good = True
        for project in projects:
            if start < now - project.raw_retention_days * 86_400:
                message = (
                    f"{project.slug} keeps raw spans for {project.raw_retention_days}"
                    " days; what is older cannot be proved."
                )
                raise CommandError(message)
            good &= self._verify(
                project,
                start,
                end,
                now=now,
                repair=options["repair"],
                shallow=options["shallow"],
            )
        if not good:
            raise SystemExit(1)

    def _verify(
        self,
        project: Project,
        start: int,
        end: int,
        *,
        now: int,
        repair: bool,
        shallow: bool,
    ) -> bool:
        store = open_store()
        try:
            with store.begin() as tx:
                _stand_still(tx)
                proof = Proof(tx, project.pk, start=start, end=end, now=now)
                proof.compare()
                if not shallow:
                    proof.derive_again()
                if repair and proof.report.wrong:
                    proof.repair()
                self._tell(project.slug, proof, repaired=repair)
        finally:
            store.close()
        return proof.report.good

    def _tell(self, slug: str, proof: Proof, *, repaired: bool) -> None:
        report = proof.report
        for trace_id in report.underived:
            self.stdout.write(f"{slug}: trace {trace_id.hex()} derives otherwise")
        for wrong in report.wrong:
            self.stdout.write(f"{slug}: {_sentence(wrong, proof.words(wrong.series))}")
        verdict = "repaired" if repaired else "wrong"
        self.stdout.write(
            f"{slug}: {report.calls} calls, {report.traces} traces derived again,"
            f" {len(report.wrong)} rows {verdict}, {len(report.underived)} traces"
            " derive otherwise"
        )


def _sentence(wrong: Wrong, words: str) -> str:
    what = "ticks" if wrong.resolution == TICKS else f"rollup of {wrong.resolution} s"
    at = datetime.fromtimestamp(wrong.bucket, UTC).isoformat()
    missing = ", ".join(f"{name} {n:+d}" for name, n in wrong.amounts.items())
    return f"{what} at {at}, {words}: {missing or 'histograms differ'}"


def _seconds(written: str | None, default: int) -> int:
    if written is None:
        return default
    try:
        at = datetime.fromisoformat(written)
    except ValueError as error:
        message = f"{written!r} is not ISO 8601."
        raise CommandError(message) from error
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())


def _stand_still(tx: Transaction) -> None:
    """See one moment throughout; on SQLite a write transaction is alone anyway."""
    if connections["telemetry"].vendor == "postgresql":
        tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
