"""One moment of the telemetry database, to read several statements from.

A fold moves amounts from ticks to rollups in one transaction. Two statements that see
different moments would count them twice, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import connections

from ingest.queries.rollups import Select
from ingest.stores.base import Row

_BEGIN = {
    "sqlite": "BEGIN DEFERRED",
    "postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
}


@contextmanager
def snapshot() -> Iterator[Select]:
    """A function that selects; everything it sees is of the same moment.

    Not Django's ``atomic``: it would take the write lock of SQLite.
    """
    connection = connections["telemetry"]
    with connection.cursor() as cursor:

        def select(sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall())

        if connection.in_atomic_block:
            yield select
            return
        cursor.execute(_BEGIN[connection.vendor])
        try:
            yield select
        finally:
            cursor.execute("ROLLBACK")
