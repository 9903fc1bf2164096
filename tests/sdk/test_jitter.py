"""Waits spread a fleet out, never wait too long, and start again after health."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from switchgear import jitter

chances = st.floats(min_value=0, max_value=1, exclude_max=True)


@given(last=st.floats(min_value=0, max_value=1e9), chance=chances)
def test_a_wait_is_between_the_base_and_the_cap(last, chance):
    assert jitter.BASE_S <= jitter.next_wait(last, chance) <= jitter.CAP_S


def test_a_wait_is_drawn_up_to_three_times_the_last_one():
    assert jitter.next_wait(0, 0.999999) < 3.0
    assert 11.9 < jitter.next_wait(4.0, 0.999999) < 12.0
    assert jitter.next_wait(4.0, 0.0) == jitter.BASE_S


@given(chance=chances)
def test_everybody_looks_once_in_about_a_minute(chance):
    assert 48.0 <= jitter.poll_wait(chance) <= 72.0


@given(least=st.integers(-10, 100_000), most=st.integers(-10, 100_000), chance=chances)
def test_a_drain_is_honoured_within_reason(least, most, chance):
    wait = jitter.drain_wait([least, most], chance)

    assert 0 <= wait <= jitter.CAP_S
    if 0 <= least <= most <= 60_000:
        assert least / 1000 <= wait <= most / 1000


def test_a_drain_without_a_span_is_a_loss_of_connection():
    for garbage in ([], ["soon", "later"], [1], [1, 2, 3]):
        assert jitter.drain_wait(garbage, 0.5) == jitter.next_wait(0, 0.5)


def schedule(seed: int, until: float) -> list[float]:
    """When one instance knocks, after all lost their connection at 0."""
    chance = random.Random(seed)
    at, wait, knocks = 0.0, 0.0, []
    while at < until:
        wait = jitter.next_wait(wait, chance.random())
        at += wait
        knocks.append(at)
    return knocks


def test_500_instances_never_knock_together_again():
    """All lose the connection in one moment, and nobody answers for two minutes."""
    knocks = [at for seed in range(500) for at in schedule(seed, 130)]

    per_second = Counter(int(at) for at in knocks)
    assert max(per_second.values()) < 300  # the first try of all is spread as well
    for second in range(10, 120):
        around = sum(per_second[other] for other in range(second - 5, second + 6)) / 11
        assert per_second[second] < 2 * around
    assert max(per_second[second] for second in range(60, 120)) < 50


def test_wherever_the_control_plane_comes_back_all_are_there_within_90_s():
    for back_at in (0.5, 5.0, 30.0, 300.0):
        arrivals = [
            next(at for at in schedule(seed, back_at + 61) if at >= back_at)
            for seed in range(500)
        ]
        assert max(arrivals) - back_at <= 60.0
