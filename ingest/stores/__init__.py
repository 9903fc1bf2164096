"""Which database the telemetry lives in, decided by Django's settings."""

from __future__ import annotations

from django.db import connections

from ingest.stores.base import Row, Store, Transaction
from ingest.stores.sqlite import SqliteStore

__all__ = ["Row", "Store", "Transaction", "open_store"]


def open_store() -> Store:
    """A store of the ``telemetry`` database, for the thread that asks."""
    connection = connections["telemetry"]
    settings = connection.settings_dict
    if connection.vendor == "sqlite":
        return SqliteStore(str(settings["NAME"]))
    # psycopg is an extra: whoever runs on SQLite need not have it.
    from ingest.stores.postgres import PostgresStore

    return PostgresStore(
        {
            "dbname": settings["NAME"],
            "host": settings["HOST"],
            "port": settings["PORT"],
            "user": settings["USER"],
            "password": settings["PASSWORD"],
            **{
                name: value
                for name, value in settings.get("OPTIONS", {}).items()
                if name != "pool"
            },
        }
    )
