"""What we know of a trace: its greatest span versions and its calls, as stored.

The memory is a copy of committed rows and never anything else: a commit takes states
out, changes them, and puts them back when the database has said yes. A copy is used
only while the row's id and version are those it was made from; other writers change
both. What does not fit is read again: from the bodies for spans, from call rows.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from ingest import callrows
from ingest.callrows import StoredCall
from ingest.records import Span, version_order
from ingest.spanrows import Arrival, Merge, TraceKey, stored_spans
from ingest.stores.base import Transaction

CAPACITY_SPANS = 30_000


@dataclass(slots=True)
class TraceState:
    """One trace: ``spans`` by span id, ``calls`` by anchor."""

    id: int
    version: int
    spans: dict[bytes, Span] = field(default_factory=dict)
    calls: dict[bytes, StoredCall] = field(default_factory=dict)


class TraceCache:
    """States of the traces used last, bounded by their spans."""

    def __init__(self, capacity: int = CAPACITY_SPANS) -> None:
        self._capacity = capacity
        self._states: OrderedDict[TraceKey, TraceState] = OrderedDict()
        self._spans = 0

    def take(self, key: TraceKey) -> TraceState | None:
        """The state, which is ours now: put it back once what it says is committed."""
        state = self._states.pop(key, None)
        if state is not None:
            self._spans -= len(state.spans)
        return state

    def put(self, states: Iterable[tuple[TraceKey, TraceState]]) -> None:
        for key, state in states:
            self.take(key)
            self._states[key] = state
            self._spans += len(state.spans)
        while self._spans > self._capacity:
            _, oldest = self._states.popitem(last=False)
            self._spans -= len(oldest.spans)


def load(tx: Transaction, rows: dict[int, int]) -> dict[int, TraceState]:
    """Read whole traces: row id -> version in, row id -> state out."""
    states = {row: TraceState(row, version) for row, version in rows.items()}
    for trace, span in stored_spans(tx, "trace_id", rows):
        states[trace].spans[span.span_id] = span
    for stored in callrows.stored_calls(tx, key="c.trace_id", values=rows):
        states[stored.trace].calls[stored.call.anchor] = stored
    return states


def merge(spans: dict[bytes, Span], arrivals: Iterable[Arrival]) -> Merge:
    """Put arrivals among ``spans``; of each span the greatest version stays.

    Whichever version wins, it keeps the earliest time at which any was received.
    """
    merged = Merge()
    for arrival in arrivals:
        span = arrival[0]
        known = spans.get(span.span_id)
        if known is None:
            spans[span.span_id] = span
            merged.fresh[span.span_id] = arrival
        elif known != span:
            _replace(spans, merged, known, arrival)
    return merged


def _replace(
    spans: dict[bytes, Span], merged: Merge, known: Span, arrival: Arrival
) -> None:
    span = arrival[0]
    name = span.span_id
    received = min(known.received_ns, span.received_ns)
    wins = version_order(span) > version_order(known)
    if not wins and received == known.received_ns:
        return
    winner = span if wins else known
    if winner.received_ns != received:
        winner = msgspec.structs.replace(winner, received_ns=received)
        merged.received[name] = received
    elif wins:
        merged.received.pop(name, None)
    spans[name] = winner
    if wins and name in merged.fresh:
        merged.fresh[name] = arrival
    elif name not in merged.fresh:
        merged.overtaken[name] = arrival if wins else merged.overtaken.get(name)
