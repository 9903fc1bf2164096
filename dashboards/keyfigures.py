"""The strip of key figures of a live page. Pure.

Success is always a pair, first try and final: retry work is never hidden in one
number. Rates are over the whole window that is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboards import wording
from dashboards.address import DAY, HOUR, MINUTE, Window
from dashboards.wording import CROSS, NBSP

Totals = Mapping[str, Any]
Values = Mapping[str, Sequence[Any]]

HIGH_FAILED_ATTEMPTS = 0.10
ENOUGH_OF_A_STEP = 0.3
SPANS = {
    15 * MINUTE: f"15{NBSP}min",
    HOUR: "hour",
    6 * HOUR: "6 hours",
    DAY: "day",
    7 * DAY: "week",
    30 * DAY: "30 days",
}


def outcome_totals(totals: Totals, metrics: Mapping[str, str]) -> dict[str, str]:
    return {word: wording.count(totals[metric]) for word, metric in metrics.items()}


def key_figures(
    totals: Totals, values: Values, previous: Totals, window: Window
) -> dict[str, dict[str, Any]]:
    return {
        "calls": _calls(totals, values, previous, window),
        "success": _success(totals, values, window),
        "latency": _latency(totals, values, window),
        "attempts": _attempts(totals, values, window),
        "failed_attempts": _failed_attempts(totals, values, window),
        "spend": _spend(totals, values, window),
    }


def rates(counts: Sequence[float], window: Window) -> list[float | None]:
    """Counts as a trend; the last step is measured by what has passed of it."""
    passed = window.seconds - (len(counts) - 1) * window.step_s
    widths = [window.step_s] * (len(counts) - 1) + [min(passed, window.step_s)]
    per_second = zip(counts, widths, strict=False)
    return settled([float(f"{n / width:.4g}") for n, width in per_second], window)


def settled(values: Sequence[float | None], window: Window) -> list[float | None]:
    """A trend without a last step that has hardly begun: it says nothing yet."""
    passed = window.seconds - (len(values) - 1) * window.step_s
    hardly = passed < ENOUGH_OF_A_STEP * window.step_s
    return [*values[:-1], None] if hardly else list(values)


def success(totals: Totals) -> tuple[float | None, float | None, float | None]:
    """Shares of the calls somebody answered: first try, with retries, in the end."""
    answered = totals["calls"] - totals["refused"] - totals["cancelled"]
    if answered <= 0:
        return None, None, None
    first = totals["ok"]
    retried = first + totals["recovered"]
    final = retried + totals["fallbacks"]
    return first / answered, retried / answered, final / answered


def _calls(
    totals: Totals, values: Values, previous: Totals, window: Window
) -> dict[str, Any]:
    calls = totals["calls"]
    grown = wording.growth(calls, previous.get("calls"))
    foot = wording.plural(calls, "call")
    if grown:
        foot = f"{grown} on the {_span(window)} before"
    return {
        "value": wording.rate(calls / window.seconds),
        "unit": "/s",
        "foot": foot,
        "title": wording.plural(calls, "call"),
        "spark": rates(values["calls"], window),
    }


def _success(totals: Totals, values: Values, window: Window) -> dict[str, Any]:
    first, retried, final = success(totals)
    names = ("calls", "refused", "cancelled", "ok", "recovered", "fallbacks")
    buckets = zip(*(values[name] for name in names), strict=True)
    line = [success(dict(zip(names, bucket, strict=True)))[2] for bucket in buckets]
    foot = f"{wording.percent(first)} first, {wording.percent(retried)} retried"
    return {
        "value": wording.percent(final),
        "unit": "%" if final is not None else "",
        "foot": foot if final is not None else "no call was answered",
        "title": _full(final),
        "spark": settled(
            [None if share is None else round(share, 5) for share in line], window
        ),
    }


def _latency(totals: Totals, values: Values, window: Window) -> dict[str, Any]:
    number, unit = wording.duration(totals["latency_ms.p95"])
    p50, p99 = (
        wording.duration_with_unit(totals[f"latency_ms.{p}"]) for p in ("p50", "p99")
    )
    known = totals["latency_ms.p95"] is not None
    return {
        "value": number,
        "unit": unit,
        "foot": f"p50 {p50}, p99 {p99}" if known else "no call ran to its end",
        "title": f"{totals['latency_ms.p95']:,.2f} ms" if known else "",
        "spark": settled(values["latency_ms.p95"], window),
    }


def _attempts(totals: Totals, values: Values, window: Window) -> dict[str, Any]:
    ratio = totals["amplification"]
    return {
        "value": wording.UNKNOWN if ratio is None else f"{CROSS}{NBSP}{ratio:.2f}",
        "unit": "",
        "foot": wording.plural(totals["retries"], "retry", "retries"),
        "title": f"{totals['attempts']:,} attempts of {totals['executed']:,} calls",
        "spark": settled(values["amplification"], window),
    }


def _failed_attempts(totals: Totals, values: Values, window: Window) -> dict[str, Any]:
    share = totals["attempt_error_rate"]
    exhausted = totals["exhausted"]
    return {
        "value": wording.percent(share),
        "unit": "%" if share is not None else "",
        "foot": f"{wording.plural(exhausted, 'call')} ran out of tries"
        if exhausted
        else f"{wording.count(totals['attempt_errors'])} of "
        f"{wording.count(totals['attempts'])}",
        "title": _full(share),
        "hot": share is not None and share > HIGH_FAILED_ATTEMPTS,
        "spark": settled(values["attempt_error_rate"], window),
    }


def _spend(totals: Totals, values: Values, window: Window) -> dict[str, Any]:
    cost, wasted = totals["cost_usd"], totals["wasted_usd"]
    unpriced = totals["unpriced_calls"]
    hours = window.seconds / HOUR
    foot = f"{wording.plural(unpriced, 'call')} unpriced" if unpriced else "all priced"
    if not cost and not unpriced:
        foot = "no call had a price"
    if wasted and cost:
        share = wording.percent_with_sign(wasted / cost)
        foot = f"{wording.dollars(wasted)} wasted, {share}"
    known = bool(cost)
    return {
        "value": wording.dollars(cost / hours) if known else wording.UNKNOWN,
        "unit": "/h" if known else "",
        "foot": foot,
        "title": f"${cost:,.6f} in all, {wording.plural(unpriced, 'call')} unpriced",
        "spark": rates(values["cost_usd"], window),
    }


def _full(share: float | None) -> str:
    return "" if share is None else f"{share * 100:.4f} %"


def _span(window: Window) -> str:
    # The window ends inside a step, so it is a little shorter than its name.
    whole = -(-window.seconds // window.step_s) * window.step_s
    return SPANS.get(whole, "time")
