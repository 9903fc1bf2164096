"""Amounts on their way from ticks to coarser rows, in memory.

``Heap`` holds sums by bucket and series, ``Groups`` makes the grouping sets of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from operator import add
from typing import Any

from ingest.rollup import Sums
from ingest.series import SETS

_PROJECT, _TARGET, _TENANT, _SERVICE, _AGENT, _PAIR = range(len(SETS))

Place = tuple[int, int]  # bucket, series
ReasonPlace = tuple[int, int, int]  # bucket, series, reason
Parents = tuple[int, ...]  # the series of each grouping set, in the order of SETS


class Heap:
    """Sums by bucket and series.

    Most places have only one part, so heaps share sums with those they came from and
    copy them before something is added.
    """

    def __init__(self) -> None:
        self.sums: dict[Place, Sums] = {}
        self.reasons: dict[ReasonPlace, list[int]] = {}
        self._own: set[Place] = set()

    def add(self, place: Place, part: Sums) -> None:
        have = self.sums.setdefault(place, part)
        if have is part:
            return
        if place not in self._own:
            self._own.add(place)
            have = self.sums[place] = have.copy()
        have.add_sums(part)

    def add_row(self, place: Place, columns: Sequence[Any]) -> None:
        """Add the columns of a stored row: counters, then packed cells."""
        self.add(place, Sums.of_row(columns))

    def add_reason(self, place: ReasonPlace, amounts: Iterable[int]) -> None:
        have = self.reasons.get(place)
        self.reasons[place] = list(map(add, have, amounts) if have else amounts)

    def series(self) -> set[int]:
        return {at[1] for at in self.sums} | {at[1] for at in self.reasons}

    def coarser(self, resolution: int) -> Heap:
        heap = Heap()
        for (bucket, series), part in self.sums.items():
            heap.add((bucket - bucket % resolution, series), part)
        for (bucket, series, reason), amounts in self.reasons.items():
            heap.add_reason((bucket - bucket % resolution, series, reason), amounts)
        return heap

    def since(self, first: int) -> Heap:
        """The part from this bucket on."""
        if all(at[0] >= first for at in chain(self.sums, self.reasons)):
            return self
        heap = Heap()
        heap.sums = {at: part for at, part in self.sums.items() if at[0] >= first}
        heap.reasons = {at: part for at, part in self.reasons.items() if at[0] >= first}
        return heap

    def without(self, series: set[int]) -> Heap:
        heap = Heap()
        heap.sums = {at: part for at, part in self.sums.items() if at[1] not in series}
        heap.reasons = {
            at: part for at, part in self.reasons.items() if at[1] not in series
        }
        return heap


class Groups:
    """Sums of the grouping sets.

    Not every set is summed from every part: tenant x target is, then target and
    tenant from that, and the project from its targets.
    """

    def __init__(self) -> None:
        self._heap = Heap()
        self._parents: dict[int, Parents] = {}  # of each tenant x target

    def add_call(self, parents: Parents, bucket: int, part: Sums) -> None:
        self._parents[parents[_PAIR]] = parents
        for group in (parents[_PAIR], parents[_SERVICE], parents[_AGENT]):
            self._heap.add((bucket, group), part)

    def add_reason(
        self, parents: Parents, bucket: int, reason: int, amounts: Sequence[int]
    ) -> None:
        for group in parents:
            self._heap.add_reason((bucket, group, reason), amounts)

    def add_heap(self, heap: Heap, parents: dict[int, Parents]) -> None:
        for series in heap.series():
            self._parents[parents[series][_PAIR]] = parents[series]
        for (bucket, series), part in heap.sums.items():
            self.add_call(parents[series], bucket, part)
        for (bucket, series, reason), amounts in heap.reasons.items():
            self.add_reason(parents[series], bucket, reason, amounts)

    def finish(self) -> tuple[Heap, set[int]]:
        """The sums of all sets, and which series are tenant x target."""
        heap, parents = self._heap, self._parents
        for (bucket, pair), part in list(heap.sums.items()):
            if pair in parents:
                heap.add((bucket, parents[pair][_TARGET]), part)
                heap.add((bucket, parents[pair][_TENANT]), part)
        projects = {own[_TARGET]: own[_PROJECT] for own in parents.values()}
        for (bucket, target), part in list(heap.sums.items()):
            if target in projects:
                heap.add((bucket, projects[target]), part)
        return heap, set(parents)
