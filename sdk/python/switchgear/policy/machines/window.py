"""Sliding windows over the results of attempts, as values.

A time window holds one partial sum per second that saw a result, so it is bounded by
its size however much traffic there is. A count window holds one bit per result.
"""

from __future__ import annotations

import math

from switchgear.policy.frozen import frozen

# A second, and the results in it: all, failed, slow.
Cell = tuple[int, int, int, int]


@frozen
class TimeWindow:
    """The results of the current second and of the `size` - 1 seconds before it."""

    calls: int = 0
    failed: int = 0
    slow: int = 0
    current: Cell = (0, 0, 0, 0)
    past: tuple[Cell, ...] = ()

    def add(self, now: float, size: int, *, failed: bool, slow: bool) -> TimeWindow:
        window = self._at(math.floor(now), size)
        second, calls, failures, slows = window.current
        return TimeWindow(
            window.calls + 1,
            window.failed + failed,
            window.slow + slow,
            (second, calls + 1, failures + failed, slows + slow),
            window.past,
        )

    def _at(self, second: int, size: int) -> TimeWindow:
        """The window when `second` is the current one."""
        latest = self.current[0]
        if latest - size <= second <= latest:
            # Late, or a clock that went back a little: it counts as now.
            return self
        if second < latest:
            return TimeWindow(current=(second, 0, 0, 0))
        cells = (*self.past, self.current)
        kept = tuple(cell for cell in cells if cell[0] > second - size)
        return TimeWindow(
            sum(cell[1] for cell in kept),
            sum(cell[2] for cell in kept),
            sum(cell[3] for cell in kept),
            (second, 0, 0, 0),
            kept,
        )


@frozen
class CountWindow:
    """The last `size` results: one bit each, the newest lowest."""

    calls: int = 0
    failures: int = 0
    slows: int = 0

    def add(self, now: float, size: int, *, failed: bool, slow: bool) -> CountWindow:
        kept = (1 << size) - 1
        return CountWindow(
            min(self.calls + 1, size),
            (self.failures << 1 | failed) & kept,
            (self.slows << 1 | slow) & kept,
        )

    @property
    def failed(self) -> int:
        return self.failures.bit_count()

    @property
    def slow(self) -> int:
        return self.slows.bit_count()


Window = TimeWindow | CountWindow
EMPTY = TimeWindow()


def kept_as(window: Window, kind: str) -> Window:
    """The window a rule asks for: the one there is, if it is of that kind."""
    wanted = CountWindow if kind == "count" else TimeWindow
    return window if isinstance(window, wanted) else wanted()
