"""Concurrency: slots with a deadline, never a bare counter.

A slot that is not given back (a killed thread, a stream nobody read to its end) is free
again at its deadline. Giving it back after that frees nobody else's.
"""

from __future__ import annotations

from switchgear.policy.frozen import frozen
from switchgear.policy.machines.state import waiting


@frozen
class Slot:
    """One of those that are taken."""

    number: int
    since: float
    until: float


@frozen
class Slots:
    """Those that are taken, and how many ever were."""

    taken: tuple[Slot, ...] = ()
    count: int = 0

    def idle(self, now: float) -> bool:
        return not held(self.taken, now)


def held(taken: tuple[Slot, ...], now: float) -> tuple[Slot, ...]:
    """Without those whose deadline has passed."""
    return tuple(slot for slot in taken if waiting(slot.since, slot.until, now))


def take(
    slots: Slots, most: int, ttl_s: float, now: float
) -> tuple[Slots, Slot | None]:
    """One more slot; None when all are taken."""
    taken = slots.taken
    if len(taken) >= most:
        taken = held(taken, now)
        if len(taken) >= most:
            return Slots(taken, slots.count), None
    slot = Slot(slots.count, now, now + ttl_s)
    return Slots((*taken, slot), slots.count + 1), slot


def give_back(slots: Slots, slot: Slot) -> Slots:
    """Without one slot; one that was reclaimed is not there any more."""
    return Slots(tuple(each for each in slots.taken if each != slot), slots.count)


NONE = Slots()
