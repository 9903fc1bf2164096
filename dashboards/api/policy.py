"""Policy versions and drafts over REST: read, compare, publish, roll back, explain."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.db.models import OuterRef, Subquery
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from controlplane import actions
from controlplane.compiling import compare
from controlplane.models import PolicyVersion
from dashboards.api import policy_shapes as shapes
from dashboards.api.editing import Editing, body_of, refusals
from dashboards.api.endpoint import JSON, describe, items
from dashboards.api.fields import Cursor
from dashboards.api.parameters import Limited, Parameters
from dashboards.api.problems import NotFound
from dashboards.policy import explaining
from switchgear.policy.explain import Judged
from switchgear.policy.review.changes import Sentence
from switchgear.policy.vocabulary import Kind

NUMBER = {"number": r"\d{1,18}"}
MOST_NUMBER = 10**18 - 1
POLICY = "Policy"


def maybe(**told: Any) -> serializers.CharField:
    """A word that may be left out, or empty."""
    return serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=400,
        trim_whitespace=False,
        **told,
    )


class InEnvironment(Parameters):
    environment = maybe(help_text="default")

    @property
    def name(self) -> str:
        return self.validated_data.get("environment") or "default"


class VersionParameters(Limited, InEnvironment):
    next = Cursor(int)


class CompareParameters(InEnvironment):
    to = serializers.IntegerField(min_value=1, max_value=MOST_NUMBER)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        first = serializers.IntegerField(min_value=1, max_value=MOST_NUMBER)
        # Python has taken the word "from".
        return {"from": first, **super().get_fields()}


class ExplainParameters(InEnvironment):
    service = maybe()
    target = maybe(help_text="Also with its kind: tool:search, model:gpt-4o.")
    kind = serializers.ChoiceField(
        [kind.value for kind in Kind], required=False, default=Kind.TOOL.value
    )
    tenant = maybe()
    user = maybe()
    agent = maybe()
    model = maybe()
    provider = maybe()
    server = maybe()


class OfVersions(Editing):
    def version(self, environment: str, number: int) -> PolicyVersion:
        rows = PolicyVersion.objects.of_environment(self.scope.project_id, environment)
        found = rows.select_related("environment").filter(number=number).first()
        if found is None:
            raise NotFound("policy version")
        return found

    def published(self, made: Iterable[PolicyVersion]) -> JSON:
        """What was made, and what is in force now."""
        latest = PolicyVersion.objects.filter(environment=OuterRef("environment"))
        current = PolicyVersion.objects.filter(
            environment__project_id=self.scope.project_id,
            number=Subquery(latest.order_by("-number").values("number")[:1]),
        )
        rows = current.select_related("environment").defer("document")
        return {
            "versions": [version(one) for one in made],
            "current": [version(one) for one in rows.order_by("environment__name")],
        }


class Versions(Editing):
    @describe(
        "policy_versions",
        "The policy versions of an environment, newest first",
        asks=VersionParameters,
        answers=shapes.VERSIONS,
        tag=POLICY,
    )
    def get(self, request: Request) -> Response:
        asked = VersionParameters.asked(request)
        rows = PolicyVersion.objects.of_environment(self.scope.project_id, asked.name)
        if "next" in asked.validated_data:
            rows = rows.filter(number__lt=asked.validated_data["next"][0])
        limit = asked.validated_data["limit"]
        found = list(rows.select_related("environment").defer("document")[: limit + 1])
        after = (found[limit - 1].number,) if len(found) > limit else None
        return items(found[:limit], version, after)


class OneVersion(OfVersions):
    @describe(
        "policy_version",
        "One version, with its rules and what it changed",
        asks=InEnvironment,
        answers=shapes.VERSION_IN_FULL,
        path=NUMBER,
        tag=POLICY,
    )
    def get(self, request: Request, number: int) -> Response:
        name = InEnvironment.asked(request).name
        shown = self.version(name, number)
        before = self.version(name, number - 1) if number > 1 else None
        told = version(shown) | {
            "document": json.loads(shown.document),
            "changes": [sentence(one) for one in compare(before, shown)],
        }
        return Response(told)


class Comparison(OfVersions):
    @describe(
        "compare_policy_versions",
        "What one version says differently than another, in sentences",
        asks=CompareParameters,
        answers=shapes.COMPARISON,
        tag=POLICY,
        refuses=[404],
    )
    def get(self, request: Request) -> Response:
        asked = CompareParameters.asked(request)
        first, last = asked.validated_data["from"], asked.validated_data["to"]
        before, after = (self.version(asked.name, n) for n in (first, last))
        changes = [sentence(one) for one in compare(before, after)]
        told = {"environment": asked.name, "from": first, "to": last}
        return Response(told | {"changes": changes})


class Publish(OfVersions):
    @describe(
        "publish_policy",
        "Publish a draft; without one, see that versions say what the rules say",
        asks=Parameters,
        body=shapes.PUBLISH,
        answers=shapes.PUBLISHED,
        tag=POLICY,
        refuses=[404, 409],
    )
    def post(self, request: Request) -> Response:
        Parameters.asked(request)
        told = body_of(request, {"draft": int, "reason": str})
        draft, reason = self.draft(told.get("draft")), told.get("reason", "")
        with refusals(request):
            if draft is None:
                done = actions.publish(self.project, reason=reason, **self.author)
            else:
                done = actions.publish_draft(draft, reason=reason, **self.author)
        return Response(self.published(done.versions))


class RollBack(OfVersions):
    @describe(
        "roll_back_policy",
        "Publish a new version with the rules of an earlier one",
        asks=InEnvironment,
        body=shapes.ROLL_BACK,
        answers=shapes.PUBLISHED,
        path=NUMBER,
        tag=POLICY,
    )
    def post(self, request: Request, number: int) -> Response:
        asked = InEnvironment.asked(request)
        told = body_of(request, {"reason": str, "environment": str})
        name = told.get("environment", asked.name)
        self.version(name, number)
        with refusals(request):
            made = actions.roll_back(
                self.project,
                name,
                number,
                reason=told.get("reason", ""),
                **self.author,
            )
        return Response(self.published([made]))


class Explain(Editing):
    @describe(
        "explain_policy",
        "Which rules decide about a call, and why the others do not",
        asks=ExplainParameters,
        answers=shapes.EXPLANATION,
        tag=POLICY,
    )
    def get(self, request: Request) -> Response:
        asked = ExplainParameters.asked(request)
        facts = explaining.facts_of(asked.validated_data, asked.name)
        found = explaining.explanation(self.scope.project_id, asked.name, facts)
        call = {"kind": facts.kind, "target": facts.target, "service": facts.service}
        return Response(
            {
                "environment": asked.name,
                "version": found.version if found else None,
                "call": call | {"tenant": facts.tenant},
                "kinds": [
                    {
                        "kind": one.kind,
                        "winner": one.winner.id if one.winner else None,
                        "winners": [judged(each) for each in one.winners],
                        "losers": [judged(each) for each in one.losers],
                    }
                    for one in (found.kinds if found else ())
                ],
            }
        )


def judged(one: Judged) -> JSON:
    return {"rule": one.rule.id, "verdict": one.verdict.value, "reason": one.reason}


def sentence(one: Sentence) -> JSON:
    return {"rule": one.rule, "change": one.change.value, "text": str(one)}


def version(row: PolicyVersion) -> JSON:
    return {
        "number": row.number,
        "environment": row.environment.name,
        "digest": row.digest,
        "rules": row.rule_count,
        "created_at": shapes.moment(row.created_at),
        "created_by": row.actor_name,
        "reason": row.reason,
        "rollback_of": row.rollback_of,
    }
