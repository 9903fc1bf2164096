"""Law 7, pure part: fetch + apply(messages) is what a new fetch gives."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboards.live import KEPT, MAX_SLIDE, Journal, apply, diff

ROOT = Path(__file__).parents[2]

leaves = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, ""])
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.sampled_from(["a", "b", "", "c"]), inner, max_size=4)
    ),
    max_leaves=20,
)


def written(value):
    """Equal only when equal as JSON: 1, 1.0 and true are different there."""
    return json.dumps(value, sort_keys=True)


@given(values, values)
def test_applying_a_difference_gives_the_new_state(old, new):
    before = written(old)

    assert written(apply(old, diff(old, new))) == written(new)
    assert written(old) == before


@given(values)
def test_nothing_new_is_no_message(state):
    assert diff(state, json.loads(json.dumps(state))) == []


def test_every_kind_of_change_is_made():
    old = {"gone": 1, "same": [1, 2, 3], "value": True}
    new = {"new": {}, "same": [2, 3, 4], "value": 1}

    changes = diff(old, new)

    assert changes == [
        ["-", ["gone"]],
        ["=", ["new"], {}],
        ["~", ["same"], 1, 2, [4]],
        ["=", ["value"], 1],
    ]
    assert written(apply(old, changes)) == written(new)


def test_one_number_of_one_trace_is_all_that_is_sent():
    old = {"data": [{"name": "a", "y": [1]}, {"name": "b", "y": [1]}]}
    new = {"data": [{"name": "a", "y": [1]}, {"name": "c", "y": [1]}]}

    assert diff(old, new) == [["=", ["data", 1, "name"], "c"]]


@given(st.lists(st.integers(), min_size=30, max_size=60), st.integers(1, MAX_SLIDE))
def test_a_window_that_slides_costs_its_new_points_only(points, moved):
    old = [[n, "x"] for n in range(len(points))]
    new = [*old[moved:], *([["new", n] for n in range(moved)])]

    changes = diff({"line": old}, {"line": new})

    assert changes == [["~", ["line"], moved, len(old) - moved, new[-moved:]]]


@given(
    st.lists(values, min_size=1, max_size=8), st.data(), st.booleans(), st.booleans()
)
def test_a_viewer_at_any_number_catches_up_without_a_gap(states, data, fresh, stray):
    journal = Journal("now")
    held = [None]
    for state in states:
        journal.push(state)
        if len(held) <= journal.seq:
            held.append(state)
    epoch = "before" if stray else "now"
    seq = data.draw(st.integers(0, journal.seq + 2 * fresh))

    text = journal.since(epoch, seq)

    if text is None:
        assert (epoch, seq) == ("now", journal.seq)
        return
    message = json.loads(text)
    if message["type"] == "snapshot":
        shown = message["state"]
    else:
        assert message["from"] == seq
        shown = apply(held[seq], message["changes"])
    assert message["seq"] == journal.seq
    assert written(shown) == written(journal.state)


def test_a_viewer_who_missed_one_gets_changes_and_not_the_state():
    journal = Journal("e")
    journal.push({"calls": 1, "big": list(range(50))})
    journal.push({"calls": 2, "big": list(range(50))})

    message = json.loads(journal.since("e", 1))

    assert message == {
        "type": "changes",
        "from": 1,
        "seq": 2,
        "changes": [["=", ["calls"], 2]],
    }


def test_equal_positions_are_written_once():
    journal = Journal("e")
    journal.push({"calls": 1})

    assert journal.since("", 0) is journal.since("other", 5)


def test_memory_is_bounded_however_slow_a_viewer_is():
    journal = Journal("e")
    for number in range(KEPT + 10):
        journal.push({"calls": number})

    assert json.loads(journal.since("e", 5))["type"] == "snapshot"
    assert json.loads(journal.since("e", journal.seq - KEPT))["type"] == "changes"


def test_a_state_without_news_takes_no_number():
    journal = Journal("e")

    assert journal.push({})
    assert not journal.push({})
    assert journal.seq == 1


@pytest.mark.needs("node")
@settings(max_examples=3, deadline=None)
@given(st.lists(st.tuples(values, values), min_size=40, max_size=60))
def test_the_browser_applies_changes_as_the_server_does(pairs):
    cases = [{"old": old, "new": new, "changes": diff(old, new)} for old, new in pairs]
    script = (
        f'import {{ apply }} from "{ROOT}/static/js/changes.js";'
        'import { readFileSync } from "node:fs";'
        'const cases = JSON.parse(readFileSync(0, "utf8"));'
        "const got = cases.map((c) => apply(c.old, c.changes));"
        "console.log(JSON.stringify(got));"
    )

    run = subprocess.run(
        [shutil.which("node"), "--input-type=module", "-e", script],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=True,
    )

    # JavaScript has one kind of number, so 1.0 comes back as 1.
    assert json.loads(run.stdout) == [case["new"] for case in cases]
