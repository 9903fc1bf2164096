from __future__ import annotations

import pytest

from dashboards import wording

NB = "\N{NO-BREAK SPACE}"
DASH = "\N{EN DASH}"
X = "\N{MULTIPLICATION SIGN}"


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        (wording.count, 137204, "137,204"),
        (wording.count, None, DASH),
        (wording.rate, None, DASH),
        (wording.rate, 0, "0"),
        (wording.rate, 0.0004, "<0.001"),
        (wording.rate, 0.0042, "0.004"),
        (wording.rate, 6.444, "6.44"),
        (wording.rate, 42.06, "42.1"),
        (wording.rate, 12345.6, "12,346"),
        (wording.dollars, None, DASH),
        (wording.dollars, 0, "$0.00"),
        (wording.dollars, 0.00001, "<$0.0001"),
        (wording.dollars, 0.0042, "$0.0042"),
        (wording.dollars, 33.4, "$33.40"),
        (wording.dollars, 1234.5, "$1,234"),
        (wording.percent, None, DASH),
        (wording.percent, 0.0, "0.0"),
        (wording.percent, 0.0001, "<0.1"),
        (wording.percent, 0.987, "98.7"),
        (wording.percent, 0.99999, ">99.9"),
        (wording.percent, 1.0, "100.0"),
        (wording.percent_with_sign, 0.041, f"4.1{NB}%"),
        (wording.percent_with_sign, None, DASH),
        (wording.duration_with_unit, None, DASH),
        (wording.duration_with_unit, 0.25, f"0.25{NB}ms"),
        (wording.duration_with_unit, 42.4, f"42{NB}ms"),
        (wording.duration_with_unit, 412, f"0.41{NB}s"),
        (wording.duration_with_unit, 25_600, f"25.6{NB}s"),
        (wording.duration_with_unit, 180_000, f"3.0{NB}min"),
        (wording.times, 1.189, f"{X}{NB}1.19"),
        (wording.times, None, DASH),
    ],
)
def test_a_value_is_written_as(write, value, text):
    assert write(value) == text


@pytest.mark.parametrize(
    ("now", "before", "text"),
    [
        (103, 100, f"+3{NB}%"),
        (50, 100, f"-50{NB}%"),
        (4000, 100, f"{X}{NB}40"),
        (5, 0, None),
        (None, 5, None),
        (5, None, None),
    ],
)
def test_growth_needs_something_to_compare_with(now, before, text):
    assert wording.growth(now, before) == text


def test_one_is_not_many():
    assert wording.plural(1, "call") == f"1{NB}call"
    assert wording.plural(1200, "call") == f"1,200{NB}calls"
    assert wording.plural(2, "retry", "retries") == f"2{NB}retries"
