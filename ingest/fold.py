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

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from ingest.heap import Groups, Heap, Place, ReasonPlace
from ingest.rollup import CELLS, COUNTERS, REASON_COUNTERS, Sums
from ingest.series import SeriesBook
from ingest.stores.base import Row, Transaction

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

_KEY = ("id", "resolution", "writer_id")
_ROW = ("bucket", "series_id", *COUNTERS, *CELLS)
_REASON_ROW = ("bucket", "series_id", "reason", *REASON_COUNTERS)
_P = TypeVar("_P", bound=tuple[int, ...])


def fold_sets(
    tx: Transaction,
    *,
    source: int,
    owner: int,
    book: SeriesBook,
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
        write_sets(tx, groups, source=source, owner=owner, upto=upto)
    return count, upto


def write_sets(
    tx: Transaction, groups: Groups, *, source: int, owner: int, upto: int
) -> None:
    """Add what the ticks of ``source`` up to ``upto`` amount to."""
    heap, pairs = groups.finish()
    _write_coarser(tx, owner, heap)
    write_rollups(tx, heap.without(pairs), owner=owner, resolution=FINEST_S)
    tx.execute("UPDATE ingest_writer SET in_sets=%s WHERE id=%s", (upto, source))


def fold_series(
    tx: Transaction, *, source: int, owner: int, most: int = MOST_SERIES_TICKS
) -> int:
    """Add ticks that are in the sets to the full series of ``owner``; how many."""
    ((after, limit),) = tx.select(
        "SELECT in_series, in_sets FROM ingest_writer WHERE id=%s", (source,)
    )
    count, ticks, upto = _pending(tx, source, after, most=most, limit=limit)
    if not count:
        return 0
    _write_coarser(tx, owner, ticks)
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
    folded, _ = fold_sets(tx, source=source, owner=owner, book=book)
    folded += fold_series(tx, source=source, owner=owner)
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


def _write_coarser(tx: Transaction, owner: int, heap: Heap) -> None:
    levels: list[tuple[int, Heap]] = []
    for resolution in RESOLUTIONS[1:]:
        heap = heap.coarser(resolution)
        levels.append((resolution, heap))
    # Coarsest first: writing adds what is stored to sums a coarser heap may share.
    for resolution, level in reversed(levels):
        write_rollups(tx, level, owner=owner, resolution=resolution)


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
    """Add a heap to the rows of a writer; the heap is used up."""
    key = (resolution, owner)
    there: dict[Place, int] = {}
    for row in _stored(tx, "ingest_rollup", _ROW, heap.sums, key):
        place = (row[0], row[1])
        there[place] = row[-1]
        heap.add_row(place, row[2:-1])
    _store(
        tx,
        "ingest_rollup",
        (*_KEY, "bucket", "series_id", *COUNTERS, *CELLS),
        there,
        {at: (*key, *at, *part.packed()) for at, part in heap.sums.items()},
    )
    _write_reasons(tx, owner, resolution, heap)


def _write_reasons(tx: Transaction, owner: int, resolution: int, heap: Heap) -> None:
    key = (resolution, owner)
    held: dict[ReasonPlace, int] = {}
    for row in _stored(tx, "ingest_rollup_reason", _REASON_ROW, heap.reasons, key):
        at = (row[0], row[1], row[2])
        if at in heap.reasons:
            held[at] = row[-1]
            heap.add_reason(at, row[3:-1])
    _store(
        tx,
        "ingest_rollup_reason",
        (*_KEY, *_REASON_ROW),
        held,
        {at: (*key, *at, *amounts) for at, amounts in heap.reasons.items()},
    )


def _stored(
    tx: Transaction,
    table: str,
    columns: tuple[str, ...],
    places: Iterable[tuple[int, ...]],
    key: tuple[int, int],
) -> Iterator[Row]:
    """Our rows at these buckets and series, with their id at the end."""
    buckets: dict[int, set[int]] = {}
    for place in places:
        buckets.setdefault(place[0], set()).add(place[1])
    for bucket, series_ids in buckets.items():
        yield from tx.lookup(
            table,
            (*columns, "id"),
            key="series_id",
            values=sorted(series_ids),
            where="resolution=%s AND writer_id=%s AND bucket=%s",
            parameters=(*key, bucket),
        )


def _store(
    tx: Transaction,
    table: str,
    columns: tuple[str, ...],
    there: Mapping[_P, int],
    rows: Mapping[_P, Row],
) -> None:
    """Overwrite the rows that are there, insert the others."""
    tx.replace(
        table, columns, [(row_id, *rows[place]) for place, row_id in there.items()]
    )
    absent = [row for place, row in rows.items() if place not in there]
    ids = tx.ids(table, len(absent))
    tx.insert(
        table,
        columns,
        [(row_id, *row) for row_id, row in zip(ids, absent, strict=True)],
    )


def prune(tx: Transaction, *, now: float, most: int = 5_000) -> int:
    """Delete up to ``most`` of the rows nobody reads any more; how many they were.

    Ticks go when both watermarks are past them. A while longer than planned is kept,
    because a query that began before we did may still count on it.
    """
    deleted = 0
    for resolution, kept in KEPT_S.items():
        if kept is None:
            continue
        before = int(now) - kept - resolution - GRACE_S
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
