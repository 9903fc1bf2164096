"""Raw telemetry leaves in time, whole traces at once, and the numbers stay."""

from __future__ import annotations

import time

import pytest

from controlplane.models import Project
from ingest import jobs, retention
from ingest.errors import Busy
from ingest.jobs import purge_telemetry
from ingest.records import Category, Usage
from tests.ingest.telemetry import BASE_NS, SECOND, batch, new_project, numbers_of, span

pytestmark = pytest.mark.django_db(transaction=True)

TABLES = ("ingest_trace", "ingest_call", "ingest_body", "ingest_response")


@pytest.fixture
def number():
    return new_project()


@pytest.fixture
def send(desk, number, monkeypatch):
    """Store one export as if it came at that second."""

    def at(second, *spans):
        now_ns = BASE_NS + second * SECOND
        with monkeypatch.context() as patch:
            patch.setattr("ingest.writer.time.time_ns", lambda: now_ns)
            export = batch(number, list(spans), received_ns=now_ns)
            assert desk.store_batches([export]) == [0]

    return at


def purge(store, number, second):
    oldest_ns = BASE_NS + second * SECOND
    until = time.monotonic() + 60
    retention.purge(store, keeps=[(number, oldest_ns)], now=BASE_NS / 1e9, until=until)


def left(store, number):
    with store.read() as tx:
        return {
            table.removeprefix("ingest_"): tx.select(
                f"SELECT count(*) FROM {table} WHERE project_id=%s",  # noqa: S608
                (number,),
            )[0][0]
            for table in TABLES
        }


def spans_left(store):
    with store.read() as tx:
        return tx.select("SELECT count(*) FROM ingest_span")[0][0]


def answer(trace, **fields):
    return span(
        1, trace=trace, category=Category.MODEL, response_id=b"r" * 16, **fields
    )


def test_what_is_older_than_kept_leaves_and_the_rest_stays(store, number, send):
    before = spans_left(store)
    send(1, span(1, trace=1), answer(2))
    send(9, span(1, trace=3))

    purge(store, number, 5)

    assert left(store, number) == {"trace": 1, "call": 1, "body": 1, "response": 0}
    assert spans_left(store) == before + 1


def test_numbers_outlive_their_spans(store, number, send):
    send(1, span(1), answer(2, usage=Usage(input=3)))
    counted = numbers_of(store, number)

    purge(store, number, 5)

    assert counted
    assert numbers_of(store, number) == counted


def test_a_trace_that_still_grows_is_kept_whole(store, number, send):
    send(1, span(1), span(1, trace=2))
    send(9, span(2))

    purge(store, number, 5)

    assert left(store, number)["trace"] == 1
    assert left(store, number)["body"] == 2
    assert left(store, number)["call"] == 2


def test_a_body_goes_with_the_last_of_its_traces(store, number, send):
    send(1, span(1), span(1, trace=2))
    send(9, span(2))
    purge(store, number, 5)

    purge(store, number, 10)

    assert set(left(store, number).values()) == {0}


def test_another_project_keeps_what_it_keeps(store, number, send):
    send(1, span(1))

    purge(store, new_project(), 5)

    assert left(store, number)["trace"] == 1


def test_an_answer_that_lost_a_member_counts_as_it_did(store, desk, number, send):
    send(1, answer(1, usage=Usage(input=9, output=9, cost=9)))
    send(9, answer(2, usage=Usage(input=1)))
    counted = numbers_of(store, number)
    purge(store, number, 5)

    send(10, answer(2, usage=Usage(input=1), weight=9, session="late"))

    assert numbers_of(store, number) == counted
    assert left(store, number)["response"] == 1


def test_a_purged_trace_may_begin_anew(store, number, send):
    send(1, span(1))
    purge(store, number, 5)

    send(9, span(2))

    assert left(store, number)["call"] == 1


def test_more_than_one_transaction_holds_is_purged_too(
    store, number, send, monkeypatch
):
    monkeypatch.setattr(retention, "TRACES_AT_ONCE", 2)
    monkeypatch.setattr(retention, "BODIES_AT_ONCE", 2)
    for trace in range(1, 6):
        send(trace, span(1, trace=trace))

    purge(store, number, 8)

    assert set(left(store, number).values()) == {0}


def test_a_run_out_of_time_purges_nothing_more(store, number, send):
    send(1, span(1))

    retention.purge(store, keeps=[(number, 2**62)], now=0, until=time.monotonic() - 1)

    assert left(store, number)["trace"] == 1


def test_the_job_purges_every_project_by_its_own_days(store, desk, project):
    Project.objects.filter(pk=project.pk).update(raw_retention_days=1)
    old = time.time_ns() - 2 * jobs.DAY_NS
    desk.store_batches([batch(project.pk, [span(1)], received_ns=old)])
    with store.begin() as tx:
        tx.execute("UPDATE ingest_trace SET touched_at=%s", (old,))

    purge_telemetry()

    assert set(left(store, project.pk).values()) == {0}


def test_a_busy_database_ends_the_run_quietly(project, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise Busy("locked")

    monkeypatch.setattr(retention, "purge", refuse)

    purge_telemetry()
