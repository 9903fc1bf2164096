from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [("controlplane", "0001_projects_keys_prices")]

    operations = [
        migrations.CreateModel(
            name="EntityColour",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("dimension", models.CharField(max_length=16)),
                ("name", models.CharField(max_length=400)),
                ("slot", models.PositiveSmallIntegerField()),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="controlplane.project",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("project", "dimension", "name"),
                        name="colour_once_per_entity",
                    ),
                    models.UniqueConstraint(
                        fields=("project", "dimension", "slot"),
                        name="colour_slot_once",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("slot__range", (1, 8))),
                        name="colour_slot_1_to_8",
                    ),
                ],
            },
        ),
    ]
