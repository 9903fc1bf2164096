"""The shapes of answers, for the OpenAPI document; ``present`` makes them.

Nothing is serialised here: a fuzzer compares what is answered with what this says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers as s

from controlplane.convergence import Presence, Standing
from switchgear.policy.vocabulary import FailureClass, Kind, Outcome, RefusalReason

Fields = dict[str, s.Field[Any, Any, Any, Any]]


def shape(name: str, fields: Fields) -> s.Serializer[Any]:
    return inline_serializer(name, fields)


def text() -> s.CharField:
    return s.CharField()


def maybe_text() -> s.CharField:
    return s.CharField(allow_null=True)


def number() -> s.IntegerField:
    return s.IntegerField()


def maybe_number() -> s.IntegerField:
    return s.IntegerField(allow_null=True)


def maybe_amount() -> s.FloatField:
    return s.FloatField(allow_null=True)


def maybe_moment() -> s.DateTimeField:
    return s.DateTimeField(allow_null=True)


def texts() -> s.ListField:
    return s.ListField(child=s.CharField())


def maybe_one_of(words: type[Kind | Outcome | FailureClass | RefusalReason]) -> Any:
    return s.ChoiceField([word.value for word in words], allow_null=True)


def anything() -> s.DictField:
    """An object with keys that the sender chose."""
    return s.DictField(child=s.JSONField(allow_null=True))


def a_list(name: str, item: s.Serializer[Any]) -> s.Serializer[Any]:
    return shape(
        name,
        {
            "items": s.ListField(child=item),
            "next": s.CharField(
                allow_null=True,
                help_text="Pass it as 'next' to go on; null when this was all.",
            ),
        },
    )


def _each(
    names: Iterable[str], make: Callable[[], s.Field[Any, Any, Any, Any]]
) -> Fields:
    return {name: make() for name in names}


TOKENS = ("input", "output", "cache_read", "cache_write", "reasoning")
# One class, used by two shapes: they are one component of the schema.
Tokens = type(shape("Tokens", _each(TOKENS, maybe_number)))


def call_fields() -> Fields:
    return {
        "id": text(),
        "trace_id": text(),
        "kind": s.ChoiceField([word.value for word in Kind]),
        "target": text(),
        "service": text(),
        "environment": text(),
        "tenant": maybe_text(),
        "agent": maybe_text(),
        "session": maybe_text(),
        "user": maybe_text(),
        "outcome": maybe_one_of(Outcome),
        "failure_class": maybe_one_of(FailureClass),
        "refusal_reason": maybe_one_of(RefusalReason),
        "attempts": number(),
        "started_at": maybe_moment(),
        "ended_at": maybe_moment(),
        "latency_ms": maybe_amount(),
        "work_ms": maybe_amount(),
        "backoff_ms": maybe_amount(),
        "tokens": Tokens(allow_null=True),
        "cost_usd": maybe_amount(),
        "policy_version": maybe_number(),
        "rule": maybe_text(),
    }


def detail_fields() -> Fields:
    return call_fields() | {
        "span_id": text(),
        "counts": s.BooleanField(
            help_text="False when another call of the same provider response counts."
        ),
        "message": maybe_text(),
        "provider": maybe_text(),
        "server": maybe_text(),
        "attempt_errors": s.DictField(child=number()),
        "ttft_ms": maybe_amount(),
        "wasted_usd": maybe_amount(),
        "unpriced": s.BooleanField(),
        "cache_hit": s.BooleanField(),
        "repeated": s.BooleanField(),
        "clock_skewed": s.BooleanField(),
        "retry_coverage": s.ChoiceField(["explicit", "inferred", "invisible"]),
        "decision": maybe_text(),
        "lease": maybe_text(),
    }


def _event() -> s.Serializer[Any]:
    return shape(
        "Event", {"name": text(), "at": maybe_moment(), "attributes": anything()}
    )


def _link() -> s.Serializer[Any]:
    return shape(
        "Link", {"trace_id": text(), "span_id": text(), "attributes": anything()}
    )


def span_fields() -> Fields:
    return {
        "span_id": text(),
        "parent_id": maybe_text(),
        "name": text(),
        "kind": text(),
        "category": text(),
        "service": text(),
        "environment": text(),
        "scope": maybe_text(),
        "started_at": maybe_moment(),
        "ended_at": maybe_moment(),
        "duration_ms": maybe_amount(),
        "status": s.ChoiceField(["unset", "ok", "error"]),
        "message": maybe_text(),
        "failed": s.BooleanField(),
        "failure_class": maybe_one_of(FailureClass),
        "attributes": anything(),
        "resource": anything(),
        "events": s.ListField(child=_event()),
        "links": s.ListField(child=_link()),
    }


def rollout() -> s.Serializer[Any]:
    """How far a service has come with the newest policy of one environment."""
    counts = ("instances", "applied", "rejected", "behind", "gone")
    return shape(
        "ServiceRollout",
        {
            "environment": text(),
            "version": maybe_number(),
            "sentence": text(),
            **_each(counts, number),
        },
    )


def failed() -> s.Serializer[Any]:
    return shape(
        "FailedVersion",
        {"version": number(), "rule": text(), "pointer": text(), "error": text()},
    )


def standing() -> Any:
    """What an instance said of its policy; null when it never did."""
    made = shape(
        "Standing",
        {
            "standing": s.ChoiceField([one.value for one in Standing]),
            "presence": s.ChoiceField([one.value for one in Presence]),
            "running_version": maybe_number(),
            "received_version": maybe_number(),
            "failed": type(failed())(allow_null=True),
            "drifted": s.BooleanField(
                help_text="It runs other content than this version has."
            ),
            "connected": s.BooleanField(help_text="A stream of hints is open to it."),
            "sdk": text(),
            "seen_at": s.DateTimeField(),
            "applied_ms": maybe_number(),
        },
    )
    return type(made)(allow_null=True)


CALL = shape("Call", call_fields())
CALLS = a_list("CallList", CALL)
CALL_IN_FULL = shape("CallInFull", detail_fields())
TRACE = shape(
    "Trace",
    {
        "trace_id": text(),
        "spans_shown": number(),
        "spans_total": number(),
        "calls_shown": number(),
        "calls_total": number(),
        "spans": s.ListField(child=shape("Span", span_fields())),
        "calls": s.ListField(child=CALL_IN_FULL),
        "next": maybe_text(),
    },
)


def figure_fields() -> Fields:
    """What ``figures.METRICS`` gives, with underscores for dots."""
    return {
        "calls": number(),
        "errors": number(),
        "error_rate": maybe_amount(),
        "attempts": number(),
        "attempt_error_rate": maybe_amount(),
        "retry_rate": maybe_amount(),
        "latency_ms_p50": maybe_amount(),
        "latency_ms_p95": maybe_amount(),
        "cost_usd": maybe_amount(),
    }


TARGETS = a_list(
    "TargetList",
    shape(
        "Target",
        figure_fields()
        | {
            "kind": s.ChoiceField([word.value for word in Kind]),
            "target": text(),
            "providers": texts(),
            "environments": texts(),
            "services": texts(),
        },
    ),
)
TENANTS = a_list("TenantList", shape("Tenant", figure_fields() | {"tenant": text()}))
SERVICES = a_list(
    "ServiceList",
    shape(
        "Service",
        figure_fields()
        | {
            "service": text(),
            "environments": texts(),
            "retry_coverage": shape(
                "RetryCoverage", _each(("explicit", "inferred", "invisible"), number)
            ),
            "policy": s.ListField(child=rollout(), help_text="By environment."),
        },
    ),
)
SESSIONS = a_list(
    "SessionList",
    shape(
        "Session",
        {
            "session": text(),
            "user": maybe_text(),
            "tenant": maybe_text(),
            "calls": number(),
            "errors": number(),
            "traces": number(),
            "first_at": maybe_moment(),
            "last_at": maybe_moment(),
        },
    ),
)
INSTANCES = a_list(
    "InstanceList",
    shape(
        "Instance",
        {
            "service": text(),
            "environment": text(),
            "instance": maybe_text(),
            "host": maybe_text(),
            "sdk": shape("Sdk", _each(("name", "version", "language"), maybe_text)),
            "spans": number(),
            "last_at": maybe_moment(),
            "policy": standing(),
        },
    ),
)
PROBLEM = shape(
    "Problem",
    {
        "type": text(),
        "title": text(),
        "status": number(),
        "code": text(),
        "detail": text(),
        "errors": s.ListField(
            required=False,
            child=shape(
                "Finding", {"code": text(), "detail": text(), "pointer": text()}
            ),
        ),
    },
)
