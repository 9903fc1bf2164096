"""Telemetry in one SQLite file: WAL, one writer at a time, durable at every commit.

``synchronous=FULL`` is what makes the answer true: the log is on disk before ``COMMIT``
returns.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain

from ingest.errors import Busy
from ingest.stores.base import Row

# Lists in IN (...) are padded to one of these, so that few statements are prepared.
LIST_SIZES = (1, 8, 64, 512)
# Rows of one INSERT. The interpreter lock is let go and taken again for every step of
# a statement, and while the event loop is busy each time may cost milliseconds.
ROW_COUNTS = (256, 64, 16, 4, 1)
WAIT_S = 5
PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA cache_size=-32000",
    "PRAGMA temp_store=MEMORY",
    # Readers of the log would pay for a log that never ends.
    "PRAGMA journal_size_limit=67108864",
    "PRAGMA foreign_keys=OFF",
)


@lru_cache(512)
def question_marks(sql: str) -> str:
    return sql.replace("%s", "?")


@lru_cache(512)
def insert_sql(table: str, columns: tuple[str, ...], count: int) -> str:
    row = f"({','.join('?' * len(columns))})"
    head = f"INSERT INTO {table} ({','.join(columns)}) VALUES "  # noqa: S608
    return head + ",".join([row] * count)


@lru_cache(512)
def replace_sql(table: str, columns: tuple[str, ...], count: int) -> str:
    changes = ",".join(f"{name}=excluded.{name}" for name in columns[1:])
    insert = insert_sql(table, columns, count)
    return f"{insert} ON CONFLICT ({columns[0]}) DO UPDATE SET {changes}"


def chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Cut into lists of a few fixed lengths, so that few statements are prepared."""
    rest = list(rows)
    start = 0
    for size in ROW_COUNTS:
        while len(rest) - start >= size:
            yield rest[start : start + size]
            start += size


def lists(values: Iterable[object]) -> Iterator[list[object]]:
    """Cut into lists of a few fixed lengths, the last one padded with its own end."""
    rest = list(values)
    for start in range(0, len(rest), LIST_SIZES[-1]):
        part = rest[start : start + LIST_SIZES[-1]]
        size = next(size for size in LIST_SIZES if size >= len(part))
        yield part + part[-1:] * (size - len(part))


class SqliteTransaction:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._next: dict[str, int] = {}

    def select(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        return self._connection.execute(question_marks(sql), parameters).fetchall()

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
        also = f"({where}) AND " if where else ""
        head = f"SELECT {','.join(columns)} FROM {table} WHERE {also}{key} IN "  # noqa: S608
        rows: list[Row] = []
        for part in lists(values):
            sql = f"{head}({','.join('?' * len(part))})"
            rows += self.select(sql, (*parameters, *part))
        return rows

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
        wanted = sorted(set(values))  # type: ignore[type-var]
        where = " AND ".join(f"{name}=%s" for name in fixed)
        rows = self.lookup(
            table,
            [*columns, key],
            key=key,
            values=wanted,
            where=where,
            parameters=tuple(fixed.values()),
        )
        there = {row[-1] for row in rows}
        absent = [value for value in wanted if value not in there]
        same = (*fixed.values(), *fresh.values())
        made = [
            (row_id, value, *same)
            for row_id, value in zip(self.ids(table, len(absent)), absent, strict=True)
        ]
        names = ("id", key, *fixed, *fresh)
        self.insert(table, names, made)
        order = [names.index(name) for name in columns]
        return [row[:-1] for row in rows] + [
            tuple(row[place] for place in order) for row in made
        ]

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        return self._connection.execute(question_marks(sql), parameters).rowcount

    def ids(self, table: str, count: int) -> range:
        start = self._next.get(table)
        if start is None:
            # Not max(id): an emptied table must not hand out its old ids again.
            rows = self.select(
                "SELECT seq FROM sqlite_sequence WHERE name=%s", (table,)
            )
            start = rows[0][0] + 1 if rows else 1
        self._next[table] = start + count
        return range(start, start + count)

    def insert(self, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        for part in chunks(rows):
            sql = insert_sql(table, tuple(columns), len(part))
            self._connection.execute(sql, list(chain.from_iterable(part)))

    def replace(self, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        for part in chunks(rows):
            sql = replace_sql(table, tuple(columns), len(part))
            self._connection.execute(sql, list(chain.from_iterable(part)))

    def delete(self, table: str, values: Iterable[object], *, key: str = "id") -> None:
        for part in lists(values):
            marks = ",".join("?" * len(part))
            self.execute(f"DELETE FROM {table} WHERE {key} IN ({marks})", part)  # noqa: S608

    def lock(self, space: int, keys: Iterable[int]) -> None:
        """Nothing to do: an IMMEDIATE transaction is alone."""


class SqliteStore:
    def __init__(self, path: str) -> None:
        self._path = path
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None

    @contextmanager
    def begin(self) -> Iterator[SqliteTransaction]:
        with busy_when_refused():
            if self._writer is None:
                self._writer = connect(self._path)
            connection = self._writer
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield SqliteTransaction(connection)
                connection.execute("COMMIT")
            except BaseException:
                # A full disk rolls back by itself.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def read(self) -> Iterator[SqliteTransaction]:
        with busy_when_refused():
            if self._reader is None:
                self._reader = connect(self._path)
                self._reader.execute("PRAGMA query_only=ON")
            self._reader.execute("BEGIN")
            try:
                yield SqliteTransaction(self._reader)
            finally:
                self._reader.execute("ROLLBACK")

    def close(self) -> None:
        for connection in (self._writer, self._reader):
            if connection is not None:
                connection.close()
        self._writer = self._reader = None


def connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=WAIT_S, isolation_level=None, cached_statements=512
    )
    for pragma in PRAGMAS:
        connection.execute(pragma)
    return connection


@contextmanager
def busy_when_refused() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        msg = f"the telemetry database refuses: {error}"
        raise Busy(msg) from error
