"""Drafts: edits that are collected and reviewed before services see any of them."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from controlplane.models.projects import Project


class DraftState(models.TextChoices):
    OPEN = "open"
    PUBLISHED = "published"
    DISCARDED = "discarded"


DRAFT_STATES = [state.value for state in DraftState]


class DraftQuerySet(models.QuerySet["Draft"]):
    def open(self, project: Project) -> DraftQuerySet:
        return self.filter(project=project, state=DraftState.OPEN).order_by("-pk")


class Draft(models.Model):
    """Edits that wait to be published together."""

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="drafts"
    )
    title = models.CharField(max_length=200)
    state = models.CharField(max_length=10, choices=DraftState, default=DraftState.OPEN)
    # The last change of the project's rules that the edits were made on.
    base = models.PositiveBigIntegerField(default=0)
    opened_at = models.DateTimeField()
    opened_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    actor_name = models.CharField(max_length=150)
    closed_at = models.DateTimeField(null=True)

    objects = models.Manager.from_queryset(DraftQuerySet)()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=DRAFT_STATES), name="draft_state_known"
            ),
            models.CheckConstraint(
                condition=Q(state="open", closed_at=None)
                | (~Q(state="open") & Q(closed_at__isnull=False)),
                name="draft_closed_when_it_is_not_open",
            ),
        ]
        indexes = [
            # The draft badge of every page.
            models.Index(
                fields=["project"], name="draft_open", condition=Q(state="open")
            )
        ]

    def __str__(self) -> str:
        return self.title


class DraftChange(models.Model):
    """What a rule is to be; without a document it is to go."""

    draft = models.ForeignKey(Draft, on_delete=models.CASCADE, related_name="changes")
    slug = models.CharField(max_length=100)
    kind = models.CharField(max_length=20)
    document = models.JSONField(null=True)
    changed_at = models.DateTimeField()
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    actor_name = models.CharField(max_length=150)
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["draft", "slug"], name="draft_changes_a_rule_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.slug} in {self.draft}"
