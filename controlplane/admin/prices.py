"""Prices: set and ended, never edited."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from controlplane import actions
from controlplane.admin.base import NoChange, NoDelete, actor_of
from controlplane.models import Price


@admin.register(Price)
class PriceAdmin(NoChange, NoDelete, admin.ModelAdmin):
    fields = (
        "project",
        "kind",
        "target",
        "unit",
        "nano_usd",
        "valid_from",
        "valid_to",
    )
    list_display = ("project", "kind", "target", "unit", "nano_usd", "valid_to")
    list_filter = ("kind", "project")
    list_select_related = ("project",)
    search_fields = ("target",)
    autocomplete_fields = ("project",)
    ordering = ("-valid_from", "-pk")
    actions = ("end",)

    def save_model(
        self, request: HttpRequest, obj: Price, form: Any, change: bool
    ) -> None:
        made = actions.set_price(
            obj.project,
            kind=obj.kind,
            target=obj.target,
            unit=obj.unit,
            nano_usd=obj.nano_usd,
            valid_from=obj.valid_from,
            valid_to=obj.valid_to,
            actor=actor_of(request),
        )
        obj.pk = made.pk

    @admin.action(description="End now", permissions=["view"])
    def end(self, request: HttpRequest, queryset: QuerySet[Price]) -> None:
        unended = Price.objects.unended(timezone.now())
        for price in unended.filter(pk__in=queryset):
            actions.end_price(price, actor=actor_of(request))
