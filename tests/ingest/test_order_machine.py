"""The law of order: whatever happens on the way, the numbers are those of the calls.

Traces of every dialect are told once, in order, to an empty database. Then they are
told again to another one, anyhow: in pieces, out of order, twice, while they run, to
two writers that sleep, stop, fail and fold. In the end both say the same.
"""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from ingest import commit, writer
from ingest.errors import Busy
from ingest.stores import open_store
from ingest.ticks import SETS_EVERY_S
from ingest.writer import Desk
from tests.ingest import generated, telemetry
from tests.ingest.conftest import announce_nothing
from tests.ingest.seen import EVERY_VIEW, seen, sums_of
from tests.ingest.telemetry import batch, calls_of

pytestmark = pytest.mark.django_db(transaction=True)

PROJECT = 1
BEGAN_S = 1_795_001_000
SMALL = 6  # spans, for a trace that is treated as a large one
TABLES = [
    "ingest_tick_reason",
    "ingest_tick",
    "ingest_rollup_reason",
    "ingest_rollup",
    "ingest_call",
    "ingest_response",
    "ingest_span",
    "ingest_body",
    "ingest_trace",
    "ingest_series",
    "ingest_word",
    "ingest_writer",
]

# Every dialect tells its own stories; the others are trees of no sender in particular.
traces = generated.exports().map(generated.normalised) | telemetry.spans()


def side_by_side(several):
    """Spans of some stories, each in traces of its own."""
    return [
        replace(span, trace_id=bytes([number]) + span.trace_id[1:])
        for number, spans in enumerate(several)
        for span in spans
    ]


stories = st.lists(traces, min_size=2, max_size=5).map(side_by_side)
desks = st.integers(0, 1)
places = st.integers(0, 999)
several = st.lists(places, min_size=1, max_size=12)
pauses = st.sampled_from([0.3, 0.3, 6, 6, 12, 31, 61])
trouble = st.sampled_from([Busy, RuntimeError])
# Spans to send, and after how many statements what follows fails, if it does.
steps = st.tuples(st.integers(1, 3), st.none() | st.none() | st.integers(0, 12))


class Clock(SimpleNamespace):
    """What the writer takes for ``time``."""

    def time_ns(self):
        return int(self.now * 10**9)

    def monotonic(self):
        return self.now


class Unreliable:
    """A store whose next transaction may stop after some statements, or at the end."""

    def __init__(self, store):
        self._store = store
        self._trouble = None
        self.read, self.close = store.read, store.close

    def fail(self, after, trouble):
        self._trouble = after, trouble

    def heal(self):
        self._trouble = None

    @contextmanager
    def begin(self):
        with self._store.begin() as tx:
            if self._trouble is None:
                yield tx
                return
            (after, trouble), self._trouble = self._trouble, None
            yield Stopping(tx, after, trouble)
            raise trouble("the disk is full")


class Stopping:
    """A transaction that fails at the n-th statement."""

    def __init__(self, tx, after, trouble):
        self._tx = tx
        self._left = after
        self._trouble = trouble

    def __getattr__(self, name):
        if self._left == 0:
            raise self._trouble("the cable is cut")
        self._left -= 1
        return getattr(self._tx, name)


class Deliveries(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.store = Unreliable(open_store())
        self.before = writer.time, commit.LARGE_TRACE
        writer.time = self.clock = Clock(now=BEGAN_S)

    @initialize(
        sent=stories, chance=st.randoms(), large=st.sampled_from([2_000, 2_000, SMALL])
    )
    def tell_it_in_order(self, sent, chance, large):
        self.sent = sent
        self.desks = [self.desk(), self.desk()]
        self.empty()
        self.missing = {}
        self.send(0, range(len(sent)))
        self.calls, self.seen = calls_of(self.store, PROJECT), seen(PROJECT)
        assert self.seen == sums_of(self.calls)

        self.empty()
        self.desks = [self.desk(), self.desk()]
        shuffled = list(range(len(sent)))
        chance.shuffle(shuffled)
        self.missing = dict.fromkeys(shuffled)
        commit.LARGE_TRACE = large

    def desk(self):
        return Desk(self.store, announce_nothing)

    def empty(self):
        with self.store.begin() as tx:
            for table in TABLES:
                tx.execute(f"DELETE FROM {table}")  # noqa: S608

    def send(self, desk, *exports):
        """Some exports in one commit; what was answered is no longer missing."""
        answers = self.desks[desk].store_batches(
            [batch(PROJECT, [self.sent[one] for one in export]) for export in exports]
        )
        for export, answer in zip(exports, answers, strict=True):
            if answer == 0:
                for one in export:
                    self.missing.pop(one, None)
        return answers

    def upkeep(self, desk, *pauses):
        for pause in pauses:
            self.clock.now += pause
            self.desks[desk].upkeep()

    def chosen(self, some):
        return [place * len(self.sent) // 1_000 for place in some]

    # What may happen

    @rule(desk=desks, many=st.integers(1, 40), cut=places)
    def the_next_of_those_missing_come(self, desk, many, cut):
        few = list(self.missing)[:many]
        cut = cut * len(few) // 1_000
        exports = [export for export in (few[:cut], few[cut:]) if export]

        if exports:
            assert set(self.send(desk, *exports)) == {0}

    @rule(desk=desks, exports=st.lists(several, min_size=1, max_size=3))
    def any_come_perhaps_again(self, desk, exports):
        assert set(self.send(desk, *map(self.chosen, exports))) == {0}

    @rule(desk=desks, some=several)
    def any_are_seen_while_they_run(self, desk, some):
        spans = [
            replace(self.sent[one], end_ns=0, weight=0) for one in self.chosen(some)
        ]

        assert self.desks[desk].store_batches([batch(PROJECT, spans)]) == [0]

    @rule(
        desk=desks,
        exports=st.lists(several, min_size=1, max_size=2),
        after=st.integers(0, 30),
        trouble=trouble,
    )
    def a_commit_fails(self, desk, exports, after, trouble):
        self.store.fail(after, trouble)
        self.send(desk, *map(self.chosen, exports))
        self.store.heal()

    @rule(desk=desks, steps=st.lists(steps, min_size=6, max_size=9))
    def they_come_one_by_one(self, desk, steps):
        """Sets are folded: seen to be pending, made ready and, a commit later, written.

        What a fold wrote is in memory when the next one adds to it.
        """
        for size, after in steps:
            assert self.send(desk, list(self.missing)[:size]) == [0]
            if after is not None:
                self.store.fail(after, RuntimeError)
            self.upkeep(desk, 0.3, SETS_EVERY_S + 0.1)
            self.store.heal()

    @rule(desk=desks)
    def a_writer_sleeps_too_long(self, desk):
        """The other one takes it for dead: folds what it left, and closes it."""
        self.upkeep(1 - desk, 61, *[0.3] * 8)

    @rule(desk=desks, waits=st.lists(pauses, min_size=1, max_size=6))
    def time_goes_by(self, desk, waits):
        """Series are folded as well, the dead adopted, large traces derived."""
        self.upkeep(desk, *waits)

    @rule(desk=desks, pause=pauses, after=st.integers(0, 30), trouble=trouble)
    def upkeep_fails(self, desk, pause, after, trouble):
        self.store.fail(after, trouble)
        self.upkeep(desk, pause)
        self.store.heal()

    @rule(desk=desks)
    def a_writer_starts_anew(self, desk):
        self.desks[desk] = self.desk()

    @rule(view=st.sampled_from(EVERY_VIEW))
    def somebody_reads(self, view):
        stored = calls_of(self.store, PROJECT)

        assert seen(PROJECT, [view]) == sums_of(stored, [view])

    # And in the end

    def teardown(self):
        try:
            self.everything_comes()
            self.nothing_is_left_to_do()
        finally:
            writer.time, commit.LARGE_TRACE = self.before
            self.store.close()

    def everything_comes(self):
        rest = list(self.missing)
        for start in range(0, len(rest), 10):
            self.send(start // 10 % 2, rest[start : start + 10])
        assert not self.missing
        self.until(lambda: not self.waiting())

        assert calls_of(self.store, PROJECT) == self.calls
        assert seen(PROJECT) == self.seen

    def nothing_is_left_to_do(self):
        """Everything is folded, and that shows nowhere."""
        self.until(lambda: not self.unfolded())

        assert seen(PROJECT) == self.seen

    def until(self, done):
        for pause in [3, 12, 31] * 20:
            if done():
                return
            self.upkeep(0, pause)
            self.upkeep(1, pause)
        raise AssertionError

    def waiting(self):
        return self.select("SELECT 1 FROM ingest_trace WHERE derive_after IS NOT NULL")

    def unfolded(self):
        return self.select(
            "SELECT 1 FROM ingest_tick t JOIN ingest_writer w ON w.id=t.writer_id "
            "WHERE t.id>w.in_sets OR t.id>w.in_series"
        )

    def select(self, sql):
        with self.store.read() as tx:
            return tx.select(sql)


def test_any_delivery_to_any_writers_gives_the_same_calls_and_numbers():
    run_state_machine_as_test(
        Deliveries,
        settings=settings(
            # Each is a story of up to fifty steps, with hundreds of queries at its end.
            max_examples=settings().max_examples // 2,
            suppress_health_check=list(HealthCheck),
        ),
    )
