"""Windows of quotas: every moment is in exactly one, wherever clocks are changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from switchgear.policy.machines.periods import period_at
from switchgear.policy.rules import Window

ZONES = (
    "UTC",
    "Asia/Tokyo",
    "America/New_York",
    "Australia/Lord_Howe",  # half an hour of summer time
    "America/Sao_Paulo",  # changed clocks at midnight
    "Pacific/Apia",  # had no 30 December 2011
    "Asia/Kathmandu",
)
windows = st.builds(
    Window,
    period=st.sampled_from(["PT5M", "PT7M", "PT1H", "P1D", "P1W", "P1M"]),
    tz=st.sampled_from(ZONES),
    week_start=st.sampled_from(["monday", "thursday", "sunday"]),
    reset_time=st.sampled_from(["00:00", "02:30", "06:00", "23:59"]),
)
APIA = datetime(2011, 12, 31, 3, tzinfo=ZoneInfo("Pacific/Apia")).timestamp()


@given(window=windows, now=st.floats(1.0e9, 2.5e9))
@example(Window(period="P1D", tz="Pacific/Apia", reset_time="06:00"), APIA)
@example(Window(period="P1D", tz="Pacific/Apia"), APIA)
@example(Window(period="P1D", tz="America/Sao_Paulo"), 1_540_090_800.0)
def test_every_moment_is_in_exactly_one_window(window, now):
    period = period_at(window, now)

    assert period.since <= now < period.until
    assert period_at(window, period.since) == period
    assert period_at(window, period.until).since == period.until
    assert period_at(window, period.since - 0.001).until == period.since


@given(window=windows, now=st.floats(1.0e9, 2.5e9))
def test_different_windows_have_different_names(window, now):
    period = period_at(window, now)

    assert period_at(window, period.until).name != period.name


def at(zone, *when):
    return datetime(*when, tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("window", "when", "name", "hours"),
    [
        pytest.param(
            Window(tz="America/New_York"),
            (2026, 3, 8, 12),
            "P1D@America/New_York/2026-03-08",
            23,
            id="the day that has 23 hours",
        ),
        pytest.param(
            Window(tz="America/New_York"),
            (2026, 11, 1, 12),
            "P1D@America/New_York/2026-11-01",
            25,
            id="the day that has 25 hours",
        ),
        pytest.param(
            Window(tz="Australia/Lord_Howe"),
            (2026, 10, 4, 12),
            "P1D@Australia/Lord_Howe/2026-10-04",
            23.5,
            id="the day that has 23.5 hours",
        ),
        pytest.param(
            Window(period="P1M", tz="Asia/Tokyo"),
            (2028, 2, 29, 23),
            "P1M@Asia/Tokyo/2028-02-01",
            29 * 24,
            id="a February with 29 days",
        ),
        pytest.param(
            Window(period="P1M", tz="Asia/Tokyo", reset_time="06:00"),
            (2026, 12, 1, 5),
            "P1M@Asia/Tokyo/2026-11-01",
            30 * 24,
            id="before the first of the month has begun",
        ),
        pytest.param(
            Window(period="P1W", tz="Asia/Tokyo", week_start="sunday"),
            (2026, 11, 21, 12),
            "P1W@Asia/Tokyo/2026-11-15",
            7 * 24,
            id="a week that begins on Sunday",
        ),
    ],
)
def test_windows_begin_where_the_clock_on_the_wall_says(window, when, name, hours):
    period = period_at(window, at(window.tz, *when))

    assert period.name == name
    assert period.until - period.since == hours * 3600


def test_a_day_begins_exactly_at_midnight_there():
    window = Window(tz="Asia/Tokyo")
    midnight = at("Asia/Tokyo", 2026, 11, 21)

    assert period_at(window, midnight - 0.001).name == "P1D@Asia/Tokyo/2026-11-20"
    assert period_at(window, midnight).name == "P1D@Asia/Tokyo/2026-11-21"


def test_hours_and_minutes_are_those_of_utc_everywhere():
    now = datetime(2026, 11, 20, 10, 59, 59, tzinfo=UTC)

    hour = period_at(Window(period="PT1H", tz="Asia/Kathmandu"), now.timestamp())
    minutes = period_at(Window(period="PT15M"), now.timestamp())

    assert hour.name == "PT1H/2026-11-20T10:00Z"
    assert minutes.name == "PT15M/2026-11-20T10:45Z"
    assert hour.until == (now + timedelta(seconds=1)).timestamp()
