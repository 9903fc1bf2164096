"""What boards remember; everything they show is asked for, never stored here."""

from __future__ import annotations

from django.db import models

from controlplane.models import Project

SLOTS = range(1, 9)


class EntityColour(models.Model):
    """The colour slot of a tool, model or tenant; see ``dashboards.colours``."""

    NAME_LENGTH = 400

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    dimension = models.CharField(max_length=16)
    name = models.CharField(max_length=NAME_LENGTH)
    slot = models.PositiveSmallIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "dimension", "name"], name="colour_once_per_entity"
            ),
            models.UniqueConstraint(
                fields=["project", "dimension", "slot"], name="colour_slot_once"
            ),
            models.CheckConstraint(
                condition=models.Q(slot__range=(1, 8)), name="colour_slot_1_to_8"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dimension} {self.name}: slot {self.slot}"
