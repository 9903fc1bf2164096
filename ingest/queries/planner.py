"""Which rows answer a question: the smallest grouping set, the coarsest resolutions.

A range is covered by segments: coarse rows inside, finer ones at its edges, so that a
total over ``[start, end)`` is exact. How fine the edges can be depends on their age,
because fine rows are kept for a while only: 10 s in the last 3 hours, then 1 minute
for 48 hours, 10 minutes for 14 days, 1 hour for 13 months, and 1 day. A range that
asks for more is widened to whole rows (``snapped``), and the answer says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ingest.fold import DAY_S, FINEST_S, KEPT_S, RESOLUTIONS
from ingest.series import FULL, KEPT

_FEW_STEPS = 4
# These have no rows at 10 s: there the ticks themselves are read.
FROM_A_MINUTE = frozenset({FULL, "tenant_target"})


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows of one resolution, from ``start`` up to and without ``end``."""

    resolution: int
    start: int
    end: int


def grouping_for(dimensions: Iterable[str]) -> str:
    """The smallest grouping set that keeps all of these dimensions."""
    wanted = frozenset(dimensions) - {"environment", "kind"}
    return min(
        (name for name, kept in KEPT.items() if wanted <= kept),
        key=lambda name: len(KEPT[name]),
    )


def finest(at: int, *, now: int) -> int:
    """The finest resolution that still has rows from ``at`` on."""
    return next(
        resolution
        for resolution, kept in KEPT_S.items()
        if kept is None or at >= now - kept
    )


def snapped(start: int, end: int, *, now: int) -> tuple[int, int]:
    """The range widened to whole rows of what is kept at its edges."""
    first, last = finest(start, now=now), finest(end, now=now)
    return start - start % first, end + -end % last


def coarsest(edges: Sequence[int]) -> int:
    """The coarsest resolution whose rows lie within the steps between these edges."""
    return next(
        resolution
        for resolution in reversed(RESOLUTIONS)
        if resolution == FINEST_S or all(edge % resolution == 0 for edge in edges)
    )


def cover(start: int, end: int, *, most: int = DAY_S) -> list[Segment]:
    """Segments of up to ``most`` seconds a row that cover a snapped range exactly."""
    return _cover(start, end, [one for one in reversed(RESOLUTIONS) if one <= most])


def cover_steps(start: int, end: int, edges: Sequence[int]) -> list[Segment]:
    """Segments that cover a snapped range without a row across an edge.

    A few long steps are covered one by one, so that coarse rows lie inside each.
    """
    most = coarsest(edges)
    if len(edges) - 1 > _FEW_STEPS:
        return cover(start, end, most=most)
    return [
        segment
        for left, right in pairwise(edges)
        for segment in cover(max(left, start), min(right, end))
    ]


def _cover(start: int, end: int, resolutions: Sequence[int]) -> list[Segment]:
    if start >= end:
        return []
    resolution, *finer = resolutions
    first, last = start + -start % resolution, end - end % resolution
    if first >= last:
        return _cover(start, end, finer)
    return [
        *_cover(start, first, finer),
        Segment(resolution, first, last),
        *_cover(last, end, finer),
    ]
