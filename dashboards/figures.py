"""Charts as Plotly figures, built from numbers. Pure, and without importing Plotly.

A figure names its colours by design token, ``var(--o-failed)``, and the page puts in
the value of the theme in force: one figure serves both themes, and a change of theme
costs no message. ``resolve`` does the same here, so tests can hand the result to
Plotly's own validator, and ``plotly.io.templates`` can have the template.

Times are milliseconds since 1970, UTC; the page moves them into the viewer's zone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

Figure = dict[str, Any]
Numbers = Sequence[float | None]

# From the bottom up: trouble sits on the baseline, where it can be read against zero.
OUTCOMES = ("failed", "refused", "fallback", "recovered", "cancelled", "ok")
PALE = 0.4  # the bucket that is still filling
OK_OPACITY = 0.55  # so that ok does not shout
LABEL_SHARE = 0.075  # of the axis: closer labels would overlap
FRACTION_MS = 1000  # a latency axis below this is written in milliseconds

TOKEN = re.compile(r"var\(--([\w-]+)\)")


def token(name: str) -> str:
    return f"var(--{name})"


def resolve(part: Any, tokens: Mapping[str, str]) -> Any:
    """The same figure with the values of a theme in place of token names."""
    if isinstance(part, str):
        match = TOKEN.fullmatch(part)
        return tokens[match[1]] if match else part
    if isinstance(part, dict):
        return {key: resolve(value, tokens) for key, value in part.items()}
    if isinstance(part, list):
        return [resolve(value, tokens) for value in part]
    return part


def template() -> Figure:
    """What every chart shares; a Plotly template once its tokens are resolved."""
    quiet = {"color": token("text-3"), "size": 11}
    axis = {
        "gridcolor": token("grid"),
        "zeroline": False,
        "linecolor": token("axis"),
        "tickcolor": token("axis"),
        "automargin": False,
        "fixedrange": True,
        "tickfont": quiet,
        "title": {"font": quiet, "standoff": 6},
    }
    across = {
        "showgrid": False,
        "showspikes": False,
        "tickangle": 0,
        "showline": True,
        "ticks": "outside",
        "ticklen": 4,
        "fixedrange": False,
    }
    return {
        "layout": {
            "font": {"family": token("sans"), "size": 11, "color": token("text-2")},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 42, "r": 12, "t": 18, "b": 24},
            "colorway": [token(f"c{slot}") for slot in range(1, 9)],
            "xaxis": axis | across,
            "yaxis": axis | {"showline": False, "ticks": "", "nticks": 5},
            "hovermode": "x unified",
            "hoverdistance": 40,
            "dragmode": "zoom",
            "showlegend": False,
            "bargap": 0.16,
            "hoverlabel": {
                "bgcolor": token("raised"),
                "bordercolor": token("line-strong"),
                "align": "left",
                "font": {"family": token("sans"), "size": 12, "color": token("text")},
            },
        }
    }


def outcomes(
    timestamps: Sequence[int],
    counts: Mapping[str, Numbers],
    *,
    step_s: int,
    filling: bool,
) -> Figure:
    """Calls per second by outcome, stacked; the last bar is pale while it fills."""
    bars = [
        _bar(name, timestamps, counts[name], step_s=step_s, filling=filling)
        for name in OUTCOMES
    ]
    layout = {
        "barmode": "stack",
        "xaxis": _time_axis(timestamps, step_s, ticks=8, before=0.25, after=1),
        "yaxis": {"rangemode": "tozero", "ticksuffix": "/s", "tickformat": ",~g"},
        "margin": {"l": 42, "r": 8, "t": 8, "b": 22},
    }
    return {"data": bars, "layout": layout}


def _bar(
    name: str,
    timestamps: Sequence[int],
    counts: Numbers,
    *,
    step_s: int,
    filling: bool,
) -> Figure:
    full = OK_OPACITY if name == "ok" else 1.0
    opacity = [full] * len(timestamps)
    if filling and opacity:
        opacity[-1] = round(full * PALE, 3)
    marker: Figure = {
        "color": token(f"o-{name}"),
        "line": {"width": 0},
        "opacity": opacity,
    }
    if name == "refused":
        # Hatched: nothing was executed there.
        marker["pattern"] = {
            "shape": "/",
            "size": 4,
            "solidity": 0.45,
            "fgcolor": token("o-refused"),
            "bgcolor": token("o-refused-soft"),
            "fillmode": "overlay",
        }
    return {
        "type": "bar",
        "name": name,
        "x": _milliseconds(timestamps),
        "y": [round((n or 0) / step_s, 4) for n in counts],
        "customdata": [n or 0 for n in counts],
        "offset": 0,
        "width": step_s * 800,
        "marker": marker,
        "hovertemplate": "%{y:.2~f}/s, %{customdata:,d} calls",
    }


def latency(
    timestamps: Sequence[int],
    percentiles: Mapping[str, Numbers],
    *,
    step_s: int,
    filling: bool,
) -> Figure:
    """p50, p95 and p99 (in ms) as a band; the piece still filling is dashed."""
    known = [n for line in percentiles.values() for n in line if n is not None]
    top = max(known, default=0.0)
    divisor, unit = (1, "ms") if top < FRACTION_MS else (1000, "s")
    lines = {
        name: [None if n is None else round(n / divisor, 4) for n in percentiles[name]]
        for name in ("p50", "p95", "p99")
    }
    colours = {"p50": token("c1"), "p95": token("accent"), "p99": token("c-other")}
    bands = {"p95": token("band-1"), "p99": token("band-2")}
    x = _milliseconds(timestamps)
    data = []
    for name, ys in lines.items():
        body = [*ys[:-1], None] if filling and ys else ys
        line = _line(name, x, body, colours[name], unit)
        if name in bands:
            line |= {"fill": "tonexty", "fillcolor": bands[name]}
        data.append(line)
    if filling:
        data += [_tail(x, ys, colours[name]) for name, ys in lines.items()]
    layout = {
        "annotations": _end_labels(x, lines, colours, top / divisor),
        "xaxis": _time_axis(timestamps, step_s, ticks=6),
        "yaxis": {
            "rangemode": "tozero",
            "ticksuffix": f" {unit}",
            "tickformat": "~g",
        },
        "margin": {"l": 48, "r": 34, "t": 8, "b": 22},
    }
    return {"data": data, "layout": layout}


def _line(name: str, x: list[int], ys: list[Any], colour: str, unit: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": x,
        "y": ys,
        "line": {"color": colour, "width": 1.2 if name == "p99" else 1.5},
        "marker": {"size": _lone_points(ys), "color": colour, "line": {"width": 0}},
        "hovertemplate": f"%{{y:,.3~r}} {unit}",
    }


def _lone_points(ys: list[Any]) -> list[int]:
    """A value between two gaps has no line to be seen by: give it a dot."""
    around = [None, *ys, None]
    return [
        4 if y is not None and around[i] is None and around[i + 2] is None else 0
        for i, y in enumerate(ys)
    ]


def _tail(x: list[int], ys: list[Any], colour: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": x[-2:],
        "y": ys[-2:],
        "line": {"color": colour, "width": 1.5, "dash": "2px,2px"},
        # Without a step before it, the one that fills has no line to be seen by.
        "marker": {"size": [0, 4 if ys[-2:-1] == [None] else 0], "color": colour},
        "opacity": 0.5,
        "hoverinfo": "skip",
    }


def _end_labels(
    x: list[int], lines: Mapping[str, list[Any]], colours: Mapping[str, str], top: float
) -> list[Figure]:
    """Each line's name where it ends, pushed apart where they would overlap."""
    labels: list[Figure] = []
    lowest = float("-inf")
    for name, ys in lines.items():
        last = next((n for n in reversed(ys) if n is not None), None)
        if last is None:
            continue
        at = max(last, lowest + top * LABEL_SHARE)
        lowest = at
        colour = token("text-3") if name == "p99" else colours[name]
        labels.append(
            {
                "x": x[-1],
                "y": round(at, 4),
                "xref": "x",
                "yref": "y",
                "xanchor": "left",
                "yanchor": "middle",
                "xshift": 6,
                "showarrow": False,
                "text": name,
                "font": {"size": 11, "color": colour},
            }
        )
    return labels


def _time_axis(
    timestamps: Sequence[int],
    step_s: int,
    *,
    ticks: int,
    before: float = 0,
    after: float = 0,
) -> Figure:
    axis: Figure = {"type": "date", "nticks": ticks}
    days = len(timestamps) * step_s >= 2 * 86400
    axis["tickformat"] = "%d %b" if days else "%H:%M"
    axis["hoverformat"] = "%d %b %H:%M" if days else "%H:%M:%S"
    if timestamps:
        start = round((timestamps[0] - before * step_s) * 1000)
        end = round((timestamps[-1] + after * step_s) * 1000)
        axis["range"] = [start, end]
    return axis


def _milliseconds(timestamps: Sequence[int]) -> list[int]:
    return [moment * 1000 for moment in timestamps]
