"""One commit: spans in, calls and numbers out, in one transaction.

    claim traces -> what we know of them -> merge versions -> derive -> what changed
    -> response ids -> numbers -> rows

Nothing here remembers anything: what the commit makes true is put into ``Books`` only
after the database has said yes (``settle``), and thrown away when it has not
(``forget``). Traces are claimed before response ids, and those before series and words,
each in sorted order; every writer of every process keeps to that.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ingest import callrows
from ingest.callrows import StoredCall
from ingest.derive import derive
from ingest.groups import Change, Staged, difference, regroup
from ingest.records import Batch
from ingest.rollup import contribution
from ingest.spanrows import Arrival, Merge, TraceKey, store_spans, stored_spans
from ingest.stores.base import Row, Transaction
from ingest.ticks import TickBook
from ingest.traces import TraceCache, TraceState, load, merge

# Above this a trace is derived now and then, not with every commit.
LARGE_TRACE = 2_000
LARGEST_TRACE = 100_000
LEAST_PAUSE_NS = 2_000_000_000
PAUSE_FACTOR = 10

TRACE = (
    "id",
    "project_id",
    "trace_id",
    "version",
    "spans",
    "touched_at",
    "derive_after",
    "rooted",
)

Arrivals = dict[TraceKey, list[Arrival]]


class TraceRow(NamedTuple):
    id: int
    version: int  # 0 when this commit made the row
    spans: int
    derive_after: int | None
    rooted: bool  # a span without a parent has come


@dataclass(slots=True)
class Books:
    """What one writer remembers between commits."""

    ticks: TickBook
    traces: TraceCache = field(default_factory=TraceCache)
    derive_ns_per_span: float = 20_000.0  # of the last large trace
    _pending: list[tuple[TraceKey, TraceState]] = field(default_factory=list)

    def promise(self, states: Iterable[tuple[TraceKey, TraceState]]) -> None:
        self._pending.extend(states)

    def settle(self) -> None:
        """The transaction is durable: what it says is now what we know."""
        self.traces.put(self._pending)
        self._pending.clear()
        self.ticks.settle()

    def forget(self) -> None:
        """The transaction never happened."""
        self._pending.clear()
        self.ticks.forget()


def write(
    tx: Transaction, batches: Sequence[Batch], books: Books, *, now_ns: int
) -> list[int]:
    """Store some exports; for each, how many spans its traces had no room for."""
    arrivals = by_trace(batches)
    rows = claim_traces(tx, arrivals, now_ns=now_ns)
    states = known_traces(tx, books.traces, rows, arrivals)
    merges = {
        key: merge(states[key].spans, arrivals[key])
        if key in states
        else merge_large(tx, rows[key], arrivals[key])
        for key in rows
    }
    refused = refuse_surplus(batches, rows, merges)
    changed = {key: found for key, found in merges.items() if found}
    changes = [
        change
        for key in changed
        if key in states
        for change in rederived(key, states[key])
    ]
    store_calls(tx, books.ticks, changes)
    store_spans(tx, batches, {key: rows[key].id for key in changed}, changed)
    store_traces(tx, books, rows, states, changed, now_ns=now_ns)
    books.promise(states.items())
    return refused


def by_trace(batches: Sequence[Batch]) -> Arrivals:
    found: Arrivals = defaultdict(list)
    for number, batch in enumerate(batches):
        project = batch.project_id
        for position, span in enumerate(batch.spans):
            found[project, span.trace_id].append((span, number, position))
    return found


def claim_traces(
    tx: Transaction, keys: Iterable[TraceKey], *, now_ns: int
) -> dict[TraceKey, TraceRow]:
    """The rows of these traces, made where absent, ours until the commit."""
    by_project = defaultdict(list)
    for project, trace in keys:
        by_project[project].append(trace)
    return {
        (project, row[0]): TraceRow(*row[1:])
        for project, traces in sorted(by_project.items())
        for row in tx.claim(
            "ingest_trace",
            ("trace_id", "id", "version", "spans", "derive_after", "rooted"),
            key="trace_id",
            values=traces,
            fixed={"project_id": project},
            fresh={
                "version": 0,
                "spans": 0,
                "touched_at": now_ns,
                "derive_after": None,
                "rooted": False,
            },
        )
    }


def known_traces(
    tx: Transaction,
    cache: TraceCache,
    rows: dict[TraceKey, TraceRow],
    arrivals: Arrivals,
) -> dict[TraceKey, TraceState]:
    """The whole of every trace that is derived at once: from memory, else read."""
    states: dict[TraceKey, TraceState] = {}
    absent: dict[int, TraceKey] = {}
    for key, row in rows.items():
        state = cache.take(key)
        if row.spans + len(arrivals[key]) > LARGE_TRACE or row.derive_after:
            continue
        if row.version == 0:
            states[key] = TraceState(row.id, 0)
        elif state and (state.id, state.version) == (row.id, row.version):
            states[key] = state
        else:
            absent[row.id] = key
    if absent:
        loaded = load(tx, {row: rows[key].version for row, key in absent.items()})
        states |= {absent[row]: state for row, state in loaded.items()}
    return states


def merge_large(tx: Transaction, row: TraceRow, arrivals: Sequence[Arrival]) -> Merge:
    """Merge into a trace too large to be read: ask only for the spans that came."""
    known = stored_spans(
        tx,
        "span_id",
        {arrival[0].span_id for arrival in arrivals},
        where="trace_id=%s",
        parameters=(row.id,),
    )
    return merge({span.span_id: span for _, span in known}, arrivals)


def refuse_surplus(
    batches: Sequence[Batch],
    rows: dict[TraceKey, TraceRow],
    merges: dict[TraceKey, Merge],
) -> list[int]:
    refused = [0] * len(batches)
    for key, found in merges.items():
        surplus = rows[key].spans + len(found.fresh) - LARGEST_TRACE
        for name in list(found.fresh)[-surplus:] if surplus > 0 else ():
            _, number, _ = found.fresh.pop(name)
            refused[number] += 1
    return refused


def rederived(key: TraceKey, state: TraceState) -> list[Change]:
    """How the calls of a trace differ from what is stored."""
    project, trace_id = key
    stored = state.calls
    calls = derive(list(state.spans.values()))
    changes: list[Change] = []
    if stored:
        there = {call.anchor for call in calls}
        changes = [
            (project, trace_id, state, old, None)
            for anchor, old in stored.items()
            if anchor not in there
        ]
    for call in calls:
        old = stored.get(call.anchor)
        if old is None or old.call != call:
            changes.append((project, trace_id, state, old, call))
    return changes


def store_calls(tx: Transaction, ticks: TickBook, changes: Sequence[Change]) -> None:
    """Write what changed about calls, and what that changes about the numbers."""
    if not changes:
        return
    fresh = iter(tx.ids("ingest_call", sum(change[3] is None for change in changes)))
    rows = [old.id if old is not None else next(fresh) for _, _, _, old, _ in changes]
    groups, staged = regroup(tx, changes, rows)
    there = [
        (row, project, state, old, call)
        for row, (project, _, state, old, call) in zip(rows, changes, strict=True)
        if call is not None
    ]
    series = ticks.series(tx, [(project, call) for _, project, _, _, call in there])
    ticks.stage(tx, staged + plain(changes))
    inserts: list[Row] = []
    replaces: list[Row] = []
    for (row, project, state, old, call), words in zip(there, series, strict=True):
        response = groups[project, call.response_id].row if call.response_id else None
        stored = StoredCall(row, state.id, response, call)
        state.calls[call.anchor] = stored
        into = inserts if old is None else replaces
        into.append(callrows.row(project, stored, words))
    tx.insert("ingest_call", callrows.COLUMNS, inserts)
    tx.replace("ingest_call", callrows.COLUMNS, replaces)
    gone = [
        (state, old)
        for _, _, state, old, call in changes
        if old is not None and call is None
    ]
    tx.delete("ingest_call", [old.id for _, old in gone])
    for state, old in gone:
        del state.calls[old.call.anchor]


def plain(changes: Iterable[Change]) -> list[Staged]:
    """What the calls without a response id add and take away."""
    staged: list[Staged] = []
    for project, _, _, old, new in changes:
        before = after = None
        if old is not None and not old.call.response_id:
            before = contribution(old.call)
        if new is not None and not new.response_id:
            after = contribution(new)
        if before != after:
            staged += difference(project, before, after)
    return staged


def store_traces(
    tx: Transaction,
    books: Books,
    rows: dict[TraceKey, TraceRow],
    states: dict[TraceKey, TraceState],
    changed: dict[TraceKey, Merge],
    *,
    now_ns: int,
) -> None:
    written = []
    for key, found in changed.items():
        row = rows[key]
        version, spans = row.version + 1, row.spans + len(found.fresh)
        waits = None
        if key in states:
            states[key].version = version
        else:
            waits = row.derive_after or now_ns + pause_ns(books, spans)
        rooted = bool(row.rooted) or any(
            not arrival[0].parent_id for arrival in found.fresh.values()
        )
        written.append((row.id, *key, version, spans, now_ns, waits, rooted))
    tx.replace("ingest_trace", TRACE, written)


def pause_ns(books: Books, spans: int) -> int:
    """How long a large trace waits: deriving it may take a tenth of our time."""
    takes = spans * books.derive_ns_per_span
    return max(LEAST_PAUSE_NS, int(PAUSE_FACTOR * takes))


def waiting(tx: Transaction, *, now_ns: int) -> TraceKey | None:
    """The large trace that is due first."""
    due = tx.select(
        "SELECT project_id, trace_id FROM ingest_trace "
        "WHERE derive_after <= %s ORDER BY derive_after LIMIT 1",
        (now_ns,),
    )
    return due[0] if due else None


def derive_large(tx: Transaction, key: TraceKey, books: Books, *, now_ns: int) -> None:
    """Derive a large trace now, unless another writer was first."""
    row = claim_traces(tx, [key], now_ns=now_ns)[key]
    if row.derive_after is None or row.derive_after > now_ns:
        return
    began = time.perf_counter_ns()
    state = load(tx, {row.id: row.version})[row.id]
    store_calls(tx, books.ticks, rederived(key, state))
    taken = time.perf_counter_ns() - began
    books.derive_ns_per_span = taken / max(1, len(state.spans))
    tx.execute(
        "UPDATE ingest_trace SET version=version+1, derive_after=NULL WHERE id=%s",
        (row.id,),
    )
