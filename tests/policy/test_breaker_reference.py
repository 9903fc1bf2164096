"""The breaker against a naive model: a list of everything that happened, and rules.

The model keeps every result and every probe for ever and looks through all of them
each time; it knows no windows, no partial sums and no bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from switchgear.policy.decision import Decision, Verdict
from switchgear.policy.machines.breaker import Phase
from switchgear.policy.rules import CircuitBreaker
from switchgear.policy.vocabulary import FailureClass
from tests.policy.service import Service

COUNTED = {
    None: False,
    FailureClass.TOOL_ERROR: False,
    FailureClass.SERVER_ERROR: True,
    FailureClass.TIMEOUT: True,
}
SILENT = (FailureClass.UNKNOWN, FailureClass.CANCELLED)
SLOW_S = 60.0


@dataclass
class Result:
    generation: int
    second: int
    failed: bool
    slow: bool


@dataclass
class Probe:
    generation: int
    until: float
    out: bool = True


@dataclass
class Model:
    """A breaker, as one would explain it."""

    rule: CircuitBreaker
    phase: Phase = Phase.CLOSED
    generation: int = 0
    open_until: float = 0.0
    trips: int = 0
    results: list[Result] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)

    def turn(self, phase: Phase) -> None:
        self.phase = phase
        self.generation += 1

    def trip(self, at: float) -> None:
        wait_ms = self.rule.wait_duration_in_open_state_ms * 2.0**self.trips
        longest_ms = self.rule.max_wait_duration_in_open_state_ms
        self.open_until = at + min(wait_ms, longest_ms) / 1000
        self.trips += 1
        self.turn(Phase.OPEN)

    def close(self) -> None:
        self.trips = 0
        self.turn(Phase.CLOSED)

    def out(self) -> list[Probe]:
        mine = [p for p in self.probes if p.generation == self.generation]
        return [probe for probe in mine if probe.out]

    def passed(self) -> list[Result]:
        return [r for r in self.results if r.generation == self.generation]

    def look(self, now: float) -> None:
        if self.phase is Phase.HALF_OPEN:
            lost = [probe.until for probe in self.out() if probe.until <= now]
            if lost:
                self.trip(min(lost))

    def admits(self, now: float) -> bool:
        self.look(now)
        if self.phase is Phase.OPEN:
            return now >= self.open_until
        if self.phase is Phase.HALF_OPEN:
            sent = len(self.out()) + len(self.passed())
            return sent < self.rule.permitted_calls_in_half_open
        return True

    def admit(self, now: float) -> Probe | int:
        """A probe, or the generation of an ordinary attempt."""
        if self.phase is Phase.OPEN:
            self.turn(Phase.HALF_OPEN)
        if self.phase is Phase.CLOSED:
            return self.generation
        ttl_s = self.rule.max_wait_duration_in_half_open_ms / 1000
        probe = Probe(self.generation, now + ttl_s)
        self.probes.append(probe)
        return probe

    def end(self, token: Probe | int, result: Result | None, now: float) -> None:
        self.look(now)
        if isinstance(token, Probe):
            token.out = False
            generation = token.generation
        else:
            generation = token
        if generation != self.generation or result is None:
            return
        self.results.append(result)
        if self.phase is Phase.HALF_OPEN:
            self._probed(result, now)
        elif self._rates(self._window(result.second)):
            self.trip(now)

    def _probed(self, result: Result, now: float) -> None:
        passed = self.passed()
        slow = sum(each.slow for each in passed)
        enough = len(passed) >= self.rule.permitted_calls_in_half_open
        if result.failed or (enough and slow == len(passed)):
            self.trip(now)
        elif enough:
            self.close()

    def _window(self, second: int) -> list[Result]:
        mine, size = self.passed(), self.rule.sliding_window_size
        if self.rule.sliding_window_type == "count":
            return mine[-size:]
        return [each for each in mine if second - size < each.second <= second]

    def _rates(self, window: list[Result]) -> bool:
        if len(window) < self.rule.minimum_number_of_calls:
            return False
        failed = sum(each.failed for each in window) / len(window)
        slow = sum(each.slow for each in window) / len(window)
        return failed >= 0.5 or slow >= 1.0


class BreakerMachine(RuleBasedStateMachine):
    """Attempts begin and end in any order, some never do."""

    @initialize(kind=st.sampled_from(["time", "count"]), size=st.integers(5, 12))
    def begin(self, kind, size):
        rule = CircuitBreaker(
            id="cb",
            minimum_number_of_calls=5,
            sliding_window_type=kind,
            sliding_window_size=size,
            permitted_calls_in_half_open=2,
            wait_duration_in_open_state_ms=8_000,
            max_wait_duration_in_open_state_ms=20_000,
            wait_jitter_percent=0,
        )
        self.service = Service(rule)
        self.model = Model(rule)
        self.running: list[tuple[Decision, Probe | int]] = []

    @rule(seconds=st.sampled_from([0.0, 0.25, 0.5, 1.0, 3.0, 8.0, 10.0, 40.0, 1e7]))
    def wait(self, seconds):
        self.service.now += seconds

    @rule()
    def ask(self):
        now = self.service.now
        expected = self.model.admits(now)

        decision = self.service.decide()

        assert (decision.verdict is Verdict.ALLOW) is expected
        if expected:
            self.running.append((decision, self.model.admit(now)))
        else:
            assert decision.retry_after is not None
            assert decision.retry_after > 0

    @rule(
        burst=st.integers(1, 8),
        failure=st.sampled_from([*COUNTED]),
        took_s=st.sampled_from([0.1, SLOW_S]),
    )
    def many(self, burst, failure, took_s):
        for _ in range(burst):
            self.ask()
            if self.running:
                self._end(-1, failure, took_s)

    @precondition(lambda self: self.running)
    @rule(
        which=st.integers(0, 100),
        failure=st.sampled_from([*COUNTED, *SILENT]),
        took_s=st.sampled_from([0.1, SLOW_S]),
    )
    def end(self, which, failure, took_s):
        self._end(which % len(self.running), failure, took_s)

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 100))
    def never_begin(self, which):
        decision, token = self.running.pop(which % len(self.running))
        self.service.drop(decision)
        if isinstance(token, Probe):
            token.out = False

    def _end(self, which, failure, took_s):
        decision, token = self.running.pop(which)
        now = self.service.now
        generation = token.generation if isinstance(token, Probe) else token
        result = None
        if failure in COUNTED:
            failed, slow = COUNTED[failure], took_s >= SLOW_S
            result = Result(generation, math.floor(now), failed, slow)
        self.service.end(decision, failure, took_s)
        self.model.end(token, result, now)

    @invariant()
    def they_agree(self):
        if "breaker" in {key[0] for key in self.service.state}:
            known = self.service.breaker()
            assert (known.phase, known.generation) == (
                self.model.phase,
                self.model.generation,
            )
            if known.phase is Phase.OPEN:
                assert known.until == self.model.open_until

    @invariant()
    def every_turn_is_told(self):
        told = [each.generation for each in self.service.transitions]
        assert told == list(range(1, self.model.generation + 1))


TestBreaker = BreakerMachine.TestCase
