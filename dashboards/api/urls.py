"""REST routes under ``/api/v1/``."""

from __future__ import annotations

from django.urls import URLPattern, path, re_path, register_converter

from dashboards.api import documents, drafts, fleet, policy, querying, reading, rules
from dashboards.api.endpoint import Endpoint
from dashboards.api.fields import (
    CallIdConverter,
    RuleIdConverter,
    RuleKindConverter,
    TraceIdConverter,
)
from dashboards.api.problems import nothing_here
from dashboards.numbers import Number

register_converter(CallIdConverter, "call_id")
register_converter(TraceIdConverter, "trace_id")
register_converter(Number, "digits")
register_converter(RuleKindConverter, "kind")
register_converter(RuleIdConverter, "rule_id")

operations: list[URLPattern] = [
    path("metrics/query", querying.MetricsQuery.as_view()),
    path("metrics/catalog", querying.MetricsCatalog.as_view()),
    path("calls", reading.Calls.as_view()),
    path("calls/<call_id:id>", reading.OneCall.as_view()),
    path("traces/<trace_id:trace_id>", reading.OneTrace.as_view()),
    path("targets", reading.Targets.as_view()),
    path("services", fleet.Services.as_view()),
    path("tenants", reading.Tenants.as_view()),
    path("sessions", reading.Sessions.as_view()),
    path("instances", fleet.Instances.as_view()),
    path("rules/", rules.Kinds.as_view()),
    path("rules/<kind:kind>/", rules.Rules.as_view()),
    path("rules/<kind:kind>/<rule_id:id>/", rules.OneRule.as_view()),
    path("policy/versions/", policy.Versions.as_view()),
    path("policy/versions/compare", policy.Comparison.as_view()),
    path("policy/versions/<digits:number>/", policy.OneVersion.as_view()),
    path("policy/versions/<digits:number>/rollback", policy.RollBack.as_view()),
    path("policy/publish", policy.Publish.as_view()),
    path("policy/explain", policy.Explain.as_view()),
    path("policy/drafts/", drafts.Drafts.as_view()),
    path("policy/drafts/<digits:id>/", drafts.OneDraft.as_view()),
    path("policy/drafts/<digits:id>/rebase", drafts.Rebase.as_view()),
]


def twin(operation: URLPattern) -> URLPattern:
    """The same with the other end: nobody should fail over a slash."""
    route = str(operation.pattern)
    other = route[:-1] if route.endswith("/") else f"{route}/"
    view: type[Endpoint] = operation.callback.cls  # type: ignore[attr-defined]
    return path(other, view.as_view(schema=None))


urlpatterns: list[URLPattern] = [
    *operations,
    *map(twin, operations),
    path("schema/", documents.Schema.as_view(), name="api-schema"),
    path("docs/", documents.Pages.as_view(), name="api-docs"),
    # Last: whatever else is asked for here is told so in JSON.
    re_path(r"^(?P<path>[\s\S]*)$", nothing_here),
]
