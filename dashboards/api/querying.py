"""The metrics query over HTTP: POST takes the document, GET the same names, flat.

GET exists for links and curl. Its lists are separated by commas or repeated; a filter
is ``field:op:value,value`` and an order ``metric:desc``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from controlplane.scope import Scope
from dashboards import metrics
from dashboards.api import metrics_shapes as shapes
from dashboards.api.endpoint import Endpoint, describe
from dashboards.api.parameters import MetricsParameters, Parameters


class CSV(BaseRenderer):
    media_type = "text/csv"
    format = "csv"
    charset = "utf-8"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> str:
        return metrics.to_csv(data)


class MetricsQuery(Endpoint):
    renderer_classes = [JSONRenderer, CSV]

    @describe(
        "metrics_query",
        "Figures over time, grouped",
        body=shapes.METRICS_QUERY,
        answers=shapes.METRICS_ANSWERS,
    )
    def post(self, request: Request) -> Response:
        return Response(answer(request.data, self.scope))

    @describe(
        "metrics_query_flat",
        "The same query as an address",
        asks=MetricsParameters,
        answers=shapes.METRICS_ANSWERS,
    )
    def get(self, request: Request) -> Response:
        asked = MetricsParameters.asked(request)
        return Response(answer(asked.document(), self.scope))


class MetricsCatalog(Endpoint):
    @describe(
        "metrics_catalog",
        "Every metric and dimension there is",
        asks=Parameters,
        answers=shapes.METRICS_CATALOG,
    )
    def get(self, request: Request) -> Response:
        Parameters.asked(request)
        return Response(metrics.catalog())


def answer(document: Any, scope: Scope) -> dict[str, Any]:
    now = timezone.now().timestamp()
    query = metrics.parse(bound(document, scope), now)
    return metrics.run(query, project_id=scope.project_id, now=now)


def bound(document: Any, scope: Scope) -> Any:
    """The same question about the one tenant that the key is bound to."""
    if scope.tenant is None or not isinstance(document, dict):
        return document
    filters = document.get("filters", [])
    if not isinstance(filters, list):
        return document
    only = {"field": "tenant", "op": "in", "value": [scope.tenant]}
    return document | {"filters": [*filters, only]}
