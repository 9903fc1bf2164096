"""How numbers are written on boards. Pure.

One decimal for percent, two for seconds under ten and for dollars, thousands
separators from 1,000, a no-break space before a unit, and a dash for what nobody can
know: an unknown is never written as zero.
"""

from __future__ import annotations

from typing import NamedTuple

NBSP = "\N{NO-BREAK SPACE}"
UNKNOWN = "\N{EN DASH}"
CROSS = "\N{MULTIPLICATION SIGN}"


class Form(NamedTuple):
    """How a value below ``below`` is written, after division by ``divisor``."""

    below: float
    text: str
    divisor: float = 1
    unit: str = ""


RATES = (
    Form(0.001, "<0.001"),
    Form(0.01, "{:.3f}"),
    Form(20, "{:.2f}"),
    Form(1000, "{:.1f}"),
    Form(float("inf"), "{:,.0f}"),
)
DOLLARS = (
    Form(0.0001, "<$0.0001"),
    Form(0.01, "${:.4f}"),
    Form(1000, "${:.2f}"),
    Form(float("inf"), "${:,.0f}"),
)
DURATIONS = (
    Form(1, "{:.2f}", unit="ms"),
    Form(100, "{:.0f}", unit="ms"),
    Form(10_000, "{:.2f}", 1000, "s"),
    Form(120_000, "{:.1f}", 1000, "s"),
    Form(float("inf"), "{:,.1f}", 60_000, "min"),
)
# A share that rounds to all or nothing, without being it, must not read like it.
NEARLY_NONE, NEARLY_ALL = 0.0005, 0.9995
MOST_PERCENT = 999  # a growth beyond reads better as a factor


def count(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:,.0f}"


def rate(value: float | None) -> str:
    """Something per second, without the unit."""
    if value is None:
        return UNKNOWN
    return "0" if value == 0 else _written(value, RATES)[0]


def dollars(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return "$0.00" if value == 0 else _written(value, DOLLARS)[0]


def duration(ms: float | None) -> tuple[str, str]:
    """Number and unit of a latency."""
    return (UNKNOWN, "") if ms is None else _written(ms, DURATIONS)


def duration_with_unit(ms: float | None) -> str:
    number, unit = duration(ms)
    return f"{number}{NBSP}{unit}" if unit else number


def percent(share: float | None) -> str:
    """A share as percent, without the sign."""
    if share is None:
        return UNKNOWN
    if 0 < share < NEARLY_NONE:
        return "<0.1"
    if NEARLY_ALL <= share < 1:
        return ">99.9"
    return f"{share * 100:.1f}"


def percent_with_sign(share: float | None) -> str:
    return UNKNOWN if share is None else f"{percent(share)}{NBSP}%"


def times(value: float | None) -> str:
    return UNKNOWN if value is None else f"{CROSS}{NBSP}{value:.2f}"


def growth(now: float | None, before: float | None) -> str | None:
    """By how much something grew; ``None`` when there is nothing to compare with."""
    if now is None or not before:
        return None
    grown = (now - before) / before * 100
    if grown > MOST_PERCENT:
        return f"{CROSS}{NBSP}{now / before:,.0f}"
    return f"{round(grown):+d}{NBSP}%"


def plural(number: int, one: str, many: str = "") -> str:
    return f"{number:,}{NBSP}{one if number == 1 else many or one + 's'}"


def _written(value: float, forms: tuple[Form, ...]) -> tuple[str, str]:
    form = next(form for form in forms if value < form.below)
    return form.text.format(value / form.divisor), form.unit
