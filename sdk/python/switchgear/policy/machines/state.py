"""What the kernel remembers between calls: frozen values under keys, held by the owner.

The kernel reads a mapping and answers with changes; it never mutates anything, so the
owner decides when they become true (all at once, under one lock). A value is dropped
when it says no more than its absence does.

Clocks may jump. Time that ran back a little stands still until it has caught up; a
jump further than what is being waited for is believed, so that no wait outlives it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

# What is remembered, for which rule, and the facts of those who share it:
# "breaker", "cb-search", "kind=tool", "target=search".
Key = tuple[str, ...]

# Counts that nobody has added to for so long may be forgotten.
FORGOTTEN_AFTER_S = 3600.0


class Remembered(Protocol):
    """One value of the state."""

    def idle(self, now: float) -> bool:
        """Whether it says no more than its absence does."""
        ...


# Whoever makes a key knows the type of what is kept under it.
State = Mapping[Key, Any]
Changes = dict[Key, Remembered]


@dataclass(frozen=True, slots=True)
class Transition:
    """A breaker went from one phase to another."""

    key: Key
    before: str
    after: str
    generation: int
    cause: str
    at: float
    shadow: bool = False


def expire(state: State, now: float) -> tuple[Key, ...]:
    """The keys that may go."""
    return tuple(key for key, value in state.items() if value.idle(now))


def name_of(key: Key) -> str:
    """A key as one word, for reports and pages."""
    return "/".join(part.replace("%", "%25").replace("/", "%2F") for part in key[1:])


def steady(now: float, seen: float, span: float) -> float:
    """The time to go by: not before what was seen, unless by more than `span`."""
    return seen if seen - span <= now < seen else now


def waiting(since: float, until: float, now: float) -> bool:
    """Whether a wait is still on; a clock from long before it began has jumped."""
    return since - (until - since) <= now < until


def forgotten(seen: float, now: float) -> bool:
    """Whether nobody has touched a value for long."""
    return now - seen >= FORGOTTEN_AFTER_S
