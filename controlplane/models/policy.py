"""Policy versions, and the changes of rules they are made of.

Nothing here is ever edited: a version that was wrong is followed by another one, and
the history of a rule only grows.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from controlplane.models.projects import Project


class Environment(models.Model):
    """Where services run; it is there once somebody asked for its policy."""

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="environments"
    )
    name = models.CharField(max_length=100)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "name"], name="environment_once_per_project"
            ),
            models.CheckConstraint(condition=~Q(name=""), name="environment_is_named"),
        ]

    def __str__(self) -> str:
        return self.name


class RuleChangeQuerySet(models.QuerySet["RuleChange"]):
    def of_rule(self, project: Project, slug: str) -> RuleChangeQuerySet:
        """The newest first."""
        return self.filter(project=project, slug=slug).order_by("-pk")

    def since(self, project: Project, change: int) -> RuleChangeQuerySet:
        """In the order they were made."""
        return self.filter(project=project, pk__gt=change).order_by("pk")


class RuleChange(models.Model):
    """What a rule was before an edit and what it was after; None where it was not."""

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="rule_changes"
    )
    slug = models.CharField(max_length=100)
    kind = models.CharField(max_length=20)
    rev = models.PositiveIntegerField()
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    changed_at = models.DateTimeField()
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    # Survives the user; "system" for commands and jobs.
    actor_name = models.CharField(max_length=150)
    reason = models.CharField(max_length=500, blank=True)

    objects = models.Manager.from_queryset(RuleChangeQuerySet)()

    class Meta:
        constraints = [
            # The history of a rule; and two kinds cannot both make a rule of one name.
            models.UniqueConstraint(
                fields=["project", "slug", "rev"], name="rule_change_rev_once"
            ),
            models.CheckConstraint(
                condition=Q(before__isnull=False) | Q(after__isnull=False),
                name="rule_change_of_something",
            ),
        ]
        indexes = [
            # What moved since a draft was opened, and the history page.
            models.Index(fields=["project", "-id"], name="rule_change_of_project")
        ]

    def __str__(self) -> str:
        return f"{self.slug} rev {self.rev} by {self.actor_name}"


class PolicyVersionQuerySet(models.QuerySet["PolicyVersion"]):
    def of_environment(self, project_id: int, name: str) -> PolicyVersionQuerySet:
        """The newest first."""
        return self.filter(
            environment__project_id=project_id, environment__name=name
        ).order_by("-number")


class PolicyVersion(models.Model):
    """What the services of an environment are told, frozen under a number."""

    environment = models.ForeignKey(
        Environment, on_delete=models.CASCADE, related_name="versions"
    )
    number = models.PositiveBigIntegerField()
    # Text, not JSON: the digest is of these very bytes.
    document = models.TextField()
    digest = models.CharField(max_length=71)  # "sha256:" and 64 hex digits
    rule_count = models.PositiveIntegerField()
    # The last change of the project's rules before those it was made for.
    base = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    actor_name = models.CharField(max_length=150)
    reason = models.CharField(max_length=500, blank=True)
    # The number of the version whose content this one has again.
    rollback_of = models.PositiveBigIntegerField(null=True)

    objects = models.Manager.from_queryset(PolicyVersionQuerySet)()

    class Meta:
        constraints = [
            # Also how the newest one is found.
            models.UniqueConstraint(
                fields=["environment", "number"], name="policy_version_number_once"
            ),
            models.CheckConstraint(
                condition=Q(number__gte=1), name="policy_version_counts_from_1"
            ),
            models.CheckConstraint(
                condition=Q(digest__startswith="sha256:"),
                name="policy_version_has_a_digest",
            ),
            models.CheckConstraint(
                condition=Q(rollback_of=None) | Q(rollback_of__lt=models.F("number")),
                name="policy_version_rolls_back_to_an_earlier_one",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.environment} v{self.number}"
