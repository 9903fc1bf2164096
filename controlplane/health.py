"""Is the server alive, and can it do its work? Answered without a template or session.

Alive needs nothing but the event loop. Ready needs both databases, migrated, and
whatever the composition root adds as probes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor

Send = Callable[[dict[str, Any]], Awaitable[None]]
# Says what is wrong, or nothing. Runs on a thread.
Probe = Callable[[], str | None]


# Databases seen migrated. Reading all migrations takes 20 ms, and probes come often.
migrated: set[str] = set()


def database_trouble(alias: str) -> str | None:
    connection = connections[alias]
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if alias not in migrated:
            if waiting := unapplied(connection):
                return f"{waiting} migrations are not applied"
            migrated.add(alias)
    except DatabaseError as error:
        return f"unreachable: {type(error).__name__}"
    finally:
        connection.close()
    return None


def unapplied(connection: BaseDatabaseWrapper) -> int:
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def not_ready(probes: Mapping[str, Probe]) -> dict[str, str]:
    """What is not ready, by name; empty when everything is."""
    troubles = {f"database:{alias}": database_trouble(alias) for alias in connections}
    troubles |= {name: probe() for name, probe in probes.items()}
    return {name: trouble for name, trouble in troubles.items() if trouble}


async def answer_alive(send: Send) -> None:
    await answer(send, 200, {"status": "alive"})


async def answer_ready(send: Send, probes: Mapping[str, Probe]) -> None:
    troubles = await asyncio.to_thread(not_ready, probes)
    if troubles:
        await answer(send, 503, {"status": "not ready", "not_ready": troubles})
    else:
        await answer(send, 200, {"status": "ready"})


async def answer(send: Send, status: int, document: dict[str, Any]) -> None:
    body = json.dumps(document).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
