"""The policy that runs and what was counted under it: one state, one lock.

    decide -> (the attempt) -> settle -> go_on

The kernel answers with changes; here they become true. When the kernel itself breaks,
the call goes on ungoverned: ``None`` means "nobody had anything to say".
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from random import random

from switchgear.clock import Clock
from switchgear.policy import decide as kernel
from switchgear.policy.decision import (
    Again,
    Decision,
    Next,
    Permits,
    Result,
    Step,
    Tried,
)
from switchgear.policy.documents.snapshot import Snapshot
from switchgear.policy.facts import CallFacts
from switchgear.policy.machines.state import Key, Remembered, expire
from switchgear.policy.matching import Policy
from switchgear.policy.plan import Plan
from switchgear.policy.precedence import Index
from switchgear.policy.rules import Rule, RunBudget
from switchgear.policy.vocabulary import FailureClass
from switchgear.trouble import Trouble

_SWEEP_S = 60.0


class Governor:
    """Decides about attempts, for any number of threads."""

    def __init__(
        self, clock: Clock, trouble: Trouble, chance: Callable[[], float] = random
    ) -> None:
        self._clock, self._trouble, self._chance = clock, trouble, chance
        self._lock = threading.Lock()
        # Held while a policy takes the place of another, which is longer than a call
        # should wait: code adds its rules while the first snapshot comes.
        self._changing = threading.Lock()
        self._state: dict[Key, Remembered] = {}
        self._own: tuple[Rule, ...] = ()
        self._snapshot: Snapshot | None = None
        self._trusted: Snapshot | None = None
        self._policy = Policy(Index(()))
        # Whether anybody asks if the calls of a run repeat themselves.
        self.counts_repeats = False
        self._broken: str | None = None
        self._sweep_at = 0.0

    @property
    def version(self) -> int | None:
        snapshot = self._snapshot
        return None if snapshot is None else snapshot.version

    # The policy.

    def adopt(self, snapshot: Snapshot) -> None:
        """Run this policy from the next attempt on; what was counted stays."""
        with self._changing:
            self._run(snapshot, self._own)

    def add(self, rule: Rule) -> None:
        """A rule of the code's own, under whatever comes from the control plane."""
        with self._changing:
            own = (*(each for each in self._own if each.id != rule.id), rule)
            self._run(self._snapshot, own)

    def trust(self) -> None:
        self._trusted = self._snapshot

    def broken(self) -> str | None:
        return self._broken

    def fall_back(self) -> Snapshot | None:
        with self._changing:
            self._run(self._trusted, self._own)
            return self._trusted

    def _run(self, snapshot: Snapshot | None, own: tuple[Rule, ...]) -> None:
        rules = (*(snapshot.rules if snapshot else ()), *own)
        policy = Policy(Index(rules))
        with self._lock:
            self._policy, self._snapshot, self._own = policy, snapshot, own
            self._broken = None
        self.counts_repeats = any(isinstance(each, RunBudget) for each in rules)

    # Calls.

    def decide(
        self,
        call: CallFacts,
        attempt: int,
        started_at: float,
        last_failure: FailureClass | None = None,
    ) -> Decision | None:
        """Whether this attempt may be made; its permits are to be settled once."""
        with self._lock:
            try:
                now = self._clock.now()
                self._sweep(now)
                decision = kernel.decide(
                    self._policy,
                    call,
                    self._state,
                    now,
                    self._chance(),
                    attempt=attempt,
                    started_at=started_at,
                    last_failure=last_failure,
                )
                self._state.update(decision.changes)
            except Exception as error:  # noqa: BLE001  our trouble is not the call's
                self._broken = broken = repr(error)
            else:
                return decision
        self._complain(broken)
        return None

    def settle(self, permits: Permits, result: Result) -> Step | None:
        """Take back what an attempt held, and learn from how it ended."""
        if not permits:
            return None
        with self._lock:
            try:
                now, chance = self._clock.now(), self._chance()
                step = kernel.attempt_ended(permits, result, self._state, now, chance)
                self._state.update(step.changes)
            except Exception as error:  # noqa: BLE001  our trouble is not the call's
                self._broken = broken = repr(error)
            else:
                return step
        self._complain(broken)
        return None

    def go_on(self, plan: Plan, call: CallFacts, tried: Tried) -> Next | None:
        """What comes after an attempt that failed."""
        with self._lock:
            try:
                now = self._clock.now()
                step = kernel.next_step(
                    plan, call, tried, self._state, now=now, chance=self._chance()
                )
                if isinstance(step, Again):
                    self._state.update(step.changes)
            except Exception as error:  # noqa: BLE001  our trouble is not the call's
                self._broken = broken = repr(error)
            else:
                return step
        self._complain(broken)
        return None

    def beyond(self, hop: CallFacts, started_at: float) -> CallFacts | None:
        """What stands in for a hop that nobody here can make."""
        with self._lock:
            now = self._clock.now()
            return self._policy.matched(hop, now).plan.next_hop(hop, started_at, now)

    def twin(self, clock: Clock, chance: Callable[[], float]) -> Governor:
        """Another one with the rules of the code alone, which has counted nothing."""
        twin = Governor(clock, self._trouble, chance)
        twin._run(None, self._own)
        return twin

    def end_run(self, run: str) -> None:
        """Forget what one run has used up."""
        with self._lock:
            try:
                for key in kernel.run_keys(self._policy, run):
                    self._state.pop(key, None)
            except Exception as error:  # noqa: BLE001  our trouble is not the run's
                self._broken = broken = repr(error)
            else:
                return
        self._complain(broken)

    def forked(self) -> None:
        """In a child process: nobody holds the lock, and no attempt is under way."""
        self._lock, self._changing = threading.Lock(), threading.Lock()
        self._state = {
            key: value for key, value in self._state.items() if key[0] != "slots"
        }

    def _sweep(self, now: float) -> None:
        if abs(now - self._sweep_at) >= _SWEEP_S:
            self._sweep_at = now
            for key in expire(self._state, now):
                del self._state[key]

    def _complain(self, broken: str) -> None:
        # Not under the lock: who handles log lines may make calls of its own.
        self._trouble.say("kernel", f"a call went on ungoverned: {broken}")
