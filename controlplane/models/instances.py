"""Running copies of services, and which policy version each of them obeys.

Running, received and failed versions are kept apart: after a refusal one can still
say which version runs, which was tried, and why it was not taken.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from controlplane.models.projects import Project


class InstanceState(models.TextChoices):
    """What an instance said last about the version it received."""

    RECEIVED = "RECEIVED"
    APPLIED = "APPLIED"
    REJECTED = "REJECTED"


INSTANCE_STATES = [state.value for state in InstanceState]


class InstanceQuerySet(models.QuerySet["Instance"]):
    def in_environment(self, project_id: int, environment: str) -> InstanceQuerySet:
        return self.filter(project_id=project_id, environment=environment)


class Instance(models.Model):
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="instances"
    )
    environment = models.CharField(max_length=100)
    service = models.CharField(max_length=200)
    uid = models.CharField(max_length=200)
    boot_id = models.CharField(max_length=100, blank=True)
    sdk = models.CharField(max_length=100, blank=True)
    # None until it says anything about a version.
    state = models.CharField(max_length=8, choices=InstanceState, null=True)

    running_version = models.PositiveBigIntegerField(null=True)
    running_digest = models.CharField(max_length=71, blank=True)
    received_version = models.PositiveBigIntegerField(null=True)
    received_digest = models.CharField(max_length=71, blank=True)
    failed_version = models.PositiveBigIntegerField(null=True)
    failed_digest = models.CharField(max_length=71, blank=True)
    failed_rule = models.CharField(max_length=100, blank=True)
    failed_pointer = models.CharField(max_length=300, blank=True)
    failed_error = models.CharField(max_length=1000, blank=True)

    first_seen_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    # When it said that it runs what it runs now.
    applied_at = models.DateTimeField(null=True)
    # Since when a stream of hints is open to it; None when there is none.
    connected_at = models.DateTimeField(null=True)

    objects = models.Manager.from_queryset(InstanceQuerySet)()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "environment", "service", "uid"],
                name="instance_once_per_service",
            ),
            models.CheckConstraint(
                condition=Q(state__in=INSTANCE_STATES), name="instance_state_known"
            ),
        ]
        indexes = [
            # Convergence counts the instances that were seen lately.
            models.Index(
                fields=["project", "environment", "seen_at"], name="instance_seen"
            )
        ]

    def __str__(self) -> str:
        return f"{self.service} {self.uid}"
