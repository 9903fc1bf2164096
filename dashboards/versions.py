"""The policy versions that a chart marks."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlencode

from django.urls import reverse

from controlplane.models import PolicyVersion
from dashboards.marks import Mark

MOST = 100  # marks on a chart, the newest


def between(project_id: int, environment: str, start: int, end: int) -> list[Mark]:
    """Those of an environment (of all for an empty name) that were published then."""
    rows = PolicyVersion.objects.filter(
        environment__project_id=project_id,
        created_at__gte=datetime.fromtimestamp(start, UTC),
        created_at__lt=datetime.fromtimestamp(end, UTC),
    )
    if environment:
        rows = rows.filter(environment__name=environment)
    newest = (
        rows.select_related("environment__project")
        .defer("document")
        .order_by("-created_at", "-pk")
    )
    return [mark(row) for row in newest[:MOST]]


def mark(row: PolicyVersion) -> Mark:
    place = row.environment
    query = urlencode({"project": place.project.slug, "env": place.name})
    return Mark(
        at_s=row.created_at.timestamp(),
        number=row.number,
        environment=place.name,
        who=row.actor_name,
        reason=row.reason,
        url=f"{reverse('policy-version', args=[row.number])}?{query}",
    )
