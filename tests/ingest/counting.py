"""Calls to count, writers that count them, and what they must amount to.

The reference adds up contributions one by one; everything else goes through ticks,
folds and the planner and must say the same.
"""

from __future__ import annotations

import math
from itertools import count
from types import SimpleNamespace

from hypothesis import strategies as st

from ingest.fold import adopt
from ingest.records import Call, Usage
from ingest.rollup import contribution
from ingest.ticks import TickBook

NOW = 1_795_000_000
project_ids = count(500_000)
_HOUR = 3_600

OUTCOMES = ("ok", "recovered", "fallback", "refused", "cancelled", "failed")


@st.composite
def calls(draw, *, ended=None):
    """Calls of every outcome; ``ended`` says when, in unix seconds."""
    outcome = draw(st.sampled_from(OUTCOMES))
    attempts = 0 if outcome == "refused" else draw(st.integers(1, 3))
    kind = draw(st.sampled_from(["tool", "model"]))
    executed = attempts > 0
    end = draw(ended if ended is not None else st.integers(NOW - 3 * _HOUR, NOW))
    return Call(
        b"anchor--",
        kind,
        draw(st.sampled_from(["a", "b", "c"])),
        draw(st.sampled_from(["s1", "s2"])),
        draw(st.sampled_from(["prod", "test"])),
        (end - 2) * 10**9,
        end * 10**9 + draw(st.integers(0, 10**9 - 1)),
        outcome,
        provider="openai" if kind == "model" else None,
        tenant=draw(st.sampled_from(["t1", "t2", None])),
        agent=draw(st.sampled_from(["g1", None])),
        failure_class="timeout" if outcome == "failed" else None,
        refusal_reason="quota" if outcome == "refused" else None,
        attempts=attempts,
        attempt_errors=(("timeout", attempts - 1),) if attempts > 1 else (),
        last_failed=outcome == "failed",
        latency_us=draw(st.integers(1, 10**8)) if executed else None,
        work_us=draw(st.integers(1, 10**8)) if executed else None,
        usage=Usage(input=draw(st.integers(0, 99)), cost=draw(st.integers(0, 10**9))),
    )


def call(target="a", *, at=NOW - 60, **fields):
    """One call that ended at ``at``; whatever matters is said by the test."""
    given = {
        "kind": "tool",
        "service": "s1",
        "environment": "prod",
        "outcome": "ok",
        "latency_us": 10_000,
        "work_us": 10_000,
        "attempts": 1,
    } | fields
    return Call(
        b"anchor--", target=target, started_ns=0, ended_ns=int(at * 10**9), **given
    )


class Writer:
    """One writer process: a row of ``ingest_writer`` and its tick book."""

    def __init__(self, store, *, caps=None, seen_ns=2**62):
        self.store = store
        with store.begin() as tx:
            ((self.id,),) = [tx.ids("ingest_writer", 1)]
            tx.insert(
                "ingest_writer",
                ("id", "started_at", "seen_at", "in_sets", "in_series", "closed"),
                [(self.id, 0, seen_ns, 0, 0, False)],
            )
        self.book = TickBook(self.id, caps=caps)

    def commit(self, project_id, added, taken=()):
        changes = [(1, project_id, contribution(one)) for one in added]
        changes += [(-1, project_id, contribution(one)) for one in taken]
        with self.store.begin() as tx:
            self.book.stage(tx, changes)
        self.book.settle()

    def fold(self, now):
        """Fold what is due at ``now``; what that was."""
        due = self.book.fold_due(now)
        if due is not None:
            with self.store.begin() as tx:
                self.book.fold(tx, now)
            self.book.settle()
        return due

    def fold_all(self, now=NOW):
        """Fold until nothing is due, however long that takes."""
        for later in (0, 3, 61, 122):
            while self.fold(now + later):
                pass

    def adopt_all(self, now):
        more = True
        while more:
            with self.store.begin() as tx:
                more = adopt(
                    tx, owner=self.id, book=self.book._book, now_ns=int(now * 1e9)
                )


def exact_quantile(values, fraction):
    ordered = sorted(values)
    rank = fraction * (len(ordered) - 1)
    below = ordered[math.floor(rank)]
    return below + (rank - math.floor(rank)) * (ordered[math.ceil(rank)] - below)


def reference(some, *, by=(), start, end):
    """Totals of calls by group, added up one by one."""
    groups = {}
    for one in some:
        bucket = one.ended_ns // 10**10 * 10
        if not start <= bucket < end:
            continue
        key = tuple(getattr(one, name) for name in by)
        group = groups.setdefault(
            key, SimpleNamespace(calls=0, errors=0, attempts=0, cost=0, latencies=[])
        )
        group.calls += 1
        group.errors += one.outcome == "failed"
        group.attempts += one.attempts
        group.cost += one.usage.cost
        if one.attempts and one.outcome != "cancelled":
            group.latencies.append(one.latency_us)
    return groups
