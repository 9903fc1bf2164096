"""The tree below a trace: parents first, circles cut, one version of each span."""

from __future__ import annotations

import pytest

from ingest.derive import derive
from ingest.derive.trace import Trace
from ingest.records import Category
from tests.ingest.spans import RECEIVED, agent, at, identity, only, span, told, tool


def test_clocks_that_disagree_leave_parents_first():
    spans = [agent(1, 50, 60), span(2, 40, 60, inside=1), tool(3, 30, 60, inside=2)]

    trace = Trace(spans)

    assert [one.span_id for one in trace.spans] == [identity(n) for n in (1, 2, 3)]
    assert trace.parents == [-1, 0, 1]
    assert told(spans) == {"3 search": ("ok", 1, 0)}


CIRCLES = {
    "of itself": [tool(1, 0, 9, inside=1)],
    "of two": [tool(1, 5, 9, inside=2), tool(2, 0, 9, inside=1)],
    "with a tail": [
        tool(1, 5, 9, inside=2, name="a"),
        tool(2, 0, 9, inside=3, name="b"),
        tool(3, 2, 9, inside=1, name="c"),
        tool(4, 0, 9, inside=2, name="d"),
        agent(5, 0, 99),
        tool(6, 0, 9, inside=5, name="e"),
    ],
}


@pytest.mark.parametrize("case", CIRCLES)
def test_a_circle_is_cut_at_its_earliest_span(case):
    spans = CIRCLES[case]

    trace = Trace(spans)

    roots = [
        one
        for one, parent in zip(trace.spans, trace.parents, strict=True)
        if parent < 0
    ]
    assert len(trace.spans) == len(spans)
    assert all(parent < place for place, parent in enumerate(trace.parents))
    assert roots[-1].start_ns == min(one.start_ns for one in spans)
    assert derive(spans) == derive(spans[::-1])


def test_the_greatest_version_counts_whatever_came_first():
    running = tool(1, 0, None)
    ended = tool(1, 0, 9, failed="timeout", received_ns=RECEIVED + 5)
    longer = tool(1, 0, 19, failed="timeout", received_ns=RECEIVED - 5)

    for versions in ([running, ended, longer], [longer, ended, running]):
        assert told(versions) == {"1 search": ("failed", 1, 1)}
        assert only(versions).ended_ns == at(19)


@pytest.mark.parametrize("weight", [1, 3, 5])
def test_whatever_version_counts_it_was_received_when_the_first_was(weight):
    first = tool(1, 0, 0, start_ns=0, end_ns=0)
    again = tool(1, 0, 0, start_ns=0, end_ns=0, received_ns=RECEIVED + 9, weight=weight)

    assert only([again, first]).ended_ns == RECEIVED
    assert only([first, again]).ended_ns == RECEIVED


def test_queues_screen_what_is_behind_them():
    spans = [
        tool(1, 0, 9),
        span(2, 1, 2, inside=1, category=Category.PUBLISH),
        tool(3, 3, 8, inside=2),
    ]

    assert len(derive(spans)) == 2
