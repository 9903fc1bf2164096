"""The form of a rule, one per kind. The kernel judges it, at the field.

A form that is about to be saved is rehearsed: the action runs and is taken back. So
what only all rules together can refuse (a circle of fallbacks) is an error of the
form as well.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django import forms
from django.contrib.admin.widgets import AdminSplitDateTime
from django.core.exceptions import ValidationError
from django.db import transaction

from controlplane import actions, rulebook
from controlplane.actions import PolicyRefused
from controlplane.admin.fields import SelectorField, field_for
from controlplane.models import Project, Rule
from controlplane.rulebook import Document, RuleView
from switchgear.policy.rules import COMMON, parameters
from switchgear.policy.rules.parameters import Parameter, Type

SELECTOR_HELP = (
    "Which calls it is about: tenant=acme, target=search*, environment!=dev|test."
    " Empty: every call."
)
COMMON_TABLE = {parameter.name: parameter for parameter in COMMON}


class RuleForm(forms.ModelForm):
    """What all kinds have; `rule_form` adds the parameters of one."""

    kind: ClassVar[str]
    own_fields: ClassVar[tuple[str, ...]]

    slug = forms.CharField(label="Id", help_text=COMMON_TABLE["id"].help)
    seen_rev = forms.IntegerField(required=False, widget=forms.HiddenInput)
    selector = SelectorField(
        label="Applies to",
        required=False,
        help_text=SELECTOR_HELP,
        widget=forms.TextInput(attrs={"size": 80}),
    )
    mode = field_for(COMMON_TABLE["mode"])
    tier = field_for(COMMON_TABLE["tier"])
    priority = field_for(COMMON_TABLE["priority"])
    expires_at = forms.SplitDateTimeField(
        required=False,
        widget=AdminSplitDateTime,
        help_text=COMMON_TABLE["expires_at"].help,
    )
    owner = forms.CharField(required=False, help_text="Whom to ask about it.")
    reason = forms.CharField(
        required=False, help_text="Why you change it now; kept in the history."
    )

    class Meta:
        fields = ("project",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        instance = kwargs.get("instance")
        self.view: RuleView | None = None
        if instance is not None and instance.pk:
            self.view = rulebook.view_of(instance)
            kwargs["initial"] = initial_of(self.view) | (kwargs.get("initial") or {})
        super().__init__(*args, **kwargs)
        # A rule keeps its id: instances, spans and history name it by that.
        self.fields["slug"].disabled = self.view is not None

    def _post_clean(self) -> None:
        """Where a model form asks its model, this one asks the kernel."""
        if self.errors:
            return
        try:
            with transaction.atomic():
                self.write(self.project_of(), actor=None)
                transaction.set_rollback(True)
        except PolicyRefused as error:
            self.add_error(self.field_at(error.pointer), said(error))

    def project_of(self) -> Project:
        if self.view is not None:
            own: Project = self.instance.project
            return own
        chosen: Project = self.cleaned_data["project"]
        return chosen

    def write(self, project: Project, *, actor: Any) -> RuleView:
        """Make the rule, or change it if it still is what this form was made from."""
        how: dict[str, Any] = {"actor": actor, "reason": self.cleaned_data["reason"]}
        if self.view is None:
            return actions.create_rule(project, self.kind, self.document(), **how)
        rev = self.cleaned_data["seen_rev"]
        return actions.save_rule(project, self.kind, self.document(), rev=rev, **how)

    def document(self) -> Document:
        cleaned = self.cleaned_data
        document: Document = {
            "id": self.view.id if self.view else cleaned["slug"],
            "selector": cleaned["selector"],
            "owner": cleaned["owner"],
        }
        if (ends := self.ends()) is not None:
            document["expires_at"] = rulebook.time_text(ends)
        own = (*(COMMON_TABLE[name] for name in SHARED), *parameters(self.kind))
        for parameter in own:
            if (value := self.value_of(parameter)) is not None:
                document[parameter.name] = value
        return document

    def ends(self) -> datetime | None:
        """A form knows no fractions of a second, so what it shows is not all."""
        if self.view is not None and "expires_at" not in self.changed_data:
            return rulebook.moment(self.view.rule.expires_at)
        chosen: datetime | None = self.cleaned_data["expires_at"]
        return chosen

    def value_of(self, parameter: Parameter) -> Any:
        if parameter.type is Type.OBJECT:
            parts = {each.name: each for each in parameter.parts}
            names = {name: f"{parameter.name}__{name}" for name in parts}
            given = {name: self.cleaned_data[field] for name, field in names.items()}
            return {name: value for name, value in given.items() if value is not None}
        value = self.cleaned_data[parameter.name]
        if parameter.type is Type.CHOICES:
            return self.as_before(parameter, value)
        return value

    def as_before(self, parameter: Parameter, value: list[str]) -> Any:
        """Boxes have no order: what is ticked as before stays as it was written."""
        before = self.initial.get(parameter.name) or parameter.default
        same = isinstance(before, list) and set(before) == set(value)
        return before if same else value

    def field_at(self, pointer: str) -> str | None:
        """The field of the value at a pointer; None for the form as a whole."""
        _, name, *deeper = f"{pointer}/".split("/")
        if name == "id":
            return "slug"
        names = [f"{name}__{deeper[0]}" if deeper else name, name]
        return next((each for each in names if each in self.fields), None)


SHARED = ("mode", "tier", "priority")


def said(error: PolicyRefused) -> ValidationError:
    """With where in the field it is, if the field holds more than one value."""
    deeper = error.pointer.split("/")[2:]
    where = " ".join(str(int(part) + 1) if part.isdigit() else part for part in deeper)
    return ValidationError(f"{where}: {error.message}" if where else error.message)


def initial_of(view: RuleView) -> dict[str, Any]:
    document = view.document()
    flat = {
        f"{name}__{part}": value
        for name, members in document.items()
        if isinstance(members, dict) and name != "selector"
        for part, value in members.items()
    }
    return {
        **document,
        **flat,
        "slug": view.id,
        "seen_rev": view.rev,
        "reason": "",  # of the edit to come
        "expires_at": rulebook.moment(view.rule.expires_at),
    }


def rule_form(model: type[Rule]) -> type[RuleForm]:
    """The form of one kind, built from the kernel's table of its parameters."""
    own: dict[str, Any] = {}
    for parameter in parameters(model.KIND):
        if parameter.type is Type.OBJECT:
            for part in parameter.parts:
                own[f"{parameter.name}__{part.name}"] = field_for(part)
        else:
            own[parameter.name] = field_for(parameter)
    body = {**own, "kind": model.KIND, "own_fields": tuple(own)}
    if model.KIND == "kill_switch":
        body["expires_at"] = forms.SplitDateTimeField(
            widget=AdminSplitDateTime,
            help_text="At most 24 hours ahead; it can be renewed.",
        )
    body["Meta"] = type("Meta", (RuleForm.Meta,), {"model": model})
    return type(f"{model.__name__}Form", (RuleForm,), body)
