"""Every error of the API is an RFC 9457 problem with a stable ``code``.

Programs read ``code`` and never the words: a code is not renamed. What is wrong with
the input is listed under ``errors``, each with a JSON pointer into the body, or into
the query parameters as if they were an object.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from django.db import DatabaseError
from django.http import Http404, HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions
from rest_framework.response import Response

from dashboards.metrics import QueryError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
Finding = tuple[str, str, str]  # code, message, pointer

TITLES = {
    400: "The request is not valid",
    401: "No usable API key or log-in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed here",
    409: "Not as it was when you looked",
    412: "Not as it was when you looked",
    406: "Not available in this format",
    413: "Request body too large",
    415: "Body format not understood",
    429: "Too many requests",
    500: "Something went wrong here",
    503: "The store cannot answer now",
}
# Where the framework's own word is not the one we promise.
CODES = {400: "malformed", 403: "permission_denied", 415: "unsupported_media_type"}


class Problem(exceptions.APIException):
    """Any problem, said by its status, code and words."""

    findings: tuple[Finding, ...] = ()

    def __init__(
        self, status: int, code: str, detail: str, *, headers: Mapping[str, str] = {}
    ) -> None:
        super().__init__(detail, code)
        self.status_code = status
        self.code = code
        self.headers = headers


class Invalid(Problem):
    """The input does not mean anything; every finding names its place."""

    def __init__(self, *findings: Finding, detail: str = "") -> None:
        code, message, _ = findings[0]
        super().__init__(400, code, detail or message)
        self.findings = findings


class NotFound(Problem):
    def __init__(self, what: str) -> None:
        super().__init__(404, "not_found", f"There is no such {what} in this project.")


def document(problem: Problem) -> dict[str, Any]:
    told: dict[str, Any] = {
        "type": "about:blank",
        "title": TITLES[problem.status_code],
        "status": problem.status_code,
        "code": problem.code,
        "detail": str(problem.detail),
    }
    errors = [
        {"code": code, "detail": message, "pointer": pointer}
        for code, message, pointer in problem.findings
    ]
    return told | ({"errors": errors} if errors else {})


def handle(error: Exception, context: dict[str, Any]) -> Response:
    """The answer to anything a view raised; nothing of ours leaks into a 500."""
    problem = as_problem(error)
    return Response(
        document(problem),
        status=problem.status_code,
        headers=dict(problem.headers),
        content_type=MEDIA_TYPE,
    )


def as_problem(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, QueryError):
        return Invalid((error.code, error.message, error.pointer))
    if isinstance(error, exceptions.APIException):
        return of_framework(error)
    if isinstance(error, Http404):
        return of_framework(exceptions.NotFound())
    if isinstance(error, DatabaseError):
        logger.warning("api.store_failed", exc_info=error)
        return Problem(
            503,
            "store_unavailable",
            "The store is busy or down; try again.",
            headers={"Retry-After": "1"},
        )
    logger.error("api.failed", exc_info=error)
    return Problem(500, "internal_error", "The error is in the server's log.")


def of_framework(error: exceptions.APIException) -> Problem:
    """What REST framework raises itself: a bad body, method, format or log-in."""
    status = error.status_code
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    code = CODES.get(status, error.default_code)
    return Problem(status, code, str(error.detail), headers=headers)


@csrf_exempt
def nothing_here(request: HttpRequest, path: str = "") -> JsonResponse:
    """Addresses under the API that no view answers."""
    detail = "There is nothing at this address; /api/v1/docs/ lists what there is."
    return JsonResponse(
        document(Problem(404, "not_found", detail)),
        status=404,
        content_type=MEDIA_TYPE,
    )
