"""How many streams may open, and how fast; how those that leave come back. Pure.

A crowd that reconnects at once, after a restart or a broken proxy, is let in at a
rate this process can serve. Whoever must wait is told for how long, spread by chance
over the time the crowd needs, so that it does not come back as one.
"""

from __future__ import annotations

from dataclasses import dataclass

RATE = 100.0  # streams a second
BURST = 50.0
LONGEST_WAIT_S = 60.0
RETURN_RATE = 50.0  # streams a second that a drained process sends back
LONGEST_RETURN_S = 60.0
SHORTEST_RETURN_MS = 500

MOST_STREAMS = 5_000
MOST_STREAMS_PER_KEY = 3_000


@dataclass(slots=True)
class Admission:
    """A bucket for who comes in, and a leaking count of who was sent away."""

    rate: float = RATE
    burst: float = BURST
    _room: float = BURST
    _waiting: float = 0.0
    _at: float = 0.0

    def ask(self, *, now: float, chance: float) -> float:
        """0 to come in, else seconds to wait; ``chance`` is from [0, 1)."""
        passed = max(now - self._at, 0.0)
        self._at = now
        self._room = min(self._room + passed * self.rate, self.burst)
        self._waiting = max(self._waiting - passed * self.rate, 0.0)
        if self._room >= 1.0:
            self._room -= 1.0
            return 0.0
        self._waiting = min(self._waiting + 1.0, LONGEST_WAIT_S * self.rate)
        return 1.0 + chance * self._waiting / self.rate


def refusal(*, streams: int, of_key: int) -> str | None:
    """Why one more stream is too many here, if it is."""
    if streams >= MOST_STREAMS:
        return f"This process has {MOST_STREAMS} streams open, the most it keeps."
    if of_key >= MOST_STREAMS_PER_KEY:
        return (
            f"This key has {MOST_STREAMS_PER_KEY} streams open here, the most it may."
        )
    return None


def reconnect_after_ms(streams: int) -> tuple[int, int]:
    """Between which delays so many streams should come back to another process."""
    spread_s = min(streams / RETURN_RATE, LONGEST_RETURN_S - 1.0)
    return SHORTEST_RETURN_MS, SHORTEST_RETURN_MS + 500 + int(spread_s * 1000)
