"""Counters in one long integer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingest import lanes

COUNT = 5
BIAS = lanes.bias(COUNT)
# Half the range, so that a sum of two is still within a column.
COUNTERS = st.lists(st.integers(-(2**62), 2**62 - 1), min_size=COUNT, max_size=COUNT)


@given(COUNTERS)
def test_counters_come_apart_as_they_were_joined(counters):
    assert lanes.apart(lanes.joined(counters, BIAS), COUNT, BIAS) == counters


@given(COUNTERS, COUNTERS)
def test_a_sum_of_rows_is_the_row_of_sums(left, right):
    total = lanes.joined(left, BIAS) + lanes.joined(right, BIAS)

    expected = [one + other for one, other in zip(left, right, strict=True)]
    assert lanes.apart(total, COUNT, BIAS) == expected


@given(COUNTERS)
def test_units_make_the_same_sum(counters):
    total = sum(
        amount * one for amount, one in zip(counters, lanes.units(COUNT), strict=True)
    )

    assert total == lanes.joined(counters, BIAS)


def test_only_nothing_is_zero():
    assert lanes.joined([0] * COUNT, BIAS) == 0
    assert lanes.joined([1, -1, 0, 0, 0], BIAS) != 0
