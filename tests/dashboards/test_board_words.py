"""What the key figures and the board say about an answer of the metrics room."""

from __future__ import annotations

import pytest

from dashboards.address import View, Window
from dashboards.board import board
from dashboards.keyfigures import key_figures, outcome_totals, rates

NB = "\N{NO-BREAK SPACE}"
DASH = "\N{EN DASH}"
X = "\N{MULTIPLICATION SIGN}"
WINDOW = Window(0, 3570, 60)  # the last of 60 steps is half full
NOTHING = {
    "calls": 0,
    "ok": 0,
    "recovered": 0,
    "fallbacks": 0,
    "refused": 0,
    "cancelled": 0,
    "errors": 0,
    "executed": 0,
    "attempts": 0,
    "retries": 0,
    "attempt_errors": 0,
    "exhausted": 0,
    "error_rate": None,
    "attempt_error_rate": None,
    "amplification": None,
    "latency_ms.p50": None,
    "latency_ms.p95": None,
    "latency_ms.p99": None,
    "cost_usd": 0,
    "wasted_usd": 0,
    "unpriced_calls": 0,
}
BUSY = NOTHING | {
    "calls": 7140,
    "ok": 6000,
    "recovered": 700,
    "fallbacks": 200,
    "refused": 90,
    "cancelled": 50,
    "errors": 100,
    "executed": 7050,
    "attempts": 9165,
    "retries": 2115,
    "attempt_errors": 1833,
    "exhausted": 40,
    "error_rate": 1 / 70,
    "attempt_error_rate": 0.2,
    "amplification": 1.3001,
    "latency_ms.p50": 410.0,
    "latency_ms.p95": 1840.0,
    "latency_ms.p99": 5200.0,
    "cost_usd": 3.57,
    "wasted_usd": 0.714,
    "unpriced_calls": 2,
}


def figures(totals, previous=None):
    values = {name: [value] * 60 for name, value in totals.items()}
    return key_figures(totals, values, previous or {}, WINDOW)


def answer(*series, total=None):
    return {
        "timestamps": [0],
        "series": [
            {
                "labels": {"tool": name},
                "totals": totals,
                "values": {"calls": [totals["calls"]] * 60},
            }
            for name, totals in series
        ],
        "meta": {
            "series_total": total or sum(name != "__other__" for name, _ in series)
        },
    }


def row(totals, name="search.web"):
    shown = board(answer((name, totals)), View(), WINDOW, {"search.web": 3})
    return next(iter(shown["rows"].values()))


def test_success_is_a_pair_of_first_try_and_final():
    success = figures(BUSY)["success"]

    assert (success["value"], success["unit"]) == ("98.6", "%")
    assert success["foot"] == "85.7 first, 95.7 retried"


def test_rates_are_over_the_time_that_is_shown():
    shown = figures(BUSY)

    assert shown["calls"]["value"] == "2.00"
    assert shown["spend"]["value"] == "$3.60"
    assert shown["spend"]["foot"] == f"$0.71 wasted, 20.0{NB}%"
    assert shown["attempts"]["value"] == f"{X}{NB}1.30"
    assert shown["attempts"]["foot"] == f"2,115{NB}retries"
    assert shown["latency"]["foot"] == f"p50 0.41{NB}s, p99 5.20{NB}s"


def test_growth_is_told_only_when_there_was_something_before():
    assert figures(BUSY)["calls"]["foot"] == f"7,140{NB}calls"
    assert (
        figures(BUSY, {"calls": 7000})["calls"]["foot"] == f"+2{NB}% on the hour before"
    )


def test_many_failed_attempts_are_marked():
    assert figures(BUSY)["failed_attempts"]["hot"]
    assert figures(BUSY)["failed_attempts"]["foot"] == f"40{NB}calls ran out of tries"
    few = BUSY | {"attempt_error_rate": 0.01, "exhausted": 0}
    assert not figures(few)["failed_attempts"]["hot"]
    assert figures(few)["failed_attempts"]["foot"] == "1,833 of 9,165"


def test_what_nobody_knows_is_a_dash_and_never_a_zero():
    shown = figures(NOTHING)

    assert shown["success"]["value"] == DASH
    assert shown["latency"]["value"] == DASH
    assert shown["attempts"]["value"] == DASH
    assert shown["failed_attempts"]["value"] == DASH
    assert shown["spend"]["value"] == DASH


@pytest.mark.parametrize(
    ("money", "value", "foot"),
    [
        ({"cost_usd": 0, "unpriced_calls": 3}, DASH, f"3{NB}calls unpriced"),
        ({"cost_usd": 0, "unpriced_calls": 0}, DASH, "no call had a price"),
        ({"cost_usd": 3.57, "unpriced_calls": 0}, "$3.60", "all priced"),
        ({"cost_usd": 3.57, "unpriced_calls": 1}, "$3.60", f"1{NB}call unpriced"),
    ],
)
def test_unpriced_is_never_free(money, value, foot):
    spend = figures(BUSY | {"wasted_usd": 0} | money)["spend"]

    assert (spend["value"], spend["foot"]) == (value, foot)


def test_a_step_that_has_just_begun_says_nothing_about_its_rate():
    assert rates([60, 30], Window(0, 90, 60)) == [1.0, 1.0]
    assert rates([60, 1], Window(0, 62, 60)) == [1.0, None]
    assert rates([60, 60], Window(0, 120, 60)) == [1.0, 1.0]
    assert rates([], Window(0, 60, 60)) == []


def test_outcomes_are_counted_by_their_word():
    assert outcome_totals(BUSY, {"failed": "errors"}) == {"failed": "100"}


def test_a_row_says_its_numbers_and_which_of_them_are_bad():
    calm = row(BUSY)
    bad = row(
        BUSY | {"error_rate": 0.05, "errors": 400, "ok": 5700, "amplification": 1.4}
    )

    assert (calm["first_text"], calm["final_text"], calm["bad"]) == (
        "85.7",
        "98.6",
        False,
    )
    assert calm["slot"] == 3
    assert calm["errors_tone"] == ""
    assert bad["errors_tone"] == "bad fw"
    assert bad["attempts_tone"] == "warn fw"
    assert bad["bad"]


def test_a_target_that_answered_nobody_says_why():
    refused = row(NOTHING | {"calls": 214, "refused": 200, "cancelled": 14})

    assert refused["first"] is None
    assert refused["none"] == f"none answered, 200{NB}refused, 14{NB}cancelled"
    assert refused["errors"] == DASH
    assert row(NOTHING)["none"] == DASH


@pytest.mark.parametrize(
    ("money", "spend", "wasted"),
    [
        ({"cost_usd": 0, "wasted_usd": 0, "unpriced_calls": 5}, "unpriced", DASH),
        ({"cost_usd": 0, "wasted_usd": 0, "unpriced_calls": 0}, DASH, DASH),
        ({"cost_usd": 3.57, "wasted_usd": 0.2, "unpriced_calls": 1}, "$3.60", "$0.20"),
    ],
)
def test_money_of_a_row(money, spend, wasted):
    shown = row(BUSY | money)

    assert (shown["spend"], shown["wasted"]) == (spend, wasted)


def test_rows_beyond_the_limit_are_one_sentence():
    shown = board(
        answer(("a", BUSY), ("__other__", BUSY), total=46), View(), WINDOW, {}
    )

    assert (shown["shown"], shown["total"]) == (1, 46)
    assert shown["order"] == ["=a"]
    assert shown["more"] == (
        f"45{NB}more tools: 2.00{NB}calls/s, success 98.6{NB}%, $3.60/h"
    )


def test_the_overflow_of_the_cap_is_told_without_a_number():
    idle = NOTHING | {"calls": 7140}

    shown = board(answer(("a", BUSY), ("__other__", idle)), View(), WINDOW, {})

    assert shown["more"] == f"the rest: 2.00{NB}calls/s, success 0.0{NB}%"


def test_the_rest_may_have_answered_nobody():
    refused = NOTHING | {"calls": 7140, "refused": 7140}

    shown = board(answer(("__other__", refused)), View(), WINDOW, {})

    assert shown["more"] == f"the rest: 2.00{NB}calls/s"


def test_calls_without_a_tenant_have_a_row_of_their_own():
    tenants = answer((None, BUSY))
    tenants["series"][0]["labels"] = {"tenant": None}

    shown = board(tenants, View(tab="tenants"), WINDOW, {})

    assert shown["rows"]["none"]["name"] == "no tenant"
    assert shown["rows"]["none"]["value"] is None


@pytest.mark.parametrize(
    ("arriving", "name", "note"),
    [
        (0, "no tenant", ""),
        (12, "no tenant", "12 arriving"),
        (7140, "(arriving)", ""),
        (9999, "(arriving)", ""),
    ],
)
def test_calls_whose_root_has_not_come_are_arriving(arriving, name, note):
    tenants = answer((None, BUSY))
    tenants["series"][0]["labels"] = {"tenant": None}

    shown = board(tenants, View(tab="tenants"), WINDOW, {}, arriving=arriving)

    row = shown["rows"]["none"]
    assert (row["name"], row["note"]) == (name, note)
