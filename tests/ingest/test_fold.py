"""Ticks and folds: whoever adds up, whenever, counts every call exactly once."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest import fold
from ingest.queries import planner
from ingest.queries.rollups import Ask, Only, merged, read
from ingest.queries.snapshot import snapshot
from ingest.records import Usage
from ingest.rollup import contribution
from ingest.series import OTHER
from ingest.ticks import WriterClosed
from tests.ingest.counting import (
    NOW,
    Writer,
    call,
    calls,
    project_ids,
    reference,
)

pytestmark = pytest.mark.django_db(transaction=True)
same_database = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

HOUR = 3_600
RANGE = (NOW - 4 * HOUR, NOW + 60)
# Every grouping set, and some that only full series can answer.
GROUPINGS = [
    (),
    ("target",),
    ("tenant",),
    ("service",),
    ("agent",),
    ("tenant", "target"),
    ("service", "agent", "kind"),
    ("environment", "kind"),
]


def totals(project_id, *, by=(), start=RANGE[0], end=RANGE[1], only=(), most=86_400):
    """(calls, errors, attempts, cost) by group, as the planner reads them."""
    start, end = planner.snapped(start, end, now=NOW)
    ask = Ask(
        project_id,
        planner.cover(start, end, most=most),
        by=by,
        only=only,
        counters=("calls", "errors", "attempts", "cost_nano"),
    )
    with snapshot() as select:
        found = read(select, ask)
    return {
        key: tuple(merged(parts).counters.values())
        for key, parts in found.items()
        if any(merged(parts).counters.values())
    }


def expected(some, *, by=(), start=RANGE[0], end=RANGE[1]):
    return {
        key: (group.calls, group.errors, group.attempts, group.cost)
        for key, group in reference(some, by=by, start=start, end=end).items()
    }


def assert_exact(project_id, some):
    for by in GROUPINGS:
        assert totals(project_id, by=by) == expected(some, by=by), by


@given(data=st.data())
@same_database
def test_any_writers_any_folds_any_corrections_give_the_calls_that_are(store, data):
    project_id = next(project_ids)
    writers = [Writer(store), Writer(store)]
    there = []
    now = NOW
    for _ in range(data.draw(st.integers(1, 6))):
        writer = data.draw(st.sampled_from(writers))
        step = data.draw(st.sampled_from(["commit", "fold", "prepare", "forget"]))
        if step != "commit":
            now += data.draw(st.sampled_from([0, 3, 70]))
            {
                "fold": lambda writer=writer, now=now: writer.fold(now),
                "prepare": lambda writer=writer, now=now: writer.book.prepare(now),
                "forget": writer.book.forget,
            }[step]()
            continue
        taken = (
            data.draw(st.lists(st.sampled_from(there), unique_by=id)) if there else []
        )
        added = data.draw(st.lists(calls(), max_size=5))
        writer.commit(project_id, added, taken)
        there = [one for one in there if not any(one is gone for gone in taken)] + added

    assert_exact(project_id, there)
    for writer in writers:
        writer.fold_all(now + 200)
    assert_exact(project_id, there)


@given(st.lists(calls(), min_size=1, max_size=12), st.data())
@same_database
def test_a_total_over_any_range_is_exact_at_ten_seconds(store, some, data):
    project_id = next(project_ids)
    writer = Writer(store)
    writer.commit(project_id, some[::2])
    writer.fold_all()
    writer.commit(project_id, some[1::2])
    start = NOW - 10 * data.draw(st.integers(1, 1_000))
    end = start + 10 * data.draw(st.integers(1, 1_000))
    by = data.draw(st.sampled_from(GROUPINGS))

    found = totals(project_id, by=by, start=start, end=end)

    assert found == expected(some, by=by, start=start, end=end)


def test_calls_that_come_while_a_fold_is_prepared_are_counted_once(store):
    project_id = next(project_ids)
    writer = Writer(store)
    some = [call(name, usage=Usage(cost=1)) for name in ("a", "b", "c")]
    writer.commit(project_id, some)
    writer.book.fold_due(NOW)

    writer.book.prepare(NOW + 10)
    writer.book._folding.advance(2)
    writer.commit(project_id, some)

    assert writer.fold(NOW + 10) is None, "not ready yet"
    assert totals(project_id) == expected(some + some)
    writer.book.prepare(NOW + 10)
    assert writer.fold(NOW + 10) == "sets"
    assert_exact(project_id, some + some)
    writer.fold_all(NOW + 100)
    assert_exact(project_id, some + some)


def test_a_fold_that_was_prepared_and_forgotten_is_made_again_from_the_rows(store):
    project_id = next(project_ids)
    writer = Writer(store)
    some = [call(name, usage=Usage(cost=1)) for name in ("a", "b", "c")]
    writer.commit(project_id, some)
    writer.fold_all()
    writer.commit(project_id, some)
    writer.book.fold_due(NOW + 200)
    writer.book.prepare(NOW + 210)
    writer.book.prepare(NOW + 210)

    writer.book.forget()

    assert_exact(project_id, some + some)
    writer.fold_all(NOW + 300)
    assert_exact(project_id, some + some)


def test_folding_again_into_rows_that_several_ticks_share(store):
    project_id = next(project_ids)
    writer = Writer(store)
    minute = NOW - NOW % 86_400 - 7_200
    some = [call("a", at=minute + second) for second in (1, 11, 21, 3_601, 3_611)]

    for now in range(0, 300, 100):
        writer.commit(project_id, some)
        writer.fold_all(minute + 2 * HOUR + now)

    for most in (10, 60, 600, 3_600, 86_400):
        wide = {"start": minute - 22 * HOUR, "end": minute + 2 * HOUR, "most": most}
        assert totals(project_id, **wide) == {(): (15, 0, 15, 0)}
        if most > 10:
            assert totals(project_id, by=("service", "target"), **wide) == {
                ("s1", "a"): (15, 0, 15, 0)
            }


def test_a_correction_by_another_writer_is_a_negative_row_of_its_own(store):
    project_id = next(project_ids)
    first, second = Writer(store), Writer(store)
    before, after = call("search"), call("search", at=NOW - 300)
    first.commit(project_id, [before])
    first.fold_all()

    second.commit(project_id, [after], taken=[before])

    assert totals(project_id, by=("target",)) == {("search",): (1, 0, 1, 0)}
    assert totals(project_id, start=NOW - 60, end=NOW) == {}
    second.fold_all()
    assert totals(project_id, start=NOW - 300, end=NOW - 290) == {(): (1, 0, 1, 0)}


class Stopped(Exception):
    """The process ends here."""


class Stopping:
    """A transaction that fails at the n-th statement."""

    def __init__(self, tx, after):
        self._tx = tx
        self._left = after

    def __getattr__(self, name):
        method = getattr(self._tx, name)

        def counted(*args, **kwargs):
            if self._left == 0:
                raise Stopped
            self._left -= 1
            return method(*args, **kwargs)

        return counted


def stops(writer, work):
    """Fail at the first statement, then at the second, ... until it goes through."""
    for after in range(1_000):
        try:
            with writer.store.begin() as tx:
                work(Stopping(tx, after))
        except Stopped:
            writer.book.forget()
            yield after
        else:
            writer.book.settle()
            return
    raise AssertionError


@pytest.mark.parametrize("memory", [True, False], ids=["warm", "after a failure"])
def test_a_stop_at_any_statement_loses_nothing_and_counts_nothing_twice(store, memory):
    project_id = next(project_ids)
    writer = Writer(store)
    some = [
        call("a", tenant="t1"),
        call("b", outcome="failed", failure_class="timeout"),
        call("a", at=NOW - 4_000),
    ]
    writer.commit(project_id, some)
    if not memory:
        writer.book.forget()
    late = call("c", at=NOW - 5_000, outcome="failed", attempt_errors=(("auth", 1),))

    steps = 0
    for _ in stops(
        writer, lambda tx: writer.book.stage(tx, [(1, project_id, contribution(late))])
    ):
        assert totals(project_id, by=("target",)) == by_target(some)
        steps += 1
    for now in (NOW + 10, NOW + 100):
        writer.book.fold_due(now)
        for _ in stops(writer, lambda tx, now=now: writer.book.fold(tx, now + 3)):
            assert totals(project_id, by=("target",)) == by_target([*some, late])
            assert totals(project_id, by=("service",)) == {("s1",): (4, 2, 4, 0)}
            steps += 1

    assert steps > 20
    writer.fold_all(NOW + 300)
    assert totals(project_id, by=("target",)) == by_target([*some, late])
    assert totals(project_id, by=("service", "target"))[("s1", "a")] == (2, 0, 2, 0)


def by_target(some):
    found = {}
    for one in some:
        calls_, errors, attempts, cost = found.get((one.target,), (0, 0, 0, 0))
        failed = one.outcome == "failed"
        found[(one.target,)] = (calls_ + 1, errors + failed, attempts + 1, cost)
    return found


def test_ticks_of_a_dead_writer_are_folded_by_another_and_it_is_closed(store):
    project_id = next(project_ids)
    dead, living = Writer(store, seen_ns=0), Writer(store)
    some = [call("a"), call("b")]
    dead.commit(project_id, some)

    living.adopt_all(NOW)

    assert_closed(store, dead.id)
    assert totals(project_id, by=("target",)) == by_target(some)
    assert totals(project_id, by=("service", "target")) == {
        ("s1", "a"): (1, 0, 1, 0),
        ("s1", "b"): (1, 0, 1, 0),
    }


def assert_closed(store, writer_id):
    with store.read() as tx:
        ((closed,),) = tx.select(
            "SELECT closed FROM ingest_writer WHERE id=%s", (writer_id,)
        )
    assert closed


def test_a_writer_that_only_slept_learns_that_it_was_closed(store):
    project_id = next(project_ids)
    sleeper, living = Writer(store, seen_ns=0), Writer(store)
    sleeper.commit(project_id, [call("a")])
    living.adopt_all(NOW)

    with pytest.raises(WriterClosed):
        sleeper.commit(project_id, [call("a")])

    assert totals(project_id) == {(): (1, 0, 1, 0)}


def test_rows_folded_while_their_writer_slept_do_not_change_again(store):
    project_id = next(project_ids)
    sleeper, living = Writer(store, seen_ns=0), Writer(store)
    sleeper.commit(project_id, [call("a")])
    with store.begin() as tx:
        fold.fold_sets(
            tx, source=sleeper.id, owner=living.id, book=living.book._book, now=NOW
        )

    sleeper.commit(project_id, [call("a")])

    assert totals(project_id) == {(): (2, 0, 2, 0)}
    sleeper.fold_all()
    assert totals(project_id) == {(): (2, 0, 2, 0)}


def test_more_ticks_than_a_fold_takes_are_folded_in_several(store, monkeypatch):
    monkeypatch.setattr(fold, "MOST_TICKS", 2)
    monkeypatch.setattr(fold, "MOST_SERIES_TICKS", 2)
    project_id = next(project_ids)
    writer = Writer(store)
    some = [call(name) for name in "abcde"]
    writer.commit(project_id, some)
    writer.book.forget()

    writer.fold_all()

    assert totals(project_id, by=("target",)) == by_target(some)
    assert totals(project_id, by=("service",)) == {("s1",): (5, 0, 5, 0)}
    assert writer.book._in_sets == last_tick(store, writer.id)


def last_tick(store, writer_id):
    with store.read() as tx:
        ((last,),) = tx.select(
            "SELECT MAX(id) FROM ingest_tick WHERE writer_id=%s", (writer_id,)
        )
    return last


def test_beyond_the_cap_words_are_other_and_totals_stay_exact(store):
    project_id = next(project_ids)
    writer = Writer(store, caps={"target": 2})
    some = [call(f"tool-{n}") for n in range(5)] + [call("gpt", kind="model")]
    writer.commit(project_id, some)

    found = totals(project_id, by=("target",))

    assert found == {
        ("tool-0",): (1, 0, 1, 0),
        ("tool-1",): (1, 0, 1, 0),
        (OTHER,): (3, 0, 3, 0),
        ("gpt",): (1, 0, 1, 0),
    }


def test_a_call_is_taken_away_under_the_word_it_was_counted_under(store):
    project_id = next(project_ids)
    some = [call(f"tool-{n}") for n in range(4)]
    Writer(store, caps={"target": 2}).commit(project_id, some)

    Writer(store, caps={"target": 2}).commit(project_id, [], taken=some[1:])

    assert totals(project_id, by=("target",)) == {("tool-0",): (1, 0, 1, 0)}


def test_a_word_admitted_in_a_failed_commit_is_admitted_again(store):
    project_id = next(project_ids)
    writer = Writer(store, caps={"target": 1})
    for _ in stops(
        writer, lambda tx: writer.book.series(tx, [(project_id, call("first"))])
    ):
        pass
    with store.begin() as tx:
        tx.execute("DELETE FROM ingest_word WHERE project_id=%s", (project_id,))
    writer.book.forget()

    writer.commit(project_id, [call("second"), call("third")])

    assert set(totals(project_id, by=("target",))) == {("second",), (OTHER,)}


def test_a_memory_of_series_that_is_full_begins_anew(store, monkeypatch):
    monkeypatch.setattr("ingest.series.REMEMBERED", 3)
    project_id = next(project_ids)
    writer = Writer(store)
    some = [call(name) for name in "abcde"]

    for one in some:
        writer.commit(project_id, [one])
    writer.commit(project_id, some)

    writer.fold_all()
    assert totals(project_id, by=("target",)) == by_target(some * 2)


def test_pruning_keeps_every_answer(store):
    project_id = next(project_ids)
    writer = Writer(store)
    days = [call("a", at=NOW - age) for age in (60, 5 * HOUR, 3 * 86_400, 30 * 86_400)]
    writer.commit(project_id, days)
    writer.fold_all(NOW - 31 * 86_400)
    wide = {"start": NOW - 31 * 86_400, "end": NOW}
    before = totals(project_id, **wide)

    with store.begin() as tx:
        deleted = fold.prune(tx, now=NOW)

    assert deleted > 10
    assert totals(project_id, **wide) == before == {(): (4, 0, 4, 0)}
    assert totals(project_id, by=("service", "target"), **wide) == {
        ("s1", "a"): (4, 0, 4, 0)
    }


def test_rows_that_nobody_will_read_are_never_written(store):
    project_id = next(project_ids)
    writer = Writer(store)
    writer.commit(project_id, [call("a", at=NOW - 5 * HOUR)])
    writer.commit(project_id, [call("b", at=NOW - 3 * 86_400)])
    writer.fold_all()

    with store.begin() as tx:
        deleted = fold.prune(tx, now=NOW)

    # The two ticks themselves: they had to wait for the folds.
    assert deleted == 2
    assert totals(project_id, start=NOW - 4 * 86_400) == {(): (2, 0, 2, 0)}


def test_ticks_that_are_in_no_rollup_yet_are_never_pruned(store):
    project_id = next(project_ids)
    writer = Writer(store)
    writer.commit(project_id, [call("a", at=NOW - 20 * HOUR)])

    with store.begin() as tx:
        fold.prune(tx, now=NOW)

    assert totals(project_id, start=NOW - 21 * HOUR) == {(): (1, 0, 1, 0)}


def test_filters_let_through_what_they_say(store):
    project_id = next(project_ids)
    writer = Writer(store)
    writer.commit(
        project_id,
        [call("search", tenant="t1"), call("pay"), call("gpt", kind="model")],
    )

    def names(*only):
        return {key[0] for key in totals(project_id, by=("target",), only=only)}

    assert names(Only("tenant", (None,))) == {"pay", "gpt"}
    assert names(Only("tenant", (None,), negated=True)) == {"search"}
    assert names(Only("tenant", ("t1", None))) == {"search", "pay", "gpt"}
    assert names(Only("tool", ("search",))) == {"search"}
    assert names(Only("tool", ("search",), negated=True)) == {"pay", "gpt"}
    assert names(Only("model", (None,))) == {"search", "pay"}
    assert names(Only("kind", ())) == set()
