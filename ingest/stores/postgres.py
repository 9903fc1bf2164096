"""Telemetry in PostgreSQL: COPY for rows, row locks for traces, one connection each.

Several processes write at once. A row is claimed before it is read (``claim``), in an
order all writers share, and never held in shared memory, so a commit of ten thousand
traces needs no server setting.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors, sql
from psycopg.abc import Params

from ingest.errors import Busy
from ingest.stores.base import Row

# What another try may cure: gone, full, read only, or in each other's way.
REFUSALS = (
    errors.OperationalError,
    errors.InterfaceError,
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.ReadOnlySqlTransaction,
    errors.InsufficientResources,
)

KINDS: dict[type, str] = {int: "bigint", bytes: "bytea", str: "text"}
Types = dict[tuple[str, str], str]


def names(columns: Iterable[str]) -> sql.Composed:
    return sql.SQL(",").join(map(sql.Identifier, columns))


class PostgresTransaction:
    def __init__(self, connection: psycopg.Connection[Row], types: Types) -> None:
        self._cursor = connection.cursor(binary=True)
        self._types = types

    def select(self, query: str, parameters: Params = ()) -> list[Row]:
        return self._cursor.execute(query.encode(), parameters).fetchall()

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
        wanted = list(values)
        if not wanted:
            return []
        also = f"({where}) AND " if where else ""
        kind = KINDS[type(wanted[0])]
        query = (
            f"SELECT {','.join(columns)} FROM {table} "  # noqa: S608
            f"WHERE {also}{key} = ANY(%s::{kind}[])"
        )
        return self.select(query, (*parameters, wanted))

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
        if not wanted:
            return []
        same = {**fixed, **fresh}
        kind = KINDS[type(wanted[0])]
        made = ",".join(f"%s::{self._type(table, name)}" for name in same)
        where = "".join(f"{name}=%s AND " for name in fixed)
        rows: list[Row] = []
        # Again when retention deleted a row while we waited for it.
        while len(rows) < len(wanted):
            # First every absent key, then every lock, both in order: who waits here
            # holds no key that a writer with a smaller one could be waiting for.
            self.execute(
                f"INSERT INTO {table} ({','.join(same)},{key}) "  # noqa: S608
                f"SELECT {made}, wanted FROM unnest(%s::{kind}[]) AS wanted "
                "ON CONFLICT DO NOTHING",
                (*same.values(), wanted),
            )
            rows = self.select(
                f"SELECT {','.join(columns)} FROM {table} "  # noqa: S608
                f"WHERE {where}{key} = ANY(%s::{kind}[]) ORDER BY {key} FOR UPDATE",
                (*fixed.values(), wanted),
            )
        return rows

    def execute(self, query: str, parameters: Params = ()) -> int:
        return self._cursor.execute(query.encode(), parameters).rowcount

    def ids(self, table: str, count: int) -> list[int]:
        if not count:
            return []
        query = (
            "SELECT array_agg(nextval(name)) FROM generate_series(1, %s), "
            "(SELECT pg_get_serial_sequence(%s, 'id')::regclass AS name) AS sequence"
        )
        found: list[int] = self.select(query, (count, table))[0][0]
        return found

    def insert(self, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
            sql.Identifier(table), names(columns)
        )
        types = [self._type(table, name) for name in columns]
        with self._cursor.copy(statement) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)

    def replace(self, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        by_column = list(zip(*rows, strict=True))
        if not by_column:
            return
        arrays = ",".join(f"%b::{self._type(table, name)}[]" for name in columns)
        changes = ",".join(f"{name}=excluded.{name}" for name in columns[1:])
        self.execute(
            f"INSERT INTO {table} ({','.join(columns)}) "  # noqa: S608
            f"SELECT * FROM unnest({arrays}) "
            f"ON CONFLICT ({columns[0]}) DO UPDATE SET {changes}",
            [list(column) for column in by_column],
        )

    def delete(self, table: str, values: Iterable[object], *, key: str = "id") -> None:
        if wanted := list(values):
            kind = KINDS[type(wanted[0])]
            self.execute(
                f"DELETE FROM {table} WHERE {key} = ANY(%s::{kind}[])",  # noqa: S608
                (wanted,),
            )

    def lock(self, space: int, keys: Iterable[int]) -> None:
        # One by one: the order of evaluation inside one SELECT is not ours.
        for key in sorted({key & 0x7FFFFFFF for key in keys}):
            self.execute("SELECT pg_advisory_xact_lock(%s::int, %s::int)", (space, key))

    def _type(self, table: str, column: str) -> str:
        """The type of a column, asked once per connection."""
        if (table, column) not in self._types:
            for name, kind in self.select(
                "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute "
                "WHERE attrelid = %s::regclass AND attnum > 0",
                (table,),
            ):
                self._types[table, name] = kind
        return self._types[table, column]


class PostgresStore:
    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = {name: value for name, value in settings.items() if value}
        self._connections: dict[str, psycopg.Connection[Row]] = {}
        self._types: Types = {}

    @contextmanager
    def begin(self) -> Iterator[PostgresTransaction]:
        with self._transaction("writer") as connection:
            yield PostgresTransaction(connection, self._types)

    @contextmanager
    def read(self) -> Iterator[PostgresTransaction]:
        with self._transaction("reader") as connection:
            connection.execute(
                "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
            )
            yield PostgresTransaction(connection, self._types)

    @contextmanager
    def _transaction(self, role: str) -> Iterator[psycopg.Connection[Row]]:
        try:
            connection = self._connections.get(role)
            if connection is None or connection.closed:
                connection = psycopg.connect(**self._settings, autocommit=True)
                self._connections[role] = connection
            with connection.transaction():
                yield connection
        except REFUSALS as error:
            msg = f"the telemetry database refuses: {error}"
            raise Busy(msg) from error

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()
