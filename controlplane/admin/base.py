"""What all admin pages of ours share: who asks, what they may see, and may do there.

Superusers are members of every project. Other staff see the projects they are members
of, and change what their role there lets them change.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from controlplane.models import Project
from controlplane.scope import ROLE_SCOPES

EDITORS = [role for role, scopes in ROLE_SCOPES.items() if "write" in scopes]


def actor_of(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101  the admin lets nobody else in
    return request.user


def writable(user: User) -> QuerySet[Project]:
    """The projects whose rules the user may edit."""
    projects = Project.objects.visible_to(user)
    if user.is_superuser:
        return projects
    return projects.filter(memberships__user=user, memberships__role__in=EDITORS)


class NoDelete:
    def has_delete_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        return False


class NoChange:
    def has_change_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        return False


class ReadOnly(NoChange, NoDelete):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


class OfProjects(admin.ModelAdmin):
    """Rows of the projects one may see."""

    project_path = "project"  # from the row to its project

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        visible = Project.objects.visible_to(actor_of(request))
        rows = super().get_queryset(request)
        return rows.filter(**{f"{self.project_path}__in": visible})
