"""Concurrency slots against a list of all that were ever taken."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from switchgear.policy.machines.slots import NONE, Slot, Slots, give_back, take


@dataclass
class Taken:
    slot: Slot
    until: float
    returned: bool = False


class SlotsMachine(RuleBasedStateMachine):
    """Holders come, give back, give back twice, or are never heard of again."""

    def __init__(self):
        super().__init__()
        self.slots = NONE
        self.all: list[Taken] = []
        self.now = 100.0
        self.most = 3

    def running(self) -> int:
        return sum(not each.returned and self.now < each.until for each in self.all)

    @rule(seconds=st.sampled_from([0.0, 0.5, 4.0, 10.0, 1e6]))
    def wait(self, seconds):
        self.now += seconds

    @rule(most=st.integers(1, 5))
    def edit(self, most):
        self.most = most

    @rule(ttl_s=st.sampled_from([1.0, 10.0]))
    def come(self, ttl_s):
        free = self.running() < self.most

        self.slots, slot = take(self.slots, self.most, ttl_s, self.now)

        assert (slot is not None) is free
        if slot is not None:
            self.all.append(Taken(slot, self.now + ttl_s))

    @precondition(lambda self: self.all)
    @rule(which=st.integers(0, 100))
    def go(self, which):
        gone = self.all[which % len(self.all)]
        gone.returned = True
        self.slots = give_back(self.slots, gone.slot)

    @invariant()
    def it_is_idle_when_nobody_holds_a_slot(self):
        assert self.slots.idle(self.now) is (self.running() == 0)


TestSlots = SlotsMachine.TestCase


def test_a_slot_that_comes_back_late_frees_nobody_elses():
    slots, late = take(NONE, 1, 10.0, 0.0)
    slots, _ = take(slots, 1, 10.0, 10.0)

    assert give_back(slots, late) == slots
    assert take(slots, 1, 10.0, 11.0)[1] is None


def test_a_late_slot_frees_nobody_elses_even_when_all_was_forgotten():
    _, late = take(NONE, 1, 10.0, 0.0)
    slots, _ = take(NONE, 1, 10.0, 10.0)

    assert give_back(slots, late) == slots


@pytest.mark.parametrize(("back_to", "free"), [(995.0, False), (5.0, True)])
def test_a_clock_that_jumps_back_holds_slots_no_longer_than_their_time(back_to, free):
    slots, _ = take(NONE, 1, 10.0, 1000.0)

    _, slot = take(slots, 1, 10.0, back_to)

    assert (slot is not None) is free


def test_a_shorter_time_to_hold_does_not_free_slots_that_are_held():
    slots, _ = take(NONE, 1, 100.0, 0.0)

    assert take(slots, 1, 1.0, 5.0)[1] is None


def test_refused_takers_do_not_grow_the_list():
    slots, _ = take(NONE, 1, 10.0, 0.0)
    for _ in range(100):
        slots, _ = take(slots, 1, 10.0, 1.0)

    assert slots == Slots(slots.taken, 1)
    assert len(slots.taken) == 1
