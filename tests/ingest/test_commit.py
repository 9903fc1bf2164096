"""What one commit makes true: versions, response ids, large traces, isolation."""

from __future__ import annotations

import msgspec
import pytest

from ingest import commit
from ingest.records import Category, Usage
from ingest.rollup import COUNTERS
from tests.ingest.telemetry import (
    BASE_NS,
    SECOND,
    batch,
    calls_of,
    new_project,
    numbers_of,
    span,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def project():
    return new_project()


def send(desk, project, *spans, received_ns=BASE_NS):
    stamped = [msgspec.structs.replace(one, received_ns=received_ns) for one in spans]
    (answer,) = desk.store_batches([batch(project, stamped, received_ns=received_ns)])
    return answer


def total(store, project, counter):
    place = COUNTERS.index(counter)
    sums = numbers_of(store, project)
    return sum(row[place] for words, row in sums.items() if len(words) == 8)


def count(store, table, project):
    with store.read() as tx:
        return tx.select(
            f"SELECT count(*) FROM {table} WHERE project_id=%s",  # noqa: S608
            (project,),
        )[0][0]


def span_rows(store, project):
    with store.read() as tx:
        return tx.select(
            "SELECT s.span_id, s.position, s.received_at, b.received_at "
            "FROM ingest_span s JOIN ingest_trace t ON t.id = s.trace_id "
            "JOIN ingest_body b ON b.id = s.body_id WHERE t.project_id=%s "
            "ORDER BY s.span_id",
            (project,),
        )


def answer(number, *, trace=1, **fields):
    known = {"category": Category.MODEL, "name": "gpt-5", "response_id": b"r" * 16}
    return span(number, trace=trace, **known | fields)


def test_a_running_span_is_no_call_in_any_bucket_until_it_ends(store, desk, project):
    send(desk, project, span(end_ns=0))
    running = total(store, project, "calls")
    send(desk, project, span(failed=True, failure_class="timeout"))

    assert running == 0
    assert total(store, project, "calls") == 1
    assert total(store, project, "errors") == 1
    assert len(calls_of(store, project)) == 1


def test_the_end_may_come_before_the_beginning(store, desk, project):
    send(desk, project, span())
    send(desk, project, span(end_ns=0))

    assert total(store, project, "calls") == 1


def test_a_version_with_another_start_is_the_same_span(store, desk, project):
    send(desk, project, span(start_ns=BASE_NS - 9_123_456_789))
    send(desk, project, span(start_ns=BASE_NS - 9_123_000_000))

    assert len(span_rows(store, project)) == 1
    assert total(store, project, "calls") == 1


def test_many_error_spans_that_share_an_id_are_one_failure(store, desk, project):
    same = [
        span(failed=True, failure_class="timeout", weight=weight) for weight in range(5)
    ]
    send(desk, project, *same)

    assert total(store, project, "calls") == 1
    assert total(store, project, "errors") == 1


def test_a_span_keeps_when_its_first_version_came(store, desk, project):
    send(desk, project, span(end_ns=0), received_ns=BASE_NS)
    send(desk, project, span(), received_ns=BASE_NS + SECOND)

    ((_, position, earlier, body_received),) = span_rows(store, project)
    assert (position, earlier, body_received) == (0, BASE_NS, BASE_NS + SECOND)


def test_an_older_arrival_of_a_lesser_version_still_dates_the_span(
    store, desk, project
):
    send(desk, project, span(), received_ns=BASE_NS + SECOND)
    send(desk, project, span(end_ns=0), received_ns=BASE_NS)

    ((_, _, earlier, body_received),) = span_rows(store, project)
    assert (earlier, body_received) == (BASE_NS, BASE_NS + SECOND)


def test_a_body_of_duplicates_is_not_kept(store, desk, project):
    send(desk, project, span())
    send(desk, project, span())

    assert count(store, "ingest_body", project) == 1


def test_one_span_id_in_two_traces_is_two_spans(store, desk, project):
    send(desk, project, span(1, trace=1), span(1, trace=2))

    assert total(store, project, "calls") == 2


def test_the_same_ids_in_two_projects_never_meet(store, desk, project):
    other = new_project()
    desk.store_batches([batch(project, [answer(1)]), batch(other, [answer(1)])])

    assert total(store, project, "calls") == 1
    assert total(store, other, "calls") == 1
    assert count(store, "ingest_response", other) == 1


def test_one_answer_seen_in_two_traces_counts_once(store, desk, project):
    thin = answer(1, trace=1)
    full = answer(1, trace=2, usage=Usage(input=10, output=5, cost=70))
    send(desk, project, thin)
    send(desk, project, full)

    counted = [call.usage for _, _, call, counts in calls_of(store, project) if counts]
    assert total(store, project, "calls") == 1
    assert total(store, project, "tokens_input") == 10
    assert counted == [full.usage]


def test_a_member_that_fails_after_all_leaves_its_group(store, desk, project):
    lasting = answer(1, trace=2, usage=Usage(input=4, output=1))
    send(desk, project, answer(1, usage=Usage(input=10, output=5, cost=70)), lasting)
    failed = answer(1, failed=True, failure_class="timeout", weight=9, response_id=b"")
    send(desk, project, failed)

    assert total(store, project, "calls") == 2
    assert total(store, project, "errors") == 1
    assert total(store, project, "tokens_input") == 4


def test_what_another_writer_stored_is_read_before_it_is_changed(
    store, desk, new_desk, project
):
    send(desk, project, span(2, parent=1))
    send(new_desk(), project, span(1, category=Category.AGENT, tenant="acme"))
    send(desk, project, span(3, parent=1))

    tenants = [call.tenant for _, _, call, _ in calls_of(store, project)]
    assert tenants == ["acme", "acme"]


@pytest.fixture
def small_limits(monkeypatch):
    monkeypatch.setattr(commit, "LARGE_TRACE", 5)
    monkeypatch.setattr(commit, "LARGEST_TRACE", 12)
    monkeypatch.setattr(commit, "LEAST_PAUSE_NS", 0)


def derive_all(store, desk):
    """What the writer does between commits once the pause is over."""
    while True:
        desk._upkeep_at = 0
        desk.upkeep()
        with store.read() as tx:
            if commit.waiting(tx, now_ns=2**62) is None:
                return


@pytest.mark.usefixtures("small_limits")
def test_a_large_trace_is_derived_when_its_pause_is_over(store, desk, project):
    send(desk, project, *[span(number) for number in range(1, 5)])
    send(desk, project, *[span(number) for number in range(3, 9)])
    waiting = total(store, project, "calls")

    derive_all(store, desk)

    assert waiting == 4
    assert total(store, project, "calls") == 8
    assert len(span_rows(store, project)) == 8


@pytest.mark.usefixtures("small_limits")
def test_the_mark_of_a_large_trace_outlives_its_writer(store, desk, new_desk, project):
    send(desk, project, *[span(number) for number in range(1, 9)])
    another = new_desk()
    send(another, new_project(), span())

    derive_all(store, another)

    assert total(store, project, "calls") == 8


@pytest.mark.usefixtures("small_limits")
def test_a_large_trace_takes_later_versions_too(store, desk, project):
    send(desk, project, *[span(number, end_ns=0) for number in range(1, 9)])
    derive_all(store, desk)
    send(desk, project, span(2))

    derive_all(store, desk)

    assert total(store, project, "calls") == 1


@pytest.mark.usefixtures("small_limits")
def test_a_trace_too_large_refuses_what_is_beyond_and_keeps_the_rest(
    store, desk, project
):
    send(desk, project, *[span(number) for number in range(1, 11)])
    refused = send(desk, project, *[span(number) for number in range(9, 16)])

    derive_all(store, desk)

    assert refused == 3
    assert total(store, project, "calls") == 12


def test_a_commit_that_fails_leaves_neither_rows_nor_memory(
    store, desk, project, monkeypatch
):
    send(desk, project, span(1))
    with monkeypatch.context() as patch:
        patch.setattr(commit, "store_traces", None)
        failed = send(desk, project, span(2))
    send(desk, project, span(3))

    assert isinstance(failed, Exception)
    assert total(store, project, "calls") == 2
    assert len(span_rows(store, project)) == 2


def rooted(store, project):
    with store.read() as tx:
        rows = tx.select(
            "SELECT rooted FROM ingest_trace WHERE project_id=%s", (project,)
        )
    return [bool(row[0]) for row in rows]


def test_a_trace_says_whether_its_root_has_come(store, desk, project):
    send(desk, project, span(2, parent=1))
    before = rooted(store, project)
    send(desk, project, span(1))
    send(desk, project, span(3, parent=1))

    assert (before, rooted(store, project)) == ([False], [True])


@pytest.mark.usefixtures("small_limits")
def test_of_two_writers_one_derives_a_large_trace(store, desk, new_desk, project):
    send(desk, project, *[span(number) for number in range(1, 9)])
    derive_all(store, desk)
    other = new_desk()
    send(other, new_project(), span())
    key = (project, span().trace_id)

    with store.begin() as tx:
        commit.derive_large(tx, key, other._books, now_ns=2**62)
    other._books.forget()

    assert total(store, project, "calls") == 8
