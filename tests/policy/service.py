"""A service as the kernel sees it: a state, a clock, and calls that end somehow."""

from __future__ import annotations

from typing import Any

from switchgear.policy.decide import attempt_ended, decide, never_ran, next_step
from switchgear.policy.decision import (
    Again,
    Decision,
    GoTo,
    Next,
    Result,
    Step,
    Tried,
    Verdict,
)
from switchgear.policy.documents.reading import read_selector
from switchgear.policy.facts import CallFacts
from switchgear.policy.machines.breaker import Breaker
from switchgear.policy.machines.state import Changes, Key, Transition
from switchgear.policy.matching import Policy
from switchgear.policy.precedence import Index
from switchgear.policy.rules import Rule
from switchgear.policy.rules.selectors import Selector
from switchgear.policy.vocabulary import FailureClass

SERVER_ERROR = FailureClass.SERVER_ERROR


def facts(target: str = "search", kind: str = "tool", **more: Any) -> CallFacts:
    return CallFacts(kind, target, "checkout", **more)


def only(**conditions: Any) -> Selector:
    return read_selector(conditions)


class Service:
    """One instance. It swaps changes in, as every owner of a state does."""

    def __init__(self, *rules: Rule, now: float = 1000.0, chance: float = 0.0) -> None:
        self.policy = Policy(Index(rules))
        self.state: Changes = {}
        self.now = now
        self.chance = chance
        self.transitions: list[Transition] = []

    def obey(self, *rules: Rule) -> None:
        self.policy = Policy(Index(rules))

    def decide(
        self, call: CallFacts | None = None, attempt: int = 1, **more: Any
    ) -> Decision:
        decision = decide(
            self.policy,
            call or facts(),
            self.state,
            self.now,
            self.chance,
            attempt=attempt,
            **more,
        )
        self._learn(decision)
        return decision

    def end(
        self,
        decision: Decision,
        failure_class: FailureClass | None = None,
        took_s: float = 0.01,
        **more: Any,
    ) -> Step:
        result = Result(failure_class, took_s, **more)
        step = attempt_ended(
            decision.permits, result, self.state, self.now, self.chance
        )
        self._learn(step)
        return step

    def drop(self, decision: Decision) -> Step:
        step = never_ran(decision.permits, self.state, self.now)
        self._learn(step)
        return step

    def call(
        self,
        failure_class: FailureClass | None = None,
        call: CallFacts | None = None,
        **more: Any,
    ) -> Decision:
        """One attempt, made if it is let through."""
        decision = self.decide(call)
        if decision.verdict in {Verdict.ALLOW, Verdict.SHADOW_REFUSE}:
            self.end(decision, failure_class, **more)
        return decision

    def after(
        self,
        decision: Decision,
        failure_class: FailureClass | None = SERVER_ERROR,
        *,
        call: CallFacts | None = None,
        attempts: int = 1,
        started_at: float | None = None,
        retry_after: float | None = None,
    ) -> Next:
        """What comes after an attempt that ended so."""
        self.end(decision, failure_class, retry_after=retry_after)
        began = self.now if started_at is None else started_at
        result = Result(failure_class, 0.01, retry_after)
        tried = Tried(attempts, began, result)
        step = next_step(
            decision.plan,
            call or facts(),
            tried,
            self.state,
            now=self.now,
            chance=self.chance,
        )
        if isinstance(step, Again):
            self.state |= step.changes
        return step

    def breaker(self) -> Breaker:
        """The only breaker there is."""
        found = self.state[self.breaker_key()]
        assert isinstance(found, Breaker)
        return found

    def breaker_key(self) -> Key:
        (key,) = (key for key in self.state if key[0] == "breaker")
        return key

    def _learn(self, answer: Decision | Step) -> None:
        self.state |= answer.changes
        self.transitions += answer.transitions


def attempts_of(service: Service, call: CallFacts, fails: FailureClass) -> list[str]:
    """All attempts of a call whose every target fails so, fallbacks included."""
    made: list[str] = []
    following: CallFacts | None = call
    while following is not None:
        following = _made(service, following, fails, made)
    return made


def _made(
    service: Service, call: CallFacts, fails: FailureClass, made: list[str]
) -> CallFacts | None:
    attempts, started_at = 1, service.now
    while True:
        decision = service.decide(call, attempts)
        if decision.go_to is not None:
            return decision.go_to.call
        if decision.verdict is Verdict.REFUSE:
            return None
        made.append(call.target)
        step = service.after(
            decision, fails, call=call, attempts=attempts, started_at=started_at
        )
        if isinstance(step, GoTo):
            return step.call
        if not isinstance(step, Again):
            return None
        service.now += step.after_s
        attempts += 1
