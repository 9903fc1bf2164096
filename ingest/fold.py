"""From a writer's pending 10 s rows to the coarser rows that boards read.

    pending ticks --sum--> sets at 10 s --> 1 min --> 10 min --> 1 h --> 1 d
                                             read, add, write our own rows; move the
                                             watermark: one transaction

A tick is pending while its id is above its writer's watermark, and readers add what
is pending to what is folded: a fold moves amounts from one side to the other and
nobody sees a difference. Two watermarks: ``in_sets`` for the grouping sets, moved
every few seconds, ``in_series`` for full series, which fewer panels read. It never
passes ``in_sets``: up to there a writer's ticks no longer change.

Rows of a dead writer are added to our own. Nobody updates another writer's rows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice

from ingest.additions import Additions, Held
from ingest.heap import Groups, Heap
from ingest.rollup import CELLS, COUNTERS, REASON_COUNTERS, Sums
from ingest.series import SeriesBook
from ingest.stores.base import Transaction

DAY_S = 86_400
FINEST_S = 10
# Seconds of a row, and how long rows of that size are kept.
TICKS_KEPT_S = 3 * 3_600
KEPT_S: dict[int, int | None] = {
    FINEST_S: TICKS_KEPT_S,
    60: 48 * 3_600,
    600: 14 * DAY_S,
    3_600: 396 * DAY_S,
    DAY_S: None,
}
RESOLUTIONS = tuple(KEPT_S)
GRACE_S = 900
LEASE_NS = 60_000_000_000
MOST_TICKS = 30_000  # per fold: it runs between two commits of the writer
MOST_SERIES_TICKS = 10_000  # each of them may have a row of its own

_ROW = ("bucket", "series_id", *COUNTERS, *CELLS)
_REASON_ROW = ("bucket", "series_id", "reason", *REASON_COUNTERS)


def fold_sets(
    tx: Transaction,
    *,
    source: int,
    owner: int,
    book: SeriesBook,
    now: float,
    most: int = MOST_TICKS,
) -> tuple[int, int]:
    """Add pending ticks of ``source`` to the sets of ``owner``.

    Answers how many, and the watermark that contains them.
    """
    ((after,),) = tx.select("SELECT in_sets FROM ingest_writer WHERE id=%s", (source,))
    count, ticks, upto = _pending(tx, source, after, most=most)
    if count:
        groups = Groups()
        groups.add_heap(ticks, book.parents(tx, ticks.series()))
        ready = SetsFold(groups, owner=owner, upto=upto, held=Held(), now=now)
        ready.write(tx, source=source)
    return count, upto


class SetsFold:
    """A fold of the sets that is got ready between commits and written in one go.

    Adding up takes as long as several commits, and nobody shall wait for it.
    """

    def __init__(
        self, groups: Groups, *, owner: int, upto: int, held: Held, now: float
    ) -> None:
        self.upto = upto
        self.ready = False
        self._additions = Additions(owner, held)
        self._work = self._prepare(groups, now)

    def advance(self, parts: int = 500) -> None:
        """Do some of what needs no database."""
        if sum(1 for _ in islice(self._work, parts)) < parts:
            self.ready = True

    def write(self, tx: Transaction, *, source: int) -> None:
        """Add what the ticks of ``source`` amount to, after what is left to prepare."""
        deque(self._work, maxlen=0)
        self._additions.write(tx)
        tx.execute(
            "UPDATE ingest_writer SET in_sets=%s WHERE id=%s", (self.upto, source)
        )

    def _prepare(self, groups: Groups, now: float) -> Iterator[None]:
        heap, pairs = groups.finish()
        yield
        finest = heap.since(oldest(FINEST_S, now)).without(pairs)
        yield from self._additions.add(FINEST_S, finest)
        for resolution in RESOLUTIONS[1:]:
            heap = heap.coarser(resolution)
            yield
            yield from self._additions.add(
                resolution, heap.since(oldest(resolution, now))
            )


def fold_series(
    tx: Transaction,
    *,
    source: int,
    owner: int,
    now: float,
    most: int = MOST_SERIES_TICKS,
) -> int:
    """Add ticks that are in the sets to the full series of ``owner``; how many."""
    ((after, limit),) = tx.select(
        "SELECT in_series, in_sets FROM ingest_writer WHERE id=%s", (source,)
    )
    count, ticks, upto = _pending(tx, source, after, most=most, limit=limit)
    if not count:
        return 0
    write_coarser(tx, ticks, owner=owner, now=now)
    tx.execute("UPDATE ingest_writer SET in_series=%s WHERE id=%s", (upto, source))
    return count


def adopt(tx: Transaction, *, owner: int, book: SeriesBook, now_ns: int) -> bool:
    """Fold some rows of a dead writer, close it when none are left; is there more?"""
    dead_since = now_ns - LEASE_NS
    dead = tx.select(
        "SELECT id FROM ingest_writer WHERE NOT closed AND seen_at<%s AND id<>%s"
        " ORDER BY id LIMIT 1",
        (dead_since, owner),
    )
    if not dead:
        return False
    ((source,),) = dead
    # The row is locked by a change, so that two adopters take turns, and so do we
    # and the writer, should it only have slept.
    if not tx.execute(
        "UPDATE ingest_writer SET closed=closed"
        " WHERE id=%s AND NOT closed AND seen_at<%s",
        (source, dead_since),
    ):
        return True
    now = now_ns / 1e9
    folded, _ = fold_sets(tx, source=source, owner=owner, book=book, now=now)
    folded += fold_series(tx, source=source, owner=owner, now=now)
    if not folded:
        tx.execute("UPDATE ingest_writer SET closed=true WHERE id=%s", (source,))
    return True


def _pending(
    tx: Transaction, source: int, after: int, *, most: int, limit: int | None = None
) -> tuple[int, Heap, int]:
    """How many pending ticks, their sums, and the watermark that contains them."""
    bound = "" if limit is None else f" AND id<={limit:d}"
    rows = tx.select(
        f"SELECT {','.join(_ROW)}, id FROM ingest_tick"  # noqa: S608
        f" WHERE writer_id=%s AND id>%s{bound} ORDER BY id LIMIT %s",
        (source, after, most),
    )
    if not rows:
        return 0, Heap(), after
    heap = Heap()
    for row in rows:
        heap.add_row((row[0], row[1]), row[2:-1])
    upto: int = rows[-1][-1]
    for bucket, series, reason, *amounts in tx.select(
        f"SELECT bucket, series_id, reason, {','.join(REASON_COUNTERS)}"  # noqa: S608
        " FROM ingest_tick_reason WHERE writer_id=%s AND tick>%s AND tick<=%s",
        (source, after, upto),
    ):
        heap.add_reason((bucket, series, reason), amounts)
    return len(rows), heap, upto


def write_coarser(tx: Transaction, heap: Heap, *, owner: int, now: float) -> None:
    """Add a heap to the rows of a writer in every coarser resolution."""
    additions = Additions(owner, Held())
    for resolution in RESOLUTIONS[1:]:
        heap = heap.coarser(resolution)
        deque(additions.add(resolution, heap.since(oldest(resolution, now))), maxlen=0)
    additions.write(tx)


def oldest(resolution: int, now: float) -> int:
    """From this bucket on rows are kept; what nobody will read is never written."""
    kept = KEPT_S[resolution]
    return 0 if kept is None else int(now) - kept - resolution - GRACE_S


def write_ticks(tx: Transaction, heap: Heap, *, owner: int) -> None:
    """Insert a heap as ticks of a writer; a reason needs a tick at its place."""
    places = dict.fromkeys(heap.sums) | {(at[0], at[1]): None for at in heap.reasons}
    ids = dict(zip(places, tx.ids("ingest_tick", len(places)), strict=True))
    tx.insert(
        "ingest_tick",
        ("id", "writer_id", *_ROW),
        [
            (row_id, owner, *at, *heap.sums.get(at, Sums()).packed())
            for at, row_id in ids.items()
        ],
    )
    fresh = tx.ids("ingest_tick_reason", len(heap.reasons))
    tx.insert(
        "ingest_tick_reason",
        ("id", "writer_id", "tick", *_REASON_ROW),
        [
            (row_id, owner, ids[at[0], at[1]], *at, *amounts)
            for row_id, (at, amounts) in zip(fresh, heap.reasons.items(), strict=True)
        ],
    )


def write_rollups(tx: Transaction, heap: Heap, *, owner: int, resolution: int) -> None:
    """Add a heap to the rows of a writer."""
    additions = Additions(owner, Held())
    deque(additions.add(resolution, heap), maxlen=0)
    additions.write(tx)


def prune(tx: Transaction, *, now: float, most: int = 5_000) -> int:
    """Delete up to ``most`` of the rows nobody reads any more; how many they were.

    Ticks go when both watermarks are past them. A while longer than planned is kept,
    because a query that began before we did may still count on it.
    """
    deleted = 0
    for resolution in RESOLUTIONS:
        before = oldest(resolution, now)
        for reason in ("", "_reason"):
            table = f"ingest_rollup{reason}"
            rows = tx.select(
                f"SELECT id FROM {table} WHERE resolution=%s"  # noqa: S608
                " AND bucket<%s ORDER BY bucket LIMIT %s",
                (resolution, before, most - deleted),
            )
            tx.delete(table, [row_id for (row_id,) in rows])
            deleted += len(rows)
    before = int(now) - TICKS_KEPT_S - FINEST_S - GRACE_S
    for table, tick in (("ingest_tick", "r.id"), ("ingest_tick_reason", "r.tick")):
        rows = tx.select(
            f"SELECT r.id FROM {table} r JOIN ingest_writer w"  # noqa: S608
            f" ON w.id=r.writer_id AND {tick}<=w.in_sets AND {tick}<=w.in_series"
            " WHERE r.bucket<%s ORDER BY r.bucket LIMIT %s",
            (before, most - deleted),
        )
        tx.delete(table, [row_id for (row_id,) in rows])
        deleted += len(rows)
    return deleted
