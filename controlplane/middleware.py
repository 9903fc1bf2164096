"""Headers that tell browsers what a page of ours may load and do.

Scripts only from this server and never inline; inline styles are allowed because
Plotly writes them while it draws.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

SOURCES = {
    "default-src": "'self'",
    "script-src": "'self'",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "connect-src": "'self' ws: wss:",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
POLICY = "; ".join(f"{directive} {sources}" for directive, sources in SOURCES.items())


@sync_and_async_middleware
def security_headers(get_response: Callable[[HttpRequest], Any]) -> Callable[..., Any]:
    # Of both kinds, so that no request changes threads just to get its headers.
    if iscoroutinefunction(get_response):

        async def awaited(request: HttpRequest) -> HttpResponseBase:
            return with_headers(await get_response(request))

        return awaited

    def called(request: HttpRequest) -> HttpResponseBase:
        return with_headers(get_response(request))

    return called


def with_headers(response: HttpResponseBase) -> HttpResponseBase:
    response.headers.setdefault("Content-Security-Policy", POLICY)
    response.headers.setdefault(
        "Permissions-Policy", "camera=(), microphone=(), geolocation=()"
    )
    return response
