"""A crowd is let in at a rate, and whoever must wait is spread over the time."""

from __future__ import annotations

from random import Random

import pytest

from controlplane.plane import admission
from controlplane.plane.admission import Admission, reconnect_after_ms, refusal


def test_a_burst_comes_in_and_the_next_one_waits():
    door = Admission(rate=10, burst=20)

    waits = [door.ask(now=100.0, chance=0.5) for _ in range(21)]

    assert waits[:20] == [0.0] * 20
    assert waits[20] >= 1.0


def test_room_comes_back_at_the_rate_and_no_further_than_the_burst():
    door = Admission(rate=10, burst=20)
    for _ in range(20):
        door.ask(now=100.0, chance=0.0)

    after_a_second = [door.ask(now=101.0, chance=0.0) for _ in range(11)]
    after_an_hour = [door.ask(now=4000.0, chance=0.0) for _ in range(21)]

    assert after_a_second.count(0.0) == 10
    assert after_an_hour.count(0.0) == 20


def test_a_clock_that_jumps_back_lets_nobody_in_twice():
    door = Admission(rate=10, burst=1)
    door.ask(now=100.0, chance=0.0)

    assert door.ask(now=50.0, chance=0.0) > 0


def test_the_longer_the_queue_the_longer_the_spread_up_to_a_minute():
    door = Admission(rate=10, burst=1)

    waits = [door.ask(now=100.0, chance=0.999) for _ in range(5_000)][1:]

    assert waits == sorted(waits)
    assert waits[100] < 12
    assert 60 < waits[-1] < 62


def come_back(clients: int, *, rate: float) -> list[float]:
    """When each of a crowd that comes at once is let in; all do as they are told."""
    rng = Random(7)
    door, admitted = Admission(rate=rate, burst=rate), []
    arrivals = [rng.random() for _ in range(clients)]
    while arrivals:
        now = min(arrivals)
        arrivals.remove(now)
        wait = door.ask(now=now, chance=rng.random())
        if wait:
            arrivals.append(now + wait)
        else:
            admitted.append(now)
    return admitted


def test_two_thousand_clients_are_all_back_within_90_seconds_and_never_as_one():
    rate = 100.0

    admitted = come_back(2_000, rate=rate)

    assert max(admitted) <= 90
    per_second = [sum(s <= at < s + 1 for at in admitted) for s in range(91)]
    assert max(per_second) <= 2 * rate
    # Spread, not waiting for the same second: most seconds see some of them.
    assert sum(count > 0 for count in per_second[:20]) >= 15


@pytest.mark.parametrize(
    ("streams", "of_key", "refused"),
    [
        (0, 0, False),
        (admission.MOST_STREAMS - 1, admission.MOST_STREAMS_PER_KEY - 1, False),
        (admission.MOST_STREAMS, 0, True),
        (10, admission.MOST_STREAMS_PER_KEY, True),
    ],
)
def test_a_process_and_a_key_keep_so_many_streams(streams, of_key, refused):
    assert bool(refusal(streams=streams, of_key=of_key)) is refused


@pytest.mark.parametrize(
    ("streams", "most_ms"), [(0, 1_000), (50, 2_000), (1_000, 21_000), (9_999, 60_000)]
)
def test_the_more_streams_leave_the_longer_they_are_spread(streams, most_ms):
    assert reconnect_after_ms(streams) == (500, most_ms)
