"""A metrics question as people and programs write it, checked and understood.

Whatever is wrong is a ``QueryError`` with a stable code and a JSON pointer to the
place; nothing unknown is ignored, because a misspelt filter would show wrong numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from dashboards.metrics import times
from dashboards.metrics.catalogue import (
    DIMENSIONS,
    METRICS,
    OPERATORS,
    REASON_DIMENSIONS,
    Metric,
)
from dashboards.metrics.errors import QueryError

MOST_SERIES = 500
DEFAULT_SERIES = 100
MOST_VALUES = 1_000
MOST_POINTS_TIMES_SERIES = 100_000
FIELDS = frozenset(
    {
        "from",
        "to",
        "step",
        "tz",
        "metrics",
        "group_by",
        "filters",
        "order_by",
        "limit",
        "other",
        "compare",
    }
)


@dataclass(frozen=True, slots=True)
class Filter:
    field: str
    values: tuple[str | None, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class Order:
    metric: Metric
    descending: bool


@dataclass(frozen=True, slots=True)
class Query:
    start: int  # unix seconds
    end: int
    step: int | None  # None: automatic
    tz: ZoneInfo
    metrics: tuple[Metric, ...]
    group_by: tuple[str, ...]
    filters: tuple[Filter, ...]
    order_by: tuple[Order, ...]
    limit: int
    other: bool
    compare: bool

    @property
    def reason(self) -> str | None:
        """The dimension of rows by reason this is about, if any."""
        named = {*self.group_by, *(one.field for one in self.filters)}
        return next((name for name in REASON_DIMENSIONS if name in named), None)


def parse(document: object, now: float) -> Query:
    """Understand a question asked at ``now`` (unix seconds)."""
    if not isinstance(document, Mapping):
        raise QueryError("query_invalid", "The query must be an object.", "")
    for name in document:
        if name not in FIELDS:
            raise QueryError(
                "field_unknown", f"There is no field {name!r}.", f"/{name}"
            )
    tz = times.zone(document.get("tz", "UTC"))
    start, end = times.span(
        document.get("from", "now-1h"), document.get("to", "now"), now=now, tz=tz
    )
    metrics = _metrics(document.get("metrics"))
    query = Query(
        start=start,
        end=end,
        step=times.step(document.get("step", "auto")),
        tz=tz,
        metrics=metrics,
        group_by=_group_by(document.get("group_by", [])),
        filters=_filters(document.get("filters", [])),
        order_by=_order_by(document.get("order_by", []), metrics),
        limit=_limit(document.get("limit", DEFAULT_SERIES)),
        other=_flag(document.get("other", True), "/other"),
        compare=_compare(document.get("compare")),
    )
    _check_reasons(query)
    return query


def _names(value: object, pointer: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise QueryError("query_invalid", "A list of names is needed.", pointer)
    if len(value) != len(set(value)):
        raise QueryError("query_invalid", "A name stands there twice.", pointer)
    return value


def _metrics(value: object) -> tuple[Metric, ...]:
    names = _names(value, "/metrics")
    if not names:
        raise QueryError("metrics_missing", "Name at least one metric.", "/metrics")
    return tuple(_metric(name, f"/metrics/{place}") for place, name in enumerate(names))


def _metric(name: object, pointer: str) -> Metric:
    metric = METRICS.get(name) if isinstance(name, str) else None
    if metric is None:
        raise QueryError("metric_unknown", f"There is no metric {name!r}.", pointer)
    return metric


def _group_by(value: object) -> tuple[str, ...]:
    names = _names(value, "/group_by")
    for place, name in enumerate(names):
        if name not in DIMENSIONS:
            raise QueryError(
                "dimension_not_groupable",
                f"Numbers are not kept by {name!r}; they are by {_dimensions()}.",
                f"/group_by/{place}",
            )
    return tuple(names)


def _dimensions() -> str:
    return ", ".join(DIMENSIONS)


def _filters(value: object) -> tuple[Filter, ...]:
    if not isinstance(value, list):
        raise QueryError("query_invalid", "A list of filters is needed.", "/filters")
    return tuple(_filter(one, f"/filters/{place}") for place, one in enumerate(value))


def _filter(value: object, pointer: str) -> Filter:
    if not isinstance(value, Mapping) or set(value) - {"field", "op", "value"}:
        raise QueryError(
            "filter_invalid", "A filter has a field, an op and a value.", pointer
        )
    name, op = value.get("field"), value.get("op", "eq")
    if not isinstance(name, str) or name not in DIMENSIONS:
        raise QueryError(
            "dimension_not_filterable",
            f"Numbers are not kept by {name!r}; they are by {_dimensions()}.",
            f"{pointer}/field",
        )
    if op not in OPERATORS:
        raise QueryError(
            "operator_unknown",
            f"{op!r} is none of {', '.join(OPERATORS)}.",
            f"{pointer}/op",
        )
    given = value.get("value")
    values = given if op in {"in", "not_in"} else [given]
    return Filter(name, _values(values, f"{pointer}/value"), op in {"ne", "not_in"})


def _values(values: object, pointer: str) -> tuple[str | None, ...]:
    if not isinstance(values, list) or len(values) > MOST_VALUES:
        raise QueryError(
            "filter_invalid",
            f"A list of up to {MOST_VALUES} values is needed.",
            pointer,
        )
    if not all(one is None or isinstance(one, str) for one in values):
        raise QueryError("filter_invalid", "Values are strings or null.", pointer)
    return tuple(values)


def _order_by(value: object, metrics: tuple[Metric, ...]) -> tuple[Order, ...]:
    if not isinstance(value, list):
        raise QueryError("query_invalid", "A list of orders is needed.", "/order_by")
    orders = [_order(one, f"/order_by/{place}") for place, one in enumerate(value)]
    return tuple(orders) or (Order(metrics[0], descending=True),)


def _order(value: object, pointer: str) -> Order:
    if not isinstance(value, Mapping) or set(value) - {"metric", "dir"}:
        raise QueryError("order_invalid", "An order has a metric and a dir.", pointer)
    if value.get("dir", "desc") not in {"asc", "desc"}:
        raise QueryError("order_invalid", "dir is asc or desc.", f"{pointer}/dir")
    metric = _metric(value.get("metric"), f"{pointer}/metric")
    return Order(metric, descending=value.get("dir", "desc") == "desc")


def _limit(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise QueryError("limit_invalid", "limit is a whole number.", "/limit")
    if not 1 <= value <= MOST_SERIES:
        raise QueryError("limit_invalid", f"limit is 1 to {MOST_SERIES}.", "/limit")
    return value


def _flag(value: object, pointer: str) -> bool:
    if not isinstance(value, bool):
        raise QueryError("query_invalid", "true or false is needed.", pointer)
    return value


def _compare(value: object) -> bool:
    if value not in {None, "previous_period"}:
        raise QueryError(
            "compare_unknown", "compare is previous_period or absent.", "/compare"
        )
    return value is not None


def _check_reasons(query: Query) -> None:
    """Only some counters are kept by reason, and only by one kind of reason."""
    reason = query.reason
    if reason is None:
        return
    named = {*query.group_by, *(one.field for one in query.filters)}
    if named.issuperset(REASON_DIMENSIONS):
        raise QueryError(
            "dimension_not_allowed",
            "failure_class and refusal_reason cannot be combined.",
            "/group_by",
        )
    allowed = DIMENSIONS[reason].metrics or ()
    asked = [("/metrics", query.metrics)]
    asked.append(("/order_by", tuple(order.metric for order in query.order_by)))
    for pointer, metrics in asked:
        for place, metric in enumerate(metrics):
            if metric.name not in allowed:
                raise QueryError(
                    "dimension_not_allowed",
                    f"{metric.name} is not kept by {reason}; {', '.join(allowed)} are.",
                    f"{pointer}/{place}",
                )
