"""Who changed what. Written by every action, in the same transaction; never edited."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from controlplane.models.projects import Project


class AuditEntry(models.Model):
    project = models.ForeignKey(
        Project, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
    )
    # Survives the user; "system" for commands and jobs.
    actor_name = models.CharField(max_length=150)
    action = models.CharField(max_length=50)
    subject = models.CharField(max_length=200)
    happened_at = models.DateTimeField()
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [
            # The audit page of a project, newest first.
            models.Index(fields=["project", "-id"], name="audit_of_project")
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.subject} by {self.actor_name}"
