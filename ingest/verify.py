"""Proof of the numbers: what is stored, counted anew, against what rollups say.

    raw spans --derive--> calls == stored calls --contribution--> amounts == ticks
                                                                          == rollups

Everything happens in one transaction, so that nothing moves while it is compared; on
SQLite senders wait meanwhile. What is wrong is repaired by adding the signed
difference in rows of a writer of its own: first to ticks, then, at every resolution,
what is still missing there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from msgspec import structs

from ingest import callrows, fold
from ingest.callrows import StoredCall
from ingest.derive import derive
from ingest.fold import FINEST_S, KEPT_S, RESOLUTIONS, TICKS_KEPT_S
from ingest.groups import outcome
from ingest.heap import Groups, Heap
from ingest.records import Call, Span
from ingest.rollup import (
    CELLS,
    COUNTERS,
    REASON_COUNTERS,
    Contribution,
    Sums,
    contribution,
)
from ingest.series import FIELDS, OTHER, SeriesBook
from ingest.spanrows import stored_spans
from ingest.stores.base import Row, Transaction

_ROW = ",".join(f"r.{name}" for name in ("bucket", "series_id", *COUNTERS, *CELLS))
_REASON_ROW = ",".join(
    f"r.{name}" for name in ("bucket", "series_id", "reason", *REASON_COUNTERS)
)
_NS = 1_000_000_000
TICKS = 0  # the "resolution" of ticks


@dataclass(frozen=True, slots=True)
class Wrong:
    """A row that does not say what its calls say."""

    resolution: int  # seconds, or TICKS
    bucket: int
    series: int
    amounts: dict[str, int]  # by counter: what must be added


@dataclass(slots=True)
class Report:
    calls: int = 0
    traces: int = 0
    underived: list[bytes] = field(default_factory=list)  # traces derived otherwise
    wrong: list[Wrong] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.wrong and not self.underived


class Proof:
    """One project and window, in one transaction."""

    def __init__(
        self, tx: Transaction, project_id: int, *, start: int, end: int, now: int
    ) -> None:
        self._tx = tx
        self._project_id = project_id
        self._start, self._end, self._now = start, end, now
        self._book = SeriesBook()
        self._diffs: dict[int, Heap] = {}
        self.report = Report()

    def compare(self) -> None:
        """Count the stored calls of the window and compare every row of it."""
        calls = self._expected()
        ticks = Heap()
        if self._start >= self._now - TICKS_KEPT_S:
            ticks = self._difference(TICKS, calls, self._ticks())
        for resolution in RESOLUTIONS:
            kept = KEPT_S[resolution]
            if kept is None or self._start >= self._now - kept:
                self._compare_rollups(resolution, calls, ticks)

    def repair(self) -> None:
        """Add what is missing; the rows belong to a writer that is already dead."""
        ((writer,),) = [self._tx.ids("ingest_writer", 1)]
        self._tx.insert(
            "ingest_writer",
            ("id", "started_at", "seen_at", "in_sets", "in_series", "closed"),
            [(writer, 0, 0, 0, 0, False)],
        )
        for resolution, heap in self._diffs.items():
            if resolution == TICKS:
                fold.write_ticks(self._tx, heap, owner=writer)
            else:
                fold.write_rollups(self._tx, heap, owner=writer, resolution=resolution)

    def derive_again(self) -> None:
        """Derive every trace touched since the window began, and compare its calls."""
        rows = self._tx.select(
            "SELECT id, trace_id FROM ingest_trace WHERE project_id=%s"
            " AND touched_at>=%s AND derive_after IS NULL ORDER BY id",
            (self._project_id, self._start * _NS),
        )
        for row_id, trace_id in rows:
            spans = [
                span
                for _, span in stored_spans(self._tx, key="trace_id", values=[row_id])
            ]
            stored = callrows.stored_calls(self._tx, key="c.trace_id", values=[row_id])
            if not _same(spans, [each.call for each in stored]):
                self.report.underived.append(bytes(trace_id))
        self.report.traces = len(rows)

    def words(self, series: int) -> str:
        (row,) = self._tx.select(
            f"SELECT grouping, {','.join(FIELDS)} FROM ingest_series"  # noqa: S608
            " WHERE id=%s",
            (series,),
        )
        return " ".join(str(word) for word in row if word != "")

    def _compare_rollups(self, resolution: int, calls: Heap, ticks: Heap) -> None:
        """``ticks`` are corrections that readers will add to every resolution."""
        start = self._start + -self._start % resolution
        end = self._end - self._end % resolution
        calls, ticks = _within(calls, start, end), _within(ticks, start, end)
        found = self._rollups(resolution, start, end)
        pending = {
            mark: self._pending(mark, start, end) for mark in ("in_sets", "in_series")
        }
        for heap in (pending["in_sets"], ticks):
            _add(found, self._sets(heap, resolution))
        expected = self._sets(calls, resolution)
        if resolution != FINEST_S:
            for heap in (pending["in_series"], ticks):
                _add(found, heap.coarser(resolution))
            _add(expected, calls.coarser(resolution))
        self._difference(resolution, expected, found)

    def _sets(self, heap: Heap, resolution: int) -> Heap:
        groups = Groups()
        groups.add_heap(heap, self._book.parents(self._tx, heap.series()))
        whole, pairs = groups.finish()
        if resolution == FINEST_S:
            return whole.without(pairs)
        return whole.coarser(resolution)

    def _difference(self, resolution: int, expected: Heap, found: Heap) -> Heap:
        left = Heap()
        _add(left, expected)
        for place, part in found.sums.items():
            left.add(place, part.negative())
        for at, amounts in found.reasons.items():
            left.add_reason(at, [-amount for amount in amounts])
        left.sums = {at: part for at, part in left.sums.items() if part}
        left.reasons = {at: part for at, part in left.reasons.items() if any(part)}
        for (bucket, series), part in left.sums.items():
            by_name = {
                name: amount
                for name, amount in zip(COUNTERS, part.counters, strict=True)
                if amount
            }
            self.report.wrong.append(Wrong(resolution, bucket, series, by_name))
        for (bucket, series, _), missing in left.reasons.items():
            named = zip(REASON_COUNTERS, missing, strict=True)
            by_reason = {
                f"{name} by reason": amount for name, amount in named if amount
            }
            self.report.wrong.append(Wrong(resolution, bucket, series, by_reason))
        if left.sums or left.reasons:
            self._diffs[resolution] = left
        return left

    def _expected(self) -> Heap:
        """What the stored calls of the window amount to, at 10 s and by full series."""
        ids = self._tx.select(
            "SELECT id, series_id FROM ingest_call WHERE project_id=%s"
            " AND ended_ns>=%s AND ended_ns<%s",
            (self._project_id, self._start * _NS, self._end * _NS),
        )
        series: dict[int, int] = dict(ids)
        stored = callrows.stored_calls(self._tx, key="c.id", values=series)
        heap = Heap()
        for row_id, part in self._counting(stored):
            if row_id in series:
                _add_call(heap, series[row_id], part)
        self.report.calls = len(stored)
        return heap

    def _counting(
        self, stored: Iterable[StoredCall]
    ) -> Iterator[tuple[int, Contribution]]:
        """The calls that count, with what they contribute."""
        responses: set[int] = set()
        for each in stored:
            if each.response is not None:
                responses.add(each.response)
            elif part := contribution(each.call):
                yield each.id, part
        members: dict[int, list[StoredCall]] = defaultdict(list)
        for each in callrows.stored_calls(
            self._tx, key="c.response_id", values=responses
        ):
            members[each.response or 0].append(each)
        traces = {each.trace for group in members.values() for each in group}
        names: dict[int, bytes] = dict(
            self._tx.lookup("ingest_trace", ("id", "trace_id"), key="id", values=traces)
        )
        for group in members.values():
            row_id, part = outcome(
                {each.id: (names[each.trace], each.call) for each in group}
            )
            if part is not None:
                yield row_id, part

    def _ticks(self) -> Heap:
        return self._heap(
            "ingest_tick{} r JOIN ingest_series s ON s.id=r.series_id",
            "s.project_id=%s AND r.bucket>=%s AND r.bucket<%s",
            (self._project_id, self._start, self._end),
        )

    def _pending(self, mark: str, start: int, end: int) -> Heap:
        return self._heap(
            "ingest_tick{} r JOIN ingest_series s ON s.id=r.series_id"
            " JOIN ingest_writer w ON w.id=r.writer_id",
            f"{{}}>w.{mark} AND s.project_id=%s AND r.bucket>=%s AND r.bucket<%s",
            (self._project_id, start, end),
        )

    def _rollups(self, resolution: int, start: int, end: int) -> Heap:
        return self._heap(
            "ingest_rollup{} r JOIN ingest_series s ON s.id=r.series_id",
            "s.project_id=%s AND r.resolution=%s AND r.bucket>=%s AND r.bucket<%s",
            (self._project_id, resolution, start, end),
        )

    def _heap(self, tables: str, where: str, parameters: Row) -> Heap:
        heap = Heap()
        for bucket, series, *columns in self._tx.select(
            f"SELECT {_ROW} FROM {tables.format('')}"  # noqa: S608
            f" WHERE {where.format('r.id')}",
            parameters,
        ):
            heap.add_row((bucket, series), columns)
        for bucket, series, reason, *amounts in self._tx.select(
            f"SELECT {_REASON_ROW} FROM {tables.format('_reason')}"  # noqa: S608
            f" WHERE {where.format('r.tick')}",
            parameters,
        ):
            heap.add_reason((bucket, series, reason), amounts)
        return heap


def _add(heap: Heap, other: Heap) -> None:
    for place, part in other.sums.items():
        heap.add(place, part)
    for at, amounts in other.reasons.items():
        heap.add_reason(at, amounts)


def _add_call(heap: Heap, series: int, part: Contribution) -> None:
    heap.add((part.bucket, series), Sums.of_call(part, 1))
    for reason, *amounts in part.reasons:
        heap.add_reason((part.bucket, series, reason), amounts)


def _within(heap: Heap, start: int, end: int) -> Heap:
    part = Heap()
    part.sums = {at: sums for at, sums in heap.sums.items() if start <= at[0] < end}
    part.reasons = {
        at: amounts for at, amounts in heap.reasons.items() if start <= at[0] < end
    }
    return part


def _same(spans: list[Span], stored: list[Call]) -> bool:
    """Whether deriving gives what is stored; words beyond a cap read ``__other__``."""
    derived = {call.anchor: call for call in derive(spans)}
    if len(derived) != len(stored):
        return False
    return all(
        (again := derived.get(call.anchor)) is not None and _capped(again, call) == call
        for call in stored
    )


def _capped(call: Call, like: Call) -> Call:
    capped = {name: OTHER for name in FIELDS if getattr(like, name) == OTHER}
    return structs.replace(call, **capped)
