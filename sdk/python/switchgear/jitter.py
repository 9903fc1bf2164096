"""When to try again: chance is an argument, so a fleet's schedule can be computed.

Waits after failures are decorrelated: each is drawn between the base and three times
the last one. Instances that lost the control plane in one moment drift apart.
"""

from __future__ import annotations

from collections.abc import Sequence

BASE_S, CAP_S = 1.0, 60.0
# After so long without trouble the next wait starts from the base again.
HEALTHY_S = 60.0
# Every instance asks this often whatever it heard: hints may be lost.
POLL_S, POLL_SPREAD = 60.0, 0.2
FIRST_CONTACT_S = 1.0


def next_wait(last_s: float, chance: float) -> float:
    """Seconds until the next try, after a wait of ``last_s`` (0: the first)."""
    longest = max(last_s, BASE_S) * 3
    return min(CAP_S, BASE_S + chance * (longest - BASE_S))


def poll_wait(chance: float) -> float:
    return POLL_S * (1 + POLL_SPREAD * (2 * chance - 1))


def first_wait(chance: float) -> float:
    """A fleet that is started together does not arrive together."""
    return FIRST_CONTACT_S * chance


def drain_wait(span_ms: Sequence[object], chance: float) -> float:
    """Seconds to stay away from a server that is about to stop."""
    match span_ms:
        case [int() | float() as least_ms, int() | float() as most_ms]:
            least = min(max(least_ms / 1000, 0.0), CAP_S)
            most = min(max(most_ms / 1000, least), CAP_S)
            return least + chance * (most - least)
        case _:
            return next_wait(0.0, chance)


def spread(at_least_s: float, chance: float) -> float:
    """Seconds to stay away when a server that is asked too much said how long."""
    return at_least_s + next_wait(0.0, chance)
