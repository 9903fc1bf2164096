"""Rules of all kinds, edited with forms that the kernel judges.

What is saved here is published at once, like everywhere else where no draft is open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

from django.contrib import admin, messages
from django.db.models import ForeignKey, QuerySet
from django.forms import ModelChoiceField
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from controlplane import actions, rulebook
from controlplane.actions import PolicyRefused
from controlplane.admin.base import OfProjects, actor_of, writable
from controlplane.admin.rule_forms import RuleForm, rule_form
from controlplane.models import RULE_MODELS, Project, Rule
from switchgear.policy import rules as kernel
from switchgear.policy.review.wording import (
    parameter_words,
    selector_words,
    value_words,
)
from switchgear.policy.rules import Mode

HISTORY = ("rev", "created_at", "created_by", "updated_at", "updated_by")


class RuleAdmin(OfProjects):
    """Which rules of a kind are there, what are they about, and do they act?"""

    form: type[RuleForm]
    list_display = (
        "slug",
        "project",
        "about",
        "says",
        "acts",
        "tier",
        "priority",
        "owner",
        "updated_at",
        "updated_by",
    )
    list_filter = ("project", "mode", "tier")
    list_select_related = ("project",)
    search_fields = ("slug", "owner", "reason")
    ordering = ("project__slug", "slug")
    actions = ("enforce", "shadow", "switch_off")

    @admin.display(description="applies to", empty_value="every call")
    def about(self, row: Rule) -> str | None:
        return selector_words(rulebook.rule_of(row).selector) or None

    @admin.display(description="says", empty_value="the defaults")
    def says(self, row: Rule) -> str | None:
        return ", ".join(said_by(rulebook.rule_of(row))) or None

    @admin.display(description="acts", ordering="mode")
    def acts(self, row: Rule) -> str:
        if row.expires_at is not None and row.expires_at <= timezone.now():
            return "no: expired"
        return {"enforce": "yes", "shadow": "no: only records", "off": "no"}[row.mode]

    def get_fieldsets(self, request: HttpRequest, obj: Rule | None = None) -> Any:
        fieldsets = [
            (None, {"fields": ("project", "slug", "seen_rev", "selector")}),
            (
                "What it says",
                {"fields": self.form.own_fields},
            ),
            ("When it acts", {"fields": ("mode", "tier", "priority", "expires_at")}),
            ("Who and why", {"fields": ("owner", "reason")}),
        ]
        return [*fieldsets, ("History", {"fields": HISTORY})] if obj else fieldsets

    def get_readonly_fields(
        self, request: HttpRequest, obj: Rule | None = None
    ) -> tuple[str, ...]:
        return ("project", *HISTORY) if obj else ()

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any], request: HttpRequest, **kwargs: Any
    ) -> ModelChoiceField | None:
        # Its project is the only other row a rule points at.
        kwargs["queryset"] = writable(actor_of(request)).order_by("slug")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def has_change_permission(
        self, request: HttpRequest, obj: Rule | None = None
    ) -> bool:
        allowed = super().has_change_permission(request, obj)
        return allowed and may_edit(request, obj)

    def has_delete_permission(
        self, request: HttpRequest, obj: Rule | None = None
    ) -> bool:
        allowed = super().has_delete_permission(request, obj)
        return allowed and may_edit(request, obj)

    def save_model(
        self, request: HttpRequest, obj: Rule, form: Any, change: bool
    ) -> None:
        project = form.project_of()
        view = form.write(project, actor=actor_of(request))
        saved = type(obj)._default_manager.get(project=project, slug=view.id)
        obj.pk, obj.slug, obj.project = saved.pk, saved.slug, project

    def delete_model(self, request: HttpRequest, obj: Rule) -> None:
        actions.delete_rule(obj.project, obj.slug, actor=actor_of(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Rule]) -> None:
        for project, slugs in by_project(queryset):
            actions.delete_rules(project, slugs, actor=actor_of(request))

    @admin.action(description="Let them act", permissions=["change"])
    def enforce(self, request: HttpRequest, queryset: QuerySet[Rule]) -> None:
        self.set_mode(request, queryset, Mode.ENFORCE)

    @admin.action(description="Only record what they would do", permissions=["change"])
    def shadow(self, request: HttpRequest, queryset: QuerySet[Rule]) -> None:
        self.set_mode(request, queryset, Mode.SHADOW)

    @admin.action(description="Switch them off", permissions=["change"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[Rule]) -> None:
        self.set_mode(request, queryset, Mode.OFF)

    def set_mode(
        self, request: HttpRequest, queryset: QuerySet[Rule], mode: Mode
    ) -> None:
        mine = queryset.filter(project__in=writable(actor_of(request)))
        for project, slugs in by_project(mine):
            actions.set_mode(project, slugs, mode, actor=actor_of(request))
            self.message_user(request, f"{project}: {', '.join(slugs)}: {mode}.")

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        ask = super().changeform_view
        return or_refusal(
            self, request, lambda: ask(request, object_id, form_url, extra_context)
        )

    def delete_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        ask = super().delete_view
        return or_refusal(self, request, lambda: ask(request, object_id, extra_context))

    def history_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The rule's own history, which knows of edits made elsewhere too."""
        row = self.get_object(request, object_id)
        asked = {"q": row.slug, "project__id__exact": row.project_id} if row else {}
        history = reverse("admin:controlplane_rulechange_changelist", query=asked)
        return HttpResponseRedirect(history)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        ask = super().changelist_view
        return or_refusal(self, request, lambda: ask(request, extra_context))


def by_project(rows: QuerySet[Rule]) -> Iterator[tuple[Project, list[str]]]:
    ordered = rows.select_related("project").order_by("project", "slug")
    for project, group in groupby(ordered, key=lambda row: row.project):
        yield project, [row.slug for row in group]


def may_edit(request: HttpRequest, row: Rule | None) -> bool:
    if row is None or actor_of(request).is_superuser:
        return True
    return writable(actor_of(request)).filter(pk=row.project_id).exists()


def said_by(rule: kernel.Rule) -> list[str]:
    """What a rule says beyond its defaults, in words."""
    document = rulebook.owned_document(rule, "")
    table = kernel.parameters(rule.KIND)
    return [
        f"{parameter_words(each.name)} {value_words(document[each.name], each)}"
        for each in table
        if each.name in document and document[each.name] != each.default
    ]


def or_refusal(
    page: admin.ModelAdmin, request: HttpRequest, answer: Callable[[], HttpResponse]
) -> HttpResponse:
    """The answer, or what was refused while it was made, and nothing changed."""
    try:
        return answer()
    except PolicyRefused as error:
        page.message_user(request, str(error), messages.ERROR)
        return HttpResponseRedirect(request.get_full_path())


for model in RULE_MODELS.values():
    own = type(f"{model.__name__}Admin", (RuleAdmin,), {"form": rule_form(model)})
    admin.site.register(model, own)
