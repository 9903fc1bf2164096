"""Parameters mean one thing each, and say so when they mean nothing."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ValidationError

from dashboards.api import fields
from dashboards.api.fields import (
    Amount,
    CallId,
    CallIdConverter,
    Cursor,
    Moment,
    cursor,
    split,
)

NOON_NS = 1_795_176_000 * fields.SECOND_NS


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20T12:00:00Z",
        "2026-11-20T12:00:00",
        "2026-11-20T13:00:00+01:00",
        "1795176000",
        "1795176000.0",
        " 1795176000 ",
    ],
)
def test_a_moment_may_be_written_in_several_ways(text):
    assert Moment().to_internal_value(text) == NOON_NS


def test_a_moment_keeps_its_fraction():
    moment = Moment().to_internal_value("1795176000.123456789")

    assert moment == NOON_NS + 123_456_789


def test_now_minus_something_is_that_long_ago(monkeypatch):
    monkeypatch.setattr(fields, "ago", lambda seconds=0: NOON_NS - seconds)

    assert Moment().to_internal_value("now") == NOON_NS
    assert Moment().to_internal_value("now-2h") == NOON_NS - 7200


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "now+1h", "now-1y", "-5", "1e400", "99999999999", "0001-01-01"],
)
def test_what_is_no_moment_is_refused(text):
    with pytest.raises(ValidationError):
        Moment().to_internal_value(text)


@given(st.text())
def test_any_text_is_a_moment_or_refused(text):
    try:
        moment = Moment().to_internal_value(text)
    except ValidationError:
        return

    assert 0 <= moment <= fields.LATEST_S * fields.SECOND_NS


def test_lists_are_separated_by_commas_and_repeated():
    assert split(["a,b", "c"]) == ["a", "b", "c"]
    assert split(["a\\,b, c"]) == ["a,b", "c"]


def test_no_number_is_no_amount():
    with pytest.raises(ValidationError):
        Amount().to_internal_value("nan")


@given(
    st.tuples(
        st.integers(0, 2**63 - 1),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    )
)
def test_a_cursor_comes_back_as_it_went(position):
    written = cursor(position)

    assert Cursor(int, str).to_internal_value(written) == position


def encoded(document):
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "!",
        "AAAA",
        "x" * 9000,
        encoded("[" * 1000),
        encoded([1]),
        encoded([1, 2]),
        encoded([-1, "a"]),
        encoded([2**63, "a"]),
        encoded([True, "a"]),
        encoded([1, "\x00"]),
        encoded([1, "\ud800"]),
        base64.urlsafe_b64encode(b"[" * 5000).decode(),
    ],
)
def test_what_is_no_cursor_of_this_list_is_refused(text):
    with pytest.raises(ValidationError):
        Cursor(int, str).to_internal_value(text)


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=8, max_size=8))
def test_the_id_of_a_call_comes_back_as_it_went(trace_id, anchor):
    converter = CallIdConverter()

    call = CallId(trace_id, anchor)

    assert converter.to_python(converter.to_url(call)) == call
