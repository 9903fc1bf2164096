"""The spans of a trace as a tree: one version of each span, parents before children.

Senders repeat spans, lose parents and now and then send a circle. Whatever comes, each
span is there once, every parent has a smaller index than its children, and the order
depends on what the spans say alone, never on how they arrived. Nothing here recurses:
a trace may be 100,000 spans deep.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from msgspec.structs import replace

from ingest.records import Span, version_order

_by_start = attrgetter("start_ns", "span_id")


def grow(spans: Sequence[Span]) -> tuple[list[Span], list[int]]:
    """The spans, and for each the index of its parent (-1: a root or an orphan)."""
    found = sorted(_latest(spans), key=_by_start)
    index = {span.span_id: place for place, span in enumerate(found)}
    parents = [index.get(span.parent_id, -1) for span in found]
    for child, parent in enumerate(parents):
        if parent >= child:
            return _renumbered(found, parents)
    return found, parents


def _latest(spans: Sequence[Span]) -> Sequence[Span]:
    """The greatest version of each span, received when its first version was."""
    latest = {span.span_id: span for span in spans}
    if len(latest) == len(spans):
        return spans
    versions: dict[bytes, list[Span]] = {}
    for span in spans:
        versions.setdefault(span.span_id, []).append(span)
    return [_greatest(told) if len(told) > 1 else told[0] for told in versions.values()]


def _greatest(versions: list[Span]) -> Span:
    greatest = max(versions, key=lambda span: (version_order(span), not span.future))
    first = min(span.received_ns for span in versions)
    if greatest.received_ns == first:
        return greatest
    return replace(greatest, received_ns=first)


def _renumbered(spans: list[Span], parents: list[int]) -> tuple[list[Span], list[int]]:
    """The same tree with parents first, for clocks that disagree and for circles."""
    _cut_circles(parents)
    children: list[list[int]] = [[] for _ in spans]
    order: list[int] = []
    for child, parent in enumerate(parents):
        (order if parent < 0 else children[parent]).append(child)
    for place in order:  # grows while it is walked
        order.extend(children[place])
    position = [0] * len(order)
    for new, old in enumerate(order):
        position[old] = new
    return (
        [spans[old] for old in order],
        [-1 if parents[old] < 0 else position[parents[old]] for old in order],
    )


def _cut_circles(parents: list[int]) -> None:
    """Make the earliest span of each circle a root."""
    walked = [0] * len(parents)  # the walk that came by; 0: none yet
    for start in range(len(parents)):
        place = start
        while place >= 0 and not walked[place]:
            walked[place] = start + 1
            place = parents[place]
        # Ours again: the first of a circle that is met by ascending starts is
        # not always its earliest, so go round once to find that.
        if place >= 0 and walked[place] == start + 1:
            earliest, other = place, parents[place]
            while other != place:
                earliest, other = min(earliest, other), parents[other]
            parents[earliest] = -1
