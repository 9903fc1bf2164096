"""The memory of traces: bounded, and only ever what was put into it."""

from __future__ import annotations

from ingest.traces import TraceCache, TraceState
from tests.ingest.telemetry import span


def state(number: int, *, spans: int) -> TraceState:
    return TraceState(number, 1, {bytes([one]): span(one) for one in range(1, spans)})


def test_what_is_taken_out_is_gone_until_it_is_put_back():
    cache = TraceCache()
    kept = state(1, spans=3)
    cache.put([((1, b"t"), kept)])

    assert cache.take((1, b"t")) is kept
    assert cache.take((1, b"t")) is None


def test_the_traces_used_longest_ago_make_room():
    cache = TraceCache(capacity=10)
    for number in range(4):
        cache.put([((1, bytes([number])), state(number, spans=5))])

    assert [cache.take((1, bytes([number]))) is None for number in range(4)] == [
        True,
        True,
        False,
        False,
    ]


def test_a_trace_put_twice_is_counted_once():
    cache = TraceCache(capacity=8)
    for _ in range(5):
        cache.put([((1, b"t"), state(1, spans=5))])
    cache.put([((1, b"u"), state(2, spans=5))])

    assert cache.take((1, b"t")) is not None
