"""Rate limits against their definition, and what comes back of estimates."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from switchgear.policy.machines.limiter import Bucket, put_back, take
from switchgear.policy.rules import RateLimit

# 2 per second, 5 at once.
RULE = RateLimit(id="rl", limit=8, period_s=4, burst=5)
RATE, BURST = Fraction(2), 5
# Times that floats hold exactly.
ticks = st.integers(0, 200).map(lambda each: each / 16)


@dataclass
class Poured:
    at: Fraction
    units: int


def conforms(history: list[Poured], units: int, now: Fraction) -> bool:
    """The definition: no interval that ends now holds more than it may."""
    counted = min(units, BURST)
    return all(
        sum(each.units for each in history[first:]) + counted
        <= BURST + RATE * (now - history[first].at)
        for first in range(len(history))
    )


class LimiterMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.bucket: Bucket | None = None
        self.history: list[Poured] = []
        self.now = 1024.0

    @rule(after=ticks, units=st.integers(1, 9))
    def pour(self, after, units):
        self.now += after
        now = Fraction(self.now)
        expected = conforms(self.history, units, now)

        self.bucket, wait_s = take(self.bucket, RULE, units, self.now)

        assert (wait_s == 0) is expected
        if expected:
            self.history.append(Poured(now, units))
        else:
            assert not conforms(self.history, units, now + Fraction(wait_s) * 9 / 10)
            assert conforms(self.history, units, now + Fraction(wait_s))

    @invariant()
    def what_is_idle_says_nothing(self):
        if self.bucket is not None and self.bucket.idle(self.now):
            fresh, refused = take(None, RULE, BURST, self.now)
            assert take(self.bucket, RULE, BURST, self.now) == (fresh, refused)


TestLimiter = LimiterMachine.TestCase


class SettlingMachine(RuleBasedStateMachine):
    """Estimates are too high, and are corrected later: nothing is minted."""

    def __init__(self):
        super().__init__()
        self.bucket: Bucket | None = None
        self.running: list[tuple[Poured, Bucket, int]] = []
        self.real: list[Poured] = []
        self.now = 1024.0

    @rule(after=ticks, units=st.integers(1, 5), unused=st.integers(0, 5))
    def pour(self, after, units, unused):
        self.now += after
        self.bucket, wait_s = take(self.bucket, RULE, units, self.now)
        if not wait_s:
            real = Poured(Fraction(self.now), max(0, units - unused))
            self.real.append(real)
            self.running.append((real, self.bucket, units))

    @precondition(lambda self: self.running)
    @rule(after=ticks, which=st.integers(0, 100))
    def settle(self, after, which):
        self.now += after
        real, poured, units = self.running.pop(which % len(self.running))
        excess = units - real.units

        self.bucket = put_back(self.bucket, RULE, excess, poured, self.now)

    @invariant()
    def it_is_idle_when_all_has_leaked_out(self):
        if self.bucket is not None:
            empty_at = Fraction(self.bucket.at) + Fraction(self.bucket.level) / RATE
            assert self.bucket.idle(self.now) is (empty_at <= self.now)

    @invariant()
    def no_interval_holds_more_than_it_may(self):
        for first, begin in enumerate(self.real):
            units = sum(each.units for each in self.real[first:])
            assert units <= BURST + RATE * (self.real[-1].at - begin.at)


TestSettling = SettlingMachine.TestCase


def pour_many(rule, count, now, bucket=None):
    waits = []
    for _ in range(count):
        bucket, wait_s = take(bucket, rule, 1, now)
        waits.append(wait_s)
    return bucket, waits


@given(
    limit=st.integers(1, 100_000),
    period_s=st.integers(1, 86_400),
    now=st.floats(1.6e9, 2.5e9),
)
def test_exactly_the_burst_passes_at_once_whatever_the_rate(limit, period_s, now):
    rule = RateLimit(id="rl", limit=limit, period_s=period_s, burst=20)

    _, waits = pour_many(rule, 21, now)

    assert [wait_s == 0 for wait_s in waits] == [True] * 20 + [False]


@given(limit=st.integers(1, 1_000_000), now=st.floats(1.6e9, 2.5e9))
def test_who_waits_as_told_passes(limit, now):
    rule = RateLimit(id="rl", limit=limit, period_s=60, burst=3)
    bucket, waits = pour_many(rule, 4, now)

    _, again_s = take(bucket, rule, 1, now + waits[-1])

    assert again_s == 0


def test_without_a_burst_the_limit_may_come_at_once():
    _, waits = pour_many(RateLimit(id="rl", limit=3, period_s=60), 4, 0.0)

    assert waits == [0.0, 0.0, 0.0, 20.0]


def test_more_than_the_burst_passes_an_empty_bucket_and_is_paid_back():
    bucket, wait_s = take(None, RULE, 100, 0.0)
    assert wait_s == 0

    assert take(bucket, RULE, 1, 47.5)[1] == 0.5
    assert take(bucket, RULE, 1, 48.0)[1] == 0


def test_what_took_more_than_estimated_is_paid_back():
    bucket, _ = take(None, RULE, 1, 0.0)

    bucket = put_back(bucket, RULE, 1 - 11, bucket, 0.0)

    assert bucket.level == 11
    assert take(bucket, RULE, 1, 0.0)[1] == 3.5


def test_an_estimate_that_was_too_high_comes_back():
    poured, _ = take(None, RULE, 5, 0.0)

    bucket = put_back(poured, RULE, 4, poured, 0.0)

    assert bucket.level == 1


def test_what_has_leaked_out_does_not_come_back():
    poured, _ = take(None, RULE, 5, 0.0)
    bucket, _ = take(poured, RULE, 5, 2.5)

    assert put_back(bucket, RULE, 4, poured, 2.5).level == 5


def test_a_bucket_that_was_forgotten_owes_nothing_back():
    assert put_back(None, RULE, 5, Bucket(5.0, 0.0, 2.0), 9.0).level == 0


def test_a_bucket_that_was_forgotten_is_still_paid_what_was_not_estimated():
    assert put_back(None, RULE, 1 - 50, Bucket(1.0, 0.0, 2.0), 9.0).level == 49


@pytest.mark.parametrize("back_s", [0.001, 1.0, 4.0])
def test_time_that_runs_back_a_little_stands_still(back_s):
    bucket, _ = pour_many(RULE, 5, 1000.0)

    later, wait_s = take(bucket, RULE, 1, 1000.0 - back_s)

    assert (later.level, later.at, wait_s) == (5, 1000.0, 0.5)


def test_a_clock_that_jumps_far_back_keeps_what_is_in_the_bucket():
    bucket, _ = pour_many(RULE, 5, 1e9)

    bucket, wait_s = take(bucket, RULE, 1, 7.0)

    assert (bucket.level, bucket.at, wait_s) == (5, 7.0, 0.5)
    assert take(bucket, RULE, 1, 7.5)[1] == 0


def test_a_huge_gap_is_worth_no_more_than_the_burst():
    bucket, _ = pour_many(RULE, 5, 0.0)

    _, waits = pour_many(RULE, 6, 1e12, bucket)

    assert [wait_s == 0 for wait_s in waits] == [True] * 5 + [False]


def test_a_faster_rate_leaks_at_once_what_is_in_the_bucket():
    bucket, _ = pour_many(RULE, 5, 0.0)

    faster = RateLimit(id="rl", limit=40, period_s=4, burst=5)
    bucket, wait_s = take(bucket, faster, 1, 0.05)

    assert wait_s == pytest.approx(0.09)
    assert take(bucket, faster, 1, 0.15)[1] == 0


def test_a_slower_rate_makes_nobody_wait_longer_for_what_was_poured_before():
    fast = RateLimit(id="rl", limit=100_000, period_s=60)
    bucket, _ = take(None, fast, 100_000, 0.0)

    slow = RateLimit(id="rl", limit=60, period_s=60)
    bucket, wait_s = take(bucket, slow, 1, 0.0)

    assert wait_s == pytest.approx(1.0)
    assert take(bucket, slow, 60, 60.0)[1] == 0


def test_what_was_taken_under_another_rate_comes_back_under_the_new_one():
    poured, _ = take(None, RULE, 5, 0.0)
    slower = RateLimit(id="rl", limit=4, period_s=4, burst=5)
    bucket, _ = take(poured, slower, 5, 0.0)

    bucket = put_back(bucket, RULE, 1, poured, 0.0)

    assert (bucket.level, bucket.rate) == (1.5, 1.0)
