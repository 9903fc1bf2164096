"""Where spans are: rows of ``ingest_span`` that point into bodies.

A body is written once, as it came, and holds its spans packed in their order. A row
says in which body, and where, the greatest version of a span is; when a greater one
comes the row moves, and the old body keeps what it had.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import zstandard

from ingest.records import Batch, Span
from ingest.stores.base import Transaction

TraceKey = tuple[int, bytes]  # project, trace id
# A span in a commit: itself, the number of its batch, its position there.
Arrival = tuple[Span, int, int]

BODY = ("id", "project_id", "received_at", "wire", "facts")
SPAN = ("trace_id", "span_id", "body_id", "position", "received_at")

_unpack_raw = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_unpack_span = msgspec.msgpack.Decoder(Span).decode


@dataclass(slots=True)
class Merge:
    """What arrivals change: spans that are new, and those whose row moves."""

    fresh: dict[bytes, Arrival] = field(default_factory=dict)
    overtaken: dict[bytes, Arrival | None] = field(default_factory=dict)
    received: dict[bytes, int] = field(default_factory=dict)  # of an earlier version

    def __bool__(self) -> bool:
        return bool(self.fresh or self.overtaken)


def stored_spans(
    tx: Transaction,
    key: str,
    values: Iterable[object],
    *,
    where: str = "",
    parameters: tuple[object, ...] = (),
) -> list[tuple[int, Span]]:
    """Spans as they count, with the row of their trace; each body is opened once."""
    places = tx.lookup(
        "ingest_span",
        ("body_id", "position", "trace_id", "received_at"),
        key=key,
        values=values,
        where=where,
        parameters=parameters,
    )
    by_body = defaultdict(list)
    for body, position, trace, received in places:
        by_body[body].append((position, trace, received))
    spans: list[tuple[int, Span]] = []
    opened = zstandard.ZstdDecompressor()
    for body, facts in tx.lookup(
        "ingest_body", ("id", "facts"), key="id", values=by_body
    ):
        packed = _unpack_raw(opened.decompress(facts))
        for position, trace, received in by_body[body]:
            span = _unpack_span(packed[position])
            if received is not None:
                span = msgspec.structs.replace(span, received_ns=received)
            spans.append((trace, span))
    return spans


def store_spans(
    tx: Transaction,
    batches: Sequence[Batch],
    rows: Mapping[TraceKey, int],
    changed: Mapping[TraceKey, Merge],
) -> None:
    """Write each body that is needed once, and where every span is in it."""
    used = {
        arrival[1]
        for found in changed.values()
        for arrival in (*found.fresh.values(), *found.overtaken.values())
        if arrival is not None
    }
    numbers = sorted(used)
    bodies = dict(zip(numbers, tx.ids("ingest_body", len(numbers)), strict=True))
    tx.insert(
        "ingest_body",
        BODY,
        [
            (row, batch.project_id, batch.received_ns, batch.wire, batch.facts)
            for number, row in bodies.items()
            for batch in (batches[number],)
        ],
    )
    tx.insert(
        "ingest_span",
        SPAN,
        [
            (rows[key], name, bodies[number], position, found.received.get(name))
            for key, found in changed.items()
            for name, (_, number, position) in found.fresh.items()
        ],
    )
    for key, found in changed.items():
        for name, arrival in found.overtaken.items():
            move_span(tx, (rows[key], name), arrival, bodies, found.received.get(name))


def move_span(
    tx: Transaction,
    key: tuple[int, bytes],
    arrival: Arrival | None,
    bodies: Mapping[int, int],
    received: int | None,
) -> None:
    if arrival is None:
        tx.execute(
            "UPDATE ingest_span SET received_at=%s WHERE trace_id=%s AND span_id=%s",
            (received, *key),
        )
        return
    _, number, position = arrival
    tx.execute(
        "UPDATE ingest_span SET body_id=%s, position=%s, received_at=%s "
        "WHERE trace_id=%s AND span_id=%s",
        (bodies[number], position, received, *key),
    )
