"""The shapes of rules, versions and drafts, for the OpenAPI document.

What every rule has comes from the kernel's table; what its kind adds is told by
``GET /api/v1/rules/``, so a rule is described as open to more.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers as s

from dashboards.api.fields import RuleIdConverter
from dashboards.api.shapes import (
    a_list,
    anything,
    maybe_number,
    maybe_text,
    number,
    shape,
    text,
    texts,
)
from switchgear.policy.explain import Verdict
from switchgear.policy.review.changes import Change
from switchgear.policy.rules import COMMON, KINDS
from switchgear.policy.rules.parameters import Parameter, Type
from switchgear.policy.rules.selectors import FACTS

JSON = dict[str, Any]

SLUG = RuleIdConverter.regex
TYPES: dict[Type, JSON] = {
    Type.SLUG: {"type": "string", "pattern": f"^{SLUG}$"},
    Type.INT: {"type": "integer"},
    Type.CHOICE: {"type": "string"},
    Type.TIME: {"type": "string", "format": "date-time"},
    Type.SELECTOR: {
        "type": "object",
        "description": f"Conditions by fact: {', '.join(FACTS)}. "
        'Each is a value, a list of values, {"glob": "search.*"} or {"not": [...]}.',
        "additionalProperties": {},
    },
}


def property_of(parameter: Parameter) -> JSON:
    told: JSON = {"description": parameter.help, **TYPES[parameter.type]}
    if parameter.choices:
        told["enum"] = list(parameter.choices)
    if parameter.least is not None:
        told["minimum"] = parameter.least
    if parameter.most is not None:
        told["maximum"] = parameter.most
    return told


OF_ALL = {one.name: property_of(one) for one in COMMON}
OWN: JSON = {
    "owner": {"type": "string", "maxLength": 100, "description": "Who to ask."},
    "reason": {"type": "string", "maxLength": 500, "description": "Of this edit."},
}
TOLD: JSON = {
    "kind": {"type": "string", "enum": list(KINDS)},
    "created_at": {"type": "string", "format": "date-time"},
    "created_by": {"type": "string"},
    "updated_at": {"type": "string", "format": "date-time"},
    "updated_by": {"type": "string"},
    "change": {
        "type": "string",
        "nullable": True,
        "enum": [*(one.value for one in Change), None],
        "description": "What the draft that was asked about does to it.",
    },
}
MORE = "What its kind adds is told by GET /api/v1/rules/."


class Described(s.Serializer[Any]):
    """A shape that is told as a schema, not by fields."""

    document: JSON = {}


class RuleBody(Described):
    document = {
        "type": "object",
        "description": MORE,
        "properties": OF_ALL | OWN,
        "additionalProperties": {},
    }


class RulePatch(Described):
    document = {
        "type": "object",
        "description": "What changes; null takes a value out.",
        "additionalProperties": {},
    }


class Rule(Described):
    document = {
        "type": "object",
        "description": MORE,
        "properties": OF_ALL | OWN | TOLD,
        "required": [
            *(one.name for one in COMMON if one.name != "expires_at"),
            *OWN,
            *TOLD,
        ],
        "additionalProperties": {},
    }


class Schemas(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    target_class = Described
    match_subclasses = True

    def get_name(self, auto_schema: AutoSchema, direction: str) -> str:
        return str(type(self.target).__name__)

    def map_serializer(self, auto_schema: AutoSchema, direction: str) -> JSON:
        return dict(self.target.document)


RULE, RULE_BODY, RULE_PATCH = Rule(), RuleBody(), RulePatch()
RULES = a_list("RuleList", Rule())


def moment(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


# One class each, used by several shapes: they are one component of the schema.
RuleParameter = type(
    shape(
        "RuleParameter",
        {
            "name": text(),
            "type": s.ChoiceField([one.value for one in Type]),
            "help": text(),
            "required": s.BooleanField(),
            "default": s.JSONField(allow_null=True),
            "unit": maybe_text(),
            "least": s.FloatField(allow_null=True),
            "most": s.FloatField(allow_null=True),
            "choices": texts(),
            "parts": s.ListField(child=anything()),
        },
    )
)
KINDS_OF_RULES = shape(
    "RuleKinds",
    {
        "common": s.ListField(child=RuleParameter()),
        "kinds": s.ListField(
            child=shape(
                "RuleKind",
                {
                    "kind": s.ChoiceField(list(KINDS)),
                    "explained": text(),
                    "limiting": s.BooleanField(
                        help_text="All that match apply; of the others one decides."
                    ),
                    "parameters": s.ListField(child=RuleParameter()),
                },
            )
        ),
    },
)


def version_fields() -> dict[str, Any]:
    return {
        "number": number(),
        "environment": text(),
        "digest": text(),
        "rules": number(),
        "created_at": s.DateTimeField(),
        "created_by": text(),
        "reason": text(),
        "rollback_of": maybe_number(),
    }


Sentence = type(
    shape(
        "PolicyChange",
        {
            "rule": text(),
            "change": s.ChoiceField([one.value for one in Change]),
            "text": text(),
        },
    )
)
Version = type(shape("PolicyVersion", version_fields()))
VERSIONS = a_list("PolicyVersionList", Version())
VERSION_IN_FULL = shape(
    "PolicyVersionInFull",
    version_fields()
    | {
        "document": s.DictField(
            child=s.JSONField(allow_null=True),
            help_text="The whole snapshot; a service gets the rules that concern it.",
        ),
        "changes": s.ListField(child=Sentence(), help_text="Since the version before."),
    },
)
COMPARISON = shape(
    "PolicyComparison",
    {
        "environment": text(),
        "from": number(),
        "to": number(),
        "changes": s.ListField(child=Sentence()),
    },
)
PUBLISHED = shape(
    "Published",
    {
        "versions": s.ListField(
            child=Version(), help_text="Made by this: one for each environment changed."
        ),
        "current": s.ListField(
            child=Version(), help_text="In force now, one for each environment."
        ),
    },
)
PUBLISH = shape(
    "Publish",
    {
        "draft": s.IntegerField(required=False, min_value=1, max_value=2**31 - 1),
        "reason": s.CharField(required=False, allow_blank=True, max_length=500),
    },
)
ROLL_BACK = shape(
    "RollBack",
    {
        "reason": s.CharField(required=False, allow_blank=True, max_length=500),
        "environment": s.CharField(required=False, max_length=100),
    },
)


def draft_fields() -> dict[str, Any]:
    return {
        "id": number(),
        "title": text(),
        "state": s.ChoiceField(["open", "published", "discarded"]),
        "opened_at": s.DateTimeField(),
        "opened_by": text(),
        "rules": texts(),
    }


Draft = type(shape("Draft", draft_fields()))
DRAFT, DRAFTS = Draft(), a_list("DraftList", Draft())
DRAFT_IN_FULL = shape(
    "DraftInFull",
    draft_fields()
    | {
        "changes": s.ListField(
            child=Sentence(), help_text="What publishing it changes."
        ),
        "moved": s.ListField(
            child=Sentence(), help_text="What was published since; rebase it first."
        ),
    },
)
OPEN_DRAFT = shape(
    "OpenDraft",
    {"title": s.CharField(required=False, allow_blank=True, max_length=200)},
)
Judged = type(
    shape(
        "JudgedRule",
        {
            "rule": text(),
            "verdict": s.ChoiceField([one.value for one in Verdict]),
            "reason": text(),
        },
    )
)
EXPLANATION = shape(
    "Explanation",
    {
        "environment": text(),
        "version": maybe_number(),
        "call": s.DictField(child=maybe_text()),
        "kinds": s.ListField(
            child=shape(
                "ExplainedKind",
                {
                    "kind": s.ChoiceField(list(KINDS)),
                    "winner": maybe_text(),
                    "winners": s.ListField(child=Judged()),
                    "losers": s.ListField(child=Judged()),
                },
            )
        ),
    },
)
