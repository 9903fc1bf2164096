"""Every capture gives the numbers of what truly happened, in whatever order it came."""

from __future__ import annotations

import pytest

from ingest.records import Span
from tests.ingest import corpus_reader
from tests.ingest.corpus_reader import CAPTURES, calls_of, checks, contributions
from tests.ingest.spans import stirred


@pytest.fixture(scope="module", params=CAPTURES)
def capture(request: pytest.FixtureRequest) -> tuple[str, list[Span]]:
    return request.param, corpus_reader.spans_of(request.param)


def misses(capture: str, spans: list[Span]) -> list[corpus_reader.Check]:
    rows = contributions(calls_of(spans))
    return [check for check in checks(capture, rows) if not check.holds]


def test_a_capture_gives_what_truly_happened(capture):
    name, spans = capture

    assert misses(name, spans) == []


@pytest.mark.parametrize("order", ["reversed", "stirred", "doubled"])
def test_no_order_of_a_capture_changes_a_call(capture, order):
    _, spans = capture
    moved = {
        "reversed": spans[::-1],
        "stirred": stirred(spans, b"7"),
        "doubled": stirred(spans * 2, b"8"),
    }[order]

    assert calls_of(moved) == calls_of(spans)


def test_half_of_a_capture_first_changes_nothing_in_the_end(capture):
    name, spans = capture
    early = stirred(spans, b"9")[: len(spans) // 2]

    before = calls_of(early)
    after = calls_of([*early, *spans])

    assert sum(map(len, before.values())) <= len(spans)
    assert after == calls_of(spans)
    assert misses(name, [*early, *spans]) == []
