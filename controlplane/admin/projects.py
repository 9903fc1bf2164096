"""Projects, and who may see them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest

from controlplane import actions
from controlplane.admin.base import NoDelete, actor_of
from controlplane.models import Membership, Project, Role


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
