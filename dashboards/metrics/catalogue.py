"""Every metric and dimension there is, and how a number comes out of amounts.

A count is one counter. A ratio divides sums, never averages ratios, and is null when
there is nothing to divide by. A distribution comes out of histogram cells, and is
null when they are empty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ingest.queries.rollups import Amounts

Value = int | float | None


@dataclass(frozen=True, slots=True)
class Metric:
    """One number and where it comes from.

    ``fill`` is what a step without calls has: 0 for counts, null for the others.
    """

    name: str
    kind: str  # count, ratio or distribution
    unit: str
    description: str
    counters: tuple[str, ...]
    value: Callable[[Amounts], Value]
    distribution: str | None = None

    @property
    def fill(self) -> int | None:
        return 0 if self.kind == "count" else None


@dataclass(frozen=True, slots=True)
class Dimension:
    """What metrics can be grouped and filtered by."""

    name: str
    description: str
    metrics: tuple[str, ...] | None = None  # None: all of them


def _count(name: str, description: str, *, counter: str = "") -> Metric:
    column = counter or name
    return Metric(
        name,
        "count",
        "1",
        description,
        (column,),
        lambda amounts: amounts.counters.get(column, 0),
    )


def _money(name: str, description: str, *, counter: str) -> Metric:
    return Metric(
        name,
        "count",
        "USD",
        description,
        (counter,),
        lambda amounts: amounts.counters.get(counter, 0) / 1_000_000_000,
    )


def _ratio(name: str, description: str, part: str, whole: str, *less: str) -> Metric:
    """``part / (whole - less...)`` of sums."""

    def value(amounts: Amounts) -> Value:
        counters = amounts.counters
        below = counters.get(whole, 0) - sum(counters.get(one, 0) for one in less)
        return counters.get(part, 0) / below if below else None

    return Metric(name, "ratio", "1", description, (part, whole, *less), value)


def _quantile(measure: str, fraction: float) -> Callable[[Amounts], Value]:
    def value(amounts: Amounts) -> Value:
        ranks = amounts.ranks(measure)
        return _ms(ranks.quantile_us(fraction)) if ranks else None

    return value


def _average(measure: str) -> Callable[[Amounts], Value]:
    def value(amounts: Amounts) -> Value:
        count = amounts.counters.get(f"{measure}_count", 0)
        return _ms(amounts.counters[f"{measure}_sum"] / count) if count else None

    return value


def _highest(measure: str) -> Callable[[Amounts], Value]:
    def value(amounts: Amounts) -> Value:
        ranks = amounts.ranks(measure)
        return _ms(ranks.highest_us()) if ranks else None

    return value


def _ms(duration_us: float) -> float:
    return round(duration_us / 1_000, 3)


def _distribution(measure: str, description: str) -> list[Metric]:
    def metric(
        suffix: str,
        what: str,
        value: Callable[[Amounts], Value],
        *,
        counters: tuple[str, ...] = (f"{measure}_count",),
        cells: str | None = measure,
    ) -> Metric:
        return Metric(
            f"{measure}_ms.{suffix}",
            "distribution",
            "ms",
            f"{what}: {description}",
            counters,
            value,
            cells,
        )

    quantiles = [
        metric(
            f"p{percent}", f"{percent} % are at most", _quantile(measure, percent / 100)
        )
        for percent in (50, 90, 95, 99)
    ]
    sums = (f"{measure}_count", f"{measure}_sum")
    return [
        *quantiles,
        metric("avg", "Mean", _average(measure), counters=sums, cells=None),
        metric("max", "None is above", _highest(measure)),
    ]


_METRICS = [
    _count("calls", "Logical uses of a target; the sum of the six outcomes"),
    _count("ok", "Calls whose only attempt succeeded"),
    _count("recovered", "Calls whose last of two or more attempts succeeded"),
    _count("fallbacks", "Calls another target answered, after failure or refusal"),
    _count("refused", "Calls without an attempt: a rule refused them"),
    _count("cancelled", "Calls their caller gave up"),
    _count("errors", "Calls that failed"),
    _count("executed", "Calls with at least one attempt"),
    _count("retried", "Calls with two or more attempts"),
    _count("attempts", "Execution tries of calls"),
    _count("retries", "Attempts beyond the first of each call"),
    _count("attempt_errors", "Failed attempts; cancelled ones are not failed"),
    _count("exhausted", "Retried calls whose last attempt failed"),
    _count("refusals", "Calls with a refusal reason, whatever the outcome"),
    _count("cache_hits", "Calls answered from a cache"),
    _count("unpriced_calls", "Calls with usage that no price is known for"),
    _count(
        "tokens.input", "Input tokens, cached ones included", counter="tokens_input"
    ),
    _count(
        "tokens.output", "Output tokens, reasoning included", counter="tokens_output"
    ),
    _count(
        "tokens.cache_read",
        "Input tokens read from the provider's cache",
        counter="tokens_cache_read",
    ),
    _count(
        "tokens.cache_write",
        "Input tokens written to the provider's cache",
        counter="tokens_cache_write",
    ),
    _count(
        "tokens.reasoning",
        "Output tokens spent on reasoning",
        counter="tokens_reasoning",
    ),
    _money("cost_usd", "Cost of priced calls", counter="cost_nano"),
    _money(
        "wasted_usd",
        "Cost of failed attempts and of repeats in loops",
        counter="wasted_nano",
    ),
    _ratio(
        "error_rate",
        "errors / (calls - refused - cancelled)",
        "errors",
        "calls",
        "refused",
        "cancelled",
    ),
    _ratio(
        "attempt_error_rate", "attempt_errors / attempts", "attempt_errors", "attempts"
    ),
    _ratio("retry_rate", "retried / executed", "retried", "executed"),
    _ratio("amplification", "attempts / executed", "attempts", "executed"),
    _ratio("recovery_rate", "recovered / retried", "recovered", "retried"),
    _ratio("fallback_rate", "fallbacks / calls", "fallbacks", "calls"),
    _ratio("refusal_rate", "refusals / calls", "refusals", "calls"),
    _ratio("cache_hit_rate", "cache_hits / calls", "cache_hits", "calls"),
    *_distribution("latency", "start of the call to its end as its caller saw it"),
    *_distribution("work", "sum of the attempts of a call"),
    *_distribution("backoff", "latency minus work, or as reported"),
    *_distribution("ttft", "time to the first token, where reported"),
]
METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _METRICS}

# Rows by reason hold these counters and no others.
BY_REASON = ("calls", "errors", "attempt_errors", "refusals")
_DIMENSIONS = [
    Dimension("kind", "What is called: tool, model, embedding, retrieval, guardrail"),
    Dimension("target", "The name of what is called, of any kind"),
    Dimension("tool", "The target of tool calls; other calls have none"),
    Dimension("model", "The target of model calls; other calls have none"),
    Dimension("provider", "Who offers the target"),
    Dimension("tenant", "A customer of the services; null where no span names one"),
    Dimension("service", "service.name of the caller"),
    Dimension("environment", "deployment.environment.name; default when absent"),
    Dimension("agent", "The agent that called; null outside of agents"),
    Dimension("failure_class", "Why calls and attempts failed", BY_REASON),
    Dimension("refusal_reason", "Why calls were refused", BY_REASON),
]
DIMENSIONS: Mapping[str, Dimension] = {one.name: one for one in _DIMENSIONS}
REASON_DIMENSIONS = ("failure_class", "refusal_reason")
OPERATORS = ("eq", "ne", "in", "not_in")


def catalog() -> dict[str, Any]:
    """The answer of ``GET /api/v1/metrics/catalog``."""
    return {
        "metrics": [
            {
                "name": metric.name,
                "kind": metric.kind,
                "unit": metric.unit,
                "fill": metric.fill,
                "description": metric.description,
                "dimensions": [
                    one.name
                    for one in _DIMENSIONS
                    if one.metrics is None or metric.name in one.metrics
                ],
            }
            for metric in _METRICS
        ],
        "dimensions": [
            {
                "name": one.name,
                "description": one.description,
                "groupable": True,
                "operators": list(OPERATORS),
            }
            for one in _DIMENSIONS
        ],
    }
