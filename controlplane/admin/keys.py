"""API keys: made and revoked, never edited."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from controlplane import actions
from controlplane.admin.base import NoChange, NoDelete, actor_of
from controlplane.models import ApiKey, KeyScope


class KeyForm(forms.ModelForm):
    scopes = forms.MultipleChoiceField(
        choices=KeyScope.choices, widget=forms.CheckboxSelectMultiple
    )

    class Meta:
        model = ApiKey
        fields = ("project", "name", "scopes", "tenant", "expires_at")


@admin.register(ApiKey)
class ApiKeyAdmin(NoChange, NoDelete, admin.ModelAdmin):
    form = KeyForm
    list_display = (
        "prefix",
        "project",
        "name",
        "scopes",
        "last_used_at",
        "revoked_at",
    )
    list_filter = ("project",)
    list_select_related = ("project",)
    search_fields = ("prefix", "name")
    autocomplete_fields = ("project",)
    ordering = ("-pk",)
    actions = ("revoke",)

    def save_model(
        self, request: HttpRequest, obj: ApiKey, form: Any, change: bool
    ) -> None:
        made = actions.create_key(
            obj.project,
            scopes=form.cleaned_data["scopes"],
            name=obj.name,
            tenant=obj.tenant,
            expires_at=obj.expires_at,
            actor=actor_of(request),
        )
        obj.pk, obj.prefix = made.key.pk, made.key.prefix
        self.message_user(
            request, f"The key, shown this once: {made.token}", messages.WARNING
        )

    @admin.action(description="Revoke", permissions=["view"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        actor = actor_of(request)
        revoked = sum(actions.revoke_key(key, actor=actor) for key in queryset)
        self.message_user(request, f"{revoked} keys revoked.")
