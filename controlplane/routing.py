"""Every WebSocket route, behind the session's user and a check of the origin.

Browsers send cookies with a socket that another site opens, and no CSRF token guards
it: so only pages of this server, or of its public address, may open one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from channels.security.websocket import WebsocketDenier
from django.conf import settings

from dashboards.routing import websocket_urlpatterns

App = Callable[..., Awaitable[Any]]


class SameOrigin:
    def __init__(self, app: App) -> None:
        self.app = app
        self.deny = WebsocketDenier.as_asgi()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> Any:
        app = self.app if is_same_origin(scope["headers"]) else self.deny
        return await app(scope, receive, send)


def is_same_origin(headers: list[tuple[bytes, bytes]]) -> bool:
    """Programs send no Origin and hold no cookie of a browser, so they may."""
    sent = dict(headers)
    origin = sent.get(b"origin", b"").decode("latin-1")
    host = sent.get(b"host", b"").decode("latin-1")
    return (
        not origin
        or urlsplit(origin).netloc == host
        or origin in settings.CSRF_TRUSTED_ORIGINS
    )


websocket = SameOrigin(AuthMiddlewareStack(URLRouter(websocket_urlpatterns)))
