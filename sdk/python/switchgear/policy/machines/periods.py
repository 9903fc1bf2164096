"""Which window of a quota a moment belongs to: a pure function of time and zone.

There is no reset that somebody has to run. Windows of days, weeks and months begin at
a time of day somewhere, windows of minutes and hours on the grid of UTC; either way
every moment is in exactly one of them, on the days too when clocks are changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from switchgear.policy.rules import Window

_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)
# More than any month has, less than two.
_INTO_NEXT_MONTH = timedelta(days=31)
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True, slots=True)
class Period:
    """One window: its name, and from when until (but not including) when it lasts."""

    name: str
    since: float
    until: float


def period_at(window: Window, now: float) -> Period:
    """The one window that `now` is in."""
    if window.period.startswith("PT"):
        return _on_the_grid(window.period, now)
    zone = UTC if window.tz == "UTC" else ZoneInfo(window.tz)
    first = _first(window, datetime.fromtimestamp(now, zone).date())
    while _begin(window, first, zone) > now:
        first = _first(window, first - _DAY)
    return Period(
        f"{window.period}@{window.tz}/{first.isoformat()}",
        _begin(window, first, zone),
        _begin(window, _next(window, first), zone),
    )


def _on_the_grid(period: str, now: float) -> Period:
    count, unit = int(period[2:-1]), period[-1]
    length = count * (3600 if unit == "H" else 60)
    since = now // length * length
    name = datetime.fromtimestamp(since, UTC).strftime("%Y-%m-%dT%H:%MZ")
    return Period(f"{period}/{name}", since, since + length)


def _first(window: Window, day: date) -> date:
    """The day on which the window begins that this day is in."""
    if window.period == "P1W":
        return day - _DAY * ((day.weekday() - _DAYS.index(window.week_start)) % 7)
    return day.replace(day=1) if window.period == "P1M" else day


def _next(window: Window, first: date) -> date:
    if window.period == "P1M":
        return (first + _INTO_NEXT_MONTH).replace(day=1)
    return first + (_WEEK if window.period == "P1W" else _DAY)


def _begin(window: Window, first: date, zone: tzinfo) -> float:
    at = time.fromisoformat(window.reset_time)
    return datetime.combine(first, at, zone).timestamp()
