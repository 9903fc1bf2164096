"""The shapes of the metrics query and its answers, for the OpenAPI document."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers as s

from dashboards.api.fields import LATEST_S, RELATIVE
from dashboards.api.shapes import (
    maybe_amount,
    maybe_number,
    maybe_text,
    number,
    shape,
    text,
    texts,
)
from dashboards.metrics.catalogue import DIMENSIONS, METRICS, OPERATORS
from dashboards.metrics.query import MOST_SERIES


@extend_schema_field(
    {
        "oneOf": [
            {"type": "string", "pattern": f"^{RELATIVE.pattern}$"},
            {"type": "string", "format": "date-time"},
            {"type": "number", "minimum": 0, "maximum": LATEST_S},
        ],
        "example": "now-1h",
    }
)
class When(s.JSONField):
    """ISO 8601, unix seconds or ``now-15m``."""


def _numbers() -> s.DictField:
    return s.DictField(child=maybe_amount())


@extend_schema_field(
    {
        "oneOf": [
            {"type": "string", "pattern": "^(auto|[1-9]\\d{0,5}[smhdw]?)$"},
            {"type": "integer", "minimum": 1, "maximum": 1_000_000_000},
        ]
    }
)
class Step(s.JSONField):
    """``auto``, seconds, or a length such as ``5m``."""


@extend_schema_field(
    {
        "oneOf": [
            {"type": "string", "nullable": True},
            {"type": "array", "items": {"type": "string", "nullable": True}},
        ]
    }
)
class Wanted(s.JSONField):
    """A word or null for a missing one; with ``in`` and ``not_in`` a list of them."""


def metric() -> s.ChoiceField:
    return s.ChoiceField([*METRICS])


def dimension() -> s.ChoiceField:
    return s.ChoiceField([*DIMENSIONS])


METRICS_QUERY = shape(
    "MetricsQuery",
    {
        "from": When(required=False),
        "to": When(required=False),
        "step": Step(required=False),
        "tz": s.CharField(required=False, help_text="A name such as Europe/Berlin."),
        "metrics": s.ListField(child=metric(), min_length=1),
        "group_by": s.ListField(child=dimension(), required=False),
        "filters": s.ListField(
            required=False,
            child=shape(
                "Filter",
                {
                    "field": dimension(),
                    "op": s.ChoiceField([*OPERATORS], required=False),
                    "value": Wanted(),
                },
            ),
        ),
        "order_by": s.ListField(
            required=False,
            child=shape(
                "Order",
                {
                    "metric": metric(),
                    "dir": s.ChoiceField(["asc", "desc"], required=False),
                },
            ),
        ),
        "limit": s.IntegerField(required=False, min_value=1, max_value=MOST_SERIES),
        "other": s.BooleanField(required=False),
        "compare": s.ChoiceField(["previous_period"], required=False, allow_null=True),
    },
)
METRICS_ANSWER = shape(
    "MetricsAnswer",
    {
        "meta": shape(
            "MetricsMeta",
            {
                "from": text(),
                "to": text(),
                "step_s": number(),
                "tz": text(),
                "complete_until": maybe_text(),
                "source": text(),
                "series_total": number(),
                "series_returned": number(),
                "truncated": s.BooleanField(),
                "warnings": s.ListField(child=s.JSONField()),
                "took_ms": s.FloatField(),
            },
        ),
        "timestamps": s.ListField(child=number()),
        "series": s.ListField(
            child=shape(
                "MetricsSeries",
                {
                    "labels": s.DictField(child=maybe_text()),
                    "totals": _numbers(),
                    "previous": s.DictField(child=maybe_amount(), required=False),
                    "values": s.DictField(child=s.ListField(child=maybe_amount())),
                },
            )
        ),
    },
)
METRICS_ANSWERS = {
    (200, "application/json"): METRICS_ANSWER,
    (200, "text/csv"): str,
}
METRICS_CATALOG = shape(
    "MetricsCatalog",
    {
        "metrics": s.ListField(
            child=shape(
                "Metric",
                {
                    "name": text(),
                    "kind": text(),
                    "unit": text(),
                    "fill": maybe_number(),
                    "description": text(),
                    "dimensions": texts(),
                },
            )
        ),
        "dimensions": s.ListField(
            child=shape(
                "Dimension",
                {
                    "name": text(),
                    "description": text(),
                    "groupable": s.BooleanField(),
                    "operators": texts(),
                },
            )
        ),
    },
)
