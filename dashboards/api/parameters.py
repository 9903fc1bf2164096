"""What each endpoint may be asked, checked before anything is looked up.

A parameter nobody knows is an error: a filter that was misspelt and ignored would give
an answer to another question. Each class turns what was asked into the one record its
query takes.
"""

from __future__ import annotations

from typing import Any, Self

from rest_framework import serializers
from rest_framework.request import Request

from controlplane.scope import Scope
from dashboards.api.fields import (
    Amount,
    Cursor,
    Flag,
    Moment,
    Repeated,
    Words,
    ago,
    split,
)
from dashboards.api.problems import Finding, Invalid, Problem
from dashboards.fleet import Member
from ingest.queries.calls import SERIES_FIELDS, CallSearch
from ingest.queries.inventory import SessionPosition
from switchgear.policy.vocabulary import FailureClass, Kind, Outcome, RefusalReason

WIDEST_MS = 86_400_000  # a day, the longest latency that is measured
MOST_ITEMS = 500
# Understood at every endpoint: the project a logged-in user looks at.
EVERYWHERE = {"project"}
Position = tuple[int | str, ...]
Fields = dict[str, serializers.Field[Any, Any, Any, Any]]
LISTS = {"in", "not_in"}
NEVER_EMPTY = (serializers.IntegerField, serializers.ChoiceField)
CODES = {"invalid_time", "invalid_cursor", "required"}


class Parameters(serializers.Serializer[Any]):
    @classmethod
    def asked(cls, request: Request) -> Self:
        parameters = cls(data=request.query_params, context={"request": request})
        unknown = set(request.query_params) - set(parameters.fields) - EVERYWHERE
        if unknown:
            name = min(unknown)
            known = ", ".join(sorted({*parameters.fields} - unknown))
            message = f"There is no parameter {name!r}; there are: {known}."
            raise Invalid(("unknown_parameter", message, pointer(name)))
        for name, field in parameters.fields.items():
            # Of a form an empty value would be none; here it is a slip.
            if isinstance(field, NEVER_EMPTY) and request.query_params.get(name) == "":
                message = "It must not be empty; leave it out instead."
                raise Invalid(("invalid_parameter", message, pointer(name)))
        if not parameters.is_valid():
            raise Invalid(*findings(parameters.errors))
        return parameters


def pointer(*path: str) -> str:
    escaped = (part.replace("~", "~0").replace("/", "~1") for part in path)
    return "".join(f"/{part}" for part in escaped)


def findings(errors: Any, *path: str) -> list[Finding]:
    if isinstance(errors, dict):
        return [
            one
            for name, inner in errors.items()
            for one in findings(inner, *path, str(name))
        ]
    return [
        (
            error.code if error.code in CODES else "invalid_parameter",
            str(error),
            pointer(*path),
        )
        for error in errors
    ]


def bound_tenants(scope: Scope, asked: list[str]) -> list[str]:
    """The tenants to look at; a key that is bound to one sees no other."""
    if scope.tenant is None:
        return asked
    if set(asked) - {scope.tenant}:
        raise Problem(403, "tenant_not_allowed", "This API key is bound to a tenant.")
    return [scope.tenant]


def _yesterday() -> int:
    return ago(86_400)


class Limited(Parameters):
    limit = serializers.IntegerField(
        required=False, default=50, min_value=1, max_value=MOST_ITEMS
    )


class Window(Limited):
    """A time range; ``from`` is included, ``to`` is not."""

    to = Moment(required=False, default=ago, help_text="End of the range: now.")

    def get_fields(self) -> Fields:
        start = Moment(
            required=False,
            default=_yesterday,
            help_text="Start of the range: ISO 8601, unix seconds or now-24h.",
        )
        # Python has taken the word "from".
        return {"from": start, **super().get_fields()}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["from"] >= attrs["to"]:
            raise serializers.ValidationError({"from": ["It must be before 'to'."]})
        return attrs

    @property
    def bounds(self) -> dict[str, int]:
        asked = self.validated_data
        return {"since_ns": asked["from"], "until_ns": asked["to"]}


class CallParameters(Window):
    next = Cursor(int, int)
    outcome = Words([word.value for word in Outcome])
    failure_class = Words([word.value for word in FailureClass])
    refusal_reason = Words([word.value for word in RefusalReason])
    kind = Words([word.value for word in Kind])
    target = Words()
    tenant = Words()
    service = Words()
    environment = Words()
    agent = Words()
    provider = Words()
    session = Words()
    user = Words()
    min_latency_ms = Amount(required=False, min_value=0, max_value=WIDEST_MS)
    text = serializers.CharField(
        required=False,
        max_length=200,
        allow_blank=True,
        help_text="Part of the error message, in any case of letters.",
    )

    def search(self, scope: Scope) -> CallSearch:
        asked = self.validated_data
        latency_ms = asked.get("min_latency_ms")
        series = {name: asked.get(name, []) for name in SERIES_FIELDS}
        series["tenant"] = bound_tenants(scope, series["tenant"])
        return CallSearch(
            **self.bounds,
            limit=asked["limit"],
            after=asked.get("next"),
            series=series,
            outcomes=asked.get("outcome", []),
            failure_classes=asked.get("failure_class", []),
            refusal_reasons=asked.get("refusal_reason", []),
            sessions=asked.get("session", []),
            users=asked.get("user", []),
            min_latency_us=None if latency_ms is None else round(latency_ms * 1000),
            text=asked.get("text"),
        )


class TraceParameters(Parameters):
    limit = serializers.IntegerField(
        required=False, default=500, min_value=1, max_value=2000
    )
    next = Cursor(str)

    @property
    def after(self) -> bytes:
        """The span to go on after, by its id."""
        (span_id,) = self.validated_data.get("next", ("",))
        try:
            return bytes.fromhex(span_id)
        except ValueError as error:
            text = "This is no cursor of this list."
            raise Invalid(("invalid_cursor", text, "/next")) from error


class TargetParameters(Window):
    next = Cursor(str, str)
    kind = Words([word.value for word in Kind])


class NameParameters(Window):
    """Lists by name."""

    next = Cursor(str)

    @property
    def after(self) -> str | None:
        position: tuple[str | None] = self.validated_data.get("next", (None,))
        return position[0]


class SessionParameters(Window):
    next = Cursor(int, int, int, str)

    @property
    def after(self) -> SessionPosition:
        if "next" not in self.validated_data:
            return SessionPosition()
        ended_ns, row_id, last_ns, session = self.validated_data["next"]
        return SessionPosition(
            (ended_ns, row_id) if row_id else None, last_ns, session or None
        )


def session_cursor(position: SessionPosition | None) -> Position | None:
    if position is None:
        return None
    return (*(position.top or (0, 0)), position.last_ns, position.session or "")


class InstanceParameters(Window):
    next = Cursor(str, str, str)

    def page(self, found: list[Member]) -> tuple[list[Member], Position | None]:
        after = self.validated_data.get("next", ("", "", ""))
        rest = [one for one in found if _names(one) > after]
        shown = rest[: self.validated_data["limit"]]
        return shown, _names(shown[-1]) if len(shown) < len(rest) else None


def _names(member: Member) -> tuple[str, str, str]:
    return member.service, member.environment, member.uid or ""


class MetricsParameters(Parameters):
    """The names of the metrics query, each as text; ``metrics.parse`` judges them."""

    to = serializers.CharField(required=False, help_text="End of the range: now.")
    step = serializers.CharField(required=False, help_text="auto, 60, 5m or 1d")
    tz = serializers.CharField(required=False, help_text="Europe/Berlin")
    metrics = Words(required=True, help_text="calls,error_rate,latency_ms.p95")
    group_by = Words(help_text="tool,tenant")
    filters = Repeated(help_text="tenant:in:acme,globex (repeat it for another one)")
    order_by = Words(help_text="error_rate:desc,calls")
    limit = serializers.IntegerField(required=False)
    other = Flag(required=False)
    compare = serializers.CharField(required=False, help_text="previous_period")

    def get_fields(self) -> Fields:
        start = serializers.CharField(required=False, help_text="Start of the range.")
        return {"from": start, **super().get_fields()}

    def document(self) -> dict[str, Any]:
        """The document that POST would have taken."""
        asked = dict(self.validated_data)
        if "filters" in asked:
            asked["filters"] = [_filter(text) for text in asked["filters"]]
        if "order_by" in asked:
            asked["order_by"] = [_order(text) for text in asked["order_by"]]
        return asked


def _filter(text: str) -> dict[str, Any]:
    """``field:op:value,value``; an empty value stands for a missing word."""
    field, _, rest = text.partition(":")
    op, _, value = rest.partition(":")
    words = [word or None for word in split([value])]
    return {"field": field, "op": op, "value": words if op in LISTS else words[0]}


def _order(text: str) -> dict[str, str]:
    metric, separator, direction = text.rpartition(":")
    if not separator:
        return {"metric": text}
    return {"metric": metric, "dir": direction}
