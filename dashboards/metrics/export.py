"""An answer as CSV: a row per series and step."""

from __future__ import annotations

import csv
import io
from typing import Any

from dashboards.metrics import times

# What makes a spreadsheet run a cell instead of showing it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_csv(answer: dict[str, Any]) -> str:
    """``time``, the labels, then the metrics; unknown values are empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    series = answer["series"]
    if not series:
        writer.writerow(["time"])
        return out.getvalue()
    labels, metrics = list(series[0]["labels"]), list(series[0]["values"])
    writer.writerow(["time", *labels, *metrics])
    for one in series:
        words = [_harmless(one["labels"][label]) for label in labels]
        columns = [one["values"][metric] for metric in metrics]
        for at, *values in zip(answer["timestamps"], *columns, strict=True):
            writer.writerow([times.written(at), *words, *values])
    return out.getvalue()


def _harmless(word: str | None) -> str:
    if word is None:
        return ""
    return f"'{word}" if word.startswith(_FORMULA) else word
