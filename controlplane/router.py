"""Which database a model lives in: telemetry for ``ingest``, control for the rest."""

from __future__ import annotations

from typing import Any

from django.db.models import Model

TELEMETRY_APPS = frozenset({"ingest"})


def alias_of(app_label: str) -> str:
    return "telemetry" if app_label in TELEMETRY_APPS else "default"


class TelemetryRouter:
    def db_for_read(self, model: type[Model], **hints: Any) -> str:
        return alias_of(model._meta.app_label)

    def db_for_write(self, model: type[Model], **hints: Any) -> str:
        return alias_of(model._meta.app_label)

    def allow_relation(self, one: Model, other: Model, **hints: Any) -> bool:
        return alias_of(one._meta.app_label) == alias_of(other._meta.app_label)

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return alias_of(app_label) == db
