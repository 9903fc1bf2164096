"""What is shown: each panel is one metrics query and how its answer is put in words.

    overview  -> key figures, calls by outcome, latency
    board     -> the tools, models or tenants that need attention first

``live`` is the whole state of a live page: JSON that ``dashboards.live`` compares,
numbers and sends. Nothing in it may change without news, as the time of day would.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from dashboards import colours, figures, metrics, versions
from dashboards.address import ALL, DAY, TOP, View, Window
from dashboards.board import OTHER, board
from dashboards.keyfigures import key_figures, outcome_totals
from dashboards.marks import marked
from ingest.queries.presence import arriving, first_call, in_flight, presence

Answer = dict[str, Any]

OUTCOME_METRICS = {
    "failed": "errors",
    "refused": "refused",
    "fallback": "fallbacks",
    "recovered": "recovered",
    "cancelled": "cancelled",
    "ok": "ok",
}
TARGET_METRICS = (
    "calls",
    *OUTCOME_METRICS.values(),
    "attempts",
    "executed",
    "attempt_errors",
    "error_rate",
    "attempt_error_rate",
    "amplification",
    "latency_ms.p95",
    "cost_usd",
    "wasted_usd",
    "unpriced_calls",
)
OVERVIEW_METRICS = (
    *TARGET_METRICS,
    "retries",
    "exhausted",
    "latency_ms.p50",
    "latency_ms.p99",
)
LATE_S = 30  # behind by more, the page says until when its numbers are complete
ARRIVING_S = 60  # a root that is later than that will hardly come
SURELY_STORED_S = 6 * DAY  # calls older than that may have been deleted


def live(project_id: int, view: View, *, now: float) -> dict[str, Any]:
    window = view.window(now)
    seen = _ask(project_id, view, window, now, overview_query())
    totals, values, previous = _whole(seen, OVERVIEW_METRICS)
    if not _comparable(project_id, window, now):
        previous = {}
    groups = _ask(project_id, view, window, now, board_query(view))
    marks = versions.between(project_id, view.environment, window.start, window.end)
    slots = colours.slots(project_id, view.dimension, _by_volume(groups, view))
    return {
        "meta": _meta(view, window, (seen, groups), now)
        | {"in_flight": _in_flight(project_id, view)},
        "kpis": key_figures(totals, values, previous, window),
        "outcomes": outcome_totals(totals, OUTCOME_METRICS),
        "figures": {
            name: marked(figure, marks)
            for name, figure in _figures(
                seen["timestamps"], values, view, window.step_s
            ).items()
        },
        "board": board(
            groups, view, window, slots, arriving=_arriving(project_id, view, now)
        ),
        "empty": None if totals["calls"] else _empty(project_id, view, window, now),
    }


def overview_query() -> dict[str, Any]:
    return {"metrics": list(OVERVIEW_METRICS), "compare": "previous_period"}


def board_query(view: View) -> dict[str, Any]:
    return {
        "metrics": list(TARGET_METRICS),
        "group_by": [view.dimension],
        "order_by": view.order_by(),
        "limit": ALL if view.everything else TOP,
        "other": True,
    }


def choices(project_id: int, view: View, field: str, *, now: float) -> dict[str, Any]:
    """What a filter can be set to: who made calls in the window, most calls first."""
    query = {
        "metrics": ["calls"],
        "group_by": [field],
        "order_by": [{"metric": "calls", "dir": "desc"}],
        "limit": ALL,
        "other": False,
    }
    anywhere = View(range=view.range, fixed=view.fixed)
    answer = _ask(project_id, anywhere, view.window(now), now, query)
    counts = {s["labels"][field]: s["totals"]["calls"] for s in answer["series"]}
    names = [name for name in counts if name not in (None, OTHER)]
    unnamed = len(counts) - len(names)
    return {
        "total": answer["meta"]["series_total"] - unnamed,
        "items": [{"value": name, "calls": f"{counts[name]:,}"} for name in names],
    }


def _ask(
    project_id: int, view: View, window: Window, now: float, query: dict[str, Any]
) -> Answer:
    document = {
        "from": window.start,
        "to": window.end,
        "step": window.step_s,
        "filters": view.filters(),
        **query,
    }
    return metrics.run(metrics.parse(document, now), project_id=project_id, now=now)


def _whole(answer: Answer, names: tuple[str, ...]) -> tuple[dict[str, Any], ...]:
    """Totals, values and the totals before of a query without groups.

    A series of nothing but zeros is not returned, and stands here as what it was.
    """
    if answer["series"]:
        only = answer["series"][0]
        return only["totals"], only["values"], only.get("previous") or {}
    buckets = len(answer["timestamps"])
    counts = dict.fromkeys(names, 0)
    for name in names:
        if "rate" in name or "latency" in name or name == "amplification":
            counts[name] = None  # type: ignore[assignment]
    return counts, {name: [counts[name]] * buckets for name in names}, {}


def _figures(
    timestamps: list[int], values: dict[str, Any], view: View, step_s: int
) -> dict[str, Any]:
    counts = {word: values[name] for word, name in OUTCOME_METRICS.items()}
    percentiles = {p: values[f"latency_ms.{p}"] for p in ("p50", "p95", "p99")}
    return {
        "outcomes": figures.outcomes(
            timestamps, counts, step_s=step_s, filling=view.live
        ),
        "latency": figures.latency(
            timestamps, percentiles, step_s=step_s, filling=view.live
        ),
    }


def _meta(
    view: View, window: Window, answers: tuple[Answer, ...], now: float
) -> dict[str, Any]:
    complete = min(_seconds(answer["meta"]["complete_until"]) for answer in answers)
    late = view.live and now - complete > LATE_S + window.step_s
    warnings = [w["message"] for answer in answers for w in answer["meta"]["warnings"]]
    return {
        "live": view.live,
        "start": window.start,
        "end": None if view.live else window.end,
        "step_s": window.step_s,
        "complete_until": complete if late else None,
        "warnings": list(dict.fromkeys(warnings)),
    }


def _in_flight(project_id: int, view: View) -> int | None:
    """Of the whole project: rows of running calls know no filter."""
    return in_flight(project_id) if view.live and not view.filters() else None


def _arriving(project_id: int, view: View, now: float) -> int:
    """Calls whose tenant may still come; only tenants come from roots."""
    if view.dimension != "tenant" or not view.live:
        return 0
    return arriving(project_id, since_ns=int(now - ARRIVING_S) * 1_000_000_000)


def _comparable(project_id: int, window: Window, now: float) -> bool:
    """Whether the period before was seen from its beginning: else all seems growth."""
    first = first_call(project_id)
    before = max(window.start - window.seconds, now - SURELY_STORED_S)
    return first is not None and first <= before


def _seconds(written: str) -> int:
    return int(datetime.fromisoformat(written).timestamp())


def _by_volume(groups: Answer, view: View) -> list[str]:
    """Names of the groups, most calls first."""
    ranked = sorted(groups["series"], key=lambda s: -s["totals"]["calls"])
    names = [series["labels"][view.dimension] for series in ranked]
    return [name for name in names if name not in (None, OTHER)]


def _empty(project_id: int, view: View, window: Window, now: float) -> dict[str, Any]:
    """Why there is nothing to show: exactly one of four reasons holds."""
    there = presence(project_id)
    if not there.spans:
        return {"case": "no-spans"}
    if not there.calls:
        return {"case": "none-recognised"}
    if view.filters():
        anything = View(range=view.range, fixed=view.fixed)
        found = _ask(project_id, anything, window, now, {"metrics": ["calls"]})
        if found["series"]:
            return {"case": "filtered", "calls": found["series"][0]["totals"]["calls"]}
    return {"case": "outside", "last": there.last_call}
