"""Rules over REST: what operators do in forms, one kind at an address.

A rule is its kernel document with ``owner`` and ``reason`` beside it. Its revision is
its ``ETag``; sent back as ``If-Match`` (or as ``rev`` in the body) it guards against
overwriting what somebody else changed meanwhile.
"""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from controlplane import actions, rulebook
from controlplane.rulebook import Change, RuleView
from dashboards.api import policy_shapes as shapes
from dashboards.api.editing import (
    IF_MATCH,
    Editing,
    document_of,
    expected_revision,
    refusals,
)
from dashboards.api.endpoint import JSON, describe, items
from dashboards.api.fields import Cursor
from dashboards.api.parameters import Limited, Parameters
from dashboards.api.problems import Invalid, NotFound
from switchgear.policy.rules import COMMON, KINDS, Parameter, parameters

# What an answer says and a body may say too, so that an answer can be sent back.
TOLD = {"created_at", "created_by", "updated_at", "updated_by", "change"}
KIND = {"kind": "|".join(KINDS)}
ONE = KIND | {"id": shapes.SLUG}


class InDraft(Parameters):
    draft = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=2**31 - 1,
        help_text="Of this open draft, not of what is in force.",
    )

    @property
    def number(self) -> int | None:
        number: int | None = self.validated_data.get("draft")
        return number


class RuleParameters(Limited, InDraft):
    next = Cursor(str)

    def page(self, found: list[RuleView]) -> tuple[list[RuleView], tuple[str] | None]:
        (after,) = self.validated_data.get("next", ("",))
        rest = [view for view in found if view.id > after]
        shown = rest[: self.validated_data["limit"]]
        return shown, (shown[-1].id,) if len(shown) < len(rest) else None


class DeleteParameters(InDraft):
    reason = serializers.CharField(required=False, max_length=500, allow_blank=True)


class Kinds(Editing):
    @describe(
        "rule_kinds",
        "Every kind of rule and what it can be told",
        asks=Parameters,
        answers=shapes.KINDS_OF_RULES,
        tag="Policy",
    )
    def get(self, request: Request) -> Response:
        Parameters.asked(request)
        return Response(
            {
                "common": [parameter(one) for one in COMMON],
                "kinds": [
                    {
                        "kind": name,
                        "explained": (kind.__doc__ or "").strip(),
                        "limiting": kind.LIMITING,
                        "parameters": [parameter(one) for one in parameters(name)],
                    }
                    for name, kind in KINDS.items()
                ],
            }
        )


class Rules(Editing):
    @describe(
        "rules",
        "The rules of a kind, by id",
        asks=RuleParameters,
        answers=shapes.RULES,
        path=KIND,
        tag="Policy",
    )
    def get(self, request: Request, kind: str) -> Response:
        asked = RuleParameters.asked(request)
        views = rulebook.rules_in(self.project, self.draft(asked.number))
        shown, after = asked.page([view for view in views if view.kind == kind])
        return items(shown, presented, after)

    @describe(
        "create_rule",
        "Make a rule; it is in force at once, unless a draft is named",
        asks=InDraft,
        body=shapes.RULE_BODY,
        answers={201: shapes.RULE},
        path=KIND,
        tag="Policy",
    )
    def post(self, request: Request, kind: str) -> Response:
        asked = InDraft.asked(request)
        document, reason = edited(document_of(request))
        with refusals(request):
            view = actions.create_rule(
                self.project,
                kind,
                document,
                reason=reason,
                draft=self.draft(asked.number),
                **self.author,
            )
        answer = answered(view, 201)
        answer.headers["Location"] = f"/api/v1/rules/{kind}/{view.id}/"
        return answer


class OneRule(Editing):
    @describe(
        "rule",
        "One rule; its ETag is its revision",
        asks=InDraft,
        answers=shapes.RULE,
        path=ONE,
        tag="Policy",
    )
    def get(self, request: Request, kind: str, id: str) -> Response:  # noqa: A002  its name in the URL
        return answered(self.found(kind, id, InDraft.asked(request).number))

    @describe(
        "replace_rule",
        "Say all of a rule anew; what is left out has its default",
        asks=InDraft,
        body=shapes.RULE_BODY,
        answers=shapes.RULE,
        path=ONE,
        tag="Policy",
        headers=(IF_MATCH,),
        refuses=(409, 412),
    )
    def put(self, request: Request, kind: str, id: str) -> Response:  # noqa: A002  its name in the URL
        number = InDraft.asked(request).number
        document = document_of(request)
        self.found(kind, id, number)
        return self.saved(request, kind, {"id": id} | document, number, id)

    @describe(
        "change_rule",
        "Change some of a rule (JSON merge patch: null takes a value out)",
        asks=InDraft,
        body=shapes.RULE_PATCH,
        answers=shapes.RULE,
        path=ONE,
        tag="Policy",
        headers=(IF_MATCH,),
        refuses=(409, 412),
    )
    def patch(self, request: Request, kind: str, id: str) -> Response:  # noqa: A002  its name in the URL
        number = InDraft.asked(request).number
        patch = document_of(request)
        stored = self.found(kind, id, number).document()
        # Without a reason of its own an edit has none: the last one was another's.
        merged = {
            name: value for name, value in (stored | patch).items() if value is not None
        }
        return self.saved(request, kind, merged, number, id)

    @describe(
        "delete_rule",
        "Delete a rule; its history is kept",
        asks=DeleteParameters,
        answers={204: None},
        path=ONE,
        tag="Policy",
        headers=(IF_MATCH,),
        refuses=(409, 412),
    )
    def delete(self, request: Request, kind: str, id: str) -> Response:  # noqa: A002  its name in the URL
        asked = DeleteParameters.asked(request)
        self.found(kind, id, asked.number)
        with refusals(request):
            actions.delete_rule(
                self.project,
                id,
                reason=asked.validated_data.get("reason", ""),
                rev=expected_revision(request),
                draft=self.draft(asked.number),
                **self.author,
            )
        return Response(status=204)

    def found(self, kind: str, rule_id: str, draft: int | None) -> RuleView:
        views = rulebook.rules_in(self.project, self.draft(draft))
        for view in views:
            if (
                view.id == rule_id
                and view.kind == kind
                and view.change != Change.REMOVED
            ):
                return view
        raise NotFound(kind.replace("_", " ") + " rule")

    def saved(
        self,
        request: Request,
        kind: str,
        document: JSON,
        draft: int | None,
        rule_id: str,
    ) -> Response:
        document, reason = edited(document)
        if document["id"] != rule_id:
            message = f"must be {rule_id}: a rule keeps its id"
            raise Invalid(("policy_refused", message, "/id"))
        with refusals(request):
            view = actions.save_rule(
                self.project,
                kind,
                document,
                reason=reason,
                rev=expected_revision(request),
                draft=self.draft(draft),
                **self.author,
            )
        return answered(view)


def edited(document: JSON) -> tuple[JSON, Any]:
    """What an editor says of the rule, and why."""
    kept = {name: value for name, value in document.items() if name not in TOLD}
    return kept, kept.pop("reason", "")


def answered(view: RuleView, status: int = 200) -> Response:
    return Response(presented(view), status=status, headers={"ETag": f'"{view.rev}"'})


def presented(view: RuleView) -> JSON:
    return view.document() | {
        "owner": view.owner,
        "reason": view.reason,
        "created_at": shapes.moment(view.created_at),
        "created_by": view.created_by,
        "updated_at": shapes.moment(view.updated_at),
        "updated_by": view.updated_by,
        "change": view.change.value or None,
    }


def parameter(one: Parameter) -> JSON:
    """One line of the kernel's table."""
    return {
        "name": one.name,
        "type": one.type.value,
        "help": one.help,
        "required": one.required,
        "default": one.default,
        "unit": one.unit or None,
        "least": one.least,
        "most": one.most,
        "choices": list(one.choices),
        "parts": [parameter(part) for part in one.parts],
    }
