"""The service plane: how running services get their policy and say what they run.

    edit -> version -> hint -> hub -> streams -> GET by ETag -> status -> board

Bare ASGI in front of Django. ``docs/protocol.md`` is its contract: any HTTP client can
speak it. Rows are the truth; streams and hints only say when to look.
"""

from __future__ import annotations

from controlplane.plane.endpoints import PATHS, app, drain, start, stop

__all__ = ["PATHS", "app", "drain", "start", "stop"]
