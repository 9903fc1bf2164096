"""Projects and who may see them. A project is the security boundary.

It comes from the API key or the membership, never from what a span says.
"""

from __future__ import annotations

import secrets

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db import models


class Role(models.TextChoices):
    """What a member may do; each role may all that the roles before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"
    OWNER = "owner"


ROLES = [role.value for role in Role]


def fingerprint_key() -> bytes:
    return secrets.token_bytes(32)


class ProjectQuerySet(models.QuerySet["Project"]):
    def visible_to(self, user: User | AnonymousUser) -> ProjectQuerySet:
        """Those the user is a member of; a superuser is a member of all."""
        if not user.is_authenticated:
            return self.none()
        if user.is_superuser:
            return self.all()
        return self.filter(memberships__user=user)


class Project(models.Model):
    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    created_at = models.DateTimeField()
    # Attribute keys that name the tenant in this project, the most trusted first.
    tenant_keys = models.JSONField(default=list, blank=True)
    # Arguments are compared by a hash under this key, so that equal arguments of two
    # projects cannot be told to be equal.
    fingerprint_key = models.BinaryField(
        max_length=32, default=fingerprint_key, editable=False
    )
    raw_retention_days = models.PositiveSmallIntegerField(default=14)

    objects = models.Manager.from_queryset(ProjectQuerySet)()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(raw_retention_days__range=(1, 3650)),
                name="project_raw_retention_1_to_3650_days",
            )
        ]

    def __str__(self) -> str:
        return self.slug


class Membership(models.Model):
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships"
    )
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="memberships"
    )
    role = models.CharField(max_length=16, choices=Role)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "project"], name="membership_once_per_project"
            ),
            models.CheckConstraint(
                condition=models.Q(role__in=ROLES), name="membership_role_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} is {self.role} of {self.project}"
