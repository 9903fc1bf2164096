"""When spans truly started and ended, where their clocks said something impossible.

Zero, future or absurd times take the nearest valid ancestor's end, else the time the
span came in. What was repaired is skewed: it is shown, and no distribution sees it.
A span that ended before it started keeps its end and lasts no time. A span without an
end is running; one without a start as well has a broken clock and is over.
"""

from __future__ import annotations

from typing import NamedTuple

from ingest.records import Span

_FLOOR = 946_684_800_000_000_000  # 2000-01-01: what is before comes from no real clock
_CEILING = 7_258_118_400_000_000_000  # 2200-01-01


class Times(NamedTuple):
    starts: list[int]
    ends: list[int]  # 0: running
    skewed: frozenset[int]


def repair(spans: list[Span], parents: list[int]) -> Times:
    starts, ends, odd = [], [], []
    for place, span in enumerate(spans):
        start, end = span.start_ns, span.end_ns
        starts.append(start)
        ends.append(end)
        if not (
            _FLOOR <= start <= _CEILING
            and (not end or start <= end <= _CEILING)
            and not span.future
        ):
            odd.append(place)
    if odd:
        _repair_odd(spans, parents, starts, ends, odd)
    return Times(starts, ends, frozenset(odd))


def _repair_odd(
    spans: list[Span],
    parents: list[int],
    starts: list[int],
    ends: list[int],
    odd: list[int],
) -> None:
    broken = set(odd)
    known: list[int] = []  # end of the nearest valid span from here upwards, 0: none
    for place, parent in enumerate(parents):
        above = known[parent] if parent >= 0 else 0
        if place in broken:
            starts[place], ends[place] = _repaired(spans[place], above)
            known.append(above)
        else:
            known.append(ends[place] or above)


def _repaired(span: Span, above: int) -> tuple[int, int]:
    start, end = span.start_ns, span.end_ns
    instead = above or span.received_ns
    if not end and start:
        return instead, 0
    if span.future or not _FLOOR <= end <= _CEILING:
        end = instead
    if not _FLOOR <= start <= end:
        start = end
    return start, end
