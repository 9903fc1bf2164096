"""Plain Django admin, for what has no page of its own yet.

Every change goes through the same action as everywhere else; what may not be changed
(keys, the audit trail) cannot be changed here either.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from controlplane import actions
from controlplane.models import (
    ApiKey,
    AuditEntry,
    KeyScope,
    Membership,
    Price,
    Project,
    Role,
)


def actor_of(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101  the admin lets nobody else in
    return request.user


class NoDelete:
    def has_delete_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        return False


class NoChange:
    def has_change_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        return False


class ProjectForm(forms.ModelForm):
    class Meta:
        model = Project
        fields = ("name", "tenant_keys", "raw_retention_days")

    def clean_name(self) -> str:
        """A name that is taken is the form's error, not a surprise while saving."""
        name: str = self.cleaned_data["name"].strip()
        taken = actions.project_named(name)
        if taken is not None and taken.pk != self.instance.pk:
            raise ValidationError("A project of this name exists.", code="taken")
        return name


@admin.register(Project)
class ProjectAdmin(NoDelete, admin.ModelAdmin):
    form = ProjectForm
    search_fields = ("slug", "name")
    list_display = ("slug", "name", "raw_retention_days", "created_at")
    ordering = ("slug",)

    def save_model(
        self, request: HttpRequest, obj: Project, form: Any, change: bool
    ) -> None:
        actor = actor_of(request)
        if not change:
            made = actions.create_project(obj.name, actor=actor)
            obj.pk, obj.slug = made.pk, made.slug
        updated = actions.update_project(
            Project.objects.get(pk=obj.pk),
            name=obj.name,
            tenant_keys=obj.tenant_keys,
            raw_retention_days=obj.raw_retention_days,
            actor=actor,
        )
        obj.created_at = updated.created_at


@admin.register(Membership)
class MembershipAdmin(admin.ModelAdmin):
    list_display = ("project", "user", "role")
    list_filter = ("role",)
    list_select_related = ("project", "user")
    autocomplete_fields = ("project", "user")
    ordering = ("project", "user")

    def save_model(
        self, request: HttpRequest, obj: Membership, form: Any, change: bool
    ) -> None:
        made = actions.set_member(
            obj.project, user=obj.user, role=Role(obj.role), actor=actor_of(request)
        )
        obj.pk = made.pk

    def get_readonly_fields(
        self, request: HttpRequest, obj: Membership | None = None
    ) -> tuple[str, ...]:
        return ("project", "user") if obj else ()

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        actions.remove_member(obj, actor=actor_of(request))

    def delete_queryset(
        self, request: HttpRequest, queryset: QuerySet[Membership]
    ) -> None:
        for membership in queryset:
            actions.remove_member(membership, actor=actor_of(request))


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


@admin.register(AuditEntry)
class AuditEntryAdmin(NoChange, NoDelete, admin.ModelAdmin):
    list_display = ("happened_at", "actor_name", "action", "subject", "project")
    list_filter = ("action", "project")
    list_select_related = ("project",)
    search_fields = ("subject", "actor_name")
    ordering = ("-pk",)
    show_full_result_count = False  # the table only grows

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False
