"""How long a target that said "too many" is left alone."""

from __future__ import annotations

import math

import pytest

from switchgear.policy.machines.throttle import Throttle, left, throttled
from switchgear.policy.vocabulary import FailureClass

RATE, QUOTA = FailureClass.RATE_LIMITED, FailureClass.UPSTREAM_QUOTA


def after(throttle, failure_class, retry_after, now=100.0):
    return throttled(
        throttle, failure_class, retry_after=retry_after, unsaid_s=1.0, now=now
    )


@pytest.mark.parametrize(
    ("retry_after", "wait_s"),
    [
        pytest.param(None, 1.0, id="unsaid"),
        pytest.param(7.0, 7.0, id="said"),
        pytest.param(0.0, 0.0, id="come at once"),
        pytest.param(-5.0, 1.0, id="negative"),
        pytest.param(math.nan, 1.0, id="no number"),
        pytest.param(math.inf, 3600.0, id="for ever"),
        pytest.param(1e9, 3600.0, id="absurdly long"),
    ],
)
def test_it_waits_as_long_as_the_target_says_in_earnest(retry_after, wait_s):
    assert left(after(None, RATE, retry_after), 100.0) == wait_s


def test_a_quota_may_last_a_month():
    assert left(after(None, QUOTA, 30 * 86_400.0), 100.0) == 30 * 86_400.0


def test_the_later_deadline_wins_whichever_came_first():
    long_first = after(after(None, RATE, 30.0), RATE, 5.0, now=110.0)
    long_last = after(after(None, RATE, 5.0), QUOTA, 30.0, now=101.0)

    assert long_first.until == 130.0
    assert (long_last.until, long_last.failure_class) == (131.0, QUOTA)


def test_nothing_is_left_when_it_is_over_or_never_was():
    throttle = after(None, RATE, 5.0)

    assert left(None, 100.0) == 0
    assert left(throttle, 104.0) == 1
    assert left(throttle, 105.0) == 0
    assert throttle.idle(105.0)
    assert not throttle.idle(104.0)


def test_a_clock_that_jumps_far_back_ends_it():
    throttle = Throttle(1e9, 1e9 + 60, RATE)

    assert left(throttle, 5.0) == 0
    assert after(throttle, RATE, 2.0, now=5.0).until == 7.0
