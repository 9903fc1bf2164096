"""Answers of the metrics query as CSV: one row per series and point in time."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from rest_framework.renderers import BaseRenderer

from dashboards.api.fields import SECOND_NS
from dashboards.api.present import moment

# A spreadsheet would run a cell that begins so; names come from whoever sends spans.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


class CSV(BaseRenderer):
    media_type = "text/csv"
    format = "csv"
    charset = "utf-8"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> str:
        out = io.StringIO()
        csv.writer(out, lineterminator="\r\n").writerows(rows(data))
        return out.getvalue()


def rows(answer: dict[str, Any]) -> Iterator[list[Any]]:
    series = answer["series"]
    labels = list(series[0]["labels"]) if series else []
    names = list(series[0]["values"]) if series else []
    yield ["time", *map(safe, labels), *names]
    for one in series:
        words = [safe(one["labels"][label]) for label in labels]
        columns = [one["values"][name] for name in names]
        for at, *values in zip(answer["timestamps"], *columns, strict=True):
            yield [moment(at * SECOND_NS), *words, *values]


def safe(text: str | None) -> str:
    """Missing is empty; a formula is text."""
    if text is None:
        return ""
    return f"'{text}" if text.startswith(FORMULA) else text
