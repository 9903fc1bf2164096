"""Raw telemetry leaves when its project no longer keeps it; the numbers stay.

A trace is kept whole until nothing has come for it for as long as the project keeps
raw spans: then its spans, calls and row go together. A body goes with the last of its
traces. Everything is done in small transactions, so that the writer never waits long.

What SQLite frees it uses again: the file stays as large as it ever was, and is made
smaller only by ``VACUUM`` with the server stopped. PostgreSQL vacuums by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial

import msgspec
import zstandard

from ingest import fold
from ingest.stores import Store, Transaction

TRACES_AT_ONCE = 200
BODIES_AT_ONCE = 50
ROWS_AT_ONCE = 5_000
# Between transactions, for the writer.
BREATH_S = 0.01


class Held(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The first field of a packed span; the others are not looked at."""

    trace_id: bytes


_unpack = msgspec.msgpack.Decoder(list[Held]).decode

Place = tuple[int, int]  # received_at and id of a body


def purge(
    store: Store, *, keeps: Iterable[tuple[int, int]], now: float, until: float
) -> None:
    """Remove what is too old, until ``until`` (monotonic seconds).

    ``keeps`` are projects and the oldest time, in ns, of which each keeps raw spans.
    """
    for project, oldest_ns in keeps:
        step = partial(purge_traces, project=project, oldest_ns=oldest_ns)
        repeat(store, step, until=until)
        purge_bodies(store, project, oldest_ns, until=until)
    repeat(
        store,
        lambda tx: fold.prune(tx, now=now, most=ROWS_AT_ONCE) >= ROWS_AT_ONCE,
        until=until,
    )


def repeat(store: Store, step: Callable[[Transaction], bool], *, until: float) -> None:
    """One transaction after the other while there is more, and time."""
    more = True
    while more and time.monotonic() < until:
        with store.begin() as tx:
            more = step(tx)
        time.sleep(BREATH_S)


def purge_traces(tx: Transaction, project: int, oldest_ns: int) -> bool:
    """Remove some quiet traces; True when there may be more."""
    found = tx.select(
        "SELECT trace_id, id FROM ingest_trace WHERE project_id=%s AND touched_at<%s "
        "ORDER BY touched_at LIMIT %s",
        (project, oldest_ns, TRACES_AT_ONCE),
    )
    # In the order in which writers claim them. One that a writer touched while we
    # waited for it stays.
    gone = [
        row
        for _, row in sorted(found)
        if tx.execute(
            "DELETE FROM ingest_trace WHERE id=%s AND touched_at<%s", (row, oldest_ns)
        )
    ]
    purge_calls(tx, project, gone)
    tx.delete("ingest_span", gone, key="trace_id")
    return len(found) == TRACES_AT_ONCE


def purge_calls(tx: Transaction, project: int, traces: list[int]) -> None:
    responses = {
        response: row
        for row, response in tx.lookup(
            "ingest_call c JOIN ingest_response r ON r.id = c.response_id",
            ("r.id", "r.response_id"),
            key="c.trace_id",
            values=traces,
        )
    }
    tx.delete("ingest_call", traces, key="trace_id")
    tx.claim(
        "ingest_response",
        ("id",),
        key="response_id",
        values=responses,
        fixed={"project_id": project},
        fresh={"winner": None},
    )
    rows = set(responses.values())
    still = {
        row
        for (row,) in tx.lookup(
            "ingest_call", ("response_id",), key="response_id", values=rows
        )
    }
    tx.delete("ingest_response", rows - still)
    for row in sorted(still):
        # What the group counts can no longer be decided again, so it stays.
        tx.execute("UPDATE ingest_response SET winner=NULL WHERE id=%s", (row,))


def purge_bodies(store: Store, project: int, oldest_ns: int, *, until: float) -> None:
    place: Place | None = (0, 0)
    while place is not None and time.monotonic() < until:
        with store.begin() as tx:
            place = purge_some_bodies(tx, project, oldest_ns, place)
        time.sleep(BREATH_S)


def purge_some_bodies(
    tx: Transaction, project: int, oldest_ns: int, after: Place
) -> Place | None:
    """Remove the old bodies none of whose traces is there; where to go on."""
    found = tx.select(
        "SELECT received_at, id, facts FROM ingest_body WHERE project_id=%s "
        "AND (received_at, id) > (%s, %s) AND received_at<%s "
        "ORDER BY received_at, id LIMIT %s",
        (project, *after, oldest_ns, BODIES_AT_ONCE),
    )
    holds = {row: traces_of(facts) for _, row, facts in found}
    there = {
        trace
        for (trace,) in tx.lookup(
            "ingest_trace",
            ("trace_id",),
            key="trace_id",
            values=set().union(*holds.values()),
            where="project_id=%s",
            parameters=(project,),
        )
    }
    tx.delete("ingest_body", [row for row, held in holds.items() if not held & there])
    return found[-1][:2] if len(found) == BODIES_AT_ONCE else None


def traces_of(facts: bytes) -> set[bytes]:
    packed = zstandard.ZstdDecompressor().decompress(facts)
    return {held.trace_id for held in _unpack(packed)}
