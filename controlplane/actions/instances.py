"""Keep what instances say of their policy. Many at once: statuses come in crowds.

These writes are not intents of an operator: they leave no audit entry. What an
instance says is in its row, and who watches is told when a row changed, not when an
instance was merely seen again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.db.models import Count
from msgspec.structs import asdict

from controlplane import hints
from controlplane.acks import Held, Key, Report, merged
from controlplane.models import Instance

FORGOTTEN_AFTER = timedelta(days=7)
MOST_PER_PROJECT = 10_000
FIELDS = Held.__struct_fields__
WRITTEN = (*FIELDS, "seen_at", "applied_at")


@transaction.atomic
def record_reports(reports: Mapping[Key, Report], *, now: datetime) -> set[Key]:
    """Write what is new in them; returns those that found no room in their project."""
    rows = rows_of(reports)
    changed, seen = [], []
    crowded = full_projects({key.project_id for key in reports.keys() - rows.keys()})
    refused = set()
    for key, report in sorted(reports.items()):
        row = rows.get(key)
        if row is None and key.project_id in crowded:
            refused.add(key)
            continue
        held = merged(held_in(row) if row else None, report)
        if row is not None and held == held_in(row):
            seen.append(row.pk)
        else:
            changed.append(changed_row(key, row, held, now))
    Instance.objects.filter(pk__in=seen).update(seen_at=now)
    Instance.objects.bulk_create(
        changed,
        update_conflicts=True,
        unique_fields=["project", "environment", "service", "uid"],
        update_fields=WRITTEN,
    )
    announce_on_commit((row.project_id, row.environment) for row in changed)
    return refused


@transaction.atomic
def record_streams(
    opened: Collection[Key], closed: Collection[Key], *, now: datetime
) -> set[Key]:
    """Who has a stream open, and who has none any more; returns who is not known."""
    rows = rows_of({*opened, *closed})
    came = [key for key in opened if key in rows and not rows[key].connected_at]
    went = [key for key in closed if key in rows and rows[key].connected_at]
    for keys, moment in ((came, now), (went, None)):
        pks = [rows[key].pk for key in keys]
        Instance.objects.filter(pk__in=pks).update(connected_at=moment)
    announce_on_commit((key.project_id, key.environment) for key in came + went)
    return set(opened) - rows.keys()


def forget_instances(*, now: datetime) -> int:
    """Delete those not seen for a week; a service that comes back says who it is."""
    deleted, _ = Instance.objects.filter(seen_at__lt=now - FORGOTTEN_AFTER).delete()
    return deleted


def rows_of(keys: Collection[Key]) -> dict[Key, Instance]:
    found = Instance.objects.filter(
        project_id__in={key.project_id for key in keys},
        environment__in={key.environment for key in keys},
        service__in={key.service for key in keys},
        uid__in={key.uid for key in keys},
    )
    rows = {
        Key(row.project_id, row.environment, row.service, row.uid): row for row in found
    }
    return {key: rows[key] for key in keys if key in rows}


def full_projects(project_ids: Collection[int]) -> set[int]:
    if not project_ids:
        return set()
    counted = (
        Instance.objects.filter(project_id__in=project_ids)
        .values("project_id")
        .annotate(instances=Count("pk"))
        .filter(instances__gte=MOST_PER_PROJECT)
    )
    return {found["project_id"] for found in counted}


def held_in(row: Instance) -> Held:
    return Held(*(getattr(row, name) for name in FIELDS))


def changed_row(key: Key, row: Instance | None, held: Held, now: datetime) -> Instance:
    runs_another = row is None or row.running_version != held.running_version
    applied_at = now if runs_another else row.applied_at if row else None
    return Instance(
        project_id=key.project_id,
        environment=key.environment,
        service=key.service,
        uid=key.uid,
        **asdict(held),
        first_seen_at=now,
        seen_at=now,
        applied_at=applied_at if held.running_version is not None else None,
    )


def announce_on_commit(environments: Iterable[tuple[int, str]]) -> None:
    for project_id, environment in set(environments):
        transaction.on_commit(partial(hints.announce_acks, project_id, environment))
