"""The few figures that stand beside every name in a list: a metrics query a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils import timezone

from controlplane.scope import Scope
from dashboards import metrics
from dashboards.api.fields import SECOND_NS

METRICS = (
    "calls",
    "errors",
    "error_rate",
    "attempts",
    "attempt_error_rate",
    "retry_rate",
    "latency_ms.p50",
    "latency_ms.p95",
    "cost_usd",
)
Figures = dict[str, float | None]


def of(
    scope: Scope,
    dimension: str,
    names: Sequence[str],
    *,
    bounds: Mapping[str, int],
    kind: str | None = None,
) -> list[Figures]:
    """For each of ``names`` its figures in the range; counts are 0 without calls."""
    if not names:
        return []
    filters: list[dict[str, Any]] = [
        {"field": dimension, "op": "in", "value": list(names)}
    ]
    if kind is not None:
        filters.append({"field": "kind", "op": "eq", "value": kind})
    if scope.tenant is not None:
        filters.append({"field": "tenant", "op": "eq", "value": scope.tenant})
    start = bounds["since_ns"] // SECOND_NS
    end = -(-bounds["until_ns"] // SECOND_NS)
    asked = {
        "from": start,
        "to": end,
        "step": end - start,  # only the totals are wanted
        "metrics": list(METRICS),
        "group_by": [dimension],
        "filters": filters,
        "limit": len(names),
        "other": False,
    }
    now = timezone.now().timestamp()
    query = metrics.parse(asked, now)
    answer = metrics.run(query, project_id=scope.project_id, now=now)
    found = {
        series["labels"][dimension]: series["totals"] for series in answer["series"]
    }
    return [figures(found.get(name, {})) for name in names]


def figures(totals: dict[str, Any]) -> Figures:
    counts = {"calls": 0, "errors": 0, "attempts": 0, "cost_usd": 0}
    return {
        name.replace(".", "_"): totals.get(name, counts.get(name)) for name in METRICS
    }
