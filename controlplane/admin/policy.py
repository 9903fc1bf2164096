"""Versions, the history of rules, and instances: to be read, and gone back to."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from controlplane import actions
from controlplane.actions import PolicyRefused
from controlplane.admin.base import OfProjects, ReadOnly, actor_of, writable
from controlplane.compiling import compare
from controlplane.models import Instance, PolicyVersion, RuleChange
from switchgear.policy.errors import PolicyError


@admin.register(PolicyVersion)
class PolicyVersionAdmin(ReadOnly, OfProjects):
    """Who published what, where and why?"""

    project_path = "environment__project"
    list_display = (
        "number",
        "project",
        "environment",
        "actor_name",
        "reason",
        "rule_count",
        "rollback_of",
        "created_at",
    )
    list_filter = ("environment__project", "environment__name")
    list_select_related = ("environment__project",)
    search_fields = ("reason", "actor_name")
    ordering = ("-pk",)
    show_full_result_count = False  # the table only grows
    actions = ("roll_back",)
    fields = (
        "environment",
        "number",
        "digest",
        "actor_name",
        "created_at",
        "reason",
        "rollback_of",
        "changes",
        "document",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[PolicyVersion]:
        # A list does not need the documents, which are the most of the table.
        return super().get_queryset(request).defer("document")

    @admin.display(ordering="environment__project")
    def project(self, version: PolicyVersion) -> str:
        return str(version.environment.project)

    @admin.display(description="changes, from the version before")
    def changes(self, version: PolicyVersion) -> SafeString | str:
        before = PolicyVersion.objects.filter(
            environment=version.environment, number=version.number - 1
        ).first()
        try:
            said = compare(before, version)
        except PolicyError as error:
            return f"This version cannot be read any more: {error}"
        lines = format_html_join("", "<li>{}</li>", ((str(each),) for each in said))
        return format_html("<ul>{}</ul>", lines) if said else "none"

    @admin.action(description="Go back to this version", permissions=["view"])
    def roll_back(
        self, request: HttpRequest, queryset: QuerySet[PolicyVersion]
    ) -> None:
        chosen = list(queryset.select_related("environment__project")[:2])
        mine = writable(actor_of(request))
        if (
            len(chosen) != 1
            or not mine.filter(pk=chosen[0].environment.project_id).exists()
        ):
            text = "Choose one version, of a project whose rules you may edit."
            self.message_user(request, text, messages.ERROR)
            return
        [version] = chosen
        place = version.environment
        try:
            made = actions.roll_back(
                place.project, place.name, version.number, actor=actor_of(request)
            )
        except PolicyRefused as error:
            self.message_user(request, error.message, messages.ERROR)
        else:
            text = f"{made} says what v{version.number} said."
            self.message_user(request, text, messages.SUCCESS)


@admin.register(RuleChange)
class RuleChangeAdmin(ReadOnly, OfProjects):
    """Who changed which rule, and why?"""

    list_display = (
        "changed_at",
        "project",
        "slug",
        "kind",
        "rev",
        "actor_name",
        "reason",
    )
    list_filter = ("project", "kind")
    list_select_related = ("project",)
    search_fields = ("slug", "reason", "actor_name")
    ordering = ("-pk",)
    show_full_result_count = False  # the table only grows


@admin.register(Instance)
class InstanceAdmin(ReadOnly, OfProjects):
    """Who runs which version, and who refuses one?"""

    list_display = (
        "service",
        "uid",
        "project",
        "environment",
        "state",
        "running_version",
        "failed_version",
        "failed_error",
        "sdk",
        "seen_at",
        "connected_at",
    )
    list_filter = ("project", "environment", "state", "service")
    list_select_related = ("project",)
    search_fields = ("service", "uid")
    ordering = ("project__slug", "environment", "service", "uid")
    show_full_result_count = False
