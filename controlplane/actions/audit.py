"""The trail every action leaves."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth.models import User

from controlplane.models import AuditEntry, Project


def record(
    action: str,
    subject: object,
    *,
    project: Project | None,
    actor: User | None,
    now: datetime,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    AuditEntry.objects.create(
        project=project,
        actor=actor,
        actor_name=actor.get_username() if actor else "system",
        action=action,
        subject=str(subject),
        happened_at=now,
        before=before or {},
        after=after or {},
    )
