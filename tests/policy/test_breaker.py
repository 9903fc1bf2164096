"""The breaker as a table of what it does in which phase."""

from __future__ import annotations

import math

import pytest

from switchgear.policy.machines.breaker import (
    NEW,
    Admission,
    Breaker,
    Finding,
    Phase,
    admit,
    blocked_for,
    due,
    give_back,
    record,
)
from switchgear.policy.machines.window import CountWindow, TimeWindow
from switchgear.policy.rules import CircuitBreaker
from switchgear.policy.vocabulary import FailureClass as F

RULE = CircuitBreaker(
    id="cb",
    minimum_number_of_calls=5,
    permitted_calls_in_half_open=2,
    wait_jitter_percent=0,
)


def edited(**changes):
    given = {"minimum_number_of_calls": 5, "permitted_calls_in_half_open": 2}
    return CircuitBreaker(id="cb", wait_jitter_percent=0, **given | changes)


def after(results, rule=RULE, *, breaker=NEW, now=0.0, chance=0.0):
    """The breaker after attempts: o passed, x failed, s was slow, ? says nothing."""
    for letter in results:
        assert not blocked_for(breaker, rule, now)
        breaker, admission, _ = admit(breaker, rule, now)
        breaker, _ = record(
            breaker, rule, admission, finding(letter), now=now, chance=chance
        )
    return breaker


def finding(letter):
    failure = {"x": F.SERVER_ERROR, "?": F.UNKNOWN, "t": F.TOOL_ERROR}.get(letter)
    return Finding(failure, 61.0 if letter == "s" else 0.01)


@pytest.mark.parametrize(
    ("results", "phase"),
    [
        pytest.param("xxxx", Phase.CLOSED, id="too few prove nothing"),
        pytest.param("xxxxx", Phase.OPEN, id="enough failures"),
        pytest.param("ooxxx", Phase.OPEN, id="above the rate"),
        pytest.param("oooxxx", Phase.OPEN, id="exactly the rate"),
        pytest.param("oooxx", Phase.CLOSED, id="below the rate"),
        pytest.param("xxxo" + "o", Phase.OPEN, id="a success may be the last"),
        pytest.param("sssss", Phase.OPEN, id="all slow"),
        pytest.param("sssso", Phase.CLOSED, id="not all slow"),
        pytest.param("xxxx????", Phase.CLOSED, id="silent ones are not counted"),
        pytest.param("xxtttt", Phase.CLOSED, id="a tool error is an answer"),
    ],
)
def test_it_opens_by_rates_over_enough_attempts(results, phase):
    assert after(results).phase is phase


def test_old_results_leave_a_time_window():
    rule = edited(sliding_window_size=10)
    breaker = after("xxxx", rule, now=0.9)

    assert after("x", rule, breaker=breaker, now=9.9).phase is Phase.OPEN
    assert after("x", rule, breaker=breaker, now=10.0).phase is Phase.CLOSED


def test_old_results_leave_a_count_window():
    rule = edited(sliding_window_type="count", sliding_window_size=5)

    assert after("xxooooxx", rule).phase is Phase.CLOSED
    assert after("xxooooxxx", rule).phase is Phase.OPEN


def test_a_window_of_another_kind_begins_empty():
    counted = edited(sliding_window_type="count", sliding_window_size=5)

    breaker = after("x", counted, breaker=after("xxxx"))

    assert isinstance(after("xxxx").window, TimeWindow)
    assert isinstance(breaker.window, CountWindow)
    assert breaker.window.calls == 1


@pytest.mark.parametrize(
    ("breaker", "wait"),
    [
        pytest.param(NEW, 0, id="closed"),
        pytest.param(Breaker(Phase.OPEN, since=0, until=30), 20, id="open"),
        pytest.param(Breaker(Phase.OPEN, since=0, until=10), 0, id="wait is over"),
        pytest.param(Breaker(Phase.FORCED_OPEN), math.inf, id="forced open"),
        pytest.param(Breaker(Phase.DISABLED), 0, id="disabled"),
        pytest.param(Breaker(Phase.METRICS_ONLY), 0, id="metrics only"),
        pytest.param(Breaker(Phase.HALF_OPEN), 0, id="half open"),
        pytest.param(Breaker(Phase.HALF_OPEN, passed=1), 0, id="one probe to go"),
        pytest.param(
            Breaker(Phase.HALF_OPEN, passed=9), 0, id="none to go, by an edit"
        ),
    ],
)
def test_who_is_blocked_for_how_long(breaker, wait):
    assert blocked_for(breaker, RULE, 10.0) == wait


def test_while_all_probes_are_out_others_wait_for_the_first_deadline():
    breaker, _, _ = admit(Breaker(Phase.HALF_OPEN), RULE, 10.0)
    breaker, _, _ = admit(breaker, RULE, 12.0)

    assert blocked_for(breaker, RULE, 15.0) == 5.0


def test_each_trip_in_a_row_waits_twice_as_long_up_to_the_cap():
    breaker, waits = after("xxxxx"), []
    for _ in range(6):
        waits.append(breaker.until - breaker.since)
        breaker = after("x", breaker=breaker, now=breaker.until)

    assert waits == [30, 60, 120, 240, 300, 300]


def test_a_breaker_that_was_closed_forgets_its_longer_waits():
    breaker = after("x", breaker=after("xxxxx"), now=30.0)
    breaker = after("oo", breaker=breaker, now=90.0)
    assert breaker.phase is Phase.CLOSED

    breaker = after("xxxxx", breaker=breaker, now=100.0)

    assert breaker.until - breaker.since == 30


def test_waits_never_overflow():
    breaker = Breaker(Phase.HALF_OPEN, opened=10_000)
    rule = edited(wait_backoff_multiplier=10.0)

    breaker = after("x", rule, breaker=breaker, now=5.0)

    assert breaker.until == 305.0


@pytest.mark.parametrize(("chance", "wait"), [(0.0, 30.0), (0.5, 33.0), (1.0, 36.0)])
def test_jitter_makes_waits_longer_by_chance(chance, wait):
    rule = CircuitBreaker(id="cb", minimum_number_of_calls=5, wait_jitter_percent=20)

    assert after("xxxxx", rule, chance=chance).until == pytest.approx(wait)


@pytest.mark.parametrize(
    ("results", "phase"),
    [
        ("o", Phase.HALF_OPEN),
        ("oo", Phase.CLOSED),
        ("ox", Phase.OPEN),
        ("x", Phase.OPEN),
        ("s", Phase.HALF_OPEN),
        ("so", Phase.CLOSED),
        ("ss", Phase.OPEN),
        ("t", Phase.HALF_OPEN),
        ("tt", Phase.CLOSED),
        ("???", Phase.HALF_OPEN),
    ],
)
def test_what_probes_decide(results, phase):
    assert after(results, breaker=after("xxxxx"), now=30.0).phase is phase


def test_every_change_of_phase_is_a_new_generation():
    breaker = after("xxxxx")
    generations = [breaker.generation]
    for letter, now in (("x", 30.0), ("o", 90.0), ("o", 90.0)):
        breaker = after(letter, breaker=breaker, now=now)
        generations.append(breaker.generation)

    # open; half open and open; half open; closed
    assert generations == [1, 3, 4, 5]


def test_turns_say_what_became_of_what_and_why():
    breaker = after("xxxx")
    breaker, admission, _ = admit(breaker, RULE, 7.0)

    breaker, turns = record(breaker, RULE, admission, finding("x"), now=7.5, chance=0.0)
    (turn,) = turns

    assert (turn.before.phase, turn.after, turn.cause) == (
        Phase.CLOSED,
        breaker,
        "failure_rate",
    )
    assert breaker.since == 7.5


@pytest.mark.parametrize("state", ["forced_open", "disabled", "metrics_only"])
@pytest.mark.parametrize("results", ["", "xxxxx"])
def test_the_operator_wins_over_every_phase_and_lets_go_again(state, results):
    before = after(results)

    held, turns = due(before, edited(operator_state=state), 5.0, 0.0)
    again, none = due(held, edited(operator_state=state), 6.0, 0.0)
    free, back = due(held, RULE, 7.0, 0.0)

    assert (held.phase, turns[0].cause) == (Phase(state), "operator")
    assert (again, none) == (held, ())
    assert (free.phase, back[0].cause) == (Phase.CLOSED, "operator")
    assert (held.generation, free.generation) == (
        before.generation + 1,
        before.generation + 2,
    )


def test_metrics_only_counts_and_never_opens():
    rule = edited(operator_state="metrics_only")
    breaker, _ = due(NEW, rule, 0.0, 0.0)

    breaker = after("x" * 50, rule, breaker=breaker)

    assert breaker.phase is Phase.METRICS_ONLY
    assert breaker.window.failed == 50


def test_disabled_hands_out_nothing():
    breaker, _ = due(NEW, edited(operator_state="disabled"), 0.0, 0.0)

    assert admit(breaker, RULE, 0.0) == (breaker, None, ())


def test_fewer_probes_asked_for_than_have_passed_close_it():
    breaker = after("o", breaker=after("xxxxx"), now=30.0)
    assert breaker.phase is Phase.HALF_OPEN

    breaker, turns = due(breaker, edited(permitted_calls_in_half_open=1), 31.0, 0.0)

    assert breaker.phase is Phase.CLOSED
    assert turns[0].cause == "probes_passed"


def test_half_open_without_traffic_stays_as_it_is():
    breaker = after("?", breaker=after("xxxxx"), now=30.0)

    assert due(breaker, RULE, 1e9, 0.0) == (breaker, ())


def test_a_lost_probe_opens_it_at_its_deadline():
    breaker, _, _ = admit(after("xxxxx"), RULE, 30.0)
    assert due(breaker, RULE, 39.9, 0.0) == (breaker, ())

    opened, (turn,) = due(breaker, RULE, 45.0, 0.0)

    assert (opened.phase, turn.cause) == (Phase.OPEN, "probe_lost")
    assert (opened.since, opened.until) == (40.0, 100.0)


def test_a_probe_that_comes_back_after_its_deadline_has_failed():
    breaker, admission, _ = admit(after("xxxxx"), RULE, 30.0)

    breaker, (turn,) = record(
        breaker, RULE, admission, finding("o"), now=40.0, chance=0.0
    )

    assert (breaker.phase, turn.cause) == (Phase.OPEN, "probe_lost")


def test_a_probe_given_back_makes_room_for_another():
    breaker, _, _ = admit(after("xxxxx"), RULE, 30.0)
    breaker, admission, _ = admit(breaker, RULE, 30.0)
    assert blocked_for(breaker, RULE, 30.0)

    breaker = give_back(breaker, admission)

    assert not blocked_for(breaker, RULE, 30.0)
    assert give_back(breaker, admission) == breaker
    assert give_back(breaker, Admission(breaker.generation)) == breaker


@pytest.mark.parametrize(
    ("breaker", "forgotten_at"),
    [
        pytest.param(after("o", now=10.0), 3610.0, id="closed: after an hour"),
        pytest.param(after("xxxxx", now=10.0), 86_440.0, id="open: a day"),
        pytest.param(
            after("o", breaker=after("xxxxx"), now=30.0),
            86_430.0,
            id="half open: a day",
        ),
    ],
)
def test_breakers_that_nobody_uses_are_forgotten(breaker, forgotten_at):
    assert not breaker.idle(forgotten_at - 0.1)
    assert breaker.idle(forgotten_at)


@pytest.mark.parametrize("state", ["forced_open", "disabled", "metrics_only"])
def test_what_an_operator_has_set_is_not_forgotten(state):
    held, _ = due(NEW, edited(operator_state=state), 5.0, 0.0)

    assert not held.idle(1e12)


def test_a_clock_that_jumps_far_back_does_not_keep_it_open():
    breaker = after("xxxxx", now=1e9)

    assert blocked_for(breaker, RULE, 1e9 - 29) == 59
    assert blocked_for(breaker, RULE, 5.0) == 0
    assert after("oo", breaker=breaker, now=5.0).phase is Phase.CLOSED


def test_a_clock_that_jumps_far_back_does_not_keep_probes_out():
    breaker, _, _ = admit(after("xxxxx", now=1e9), RULE, 1e9 + 30)

    breaker, (turn,) = due(breaker, RULE, 5.0, 0.0)

    assert turn.cause == "probe_lost"
    assert (breaker.since, breaker.until) == (5.0, 65.0)
