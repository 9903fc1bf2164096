"""The writer's thread: everything is answered, nothing is lost, it lives on."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from ingest import writer as module
from ingest.errors import Busy, RejectedExport
from ingest.records import Batch
from ingest.stores import open_store
from ingest.ticks import TickBook, WriterClosed
from ingest.writer import Writer
from tests.ingest.conftest import announce_nothing
from tests.ingest.telemetry import batch, calls_of, new_project, span

pytestmark = pytest.mark.django_db(transaction=True)


class Gate:
    """A store that waits at the beginning of a transaction until it is opened."""

    def __init__(self, store):
        self.store = store
        self.opened = threading.Event()
        self.commits = 0
        self.refuse = None

    def begin(self):
        self.opened.wait(10)
        if self.refuse:
            raise self.refuse
        self.commits += 1
        return self.store.begin()

    def read(self):
        return self.store.read()

    def close(self):
        self.store.close()


@pytest.fixture
def gate():
    return Gate(None)


@pytest.fixture
def announced():
    return []


@pytest.fixture
def writer(gate, announced):
    def open_gate():
        gate.store = open_store()
        return gate

    made = Writer(
        open_store=open_gate, announce=lambda projects: announced.append(set(projects))
    )
    yield made
    gate.opened.set()
    made.drain()


@pytest.fixture
def project():
    return new_project()


def spans_stored(project):
    store = open_store()
    try:
        return len(calls_of(store, project))
    finally:
        store.close()


def poison(project):
    made = batch(project, [span(66, trace=66)])
    # A value no database takes, as a mistake of ours would make it.
    return Batch(project, 2**70, made.spans, made.wire, made.facts)


def refuse():
    raise Busy("locked")


async def outcome(writer, *batches, before=lambda: None):
    futures = [writer.submit(each) for each in batches]
    before()
    return await asyncio.gather(*futures, return_exceptions=True)


def test_the_answer_comes_when_the_spans_are_stored(writer, gate, project):
    gate.opened.set()

    answers = asyncio.run(outcome(writer, batch(project, [span(1), span(2)])))

    assert answers == [0]
    assert spans_stored(project) == 2


def test_what_waits_together_is_committed_together(writer, gate, project, announced):
    exports = [batch(project, [span(number)]) for number in range(1, 30)]

    asyncio.run(outcome(writer, *exports, before=gate.opened.set))

    # Registering the writer, the first batches alone, all the others, upkeep.
    assert gate.commits <= 5
    assert announced[-1] == {project}
    assert spans_stored(project) == 29


def test_a_full_queue_is_busy_and_loses_nothing(writer, gate, project, monkeypatch):
    monkeypatch.setattr(module, "PENDING_SPANS", 2)

    async def flood():
        taken = [writer.submit(batch(project, [span(one)])) for one in (1, 2)]
        with pytest.raises(Busy) as refused:
            writer.submit(batch(project, [span(3)]))
        gate.opened.set()
        await asyncio.gather(*taken)
        await writer.submit(batch(project, [span(4)]))
        return refused.value.retry_after

    assert 1 <= asyncio.run(flood()) <= 3
    assert spans_stored(project) == 3


def test_too_many_bytes_are_busy_too(writer, project, monkeypatch):
    monkeypatch.setattr(module, "PENDING_BYTES", 1)

    async def flood():
        taken = writer.submit(batch(project, [span(1)]))
        taken.cancel()
        with pytest.raises(Busy):
            writer.submit(batch(project, [span(2)]))

    asyncio.run(flood())


def test_a_poisonous_batch_harms_no_neighbour(writer, gate, project):
    exports = [
        batch(project, [span(1)]),
        batch(project, [span(2)]),
        poison(project),
        batch(project, [span(3)]),
    ]

    answers = asyncio.run(outcome(writer, *exports, before=gate.opened.set))

    assert [type(answer) for answer in answers] == [int, int, RejectedExport, int]
    assert answers[2].status == 400
    assert spans_stored(project) == 3


def test_a_database_that_refuses_is_busy_for_all_and_passes(writer, gate, project):
    gate.refuse = Busy("locked")
    exports = [batch(project, [span(1)]), batch(project, [span(2)])]
    refused = asyncio.run(outcome(writer, *exports, before=gate.opened.set))
    trouble = writer.trouble()
    gate.refuse = None

    accepted = asyncio.run(outcome(writer, *exports))

    assert [type(answer) for answer in refused] == [Busy, Busy]
    assert "locked" in trouble
    assert accepted == [0, 0]
    assert writer.trouble() is None


def test_a_client_that_went_away_stops_nobody(writer, gate, project):
    async def leave():
        gone = writer.submit(batch(project, [span(1)]))
        stays = writer.submit(batch(project, [span(2)]))
        gone.cancel()
        gate.opened.set()
        return await stays

    assert asyncio.run(leave()) == 0
    assert spans_stored(project) == 2


def test_a_loop_that_closed_is_not_waited_for(writer, gate, project):
    async def leave():
        writer.submit(batch(project, [span(1)]))

    asyncio.run(leave())
    gate.opened.set()

    assert asyncio.run(outcome(writer, batch(project, [span(2)]))) == [0]
    assert spans_stored(project) == 2


def test_draining_answers_all_and_then_takes_no_more(writer, gate, project):
    async def stop():
        taken = [writer.submit(batch(project, [span(one)])) for one in (1, 2, 3)]
        gate.opened.set()
        await asyncio.to_thread(writer.drain)
        with pytest.raises(Busy):
            writer.submit(batch(project, [span(4)]))
        return await asyncio.gather(*taken)

    assert asyncio.run(stop()) == [0, 0, 0]
    assert spans_stored(project) == 3


def test_a_writer_that_was_never_used_drains_at_once():
    idle = Writer()

    idle.drain()

    assert idle.trouble() is None


def writers(store):
    with store.read() as tx:
        return tx.select("SELECT id, seen_at FROM ingest_writer ORDER BY id")


def test_every_start_is_a_new_writer(store, new_desk, project):
    before = len(writers(store))
    for _ in range(2):
        new_desk().store_batches([batch(project, [span(1)])])

    assert len(writers(store)) == before + 2


def test_a_writer_says_now_and_then_that_it_lives(store, desk, project, monkeypatch):
    desk.store_batches([batch(project, [span(1)])])
    first = writers(store)[-1]
    monkeypatch.setattr(module, "HEARTBEAT_NS", 0)

    desk.upkeep()

    assert writers(store)[-1][0] == first[0]
    assert writers(store)[-1][1] > first[1]


def test_a_writer_taken_for_dead_goes_on_as_a_new_one(
    store, desk, project, monkeypatch
):
    desk.store_batches([batch(project, [span(1)])])
    with store.begin() as tx:
        tx.execute("UPDATE ingest_writer SET closed=%s", (True,))

    answers = desk.store_batches([batch(project, [span(2)])])

    assert answers == [0]
    assert len(calls_of(store, project)) == 2


def test_trouble_with_folding_does_not_end_the_thread(
    store, desk, project, monkeypatch
):
    desk.store_batches([batch(project, [span(1)])])
    errors = [Busy("locked"), WriterClosed(), ZeroDivisionError()]

    def due(self, now):
        raise errors.pop()

    monkeypatch.setattr(TickBook, "fold_due", due)
    for _ in range(3):
        desk._upkeep_at = 0
        desk.upkeep()
        desk.store_batches([batch(project, [span(1)])])

    assert errors == []


def test_a_fold_that_is_being_prepared_keeps_an_idle_thread_going(
    desk, project, monkeypatch
):
    monkeypatch.setattr("ingest.ticks.SETS_EVERY_S", 0)
    idle = desk.preparing
    desk.store_batches([batch(project, [span(1)])])

    desk.upkeep()
    preparing = desk.preparing
    while desk.preparing:
        desk.upkeep()

    assert (idle, preparing) == (False, True)
    assert desk._books.ticks.fold_due(time.time_ns() / 1e9) == "sets"


@pytest.mark.parametrize("seen_before", [True, False])
def test_a_refusal_that_is_over_is_noticed_without_another_export(
    desk, project, monkeypatch, seen_before
):
    if seen_before:
        desk.store_batches([batch(project, [span(1)])])
    with monkeypatch.context() as refusing:
        refusing.setattr(desk.store, "begin", refuse)
        desk.store_batches([batch(project, [span(2)])])
    trouble = desk.trouble

    desk._upkeep_at = 0
    desk.upkeep()

    assert (trouble, desk.trouble) == ("locked", None)


def test_ticks_are_folded_between_commits(store, desk, project, monkeypatch):
    desk.store_batches([batch(project, [span(1)])])
    desk.upkeep()
    later = time.time_ns() + 120 * 10**9
    monkeypatch.setattr(module.time, "time_ns", lambda: later)
    monkeypatch.setattr(module, "HEARTBEAT_NS", 10**18)

    for _ in range(3):
        desk._upkeep_at = 0
        desk.upkeep()

    with store.read() as tx:
        rollups = tx.select(
            "SELECT count(*) FROM ingest_rollup r JOIN ingest_series s "
            "ON s.id = r.series_id WHERE s.project_id=%s",
            (project,),
        )
    assert rollups[0][0] > 0


def test_a_server_that_starts_finishes_what_another_left(
    store, desk, new_desk, project
):
    desk.store_batches([batch(project, [span(1)])])
    before = len(writers(store))

    new_desk().upkeep()

    assert len(writers(store)) == before + 1


@pytest.mark.usefixtures("django_db_setup")
def test_a_writer_may_start_before_the_first_export():
    started = Writer(announce=announce_nothing)

    started.start()
    started.start()
    running = started.trouble()
    started.drain()

    assert running is None
    assert not started._thread.is_alive()


def test_a_server_with_nothing_left_writes_nothing(store, new_desk):
    with store.begin() as tx:
        tx.execute("UPDATE ingest_writer SET closed=%s", (True,))
    before = writers(store)

    new_desk().upkeep()

    assert writers(store) == before
