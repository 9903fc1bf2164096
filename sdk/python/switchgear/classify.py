"""What an exception says about a failure: its class, and when to come back.

In this order: given up by the caller; the service's own classifier; the status code of
an answer; the name of the type or of one it derives from, as the libraries in use name
them; for the programming errors of Python, the tool's own fault. None of them is worth
repeating but the transient ones. Whatever a library's exception does when it is looked
at, the worst that comes out of here is ``unknown``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from math import isfinite

from switchgear.policy.vocabulary import FailureClass

Classifier = Callable[[BaseException], "FailureClass | str | None"]

_GIVEN_UP = (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit)
_NAMES: dict[FailureClass, str] = {
    FailureClass.CANCELLED: "CancelledError Cancelled AbortError",
    FailureClass.TIMEOUT: """
        TimeoutError TimeoutException Timeout APITimeoutError ReadTimeoutError
        ConnectTimeoutError DeadlineExceeded SoftTimeLimitExceeded""",
    FailureClass.UPSTREAM_QUOTA: """
        BudgetExceededError QuotaExceededError InsufficientQuotaError""",
    FailureClass.RATE_LIMITED: """
        RateLimitError TooManyRequests TooManyRequestsError ResourceExhausted
        ThrottlingException""",
    FailureClass.AUTH: """
        PermissionError AuthenticationError PermissionDeniedError PermissionDenied
        Unauthenticated Unauthorized UnauthorizedError Forbidden AccessDenied""",
    FailureClass.CONTENT_FILTER: """
        ContentPolicyViolationError ContentFilterError
        ContentFilterFinishReasonError""",
    FailureClass.CONTEXT_WINDOW: """
        ContextWindowExceededError ContextWindowOverflowException
        LengthFinishReasonError""",
    FailureClass.INVALID_REQUEST: """
        ValidationError BadRequestError BadRequest InvalidArgument NotFoundError
        UnprocessableEntityError RequestValidationError""",
    FailureClass.TRANSPORT: """
        ConnectionError TransportError APIConnectionError ClientConnectionError
        gaierror SSLError ProtocolError NetworkError MaxRetryError NewConnectionError
        IncompleteRead IncompleteReadError RemoteDisconnected EOFError
        ChunkedEncodingError EndpointConnectionError""",
    FailureClass.SERVER_ERROR: """
        InternalServerError ServerError OverloadedError BadGateway GatewayTimeout
        ServiceUnavailable ServiceUnavailableError""",
    FailureClass.TOOL_ERROR: """
        ToolException ToolExecutionError ValueError TypeError LookupError
        AttributeError ArithmeticError AssertionError NameError
        NotImplementedError""",
}
_CLASSES = {name: found for found, names in _NAMES.items() for name in names.split()}
_STATUSES = {
    400: FailureClass.INVALID_REQUEST,
    401: FailureClass.AUTH,
    402: FailureClass.UPSTREAM_QUOTA,
    403: FailureClass.AUTH,
    404: FailureClass.INVALID_REQUEST,
    407: FailureClass.AUTH,
    408: FailureClass.TIMEOUT,
    409: FailureClass.SERVER_ERROR,
    413: FailureClass.INVALID_REQUEST,
    422: FailureClass.INVALID_REQUEST,
    425: FailureClass.SERVER_ERROR,
    429: FailureClass.RATE_LIMITED,
    499: FailureClass.CANCELLED,
    501: FailureClass.TOOL_ERROR,
    504: FailureClass.TIMEOUT,
}
_CLIENT_ERRORS, _SERVER_ERRORS, _END = 400, 500, 600
# What a message makes more precise. Providers answer all three with a general status.
_PRECISE = (
    (
        FailureClass.RATE_LIMITED,
        re.compile(r"insufficient_quota|exceeded your current quota|billing"),
        FailureClass.UPSTREAM_QUOTA,
    ),
    (
        FailureClass.INVALID_REQUEST,
        re.compile(
            r"context_length_exceeded|maximum context length|prompt is too long"
        ),
        FailureClass.CONTEXT_WINDOW,
    ),
    (
        FailureClass.INVALID_REQUEST,
        re.compile(r"content_filter|content_policy|content management policy"),
        FailureClass.CONTENT_FILTER,
    ),
)
_REFINED = frozenset(general for general, _, _ in _PRECISE)
_READ = 2000  # characters of a message
_LONGEST_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed, and the seconds its target wants to be left alone."""

    failure_class: FailureClass
    retry_after_s: float | None = None


def classify(error: BaseException, own: Classifier | None, *, now: float) -> Failure:
    """Never raises; ``own`` may say what it likes, or ``None`` for "you tell me"."""
    if isinstance(error, _GIVEN_UP):
        return Failure(FailureClass.CANCELLED)
    try:
        found = own(error) if own is not None else None
        failure_class = FailureClass(found) if found is not None else _classify(error)
        return Failure(failure_class, _retry_after(error, now))
    except Exception:  # noqa: BLE001  a library's exception, a service's classifier
        return Failure(FailureClass.UNKNOWN)


def _classify(error: BaseException) -> FailureClass:
    if isinstance(error, BaseExceptionGroup):
        return _classify(error.exceptions[0])
    status = _status(error)
    found = _of_status(status) if status is not None else None
    if found is None:
        found = _of_type(type(error))
    if found in _REFINED:
        said = f"{getattr(error, 'code', '')} {error}"[:_READ].lower()
        for general, pattern, precise in _PRECISE:
            if found is general and pattern.search(said):
                return precise
    return found


def _status(error: BaseException) -> int | None:
    """The status of an HTTP answer, wherever its library keeps it."""
    response = getattr(error, "response", None)
    for holder, name in (
        (error, "status_code"),
        (response, "status_code"),
        (error, "status"),
        (response, "status"),
        (error, "code"),  # urllib
    ):
        status = getattr(holder, name, None)
        if isinstance(status, int) and _CLIENT_ERRORS <= status < _END:
            return int(status)
    return None


def _of_status(status: int) -> FailureClass:
    if status in _STATUSES:
        return _STATUSES[status]
    if status < _SERVER_ERRORS:
        return FailureClass.TOOL_ERROR
    return FailureClass.SERVER_ERROR


def _of_type(kind: type[BaseException]) -> FailureClass:
    for base in kind.__mro__:
        if base.__name__ in _CLASSES:
            return _CLASSES[base.__name__]
    return FailureClass.UNKNOWN


def _retry_after(error: BaseException, now: float) -> float | None:
    """Seconds, from a header in any of its forms or from an attribute."""
    response = getattr(error, "response", None)
    headers = getattr(response, "headers", None) or getattr(error, "headers", None)
    if headers is not None:
        milliseconds = _number(headers.get("retry-after-ms"))
        if milliseconds is not None:
            return _bounded(milliseconds / 1000)
        said = headers.get("retry-after") or headers.get("Retry-After")
        if said is not None:
            seconds = _number(said)
            return _bounded(_until(str(said), now) if seconds is None else seconds)
    return _bounded(_number(getattr(error, "retry_after", None)))


def _number(said: object) -> float | None:
    if isinstance(said, int | float | str):
        with suppress(ValueError):
            return float(said)
    return None


def _until(date: str, now: float) -> float | None:
    with suppress(ValueError):
        return parsedate_to_datetime(date).timestamp() - now
    return None


def _bounded(seconds: float | None) -> float | None:
    if seconds is None or not isfinite(seconds):
        return None
    return min(max(seconds, 0.0), _LONGEST_S)
