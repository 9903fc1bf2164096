"""Amounts on their way into the coarser rows of one writer.

    add (in memory, a few at a time) -> write (in the fold's transaction)

Nobody else changes these rows, so what the last write left in them is known: ``Held``
keeps it, and most rows are neither read again nor added up inside the transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import add
from typing import Any, Generic, TypeVar

from ingest.heap import Heap
from ingest.rollup import CELLS, COUNTERS, REASON_COUNTERS, Sums
from ingest.stores.base import Row, Transaction

V = TypeVar("V")
Key = tuple[int, ...]  # resolution, bucket, series and, for reasons, the reason
Kept = dict[Key, Row]  # rows as they were written: ten times smaller than sums


@dataclass(frozen=True, slots=True)
class Table(Generic[V]):
    """How one table keeps its amounts."""

    name: str
    key: tuple[str, ...]  # the columns of ``Key``
    amounts: tuple[str, ...]
    read: Callable[[Sequence[Any]], V]
    packed: Callable[[V], Iterable[Any]]
    add: Callable[[V, V], None]


def _add_in_place(mine: list[int], theirs: list[int]) -> None:
    mine[:] = map(add, mine, theirs)


SUMS: Table[Sums] = Table(
    "ingest_rollup",
    ("resolution", "bucket", "series_id"),
    (*COUNTERS, *CELLS),
    Sums.of_row,
    Sums.packed,
    Sums.add_sums,
)
REASONS: Table[list[int]] = Table(
    "ingest_rollup_reason",
    ("resolution", "bucket", "series_id", "reason"),
    REASON_COUNTERS,
    list,
    tuple,
    _add_in_place,
)


class Addition(Generic[V]):
    """What is added to one table."""

    def __init__(self, table: Table[V], owner: int, held: Kept) -> None:
        self._table = table
        self._owner = owner
        self._held = held
        self._first = 2 + len(table.key)  # where the amounts of a row begin
        self._unread: dict[Key, V] = {}
        self._changed: Kept = {}
        self.holds: Kept = {}

    def add(self, key: Key, part: V) -> None:
        """Each key at most once; ``part`` is shared with others and stays as it is."""
        held = self._held.get(key)
        if held is None:
            self._unread[key] = part
            return
        amounts = self._table.read(held[self._first :])
        self._table.add(amounts, part)
        self._changed[key] = self._row(held[0], key, amounts)

    def write(self, tx: Transaction) -> None:
        table = self._table
        for row_id, key, stored in self._stored(tx):
            amounts = self._unread.pop(key, None)
            if amounts is not None:
                table.add(stored, amounts)
                self._changed[key] = self._row(row_id, key, stored)
        ids = tx.ids(table.name, len(self._unread))
        fresh = {
            key: self._row(row_id, key, amounts)
            for row_id, (key, amounts) in zip(ids, self._unread.items(), strict=True)
        }
        columns = ("id", "writer_id", *table.key, *table.amounts)
        tx.replace(table.name, columns, self._changed.values())
        tx.insert(table.name, columns, fresh.values())
        self.holds = self._changed | fresh

    def _row(self, row_id: int, key: Key, amounts: V) -> Row:
        return (row_id, self._owner, *key, *self._table.packed(amounts))

    def _stored(self, tx: Transaction) -> Iterator[tuple[int, Key, V]]:
        """Our rows at the keys we do not know, and some beside them."""
        table, width = self._table, len(self._table.key)
        places: dict[tuple[int, int], set[int]] = {}
        for resolution, bucket, series, *_ in self._unread:
            places.setdefault((resolution, bucket), set()).add(series)
        for place, series_ids in places.items():
            for row in tx.lookup(
                table.name,
                (*table.key, *table.amounts, "id"),
                key="series_id",
                values=sorted(series_ids),
                where="resolution=%s AND bucket=%s AND writer_id=%s",
                parameters=(*place, self._owner),
            ):
                yield row[-1], row[:width], table.read(row[width:-1])


class Held:
    """What the rows of the last write hold."""

    def __init__(self) -> None:
        self.sums: Kept = {}
        self.reasons: Kept = {}


class Additions:
    """What is added to the rows of ``owner``, in all resolutions."""

    def __init__(self, owner: int, held: Held) -> None:
        self._held = held
        self._sums = Addition(SUMS, owner, held.sums)
        self._reasons = Addition(REASONS, owner, held.reasons)

    def add(self, resolution: int, heap: Heap) -> Iterator[None]:
        """Add a heap, part by part: stop between two of them as you like."""
        for place, part in heap.sums.items():
            self._sums.add((resolution, *place), part)
            yield
        for reason, amounts in heap.reasons.items():
            self._reasons.add((resolution, *reason), amounts)
            yield

    def write(self, tx: Transaction) -> None:
        """Write it all; ``Held`` then knows these rows and no others."""
        self._sums.write(tx)
        self._reasons.write(tx)
        self._held.sums = self._sums.holds
        self._held.reasons = self._reasons.holds
