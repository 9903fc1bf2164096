"""Make projects and change how they read spans."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.text import slugify

from controlplane import keys
from controlplane.actions.audit import record
from controlplane.models import Project


@transaction.atomic
def create_project(name: str, *, actor: User | None) -> Project:
    """Make a project; ``ValidationError`` when one of that name is there."""
    now = timezone.now()
    project = Project(name=name.strip(), slug=slug_for(name), created_at=now)
    project.full_clean()
    project.save(force_insert=True)
    record(
        "project.created",
        project,
        project=project,
        actor=actor,
        now=now,
        after=described(project),
    )
    return project


def find_or_create_project(name: str, *, actor: User | None) -> Project:
    if project := project_named(name):
        return project
    try:
        return create_project(name, actor=actor)
    except IntegrityError:
        # Another process made it between our look and our insert.
        if project := project_named(name):
            return project
        raise


@transaction.atomic
def update_project(
    project: Project,
    *,
    name: str,
    tenant_keys: Sequence[str],
    raw_retention_days: int,
    actor: User | None,
) -> Project:
    project = Project.objects.select_for_update().get(pk=project.pk)
    before = described(project)
    project.name = name.strip()
    project.tenant_keys = list(tenant_keys)
    project.raw_retention_days = raw_retention_days
    project.full_clean()
    project.save(update_fields=["name", "tenant_keys", "raw_retention_days"])
    record(
        "project.updated",
        project,
        project=project,
        actor=actor,
        now=timezone.now(),
        before=before,
        after=described(project),
    )
    transaction.on_commit(keys.ring.forget)
    return project


def project_named(name: str) -> Project | None:
    # A name without a Latin letter has a slug of its own making, so look at both.
    named = Q(name=name.strip())
    if slug := slugify(name):
        named |= Q(slug=slug)
    return Project.objects.filter(named).order_by("pk").first()


def slug_for(name: str) -> str:
    return slugify(name)[:50] or f"project-{secrets.token_hex(3)}"


def described(project: Project) -> dict[str, Any]:
    return {
        "name": project.name,
        "tenant_keys": project.tenant_keys,
        "raw_retention_days": project.raw_retention_days,
    }
