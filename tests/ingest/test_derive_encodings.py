"""Retries as senders write them: attributes and events to the numbers of a call."""

from __future__ import annotations

import pytest

from ingest.derive import derive
from ingest.normalise import normalise
from tests.ingest.understanding import END_NS, ERROR, RECEIVED_NS, START_NS, reading
from tests.ingest.understanding import request as export

MS = 10**6
SECOND = 10**9
SEARCH = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
POST = {"http.request.method": "POST", "url.full": "http://crm.local/search"}


def said(number, attributes, *, inside=0, start=0.0, end=0.1, failed=False, **fields):
    """A span message; ``failed`` is its error type, times are seconds."""
    status = {}
    if failed:
        attributes = {**attributes, "error.type": failed}
        status = {"status": ERROR, "message": f"{failed}: no"}
    return {
        "span_id": number.to_bytes(8, "big"),
        "parent_span_id": inside.to_bytes(8, "big") if inside else b"",
        "attributes": attributes,
        "start_time_unix_nano": START_NS + int(start * SECOND),
        "end_time_unix_nano": START_NS + int(end * SECOND),
        **status,
        **fields,
    }


def calls(*spans):
    found = normalise(export(*spans), reading(), received_ns=RECEIVED_NS)
    return derive(found.spans)


def went(*spans):
    (call,) = calls(*spans)
    errors = sum(count for _, count in call.attempt_errors)
    return call.outcome, call.attempts, errors


def retry_event(attempt, backoff_s):
    return "gen_ai.retry", {"attempt": attempt, "backoff_seconds": backoff_s}


def posts(statuses, *, kind=3, **changes):
    return [
        said(
            10 + n,
            {**POST, "http.response.status_code": status, **changes},
            inside=1,
            start=n,
            end=n + 0.1,
            kind=kind,
        )
        for n, status in enumerate(statuses)
    ]


ENCODINGS = {
    "E1 siblings below a logical span": [
        said(1, SEARCH, end=3.3),
        said(2, {**SEARCH, "retry.attempt": 1}, inside=1, failed="503"),
        said(
            3,
            {**SEARCH, "retry.attempt": 2},
            inside=1,
            start=1.1,
            end=1.2,
            failed="503",
        ),
        said(4, {**SEARCH, "retry.attempt": 3}, inside=1, start=3.2, end=3.3),
    ],
    "E2 a counter": [said(1, {**SEARCH, "call_attempts": 3})],
    "E3 events": [said(1, SEARCH, events=[retry_event(1, 0.5), retry_event(2, 1.0)])],
    "E5 requests below": [said(1, SEARCH, end=3), *posts([503, 503, 200])],
    "E5 requests with resend counts": [
        said(1, CHAT, end=3),
        *(
            said(
                10 + n,
                {
                    **POST,
                    "http.response.status_code": status,
                    "http.request.resend_count": n,
                },
                inside=1,
                start=n,
                end=n + 0.1,
                kind=3,
            )
            for n, status in enumerate([503, 503, 200])
        ),
    ],
    "E6 failed spans below a model span": [
        said(1, CHAT, end=3),
        said(2, CHAT, inside=1, failed="429"),
        said(3, CHAT, inside=1, start=1, end=1.1, failed="429"),
    ],
    "E6 failed requests below a model span": [
        said(1, CHAT, end=3),
        *posts([429, 429]),
    ],
    "resend_count as a total": [said(1, {**CHAT, "http.request.resend_count": 2})],
    "one call id": [
        said(2, {**SEARCH, "gen_ai.tool.call.id": "a"}, failed="503"),
        said(3, {**SEARCH, "gen_ai.tool.call.id": "a"}, start=1, end=1.1, failed="503"),
        said(4, {**SEARCH, "gen_ai.tool.call.id": "a"}, start=2, end=2.1),
    ],
}


@pytest.mark.parametrize("case", ENCODINGS)
def test_two_retries_are_two_retries(case):
    assert went(*ENCODINGS[case]) == ("recovered", 3, 2)


def test_e3_reports_its_waiting():
    (call,) = calls(*ENCODINGS["E3 events"])

    assert call.backoff_us == 1_500_000


def test_e4_spans_that_share_an_id_are_one_failed_call():
    spans = [said(1, SEARCH, end=0.1 * n, failed="timeout") for n in range(1, 5)]

    assert went(*spans) == ("failed", 1, 1)


def test_e8_what_the_model_asked_again_is_a_new_call():
    asked = {**SEARCH, "pydantic_ai.tool.retry.attempt": 1}
    spans = [
        said(1, {**asked, "gen_ai.tool.call.id": "a"}, failed="ValidationError"),
        said(2, {**asked, "gen_ai.tool.call.id": "b"}, start=1, end=1.1),
    ]

    assert [call.attempts for call in calls(*spans)] == [1, 1]


@pytest.mark.parametrize(
    "marks",
    [{"error.type": "tool_error"}, {"gen_ai.tool.call.result": '{"isError":true}'}],
    ids=["T28", "T29"],
)
def test_a_failure_that_no_status_tells(marks):
    (call,) = calls(said(1, {**SEARCH, **marks}))

    assert (call.outcome, call.failure_class) == ("failed", "tool_error")


def test_t29_text_that_merely_says_so_is_no_failure():
    result = {"gen_ai.tool.call.result": "no isError here"}

    assert went(said(1, {**SEARCH, **result})) == ("ok", 1, 0)


def test_t25_a_refused_call_was_not_tried():
    refused = {"switchgear.refusal_reason": "quota", "switchgear.outcome": "refused"}

    (call,) = calls(said(1, {**SEARCH, **refused}))

    assert (call.outcome, call.attempts, call.refusal_reason) == ("refused", 0, "quota")


def test_t26_wrappers_restate_one_failure():
    wrapped = [
        said(2 + n, {"openinference.span.kind": "CHAIN"}, inside=1 + n, failed="Boom")
        for n in range(7)
    ]
    failed = said(9, SEARCH, inside=8, failed="Boom")

    assert went(said(1, {"openinference.span.kind": "CHAIN"}), *wrapped, failed) == (
        "failed",
        1,
        1,
    )


def test_the_server_of_an_mcp_call_is_the_same_execution_through_http():
    call = {"mcp.method.name": "tools/call"}
    spans = [
        said(1, {**call, "gen_ai.tool.name": "docs"}, kind=3, end=1),
        said(2, POST, inside=1, kind=3, end=0.9),
        said(3, {"http.request.method": "POST"}, inside=2, kind=2, end=0.8),
        said(
            4,
            {**call, "gen_ai.tool.name": "docs"},
            inside=3,
            kind=2,
            end=0.7,
            failed="tool_error",
        ),
    ]

    assert went(*spans) == ("failed", 1, 1)


def test_t16_a_span_that_was_sent_while_it_ran_is_one_call():
    running = said(1, SEARCH, end_time_unix_nano=0)

    (call,) = calls(running)

    assert call.ended_ns == 0
    assert went(running, said(1, SEARCH, failed="timeout")) == ("failed", 1, 1)


def test_t41_and_t43_zero_and_future_times_are_shown_now():
    zero = said(1, SEARCH, start_time_unix_nano=0, end_time_unix_nano=0)
    ahead = said(1, SEARCH, end_time_unix_nano=RECEIVED_NS + 7_200 * SECOND)

    for span in (zero, ahead):
        (call,) = calls(span)
        assert (call.ended_ns, call.skewed, call.latency_us) == (
            RECEIVED_NS,
            True,
            None,
        )
    assert END_NS < RECEIVED_NS


ATTEMPT = {"switchgear.call.id": "c1"}


def test_attempts_of_our_own_client_are_those_of_its_call():
    call = {**SEARCH, **ATTEMPT, "switchgear.outcome": "recovered"}
    spans = [
        said(1, call, end=3),
        said(
            2,
            {
                **ATTEMPT,
                "switchgear.attempt": 1,
                "switchgear.failure_class": "timeout",
            },
            inside=1,
            status=ERROR,
        ),
        said(
            3,
            {**ATTEMPT, "switchgear.attempt": 2, "switchgear.backoff_ms": 900},
            inside=1,
            start=1,
            end=3,
        ),
    ]

    assert went(*spans) == ("recovered", 2, 1)


def test_what_stands_in_for_a_model_is_a_call_of_its_own():
    """Our own client makes it inside the call that it answers."""
    mini = {**CHAT, "gen_ai.request.model": "gpt-4o-mini", "switchgear.call.id": "c2"}
    first, second = {"switchgear.attempt": 1}, {"switchgear.attempt": 2}
    down = {"switchgear.failure_class": "server_error"}
    tokens = {"gen_ai.usage.input_tokens": 7}
    own = {"gen_ai.operation.name": "chat", **ATTEMPT}
    other = {"gen_ai.operation.name": "chat", "switchgear.call.id": "c2"}
    answered = {
        "switchgear.outcome": "fallback",
        "switchgear.failure_class": "server_error",
    }

    one, two = calls(
        said(1, {**CHAT, **ATTEMPT, **answered}, end=4),
        said(2, {**own, **first, **down}, inside=1, failed="Down"),
        said(3, {**own, **second, **down}, inside=1, start=1, end=2, failed="Down"),
        said(4, {**mini, "switchgear.outcome": "ok"}, inside=1, start=3, end=4),
        said(5, {**other, **first, **tokens}, inside=4, start=3, end=4),
    )

    assert (one.outcome, one.attempts) == ("fallback", 2)
    assert one.attempt_errors == (("server_error", 2),)
    assert (one.failure_class, one.usage) == ("server_error", None)
    assert (two.outcome, two.attempts, two.usage.input) == ("ok", 1, 7)


def test_a_model_that_was_not_asked_has_no_attempt():
    """Its breaker was open, and another one answered at once."""
    refused = {
        "switchgear.outcome": "fallback",
        "switchgear.decision": "fallback",
        "switchgear.failure_class": "refused",
        "switchgear.refusal_reason": "breaker",
    }
    mini = {**CHAT, "gen_ai.request.model": "gpt-4o-mini", "switchgear.call.id": "c2"}

    one, two = calls(
        said(1, {**CHAT, **ATTEMPT, **refused}, end=2),
        said(4, {**mini, "switchgear.outcome": "ok"}, inside=1, start=1, end=2),
    )

    assert (one.outcome, one.attempts, one.refusal_reason) == ("fallback", 0, "breaker")
    assert one.failure_class == "refused"
    assert (two.outcome, two.attempts) == ("ok", 1)


def test_two_calls_of_our_own_client_are_two_although_the_first_failed():
    failed = {**CHAT, "switchgear.call.id": "c1", "switchgear.outcome": "failed"}
    later = {**CHAT, "switchgear.call.id": "c2", "switchgear.outcome": "ok"}

    found = calls(
        said(1, {"gen_ai.operation.name": "invoke_agent"}, end=9),
        said(2, failed, inside=1, failed="Down"),
        said(3, later, inside=1, start=1, end=2),
    )

    assert [(call.outcome, call.attempts) for call in found] == [
        ("failed", 1),
        ("ok", 1),
    ]
