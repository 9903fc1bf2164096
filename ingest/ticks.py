"""The writer's own 10 s rows: what every commit adds to the numbers.

    stage (in the commit's transaction) -> settle | forget -> ... -> fold

A row holds the sum of what this writer counted in one bucket for one series, and is
overwritten by the commits that add to it, until a fold takes it into coarser rows;
then it never changes again. The sums live in memory beside their rows. When a commit
fails, memory is dropped: the rows stay as they are, and what comes next begins new
ones. Readers add rows up, so nobody notices.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ingest import fold
from ingest.additions import Held
from ingest.heap import Groups, Heap, Place, ReasonPlace
from ingest.records import Call
from ingest.rollup import (
    CELLS,
    COUNTERS,
    REASON_COUNTERS,
    Contribution,
    Sums,
    series_of,
)
from ingest.series import SeriesBook
from ingest.stores.base import Row, Transaction

# What readers have to add up themselves, against the price of a fold.
MANY_TICKS = 40_000
SETS_EVERY_S = 5.0
SERIES_EVERY_S = 60.0
# Folding full series is never urgent: after a slice that leaves some, a pause of so
# many times what it took.
SERIES_PAUSE = 10.0
ADOPT_EVERY_S = 30.0

_TICK = ("id", "writer_id", "bucket", "series_id", *COUNTERS, *CELLS)
_REASON = ("id", "writer_id", "tick", "bucket", "series_id", "reason", *REASON_COUNTERS)

Change = tuple[int, int, Contribution]  # sign, project id, contribution


class WriterClosed(Exception):
    """Somebody took us for dead and folded our rows: go on as a new writer."""


class Part(NamedTuple):
    """What one call changes."""

    bucket: int
    series: int
    sums: Sums
    reasons: list[tuple[int, list[int]]]  # code, then amounts


class _Live:
    """Our rows that may still grow: what they hold, and their ids."""

    def __init__(self) -> None:
        self.heap = Heap()
        self.rows: dict[Place, int] = {}
        self.reason_rows: dict[ReasonPlace, int] = {}

    def add(self, parts: Iterable[Part]) -> None:
        for bucket, series, sums, reasons in parts:
            self.heap.add((bucket, series), sums)
            for code, amounts in reasons:
                self.heap.add_reason((bucket, series, code), amounts)


class TickBook:
    """The rows of one writer; lives on the writer's thread."""

    def __init__(self, writer_id: int, *, caps: dict[str, int] | None = None) -> None:
        self.writer_id = writer_id
        self._book = SeriesBook(caps=caps)
        self._live = _Live()
        self._in_sets = 0
        self._last_tick = 0
        # What our pending ticks amount to; None when memory does not know all of it.
        self._groups: Groups | None = Groups()
        # What is being folded, and what our coarser rows hold.
        self._folding: fold.SetsFold | None = None
        self._held = Held()
        self._pending = 0  # about so many ticks are in no set
        self._pending_since: float | None = None
        self._unfolded = 0  # about so many ticks are in no full series
        self._series_at = 0.0
        self._adopt_at = 0.0

    def series(self, tx: Transaction, wanted: Sequence[tuple[int, Call]]) -> list[int]:
        """The series each call is counted under, made where absent."""
        keys = [(project_id, series_of(call)) for project_id, call in wanted]
        ids = self._book.ids(tx, keys)
        return [ids[key] for key in keys]

    def stage(self, tx: Transaction, changes: Iterable[Change]) -> None:
        """Write what this commit adds (sign 1) and takes away (-1)."""
        changes = list(changes)
        if not changes:
            return
        self._hold(tx)
        parts = self._parts(tx, changes)
        self._group(tx, parts)
        self._live.add(parts)
        self._write(tx, parts)

    def _parts(self, tx: Transaction, changes: Sequence[Change]) -> list[Part]:
        ids = self._book.ids(
            tx, [(project, part.series) for _, project, part in changes]
        )
        return [
            Part(
                part.bucket,
                ids[project, part.series],
                Sums.of_call(part, sign),
                [
                    (code, [sign * amount for amount in amounts])
                    for code, *amounts in part.reasons
                ],
            )
            for sign, project, part in changes
        ]

    def settle(self) -> None:
        """The commit holds."""

    def forget(self) -> None:
        """The commit failed: our rows are finished as they are."""
        self._know_nothing()
        self._book.forget()
        # What is pending is read from the rows by the next fold.
        self._pending = max(self._pending, MANY_TICKS)
        self._unfolded = max(self._unfolded, 1)

    def prepare(self, now: float) -> None:
        """Get the next fold of the sets ready, a little at a time."""
        if self._folding is not None:
            self._folding.advance()
        elif self._groups is not None and self._sets_due(now):
            self._folding = self._freeze(self._groups, now)

    @property
    def preparing(self) -> bool:
        """Is there a fold of the sets to get ready?"""
        return self._folding is not None and not self._folding.ready

    def fold_due(self, now: float) -> str | None:
        """What should be folded now (``dead``, ``sets`` or ``series``), if anything."""
        if self._folding is not None:
            return "sets" if self._folding.ready else None
        if self._sets_due(now):
            return "sets"
        if self._unfolded and now >= self._series_at:
            return "series"
        if now - self._adopt_at >= ADOPT_EVERY_S:
            return "dead"
        return None

    def _sets_due(self, now: float) -> bool:
        if self._pending and self._pending_since is None:
            self._pending_since = now
        since = self._pending_since
        return self._pending >= MANY_TICKS or (
            since is not None and now - since >= SETS_EVERY_S
        )

    def _freeze(self, groups: Groups, now: float) -> fold.SetsFold:
        """What is folded never changes again: rows in memory are finished."""
        self._live = _Live()
        self._groups = Groups()
        self._pending = 0
        self._pending_since = None
        return fold.SetsFold(
            groups,
            owner=self.writer_id,
            upto=self._last_tick,
            held=self._held,
            now=now,
        )

    def fold(self, tx: Transaction, now: float) -> None:
        """Fold what is due; ``settle`` or ``forget`` afterwards, as after staging."""
        due = self.fold_due(now)
        if due is None:
            return
        self._hold(tx)
        {"sets": self._fold_sets, "series": self._fold_series, "dead": self._adopt}[
            due
        ](tx, now)

    def _hold(self, tx: Transaction) -> None:
        """Lock our row of ``ingest_writer``, and see that nobody folded our ticks.

        It happens to a process that slept longer than its lease: then our live rows
        are folded and must not change, and once we are closed nobody reads our ticks.
        """
        if tx.execute(
            "UPDATE ingest_writer SET closed=closed"
            " WHERE id=%s AND in_sets=%s AND NOT closed",
            (self.writer_id, self._in_sets),
        ):
            return
        rows = tx.select(
            "SELECT in_sets FROM ingest_writer WHERE id=%s AND NOT closed",
            (self.writer_id,),
        )
        if not rows:
            raise WriterClosed
        self._know_nothing()
        ((self._in_sets,),) = rows

    def _know_nothing(self) -> None:
        """From here on the rows are asked, not memory."""
        self._live = _Live()
        self._groups = None
        self._folding = None
        self._held = Held()

    def _group(self, tx: Transaction, parts: Sequence[Part]) -> None:
        groups = self._groups
        if groups is None:
            return
        parents = self._book.parents(tx, {part.series for part in parts})
        for bucket, series, sums, reasons in parts:
            groups.add_call(parents[series], bucket, sums)
            for code, amounts in reasons:
                groups.add_reason(parents[series], bucket, code, amounts)

    def _write(self, tx: Transaction, parts: Iterable[Part]) -> None:
        live = self._live
        touched = {(part.bucket, part.series): None for part in parts}
        fresh = [place for place in touched if place not in live.rows]
        again = [place for place in touched if place in live.rows]
        for place, row in zip(fresh, tx.ids("ingest_tick", len(fresh)), strict=True):
            live.rows[place] = self._last_tick = row
        tx.insert("ingest_tick", _TICK, self._rows(fresh))
        tx.replace("ingest_tick", _TICK, self._rows(again))
        self._write_reasons(tx, parts)
        self._pending += len(fresh)
        self._unfolded += len(fresh)

    def _rows(self, places: Iterable[Place]) -> list[Row]:
        rows, sums = self._live.rows, self._live.heap.sums
        return [
            (rows[place], self.writer_id, *place, *sums[place].packed())
            for place in places
        ]

    def _write_reasons(self, tx: Transaction, parts: Iterable[Part]) -> None:
        live = self._live
        touched = {
            (part.bucket, part.series, code): None
            for part in parts
            for code, _ in part.reasons
        }
        fresh = [place for place in touched if place not in live.reason_rows]
        ids = tx.ids("ingest_tick_reason", len(fresh))
        live.reason_rows.update(zip(fresh, ids, strict=True))
        tx.replace(
            "ingest_tick_reason",
            _REASON,
            [
                (
                    live.reason_rows[place],
                    self.writer_id,
                    live.rows[place[:2]],
                    *place,
                    *live.heap.reasons[place],
                )
                for place in touched
            ],
        )

    def _fold_sets(self, tx: Transaction, now: float) -> None:
        us = self.writer_id
        if self._groups is None:
            # Memory does not know all of it: the rows do.
            self._live = _Live()
            count, self._in_sets = fold.fold_sets(
                tx, source=us, owner=us, book=self._book, now=now
            )
            if count < fold.MOST_TICKS:
                self._groups = Groups()
                self._pending = 0
                self._pending_since = None
            return
        folding = self._folding or self._freeze(self._groups, now)
        folding.write(tx, source=us)
        self._in_sets = folding.upto
        self._folding = None

    def _fold_series(self, tx: Transaction, now: float) -> None:
        began = time.monotonic()
        us = self.writer_id
        count = fold.fold_series(tx, source=us, owner=us, now=now)
        if count < fold.MOST_SERIES_TICKS:
            self._unfolded = self._pending
            self._series_at = now + SERIES_EVERY_S
        else:
            self._series_at = now + SERIES_PAUSE * (time.monotonic() - began)

    def _adopt(self, tx: Transaction, now: float) -> None:
        if fold.adopt(tx, owner=self.writer_id, book=self._book, now_ns=int(now * 1e9)):
            # What the dead left was added to our rows.
            self._held = Held()
        else:
            self._adopt_at = now
