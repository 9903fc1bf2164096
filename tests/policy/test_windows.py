"""Windows of results against a list of all results."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.policy.machines.window import EMPTY, CountWindow

results = st.tuples(
    st.sampled_from([0.0, 0.1, 0.9, 1.0, 3.0, 4.0, 5.0, 60.0, 1e9]),
    st.booleans(),
    st.booleans(),
)


@given(st.lists(results, max_size=60), st.integers(1, 6))
def test_a_time_window_holds_the_last_seconds(given_results, size):
    window, seen, now = EMPTY, [], 1000.5
    for gap, failed, slow in given_results:
        now += gap
        seen.append((math.floor(now), failed, slow))
        window = window.add(now, size, failed=failed, slow=slow)

        kept = [each for each in seen if each[0] > math.floor(now) - size]
        assert window.calls == len(kept)
        assert window.failed == sum(each[1] for each in kept)
        assert window.slow == sum(each[2] for each in kept)
        assert len(window.past) < size


@given(st.lists(results, max_size=60), st.integers(1, 6))
def test_a_count_window_holds_the_last_results(given_results, size):
    window = CountWindow()
    for index, (now, failed, slow) in enumerate(given_results):
        window = window.add(now, size, failed=failed, slow=slow)

        kept = given_results[max(0, index + 1 - size) : index + 1]
        assert window.calls == len(kept)
        assert window.failed == sum(each[1] for each in kept)
        assert window.slow == sum(each[2] for each in kept)
        assert window.failures.bit_length() <= size


@pytest.mark.parametrize(
    ("back_to", "calls"),
    [
        pytest.param(999.0, 2, id="a little: it counts as now"),
        pytest.param(990.0, 2, id="by the size: it counts as now"),
        pytest.param(989.0, 1, id="further: the clock is believed"),
        pytest.param(0.0, 1, id="to the beginning of time"),
    ],
)
def test_a_clock_that_runs_back(back_to, calls):
    window = EMPTY.add(1000.0, 10, failed=True, slow=False)

    assert window.add(back_to, 10, failed=True, slow=False).calls == calls


def test_any_number_of_results_in_a_second_is_one_cell():
    window = EMPTY
    for _ in range(10_000):
        window = window.add(1e9, 3600, failed=True, slow=False)

    assert (window.failed, window.past) == (10_000, ())
