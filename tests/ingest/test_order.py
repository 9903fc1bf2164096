"""The law of order where it is plain: the same again, and two writers at once.

``test_order_machine`` holds it for whatever else may happen.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from ingest.records import Category, Usage
from ingest.stores import open_store
from ingest.writer import Desk
from tests.ingest.conftest import announce_nothing
from tests.ingest.counting import NOW, Writer, call
from tests.ingest.seen import seen, sums_of
from tests.ingest.telemetry import (
    batch,
    calls_of,
    new_project,
    numbers_of,
    span,
)

pytestmark = pytest.mark.django_db(transaction=True)


class Storing:
    """A writer, and what is stored in the end."""

    def __init__(self) -> None:
        self.store = open_store()
        self.desk = Desk(self.store, announce_nothing)

    def send(self, project, *exports):
        answers = self.desk.store_batches(
            [batch(project, export) for export in exports]
        )
        assert answers == [0] * len(exports)

    def state(self, project):
        return calls_of(self.store, project), numbers_of(self.store, project)


@pytest.fixture(scope="module")
def storing(django_db_setup):
    made = Storing()
    yield made
    made.store.close()


def test_the_same_export_three_times_counts_once(storing):
    project = new_project()
    export = [span(number) for number in range(1, 5)]

    for _ in range(3):
        storing.send(project, export)
    again = storing.state(project)

    calls, numbers = again
    assert len(calls) == 4
    assert [sums[0] for sums in numbers.values()] == [4]


def test_what_the_dead_left_stays_when_the_next_fold_adds_to_the_same_rows(store):
    project = new_project()
    living = Writer(store)
    calls = [call("search"), call("search"), call("pay"), call("search")]
    living.commit(project, calls[:1])
    living.fold_all()
    living.commit(project, calls[1:2])
    folded = [living.fold(NOW + 200), living.fold(NOW + 206)]

    Writer(store, seen_ns=0).commit(project, calls[2:3])
    adopted = [living.fold(NOW + 240 + again) for again in range(3)]
    living.commit(project, calls[3:])
    living.fold_all(NOW + 300)

    assert "sets" in folded
    assert "dead" in adopted
    told = [(b"", one.anchor, one) for one in calls]
    assert seen(project) == sums_of(told)


def halves(traces):
    """Every trace cut in two; answers are shared between neighbouring traces."""
    first, second = [], []
    for trace in range(1, traces + 1):
        answer = (trace // 2).to_bytes(16, "big")
        first.append(
            [
                span(1, trace=trace, category=Category.AGENT, name="planner"),
                span(3, trace=trace, parent=1, end_ns=0),
                model(4, trace, response_id=answer, usage=Usage(input=trace)),
            ]
        )
        second.append(
            [
                span(2, trace=trace, parent=1, failed=True, failure_class="timeout"),
                span(3, trace=trace, parent=1),
                model(4, trace, weight=2, response_id=answer),
            ]
        )
    return first, second


def model(number, trace, **fields):
    return span(
        number, trace=trace, parent=1, category=Category.MODEL, name="gpt-5", **fields
    )


@pytest.mark.parametrize(
    "traces",
    [
        pytest.param(30, id="quick"),
        pytest.param(1000, id="all", marks=pytest.mark.soak),
    ],
)
def test_two_writers_with_halves_of_every_trace_lose_and_double_nothing(
    storing, traces
):
    reference, other = new_project(), new_project()
    first, second = halves(traces)
    storing.send(reference, *first, *second)

    # In opposite order, several traces to a commit: whoever locked as they came
    # would wait for each other.
    with ThreadPoolExecutor(2) as threads:
        sending = [
            threads.submit(send_alone, other, first),
            threads.submit(send_alone, other, second[::-1]),
        ]
        for each in sending:
            each.result()

    assert storing.state(other) == storing.state(reference)


def send_alone(project, exports):
    store = open_store()
    desk = Desk(store, announce_nothing)
    for start in range(0, len(exports), 5):
        together = [batch(project, export) for export in exports[start : start + 5]]
        assert desk.store_batches(together) == [0] * len(together)
        desk.upkeep()
    store.close()
