"""WebSocket routes."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from dashboards.consumers import LiveBoard, RolloutBoard

websocket_urlpatterns: list[URLPattern | URLResolver] = [
    path("ws/live/", LiveBoard.as_asgi(), name="live-socket"),
    path("ws/rollout/", RolloutBoard.as_asgi(), name="rollout-socket"),
]
