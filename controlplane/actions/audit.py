"""The trail every action leaves."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from django.contrib.auth.models import User

from controlplane.models import AuditEntry, Project


class Author(NamedTuple):
    """Who does something: a user, or a name alone for keys, commands and jobs."""

    user: User | None
    name: str


def author(actor: User | None, name: str = "") -> Author:
    return Author(actor, actor.get_username() if actor else name or "system")


def record(
    action: str,
    subject: object,
    *,
    project: Project | None,
    actor: User | None,
    now: datetime,
    actor_name: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    AuditEntry.objects.create(
        project=project,
        actor=actor,
        actor_name=author(actor, actor_name).name,
        action=action,
        subject=str(subject)[:200],
        happened_at=now,
        before=before or {},
        after=after or {},
    )
