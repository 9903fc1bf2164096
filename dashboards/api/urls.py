"""REST routes under ``/api/v1/``."""

from __future__ import annotations

from django.urls import URLPattern, path, re_path, register_converter

from dashboards.api import documents, querying, reading
from dashboards.api.fields import CallIdConverter, TraceIdConverter
from dashboards.api.problems import nothing_here

register_converter(CallIdConverter, "call_id")
register_converter(TraceIdConverter, "trace_id")

operations: list[URLPattern] = [
    path("metrics/query", querying.MetricsQuery.as_view()),
    path("metrics/catalog", querying.MetricsCatalog.as_view()),
    path("calls", reading.Calls.as_view()),
    path("calls/<call_id:id>", reading.OneCall.as_view()),
    path("traces/<trace_id:trace_id>", reading.OneTrace.as_view()),
    path("targets", reading.Targets.as_view()),
    path("services", reading.Services.as_view()),
    path("tenants", reading.Tenants.as_view()),
    path("sessions", reading.Sessions.as_view()),
    path("instances", reading.Instances.as_view()),
]
urlpatterns: list[URLPattern] = [
    *operations,
    path("schema/", documents.Schema.as_view(), name="api-schema"),
    path("docs/", documents.Pages.as_view(), name="api-docs"),
    # Last: whatever else is asked for here is told so in JSON.
    re_path("^(?P<path>.*)$", nothing_here),
]
