"""From what people write about time to whole steps on the clock they live by.

Steps of a day and more begin at local midnight, so a day may have 23 or 25 hours;
shorter ones begin where the local clock shows a multiple of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from dashboards.metrics.errors import QueryError
from ingest.fold import DAY_S
from ingest.queries import planner

MOST_POINTS = 1_000
# Of an automatic step: what a chart can show, and what it needs where percentiles of
# several groups are asked, which are the expensive part of an answer.
GOOD_POINTS = 122
FEW_POINTS = 32
_STEPS = (
    10,
    60,
    120,
    300,
    600,
    1_200,
    1_800,
    3_600,
    7_200,
    10_800,
    21_600,
    43_200,
    DAY_S,
    7 * DAY_S,
    28 * DAY_S,
    364 * DAY_S,
)
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": DAY_S, "w": 7 * DAY_S}
_RELATIVE = re.compile(r"now(?:([+-])(\d{1,9})([smhdw]))?")
_LENGTH = re.compile(r"(\d{1,9})([smhdw]?)")
_NUMBER = re.compile(r"\d{1,12}(\.\d{1,9})?")
_LAST = 253_402_300_799  # the year 9999, where datetimes end
_WIDEST = 50 * 366 * DAY_S


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of an answer: ``edges`` are their beginnings and the end of the last.

    ``start`` and ``end`` are the range that is added up: ``start`` may lie within the
    first step. ``width`` is in seconds, ``even`` whether all steps are that long.
    """

    start: int
    end: int
    edges: Sequence[int]
    width: int
    even: bool
    coarsened: bool

    @property
    def timestamps(self) -> Sequence[int]:
        return self.edges[:-1]


def zone(value: object) -> ZoneInfo:
    try:
        return ZoneInfo(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OSError, KeyError) as error:
        message = f"{value!r} is no time zone."
        raise QueryError("tz_unknown", message, "/tz") from error


def span(since: object, until: object, *, now: float, tz: ZoneInfo) -> tuple[int, int]:
    """The range in unix seconds; nobody keeps anything finer than those."""
    start = int(moment(since, "/from", now=now, tz=tz))
    end = -int(-moment(until, "/to", now=now, tz=tz) // 1)
    if start >= end:
        raise QueryError("range_empty", "from must be before to.", "/from")
    if end - start > _WIDEST:
        raise QueryError("range_too_wide", "A range is at most 50 years.", "/from")
    return start, end


def moment(value: object, pointer: str, *, now: float, tz: ZoneInfo) -> float:
    """ISO 8601, unix seconds, or ``now`` with a distance such as ``now-15m``."""
    found: float | None = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        found = float(value)
    elif isinstance(value, str):
        found = _written(value.strip(), now=now, tz=tz)
    if found is None or not 0 <= found <= _LAST:
        raise QueryError(
            "time_invalid",
            f"{value!r} is neither ISO 8601, nor unix seconds, nor like now-15m.",
            pointer,
        )
    return found


def _written(text: str, *, now: float, tz: ZoneInfo) -> float | None:
    if relative := _RELATIVE.fullmatch(text):
        sign, count, unit = relative.groups()
        away = int(count) * _UNITS[unit] if sign else 0
        return now - away if sign == "-" else now + away
    if _NUMBER.fullmatch(text):
        return float(text)
    try:
        written = datetime.fromisoformat(text)
        return (written if written.tzinfo else written.replace(tzinfo=tz)).timestamp()
    except (ValueError, OverflowError):
        return None


def step(value: object) -> int | None:
    """Seconds, also as ``60``, ``5m`` or ``1d``; ``None`` for ``auto``."""
    if value == "auto":
        return None
    found = 0
    if isinstance(value, int) and not isinstance(value, bool):
        found = value
    elif isinstance(value, str) and (length := _LENGTH.fullmatch(value)):
        count, unit = length.groups()
        found = int(count) * _UNITS[unit or "s"]
    if not 0 < found <= _WIDEST:
        raise QueryError("step_invalid", "step is auto, seconds, or like 5m.", "/step")
    return found


def steps(
    start: int,
    end: int,
    asked: int | None,
    *,
    now: int,
    tz: ZoneInfo,
    good: int = GOOD_POINTS,
    most: int = MOST_POINTS,
) -> Steps:
    """Cut a range into steps that the rows of its age can answer.

    ``most`` is how many steps there may be, ``good`` how many automatic ones.
    """
    start, end = planner.snapped(start, end, now=now)
    finest = max(planner.finest(at, now=now) for at in (start, end))
    width = _width(end - start, asked, finest=finest, good=min(good, most), most=most)
    edges = _edges(start, end, width, tz=tz, finest=finest)
    even = all(right - left == width for left, right in pairwise(edges))
    return Steps(start, end, edges, width, even, asked is not None and width != asked)


def _width(length: int, asked: int | None, *, finest: int, good: int, most: int) -> int:
    fitting = [one for one in _STEPS if one % finest == 0]
    if asked is None:
        return next((one for one in fitting if length / one <= good), fitting[-1])
    width = asked + -asked % (DAY_S if asked > DAY_S else finest)
    if length / width <= most - 1:
        return width
    return next(one for one in fitting if length / one <= most - 1)


def _edges(start: int, end: int, width: int, *, tz: ZoneInfo, finest: int) -> list[int]:
    if width % DAY_S == 0 and finest < DAY_S:
        days = _midnights(start, end, width // DAY_S, tz)
        if all(day % finest == 0 for day in days):
            return days
    offset = datetime.fromtimestamp(start, tz).utcoffset() or timedelta()
    shift = int(offset.total_seconds())
    shift -= shift % finest
    first = start - (start + shift) % width
    return list(range(first, end + width, width))[: -(-(end - first) // width) + 1]


def _midnights(start: int, end: int, days: int, tz: ZoneInfo) -> list[int]:
    """Local midnights, every ``days``, from the last before ``start``."""
    day = datetime.fromtimestamp(start, tz).replace(
        hour=0, minute=0, second=0, microsecond=0, fold=0
    )
    edges = [int(day.timestamp())]
    while edges[-1] < end:
        day += timedelta(days=days)
        edges.append(int(day.timestamp()))
    return edges


def written(at: int) -> str:
    """ISO 8601 in UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
