"""What an exception says about a failure, in the forms that real libraries use."""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
import urllib.error
from email.utils import formatdate
from types import SimpleNamespace

import pytest

from ingest.dialects import failures
from switchgear import classify as tables
from switchgear.classify import Failure, classify
from switchgear.policy.vocabulary import RETRYABLE, FailureClass

NOW = 1_800_000_000.0


def of(error: BaseException, own=None) -> FailureClass:
    return classify(error, own, now=NOW).failure_class


class TransportError(Exception):
    """As httpx raises them."""


class TimeoutException(TransportError):
    pass


class ReadTimeout(TimeoutException):
    pass


class ConnectError(TransportError):
    pass


class HTTPStatusError(Exception):
    def __init__(self, status: int, headers: dict[str, str]) -> None:
        super().__init__(f"answered with {status}")
        self.response = SimpleNamespace(status_code=status, headers=headers)


def answered(status: int, **headers: str) -> HTTPStatusError:
    named = {name.replace("_", "-").lower(): said for name, said in headers.items()}
    return HTTPStatusError(status, named)


class ClientResponseError(Exception):
    """As aiohttp raises them."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


class OpenAIError(Exception):
    """As openai and anthropic raise them."""

    def __init__(self, status_code: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status_code, self.code = status_code, code


class BotoError(Exception):
    """A library that says everything by the name of its types."""


class ThrottlingException(BotoError):
    pass


class Awkward(Exception):
    """It does not like to be looked at."""

    @property
    def response(self):
        raise RuntimeError("boom")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TimeoutError("timed out"), "timeout"),
        (ReadTimeout("slow"), "timeout"),
        (ConnectError("no route"), "transport"),
        (ConnectionResetError(), "transport"),
        (BrokenPipeError(), "transport"),
        (socket.gaierror(-2, "Name or service not known"), "transport"),
        (ssl.SSLError("bad"), "transport"),
        (http.client.RemoteDisconnected(), "transport"),
        (http.client.IncompleteRead(b""), "transport"),
        (EOFError(), "transport"),
        (asyncio.CancelledError(), "cancelled"),
        (KeyboardInterrupt(), "cancelled"),
        (GeneratorExit(), "cancelled"),
        (SystemExit(), "cancelled"),
        (PermissionError(), "auth"),
        (ThrottlingException(), "rate_limited"),
        (ValueError("no such city"), "tool_error"),
        (TypeError(), "tool_error"),
        (KeyError("x"), "tool_error"),
        (ZeroDivisionError(), "tool_error"),
        (NotImplementedError(), "tool_error"),
        (Exception("?"), "unknown"),
        (OSError(28, "No space left on device"), "unknown"),
        (BotoError(), "unknown"),
        (Awkward(), "unknown"),
        (ExceptionGroup("both", [TimeoutError(), ValueError()]), "timeout"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_the_type_of_an_exception_says_its_class(error, expected):
    assert of(error) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, "invalid_request"),
        (401, "auth"),
        (402, "upstream_quota"),
        (403, "auth"),
        (404, "invalid_request"),
        (408, "timeout"),
        (409, "server_error"),
        (418, "tool_error"),
        (429, "rate_limited"),
        (499, "cancelled"),
        (500, "server_error"),
        (501, "tool_error"),
        (503, "server_error"),
        (504, "timeout"),
        (599, "server_error"),
    ],
)
def test_the_status_of_an_answer_says_its_class(status, expected):
    assert of(answered(status)) == expected
    assert of(OpenAIError(status, "no")) == expected
    assert of(ClientResponseError(status)) == expected
    assert of(urllib.error.HTTPError("http://x", status, "no", {}, None)) == expected


@pytest.mark.parametrize("status", [0, 200, 302, 600, "500", None, True])
def test_what_is_no_failure_status_says_nothing(status):
    assert of(OpenAIError(status, "no")) == "unknown"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OpenAIError(429, "You exceeded your current quota"), "upstream_quota"),
        (OpenAIError(429, "no", code="insufficient_quota"), "upstream_quota"),
        (OpenAIError(429, "Slow down"), "rate_limited"),
        (OpenAIError(400, "maximum context length is 8192"), "context_window"),
        (OpenAIError(400, "no", code="content_filter"), "content_filter"),
        (OpenAIError(500, "maximum context length"), "server_error"),
    ],
)
def test_a_message_makes_a_general_status_precise(error, expected):
    assert of(error) == expected


@pytest.mark.parametrize(
    "error",
    [ValueError(), TypeError(), KeyError(), Exception(), answered(400), answered(401)],
)
def test_what_will_not_pass_is_not_worth_repeating(error):
    assert of(error) not in RETRYABLE


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"Retry-After": formatdate(NOW + 30, usegmt=True)}, 30.0),
        ({"Retry-After": formatdate(NOW - 30, usegmt=True)}, 0.0),
        ({"Retry-After": "-5"}, 0.0),
        ({"Retry-After": "1e99"}, 86_400.0),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "soon"}, None),
        ({}, None),
    ],
)
def test_a_target_says_when_to_come_back(headers, seconds):
    assert classify(answered(429, **headers), None, now=NOW).retry_after_s == seconds


def test_an_attribute_says_when_to_come_back():
    error = BotoError()
    error.retry_after = 3

    assert classify(error, None, now=NOW).retry_after_s == 3.0


def test_the_services_own_classifier_comes_first():
    assert of(ValueError(), lambda error: "server_error") == "server_error"
    assert of(ValueError(), lambda error: FailureClass.AUTH) == "auth"


def test_a_classifier_that_does_not_know_leaves_it_to_us():
    assert of(TimeoutError(), lambda error: None) == "timeout"


@pytest.mark.parametrize(
    "own",
    [lambda error: 1 / 0, lambda error: "no such class"],
    ids=["raises", "says nonsense"],
)
def test_a_classifier_that_breaks_makes_it_unknown(own):
    assert classify(TimeoutError(), own, now=NOW) == Failure(FailureClass.UNKNOWN)


def test_nobody_reclassifies_a_call_that_was_given_up():
    assert of(asyncio.CancelledError(), lambda error: "server_error") == "cancelled"


def test_the_server_reads_the_same_out_of_a_type_or_a_status():
    mine = {name.lower(): found for name, found in tables._CLASSES.items()}

    shared = mine.keys() & failures.TYPES.keys()
    assert len(shared) > 30
    assert {name: mine[name] for name in shared} == {
        name: failures.TYPES[name] for name in shared
    }
    assert tables._STATUSES == failures.STATUS_CODES
