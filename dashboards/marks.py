"""Policy versions on charts: a change of the rules is an event on every chart. Pure.

A dotted line where a version was published, its number on top, and who and why when
the pointer rests on the number. Versions that follow each other closely share a label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from dashboards.figures import Figure, token

NEAR = 0.05  # of the axis: labels that are closer would overlap
SAME = 0.002  # of the axis: such lines would be one
NAMED = 2  # versions one label names; more are counted
TOLD = 6  # versions one label explains
LABEL_PX = 18


@dataclass(frozen=True, slots=True)
class Mark:
    """One policy version, when it was published."""

    at_s: float
    number: int
    environment: str
    who: str
    reason: str
    url: str


def marked(figure: Figure, marks: Sequence[Mark]) -> Figure:
    """The figure with a line and a label for every version on its time axis."""
    layout = figure["layout"]
    if "range" not in layout["xaxis"]:
        return figure
    start, end = layout["xaxis"]["range"]
    shown = [mark for mark in marks if start <= mark.at_s * 1000 < end]
    if not shown:
        return figure
    seconds = (end - start) / 1000
    groups = _groups(shown, seconds * NEAR)
    lines = _groups(shown, seconds * SAME)
    notes = [_label(group, end - start, end) for group in groups]
    margin = layout["margin"]
    return figure | {
        "layout": layout
        | {
            "shapes": [_line(group[0]) for group in lines],
            "annotations": [*layout.get("annotations", ()), *notes],
            "margin": margin | {"t": max(margin["t"], LABEL_PX)},
        }
    }


def _groups(marks: Sequence[Mark], near_s: float) -> list[list[Mark]]:
    groups: list[list[Mark]] = []
    for mark in sorted(marks, key=lambda mark: (mark.at_s, mark.number)):
        if groups and mark.at_s - groups[-1][0].at_s < near_s:
            groups[-1].append(mark)
        else:
            groups.append([mark])
    return groups


def _line(mark: Mark) -> Figure:
    at = round(mark.at_s * 1000)
    return {
        "type": "line",
        "xref": "x",
        "yref": "paper",
        "x0": at,
        "x1": at,
        "y0": 0,
        "y1": 1,
        "layer": "above",
        "line": {"color": token("accent"), "width": 1, "dash": "2px,3px"},
    }


def _label(group: Sequence[Mark], width: float, end: float) -> Figure:
    at = round(group[0].at_s * 1000)
    text = ", ".join(f"v{mark.number}" for mark in group)
    if len(group) > NAMED:
        text = f"{len(group)} versions"
    right = end - at < width * 2 * NEAR  # a label would leave the chart
    return {
        "x": at,
        "y": 1,
        "xref": "x",
        "yref": "paper",
        "xanchor": "right" if right else "left",
        "yanchor": "bottom",
        "xshift": 3 if right else -3,
        "borderpad": 0,
        "showarrow": False,
        "captureevents": True,
        "text": f'<a href="{escape(group[-1].url)}" target="_self">{text}</a>',
        "hovertext": _told(group),
        "font": {"size": 11, "color": token("accent")},
    }


def _told(group: Sequence[Mark]) -> str:
    several = len({mark.environment for mark in group}) > 1
    lines = [_sentence(mark, several=several) for mark in group[-TOLD:]]
    if len(group) > TOLD:
        lines.insert(0, f"{len(group) - TOLD} more, and")
    return "<br>".join(lines)


def _sentence(mark: Mark, *, several: bool) -> str:
    # Plotly reads tags in a text: what people wrote must not be taken for one.
    where = f"{escape(mark.environment)} " if several else ""
    reason = f": {escape(mark.reason)}" if mark.reason else ""
    return f"{where}v{mark.number} by {escape(mark.who)}{reason}"
