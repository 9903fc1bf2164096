"""The board of tools, models or tenants: rows in words, keyed so they can change. Pure.

Says how much is shown: rows beyond the limit, and those beyond the cardinality cap,
are one sentence under the table, never dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboards import wording
from dashboards.address import HOUR, View, Window
from dashboards.keyfigures import rates, success
from dashboards.wording import NBSP

OTHER = "__other__"
ARRIVING = "(arriving)"
# Until targets carry objectives of their own, these decide what is written in colour.
BAD_ERROR_RATE = 0.03
HIGH_AMPLIFICATION = 1.3
SMALL_CHANGE = 0.5  # dollars; less waste than this is not worth a strong colour

Row = dict[str, Any]


def board(
    answer: Mapping[str, Any],
    view: View,
    window: Window,
    slots: Mapping[str, int],
    *,
    arriving: int = 0,
) -> dict[str, Any]:
    """``arriving`` of the calls without a name may get one when their root comes."""
    named = [s for s in answer["series"] if s["labels"][view.dimension] != OTHER]
    rest = [s for s in answer["series"] if s["labels"][view.dimension] == OTHER]
    rows = {_key(s, view): _row(s, view, window, slots) for s in named}
    if "none" in rows:
        calls = next(s for s in named if _key(s, view) == "none")["totals"]["calls"]
        rows["none"] |= _nameless(view, calls, min(arriving, calls))
    total = answer["meta"]["series_total"]
    return {
        "dimension": view.dimension,
        "rows": rows,
        "order": list(rows),
        "shown": len(rows),
        "total": total,
        "more": _more(rest[0]["totals"], total - len(rows), view, window)
        if rest
        else None,
    }


def _key(series: Mapping[str, Any], view: View) -> str:
    name = series["labels"][view.dimension]
    return "none" if name is None else f"={name}"


def _row(
    series: Mapping[str, Any], view: View, window: Window, slots: Mapping[str, int]
) -> Row:
    totals = series["totals"]
    name = series["labels"][view.dimension]
    hours = window.seconds / HOUR
    return {
        "name": name,
        "note": "",
        "value": name,
        "slot": slots.get(name, 0) if name is not None else 0,
        "rate": wording.rate(totals["calls"] / window.seconds),
        "calls": wording.plural(totals["calls"], "call"),
        "spark": rates(series["values"]["calls"], window),
        **_lift(totals),
        **_rates(totals),
        "p95": wording.duration_with_unit(totals["latency_ms.p95"]),
        **_money(totals, hours),
    }


def _nameless(view: View, calls: int, arriving: int) -> Row:
    if calls and arriving == calls:
        return {"name": ARRIVING}
    note = f"{arriving:,} arriving" if arriving else ""
    return {"name": f"no {view.dimension}", "note": note}


def _lift(totals: Mapping[str, Any]) -> Row:
    first, _, final = success(totals)
    if first is None or final is None:
        return {"first": None, "final": None, "none": _none_answered(totals)}
    return {
        "first": round(first * 100, 2),
        "final": round(final * 100, 2),
        "first_text": wording.percent(first),
        "final_text": wording.percent(final),
        "bad": 1 - final > BAD_ERROR_RATE,
    }


def _none_answered(totals: Mapping[str, Any]) -> str:
    refused, cancelled = totals["refused"], totals["cancelled"]
    parts = [
        f"{number:,}{NBSP}{word}"
        for number, word in ((refused, "refused"), (cancelled, "cancelled"))
        if number
    ]
    return "none answered, " + ", ".join(parts) if parts else wording.UNKNOWN


def _rates(totals: Mapping[str, Any]) -> Row:
    errors, failing = totals["error_rate"], totals["attempt_error_rate"]
    ratio = totals["amplification"]
    return {
        "errors": wording.percent_with_sign(errors),
        "errors_tone": _tone(errors, BAD_ERROR_RATE, "bad"),
        "attempt_errors": wording.percent_with_sign(failing),
        "attempt_errors_tone": _tone(failing, BAD_ERROR_RATE, "warn"),
        "attempts": wording.times(ratio),
        "attempts_tone": _tone(ratio, HIGH_AMPLIFICATION, "warn"),
    }


def _tone(value: float | None, limit: float, tone: str) -> str:
    if value is None:
        return "t3"
    return f"{tone} fw" if value > limit else ""


def _money(totals: Mapping[str, Any], hours: float) -> Row:
    cost, wasted, unpriced = (
        totals[name] for name in ("cost_usd", "wasted_usd", "unpriced_calls")
    )
    if not cost and unpriced:
        return {
            "spend": "unpriced",
            "spend_tone": "t3",
            "wasted": wording.UNKNOWN,
            "wasted_tone": "t3",
        }
    free = not cost and not wasted
    return {
        "spend": wording.UNKNOWN if free else wording.dollars(cost / hours),
        "spend_tone": "t3" if free else "",
        "wasted": wording.UNKNOWN if free else wording.dollars(wasted),
        "wasted_tone": "" if wasted >= SMALL_CHANGE else "t3",
    }


def _more(totals: Mapping[str, Any], number: int, view: View, window: Window) -> str:
    final = success(totals)[2]
    who = wording.plural(number, f"more {view.dimension}") if number > 0 else "the rest"
    parts = [f"{wording.rate(totals['calls'] / window.seconds)}{NBSP}calls/s"]
    if final is not None:
        parts.append(f"success {wording.percent_with_sign(final)}")
    if totals["cost_usd"]:
        spend = totals["cost_usd"] / (window.seconds / HOUR)
        parts.append(f"{wording.dollars(spend)}/h")
    return f"{who}: {', '.join(parts)}"
