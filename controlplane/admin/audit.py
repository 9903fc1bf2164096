"""The audit trail, to be read."""

from __future__ import annotations

from django.contrib import admin

from controlplane.admin.base import ReadOnly
from controlplane.models import AuditEntry


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("happened_at", "actor_name", "action", "subject", "project")
    list_filter = ("action", "project")
    list_select_related = ("project",)
    search_fields = ("subject", "actor_name")
    ordering = ("-pk",)
    show_full_result_count = False  # the table only grows
