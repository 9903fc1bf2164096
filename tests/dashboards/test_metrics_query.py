"""What a metrics question may say, and how what is wrong with it is told."""

from __future__ import annotations

from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from dashboards.metrics import QueryError, parse, times

NOW = 1_795_000_000
UTC = ZoneInfo("UTC")
BERLIN = ZoneInfo("Europe/Berlin")


def asked(**fields):
    return parse({"metrics": ["calls"]} | fields, NOW)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("now", NOW),
        ("now-15m", NOW - 900),
        ("now-1h", NOW - 3_600),
        ("now-7d", NOW - 7 * 86_400),
        ("now-2w", NOW - 14 * 86_400),
        ("now+30s", NOW + 30),
        (1_763_629_200, 1_763_629_200),
        (1_763_629_200.9, 1_763_629_200),
        pytest.param("1763629200", 1_763_629_200, id="a number as text"),
        ("2025-11-20T09:00:00Z", 1_763_629_200),
        ("2025-11-20T10:00:00+01:00", 1_763_629_200),
        ("2025-11-20", 1_763_596_800),
    ],
)
def test_times_are_written_in_many_ways(written, seconds):
    since, _ = times.span(written, NOW + 60, now=NOW, tz=UTC)

    assert since == seconds


def test_a_time_without_zone_is_local():
    since, _ = times.span("2025-11-20T10:00", NOW, now=NOW, tz=BERLIN)

    assert since == 1_763_629_200


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({"metrics": []}, "metrics_missing", "/metrics"),
        ({"metrics": None}, "query_invalid", "/metrics"),
        ({"metrics": ["calls", "calls"]}, "query_invalid", "/metrics"),
        ({"metrics": ["calls", "clals"]}, "metric_unknown", "/metrics/1"),
        ({"metrics": ["latency_ms.p33"]}, "metric_unknown", "/metrics/0"),
        ({"colour": 1}, "field_unknown", "/colour"),
        ({"from": "yesterday"}, "time_invalid", "/from"),
        ({"to": True}, "time_invalid", "/to"),
        ({"from": float("nan")}, "time_invalid", "/from"),
        ({"from": -1}, "time_invalid", "/from"),
        ({"from": "now", "to": "now-1h"}, "range_empty", "/from"),
        ({"from": 0, "to": 10**11}, "range_too_wide", "/from"),
        ({"tz": "Mars/Olympus"}, "tz_unknown", "/tz"),
        ({"tz": 5}, "tz_unknown", "/tz"),
        ({"step": 0}, "step_invalid", "/step"),
        ({"step": "often"}, "step_invalid", "/step"),
        ({"step": True}, "step_invalid", "/step"),
        ({"group_by": "tool"}, "query_invalid", "/group_by"),
        ({"group_by": ["session_id"]}, "dimension_not_groupable", "/group_by/0"),
        ({"filters": {}}, "query_invalid", "/filters"),
        ({"filters": ["x"]}, "filter_invalid", "/filters/0"),
        (
            {"filters": [{"field": "user", "value": "u"}]},
            "dimension_not_filterable",
            "/filters/0/field",
        ),
        (
            {"filters": [{"field": "tool", "op": "near", "value": "u"}]},
            "operator_unknown",
            "/filters/0/op",
        ),
        (
            {"filters": [{"field": "tool", "op": "in", "value": "u"}]},
            "filter_invalid",
            "/filters/0/value",
        ),
        (
            {"filters": [{"field": "tool", "value": 7}]},
            "filter_invalid",
            "/filters/0/value",
        ),
        ({"order_by": "calls"}, "query_invalid", "/order_by"),
        ({"order_by": [7]}, "order_invalid", "/order_by/0"),
        ({"order_by": [{"metric": "x"}]}, "metric_unknown", "/order_by/0/metric"),
        (
            {"order_by": [{"metric": "calls", "dir": "up"}]},
            "order_invalid",
            "/order_by/0/dir",
        ),
        ({"limit": 0}, "limit_invalid", "/limit"),
        ({"limit": "ten"}, "limit_invalid", "/limit"),
        ({"other": 1}, "query_invalid", "/other"),
        ({"compare": "last_year"}, "compare_unknown", "/compare"),
        (
            {"metrics": ["calls", "retries"], "group_by": ["failure_class"]},
            "dimension_not_allowed",
            "/metrics/1",
        ),
        (
            {
                "filters": [{"field": "refusal_reason", "value": "quota"}],
                "order_by": [{"metric": "cost_usd"}],
            },
            "dimension_not_allowed",
            "/order_by/0",
        ),
        (
            {"group_by": ["failure_class", "refusal_reason"]},
            "dimension_not_allowed",
            "/group_by",
        ),
    ],
)
def test_what_is_wrong_is_told_by_code_and_place(fields, code, pointer):
    with pytest.raises(QueryError) as caught:
        asked(**fields)

    assert (caught.value.code, caught.value.pointer) == (code, pointer)
    assert caught.value.message


def test_a_question_is_an_object():
    with pytest.raises(QueryError) as caught:
        parse([1], NOW)

    assert caught.value.code == "query_invalid"


def cut(start, end, step=None, *, tz=UTC, most=1_000, now=NOW):
    return times.steps(start, end, step, now=now, tz=tz, most=most)


@pytest.mark.parametrize(
    ("length", "width"),
    [
        (900, 10),
        (3_600, 60),
        (6 * 3_600, 300),
        (86_400, 1_200),
        (7 * 86_400, 7_200),
        (30 * 86_400, 21_600),
        (300 * 86_400, 7 * 86_400),
        (40 * 365 * 86_400, 364 * 86_400),
    ],
)
def test_automatic_steps_make_a_readable_chart(length, width):
    steps = cut(NOW - length, NOW)

    assert steps.width == width
    assert len(steps.timestamps) <= 123
    assert not steps.coarsened


@pytest.mark.parametrize(
    ("age", "asked_s", "width"),
    [
        (3_600, 10, 10),
        (3_600, 15, 20),
        (24 * 3_600, 10, 120),
        (10 * 86_400, 60, 1_200),
        (40 * 86_400, 600, 3_600),
        (3 * 365 * 86_400, 3_600, 7 * 86_400),
        (3_600, 100_000, 172_800),
    ],
)
def test_a_step_too_fine_becomes_one_that_can_be_answered(age, asked_s, width):
    steps = cut(NOW - age, NOW, asked_s)

    assert steps.width == width
    assert steps.coarsened == (width != asked_s)
    assert len(steps.timestamps) <= 1_000


def test_steps_cover_the_range_and_begin_on_the_clock():
    steps = cut(NOW - 3_605, NOW)

    assert (steps.start, steps.end) == (NOW - 3_610, NOW)
    assert all(edge % 60 == 0 for edge in steps.edges)
    assert steps.edges[0] <= steps.start < steps.edges[1]
    assert steps.edges[-2] < steps.end <= steps.edges[-1]


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-01", 24)]
)
def test_a_local_day_has_as_many_hours_as_it_has(day, hours):
    now = 1_793_600_000
    start, end = times.span(f"{day}T00:00", f"{day}T23:59:59", now=now, tz=BERLIN)

    hourly = cut(start, end + 1, 3_600, tz=BERLIN, now=now)
    daily = cut(start, end + 1, 86_400, tz=BERLIN, now=now)

    assert len(hourly.timestamps) == hours
    assert daily.edges == [start, start + hours * 3_600]
    assert daily.even == (hours == 24)


def test_six_hour_steps_begin_at_local_midnight():
    steps = cut(NOW - 2 * 86_400, NOW, 21_600, tz=ZoneInfo("Asia/Kolkata"))

    assert {edge % 21_600 for edge in steps.edges} == {(-19_800) % 21_600}
    assert all(right - left == 21_600 for left, right in pairwise(steps.edges))


def test_days_of_a_half_hour_zone_follow_the_hours_that_are_kept():
    steps = cut(NOW - 100 * 86_400, NOW, 86_400, tz=ZoneInfo("Asia/Kolkata"))

    assert all(edge % 3_600 == 0 for edge in steps.edges)
