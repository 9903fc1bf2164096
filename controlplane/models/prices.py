"""What operators say a call costs; it wins over the public price book."""

from __future__ import annotations

from datetime import datetime

from django.db import models

from controlplane.models.projects import Project


class PriceUnit(models.TextChoices):
    CALL = "call"
    SECOND = "second"
    UNIT = "unit"
    INPUT_TOKEN = "input_token"  # noqa: S105  a unit of price
    OUTPUT_TOKEN = "output_token"  # noqa: S105  a unit of price
    CACHE_READ_TOKEN = "cache_read_token"  # noqa: S105  a unit of price
    CACHE_WRITE_TOKEN = "cache_write_token"  # noqa: S105  a unit of price


UNITS = [unit.value for unit in PriceUnit]
KINDS = ["tool", "model", "embedding", "retrieval", "guardrail"]


class PriceQuerySet(models.QuerySet["Price"]):
    def of_project(self, project: Project) -> PriceQuerySet:
        """In the order they are tried: the newest first."""
        return self.filter(project=project).order_by("-valid_from", "-pk")

    def unended(self, now: datetime) -> PriceQuerySet:
        return self.filter(models.Q(valid_to=None) | models.Q(valid_to__gt=now))


class Price(models.Model):
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="prices"
    )
    kind = models.CharField(max_length=16, choices=[(kind, kind) for kind in KINDS])
    target = models.CharField(max_length=200)  # a glob: gpt-4o-*
    unit = models.CharField(max_length=20, choices=PriceUnit)
    nano_usd = models.PositiveBigIntegerField()  # for one unit
    valid_from = models.DateTimeField()
    valid_to = models.DateTimeField(null=True, blank=True)

    objects = models.Manager.from_queryset(PriceQuerySet)()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind__in=KINDS), name="price_kind_known"
            ),
            models.CheckConstraint(
                condition=models.Q(unit__in=UNITS), name="price_unit_known"
            ),
            models.CheckConstraint(
                condition=models.Q(valid_to=None)
                | models.Q(valid_to__gt=models.F("valid_from")),
                name="price_ends_after_it_begins",
            ),
            models.UniqueConstraint(
                fields=["project", "kind", "target", "unit", "valid_from"],
                name="price_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.target}: {self.nano_usd} nano-USD per {self.unit}"
