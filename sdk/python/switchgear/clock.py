"""The time of day for rules: it cannot be set back and it agrees with the server.

Rules expire, windows turn and breakers wait by this clock. It runs on the monotonic
one, so a machine whose date is changed under a service does not reopen its breakers.
"""

from __future__ import annotations

import math
from time import monotonic
from time import time as wall_clock  # noqa: TID251  the one place that reads it

_TOLERANCE_S = 2.0


class Clock:
    """Seconds since 1970, counted by a clock that only goes forward."""

    def __init__(self) -> None:
        self._offset = wall_clock() - monotonic()

    def now(self) -> float:
        return monotonic() + self._offset

    def agree(self, server_time: object) -> None:
        """Take the server's time where ours is off by more than an answer takes."""
        if not isinstance(server_time, int | float) or not math.isfinite(server_time):
            return
        if server_time > 0 and abs(server_time - self.now()) > _TOLERANCE_S:
            self._offset = server_time - monotonic()
