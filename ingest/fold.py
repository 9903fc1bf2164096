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

from collections.abc import Iterable
from operator import add

from ingest import histogram
from ingest.rollup import CELLS, COUNTERS, REASON_COUNTERS, Sums
from ingest.series import SETS, SeriesBook
from ingest.stores.base import Row, Transaction

RESOLUTIONS = (60, 600, 3_600, 86_400)
FINEST_S = 10
LEASE_NS = 60_000_000_000
MOST_TICKS = 30_000  # per fold: it runs between two commits of the writer

_TICK = ("bucket", "series_id", *COUNTERS, *CELLS)
_ROLLUP = ("id", "writer_id", "resolution", "bucket", "series_id", *COUNTERS, *CELLS)
_REASON = ("id", "writer_id", "resolution", "bucket", "series_id", "reason")
_CELLS_AT = 2 + len(COUNTERS)
_PAIRS = SETS.index("tenant_target")

Place = tuple[int, int]  # bucket, series
ReasonPlace = tuple[int, int, int]  # bucket, series, reason


class Heap:
    """Amounts on their way to rows of one resolution."""

    def __init__(self) -> None:
        self.sums: dict[Place, Sums] = {}
        self.reasons: dict[ReasonPlace, list[int]] = {}

    def add(self, place: Place, part: Sums) -> None:
        have = self.sums.get(place)
        if have is None:
            have = self.sums[place] = Sums()
        have.add_sums(part)

    def add_reason(self, place: ReasonPlace, amounts: Iterable[int]) -> None:
        have = self.reasons.get(place)
        self.reasons[place] = list(map(add, have, amounts) if have else amounts)

    def coarser(self, resolution: int) -> Heap:
        heap = Heap()
        for (bucket, series), part in self.sums.items():
            heap.add((bucket - bucket % resolution, series), part)
        for (bucket, series, reason), amounts in self.reasons.items():
            heap.add_reason((bucket - bucket % resolution, series, reason), amounts)
        return heap

    def without(self, series: set[int]) -> Heap:
        heap = Heap()
        heap.sums = {at: part for at, part in self.sums.items() if at[1] not in series}
        heap.reasons = {
            at: part for at, part in self.reasons.items() if at[1] not in series
        }
        return heap


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
    if not count:
        return 0, after
    parents = book.parents(tx, {series for _, series in ticks.sums})
    finest, pairs = _grouped(ticks, parents)
    _write(tx, owner, FINEST_S, finest.without(pairs))
    _write_coarser(tx, owner, finest)
    tx.execute("UPDATE ingest_writer SET in_sets=%s WHERE id=%s", (upto, source))
    return count, upto


def fold_series(
    tx: Transaction, *, source: int, owner: int, most: int = MOST_TICKS
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
        f"SELECT {','.join(_TICK)}, id FROM ingest_tick"  # noqa: S608
        f" WHERE writer_id=%s AND id>%s{bound} ORDER BY id LIMIT %s",
        (source, after, most),
    )
    if not rows:
        return 0, Heap(), after
    heap = Heap()
    for row in rows:
        _add_row(heap, row)
    upto: int = rows[-1][-1]
    for bucket, series, reason, *amounts in tx.select(
        f"SELECT bucket, series_id, reason, {','.join(REASON_COUNTERS)}"  # noqa: S608
        " FROM ingest_tick_reason WHERE writer_id=%s AND tick>%s AND tick<=%s",
        (source, after, upto),
    ):
        heap.add_reason((bucket, series, reason), amounts)
    return len(rows), heap, upto


def _add_row(heap: Heap, row: Row) -> None:
    place = (row[0], row[1])
    have = heap.sums.get(place)
    if have is None:
        have = heap.sums[place] = Sums()
        have.counters = list(row[2:_CELLS_AT])
    else:
        have.counters = list(map(add, have.counters, row[2:_CELLS_AT]))
    for cells, packed in zip(have.cells, row[_CELLS_AT : _CELLS_AT + 4], strict=True):
        if packed is not None:
            histogram.add_packed(cells, packed)


def _grouped(ticks: Heap, parents: dict[int, tuple[int, ...]]) -> tuple[Heap, set[int]]:
    """Sums of every grouping set, and which series are those of tenant x target.

    Not every set is summed from every tick: tenant x target is, then target and
    tenant from that, and the project from its targets.
    """
    heap = Heap()
    ups: dict[int, tuple[int, ...]] = {}
    for (bucket, series), part in ticks.sums.items():
        up = parents[series]
        ups[up[_PAIRS]] = up
        for group in (up[_PAIRS], up[3], up[4]):
            heap.add((bucket, group), part)
    for (bucket, pair), part in list(heap.sums.items()):
        if pair in ups:
            heap.add((bucket, ups[pair][1]), part)
            heap.add((bucket, ups[pair][2]), part)
    tops = {up[1]: up[0] for up in ups.values()}
    for (bucket, target), part in list(heap.sums.items()):
        if target in tops:
            heap.add((bucket, tops[target]), part)
    for (bucket, series, reason), amounts in ticks.reasons.items():
        for group in parents[series]:
            heap.add_reason((bucket, group, reason), amounts)
    return heap, set(ups)


def _write_coarser(tx: Transaction, owner: int, heap: Heap) -> None:
    for resolution in RESOLUTIONS:
        heap = heap.coarser(resolution)
        _write(tx, owner, resolution, heap)


def _write(tx: Transaction, owner: int, resolution: int, heap: Heap) -> None:
    """Add a heap to our rows of this resolution."""
    buckets: dict[int, list[int]] = {}
    for bucket, series in heap.sums:
        buckets.setdefault(bucket, []).append(series)
    there: dict[Place, int] = {}
    for bucket, series_ids in buckets.items():
        for row in tx.lookup(
            "ingest_rollup",
            ("bucket", "series_id", *COUNTERS, *CELLS, "id"),
            key="series_id",
            values=sorted(series_ids),
            where="resolution=%s AND bucket=%s AND writer_id=%s",
            parameters=(resolution, bucket, owner),
        ):
            there[row[0], row[1]] = row[-1]
            _add_row(heap, row)
    absent = [place for place in heap.sums if place not in there]
    fresh = dict(zip(absent, tx.ids("ingest_rollup", len(absent)), strict=True))
    columns = _ROLLUP
    tx.insert(
        "ingest_rollup",
        columns,
        [
            (row_id, owner, resolution, *place, *heap.sums[place].packed())
            for place, row_id in fresh.items()
        ],
    )
    tx.replace(
        "ingest_rollup",
        columns,
        [
            (row_id, owner, resolution, *place, *heap.sums[place].packed())
            for place, row_id in there.items()
        ],
    )
    _write_reasons(tx, owner, resolution, heap)


def _write_reasons(tx: Transaction, owner: int, resolution: int, heap: Heap) -> None:
    buckets: dict[int, set[int]] = {}
    for bucket, series, _ in heap.reasons:
        buckets.setdefault(bucket, set()).add(series)
    there: dict[ReasonPlace, int] = {}
    for bucket, series_ids in buckets.items():
        for row_id, series, reason, *amounts in tx.lookup(
            "ingest_rollup_reason",
            ("id", "series_id", "reason", *REASON_COUNTERS),
            key="series_id",
            values=sorted(series_ids),
            where="resolution=%s AND bucket=%s AND writer_id=%s",
            parameters=(resolution, bucket, owner),
        ):
            place = (bucket, series, reason)
            if place in heap.reasons:
                there[place] = row_id
                heap.add_reason(place, amounts)
    absent = [place for place in heap.reasons if place not in there]
    fresh = zip(absent, tx.ids("ingest_rollup_reason", len(absent)), strict=True)
    columns = (*_REASON, *REASON_COUNTERS)
    tx.insert(
        "ingest_rollup_reason",
        columns,
        [
            (row_id, owner, resolution, *place, *heap.reasons[place])
            for place, row_id in fresh
        ],
    )
    tx.replace(
        "ingest_rollup_reason",
        columns,
        [
            (row_id, owner, resolution, *place, *heap.reasons[place])
            for place, row_id in there.items()
        ],
    )
