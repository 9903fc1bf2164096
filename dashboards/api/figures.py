"""The few figures that stand beside every name in a list: one metrics query a page."""

from __future__ import annotations

from collections.abc import Sequence
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
# Names of a page times the kinds they may have.
MOST_SERIES = 1_000
Figures = dict[str, float | None]


def of(
    scope: Scope,
    dimensions: list[str],
    names: Sequence[tuple[str, ...]],
    *,
    since_ns: int,
    until_ns: int,
) -> list[Figures]:
    """For each of ``names`` its figures in the range; counts are 0 without calls."""
    if not names:
        return []
    filters = [
        {"field": field, "op": "in", "value": sorted(set(words))}
        for field, words in zip(dimensions, zip(*names, strict=True), strict=True)
    ]
    if scope.tenant is not None and "tenant" not in dimensions:
        filters.append({"field": "tenant", "op": "in", "value": [scope.tenant]})
    asked = {
        "from": since_ns // SECOND_NS,
        "to": -(-until_ns // SECOND_NS),
        "step": "auto",
        "metrics": list(METRICS),
        "group_by": dimensions,
        "filters": filters,
        "limit": MOST_SERIES,
        "other": False,
    }
    now = timezone.now().timestamp()
    answer = metrics.run(metrics.parse(asked, now), scope.project_id, now)
    found = {
        tuple(series["labels"][field] for field in dimensions): series["totals"]
        for series in answer["series"]
    }
    return [figures(found.get(name, {})) for name in names]


def figures(totals: dict[str, Any]) -> Figures:
    counts = {"calls": 0, "errors": 0, "attempts": 0, "cost_usd": 0}
    return {
        name.replace(".", "_"): totals.get(name, counts.get(name)) for name in METRICS
    }
