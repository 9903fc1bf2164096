"""Everything a service may be refused for: RFC 9457 problems with a stable code."""

from __future__ import annotations

import json
import math
from typing import Any

Headers = list[tuple[bytes, bytes]]

TITLES = {
    400: "The request is not valid",
    401: "No usable API key",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed here",
    408: "Body too slow",
    413: "Request body too large",
    414: "Address too long",
    503: "Not now",
}


class Problem(Exception):
    def __init__(
        self, status: int, code: str, detail: str, *, pointer: str | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.pointer = pointer
        self.headers: Headers = []


class Unauthorized(Problem):
    def __init__(self) -> None:
        text = "An API key is required, and this is none: Authorization: Bearer KEY."
        super().__init__(401, "not_authenticated", text)
        self.headers = [(b"www-authenticate", b"Bearer")]


class WrongMethod(Problem):
    def __init__(self, allowed: str) -> None:
        text = f"Only {allowed} is answered at this address."
        super().__init__(405, "method_not_allowed", text)
        self.headers = [(b"allow", allowed.encode())]


class NotNow(Problem):
    """Nothing is wrong with the request; ``after_s`` says when to come again."""

    def __init__(self, code: str, detail: str, *, after_s: float = 1.0) -> None:
        super().__init__(503, code, detail)
        self.headers = [(b"retry-after", b"%d" % math.ceil(after_s))]


def document(problem: Problem) -> dict[str, Any]:
    told: dict[str, Any] = {
        "type": "about:blank",
        "title": TITLES[problem.status],
        "status": problem.status,
        "code": problem.code,
        "detail": str(problem),
    }
    if problem.pointer is not None:
        told["errors"] = [
            {"code": problem.code, "detail": str(problem), "pointer": problem.pointer}
        ]
    return told


def body_of(problem: Problem) -> bytes:
    return json.dumps(document(problem)).encode()
