"""Durations in cells: what a quantile may be off, and that adding is exact."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import histogram
from ingest.histogram import LAST_CELL, Pile, cell_of

DAY_US = 86_400_000_000
durations = st.integers(1, DAY_US)


def cells_of(values):
    cells = {}
    for value in values:
        histogram.add(cells, {cell_of(value): 1})
    return cells


def ranks_of(cells):
    pile = Pile()
    if packed := histogram.pack(cells):
        pile.add_packed(packed)
    return pile.ranks()


def exact(values, fraction):
    """The quantile numpy and percentile_cont give."""
    ordered = sorted(values)
    rank = fraction * (len(ordered) - 1)
    below = ordered[math.floor(rank)]
    return below + (rank - math.floor(rank)) * (ordered[math.ceil(rank)] - below)


@given(durations)
def test_a_cell_stands_for_its_durations_within_half_a_percent_and_a_bit(duration):
    cell = cell_of(duration)

    assert histogram.middle_us(cell) == pytest.approx(duration, rel=0.0055)
    assert histogram.upper_us(cell) >= duration * (1 - 1e-12)
    assert histogram.upper_us(cell) <= duration * 1.011


@given(st.lists(durations, min_size=1, max_size=150))
def test_every_quantile_is_within_one_percent(values):
    ranks = ranks_of(cells_of(values))

    for fraction in (0.0, 0.5, 0.9, 0.95, 0.99, 1.0):
        found = ranks.quantile_us(fraction)
        assert found == pytest.approx(exact(values, fraction), rel=0.01)


@given(st.lists(durations, min_size=1), st.lists(durations))
def test_adding_is_counting_together_in_any_order_and_can_be_taken_back(some, more):
    together = cells_of(some + more)
    left, right = cells_of(some), cells_of(more)

    histogram.add(left, cells_of(more))
    histogram.add(right, cells_of(some))
    assert left == right == together
    histogram.add(left, cells_of(more), -1)
    assert histogram.pack(left) is not None
    assert histogram.unpack(histogram.pack(left)) == cells_of(some)


@given(st.dictionaries(st.integers(0, 2_400), st.integers(-5, 5)))
def test_packed_few_cells_are_the_cells_that_are_not_zero(cells):
    packed = histogram.pack(cells)

    found = {} if packed is None else histogram.unpack(packed)

    assert found == {cell: count for cell, count in cells.items() if count}


def test_what_is_too_short_or_too_long_is_clamped():
    assert cell_of(-5) == cell_of(0) == cell_of(1) == 0
    assert cell_of(DAY_US) == cell_of(10 * DAY_US) == histogram.LAST_CELL
    assert histogram.upper_us(histogram.LAST_CELL) == DAY_US
    assert histogram.middle_us(0) == 1.0


def test_the_percentile_of_two_minutes_is_not_the_mean_of_their_percentiles():
    minutes = [cells_of([10_000] * 100), cells_of([10_000_000])]

    hour = {}
    for minute in minutes:
        histogram.add(hour, minute)

    assert ranks_of(hour).quantile_us(0.95) == pytest.approx(10_000, rel=0.01)


def test_the_maximum_is_the_upper_edge_of_the_highest_filled_cell():
    cells = cells_of([500, 70_000]) | {2_000: 0, 2_100: -1}

    highest = ranks_of(cells).highest_us()

    assert 70_000 <= highest <= 70_000 * 1.011


def test_a_histogram_without_positive_counts_has_no_ranks():
    assert not ranks_of({})
    assert not ranks_of({5: 0, 6: -1})


@given(st.lists(st.tuples(st.lists(durations, max_size=120), st.sampled_from([1, -1]))))
def test_a_pile_of_stored_rows_is_their_sum_also_of_what_is_taken_away(parts):
    everything = [value for values, _ in parts for value in values]
    whole, gone = Pile(), Pile()
    if packed := histogram.pack(cells_of(everything * 2)):
        whole.add_packed(packed)
    for values, sign in parts:
        if sign < 0 and (packed := histogram.pack(cells_of(values))):
            gone.add_packed(packed)

    whole.add(gone, -1)

    left = cells_of(everything * 2)
    for values, sign in parts:
        if sign < 0:
            histogram.add(left, cells_of(values), -1)
    assert whole.ranks()._ends[-1] == sum(left.values())
    if sum(left.values()):
        assert whole.ranks().quantile_us(0.5) == ranks_of(left).quantile_us(0.5)
        assert whole.ranks().highest_us() == ranks_of(left).highest_us()


def test_many_cells_are_packed_smaller_and_come_back_the_same():
    cells = {cell: 1 + cell % 7 for cell in range(100, LAST_CELL, 3)}

    packed = histogram.pack(cells)

    assert histogram.unpack(packed) == cells
    assert len(packed) < 2 * len(cells)


def test_negative_counts_are_packed_whatever_their_number():
    cells = dict.fromkeys(range(100), -1)

    assert histogram.unpack(histogram.pack(cells)) == cells


def test_what_was_taken_away_of_many_cells_leaves_the_others():
    whole, gone = Pile(), Pile()
    whole.add_packed(histogram.pack(dict.fromkeys(range(100, 200), 3)))
    gone.add_packed(histogram.pack(dict.fromkeys(range(50, 140), 2)))
    whole.add_packed(histogram.pack(dict.fromkeys(range(50, 140), 2)))

    whole.add(gone, -1)

    assert whole.ranks()._ends[-1] == 300
    assert whole.ranks().highest_us() == histogram.upper_us(199)
    assert whole.ranks().quantile_us(0.0) == histogram.middle_us(100)


def test_few_cells_beside_many_extend_them_on_both_sides():
    pile = Pile()
    pile.add_packed(histogram.pack(dict.fromkeys(range(100, 200), 1)))
    pile.add_packed(histogram.pack({7: 1, 150: 1, 900: 1}))

    ranks = pile.ranks()

    assert ranks._ends[-1] == 103
    assert ranks.quantile_us(0.0) == histogram.middle_us(7)
    assert ranks.highest_us() == histogram.upper_us(900)
