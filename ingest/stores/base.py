"""The seam between ingest and a database: what the hot path needs, and no more.

Two stores implement it, ``sqlite`` and ``postgres``; one contract test holds both.
SQL that is the same in both is written once, with ``%s`` for parameters. Rows are
plain tuples and columns are named, because no ORM object is made per span.

A store belongs to one thread. What the database refuses for now (locked, full, read
only, gone) is ``Busy``; whatever else it raises is a mistake of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

Row = tuple[Any, ...]


class Transaction(Protocol):
    """One write transaction; it commits when the ``with`` block ends without error."""

    def select(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]: ...

    def lookup(
        self,
        table: str,
        columns: Sequence[str],
        *,
        key: str,
        values: Iterable[object],
        where: str = "",
        parameters: Sequence[object] = (),
    ) -> list[Row]:
        """Rows whose ``key`` is one of ``values``, in as few statements as fit."""
        ...

    def claim(
        self,
        table: str,
        columns: Sequence[str],
        *,
        key: str,
        values: Iterable[object],
        fixed: Mapping[str, object],
        fresh: Mapping[str, object],
    ) -> list[Row]:
        """The rows of these keys, made where absent, ours until the end.

        ``fixed`` are the other columns of the unique key, ``fresh`` fills a new row.
        Keys are taken in sorted order: writers that claim the same tables in the same
        order cannot wait for each other in a circle.
        """
        ...

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run a statement; the number of rows it changed."""
        ...

    def ids(self, table: str, count: int) -> Sequence[int]:
        """Fresh primary keys, ascending; on SQLite also in order of commit."""
        ...

    def insert(
        self, table: str, columns: Sequence[str], rows: Iterable[Row]
    ) -> None: ...

    def replace(self, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        """Insert, or overwrite the row of the same ``id`` (always the first column)."""
        ...

    def delete(
        self, table: str, values: Iterable[object], *, key: str = "id"
    ) -> None: ...

    def lock(self, space: int, keys: Iterable[int]) -> None:
        """Hold each key of ``space`` until the end; callers ask in ascending space.

        For a handful of keys: PostgreSQL keeps these locks in shared memory. Keys are
        taken in sorted order. SQLite has one writer anyway and does nothing.
        """
        ...


class Store(Protocol):
    def begin(self) -> AbstractContextManager[Transaction]:
        """A write transaction; raises ``Busy`` when the database will not take one."""
        ...

    def read(self) -> AbstractContextManager[Transaction]:
        """A snapshot to read from; it never waits for a writer."""
        ...

    def close(self) -> None: ...
