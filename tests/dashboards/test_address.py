from __future__ import annotations

from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.address import FILTERS, PRESETS, SORTS, TABS, BadAddress, View, parse

NOW = 1_700_000_123.4
names = st.lists(st.text(min_size=1, max_size=9), max_size=3, unique=True).map(
    lambda given: tuple(sorted(given))
)
views = st.builds(
    View,
    range=st.sampled_from(list(PRESETS)),
    environment=st.text(max_size=9),
    tab=st.sampled_from(list(TABS)),
    sort=st.sampled_from(list(SORTS)),
    everything=st.booleans(),
    **dict.fromkeys(FILTERS, names),
)


@given(views)
def test_an_address_says_all_that_is_shown(view):
    assert parse(parse_qs(urlencode(view.query()))) == view


def test_defaults_are_not_written():
    assert View().query() == []


def test_a_fixed_time_replaces_the_range():
    view = parse({"from": ["1000"], "to": ["4600"], "range": ["6h"]})

    assert view.fixed == (1000, 4600)
    assert not view.live
    assert view.query() == [("from", "1000"), ("to", "4600")]


@pytest.mark.parametrize("name", PRESETS)
def test_a_live_window_is_whole_steps_and_the_one_that_fills(name):
    window = View(range=name).window(NOW)

    preset = PRESETS[name]
    assert window.start % preset.step_s == 0
    assert window.end == int(NOW) + 1
    steps = -(-window.seconds // window.step_s)
    assert steps == preset.seconds // preset.step_s


@pytest.mark.parametrize(
    ("seconds", "step_s"),
    [(60, 10), (1000, 10), (3600, 60), (86400, 900), (400 * 86400, 86400)],
)
def test_a_fixed_window_has_a_readable_number_of_steps(seconds, step_s):
    window = View(fixed=(1_700_000_001, 1_700_000_001 + seconds)).window(NOW)

    assert window.step_s == step_s
    assert window.start % step_s == 0


@pytest.mark.parametrize(
    "values",
    [
        {"range": ["2h"]},
        {"tab": ["services"]},
        {"sort": ["name"]},
        {"from": ["1"]},
        {"from": ["x"], "to": ["2"]},
        {"from": ["5"], "to": ["5"]},
        {"to": [str(10**20)], "from": ["1"]},
        {"tenant": [str(n) for n in range(21)]},
        {"env": ["x" * 401]},
    ],
    ids=str,
)
def test_an_address_that_names_nothing_is_refused(values):
    with pytest.raises(BadAddress, match=r"."):
        parse(values)


def test_chosen_values_become_filters():
    view = parse({"env": ["prod"], "tenant": ["b", "a", "a", ""], "unknown": ["x"]})

    assert view.filters() == [
        {"field": "tenant", "op": "in", "value": ["a", "b"]},
        {"field": "environment", "op": "in", "value": ["prod"]},
    ]
    assert View(tool=("t",)).filters() == [
        {"field": "tool", "op": "in", "value": ["t"]}
    ]
    assert view.order_by()[0] == {"metric": "attempt_errors", "dir": "desc"}
    assert parse({"tab": ["tenants"]}).dimension == "tenant"
