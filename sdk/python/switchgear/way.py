"""The way of a call: admitted, attempted, settled, ended.

A call is one logical use of a target. It is tried until it succeeds or the rules say
that it is over; whatever becomes of it, it ends exactly once, in exactly one outcome.
"""

from __future__ import annotations

from random import getrandbits
from time import monotonic

from switchgear.attempt import Attempt
from switchgear.classify import Classifier, Failure, classify
from switchgear.core import Core, Ended
from switchgear.policy.decision import Again, Decision, GoTo, Tried, Verdict
from switchgear.policy.facts import CallFacts
from switchgear.policy.machines.state import Transition, name_of
from switchgear.policy.vocabulary import FailureClass, Outcome
from switchgear.refused import Refused
from switchgear.telemetry import Trail

_REFUSING = frozenset({Verdict.REFUSE, Verdict.FALLBACK})


class Way:
    """Where a call has got to, and what comes next. Walked by ``course``."""

    def __init__(
        self,
        core: Core,
        facts: CallFacts,
        *,
        classifier: Classifier | None = None,
        stands_in_for: Way | None = None,
    ) -> None:
        self.outcome: Outcome | None = None
        self.attempts = 0
        self.facts = facts
        self.onward: CallFacts | None = None  # what stands in for it, by the rules
        self._core, self._classifier, self._first = core, classifier, stands_in_for
        self._id = f"{getrandbits(64):016x}"
        self._version = core.governor.version
        self._started_at = core.clock.now()
        self.trail: Trail | None = core.telemetry.call(
            facts, self._id, stands_in_for.trail if stands_in_for else None
        )
        self._decision: Decision | None = None  # the last that let an attempt through
        self._refusal: Decision | None = None
        self._last: Attempt | None = None
        self._waited_s = 0.0
        self._breaker: str | None = None
        self._given_up = False

    def __del__(self) -> None:
        # A stream that was dropped, a call that was never closed. This may run inside
        # anything, locks of ours included: so leave word, and let the next call do it.
        if self.attempts and self.outcome is None:
            self._core.left.append(self.give_up)

    def item_s(self) -> float | None:
        """How long the next item of a stream may take, the first or a later one."""
        attempt = self._last
        if attempt is None or self._decision is None:
            return None
        rule, begun = self._decision.plan.timeout, attempt.flowing
        attempt.flowing = True
        bounds = []
        if attempt.timeout_s is not None:
            bounds.append(attempt.timeout_s - (monotonic() - attempt.began))
        if rule is not None:
            own_ms = rule.idle_stream_ms if begun else rule.first_byte_ms
            bounds += [own_ms / 1000] if own_ms is not None else []
        return max(min(bounds), 0.0) if bounds else None

    @property
    def error(self) -> BaseException | None:
        """What the last attempt raised."""
        return self._last.error if self._last else None

    @property
    def succeeded(self) -> bool:
        return self._last is not None and self._last.failure is None

    def admit(self) -> Decision | None:
        """Begin one more attempt, unless it is refused: by this decision."""
        self._core.tidy()
        last = self._last.failure if self._last else None
        decision = self._core.governor.decide(
            self.facts,
            self.attempts + 1,
            self._started_at,
            last.failure_class if last else None,
        )
        timeout_s = None
        if decision is not None:
            self._breaker = decision.breaker_state
            self._tell(decision.transitions)
            if decision.verdict in _REFUSING:
                self._refusal = decision
                self.onward = decision.go_to.call if decision.go_to else None
                return decision
            timeout_s = decision.plan.timeout_s(
                self.facts, self._started_at, self._core.clock.now()
            )
        self._decision = decision
        self.attempts += 1
        if self.trail is not None:
            self.trail.attempt(self.attempts, self._waited_s)
        self._last = Attempt(decision.permits if decision else (), timeout_s)
        return None

    def settle(self, error: BaseException | None) -> bool:
        """The attempt is over: did it go well?"""
        attempt = self._last
        if attempt is None or not attempt.running:
            return self.succeeded
        failure = attempt.said
        if error is not None:
            failure = classify(error, self._classifier, now=self._core.clock.now())
        attempt.over(error, failure)
        if self._decision is not None:
            step = self._core.governor.settle(attempt.permits, attempt.result)
            if step is not None:
                self._breaker = step.breaker_state or self._breaker
                self._tell(step.transitions)
        if self.trail is not None:
            self.trail.attempt_ended(
                failure.failure_class if failure else None, error, attempt.used
            )
        return failure is None

    def wait_to_try_again(self) -> float | None:
        """Seconds to wait before the next attempt, if the failed one may be repeated.

        If not, ``onward`` is where the rules go from here.
        """
        if self._decision is None or self._last is None:
            return None
        tried = Tried(self.attempts, self._started_at, self._last.result)
        step = self._core.governor.go_on(self._decision.plan, self.facts, tried)
        if isinstance(step, Again):
            self._waited_s = step.after_s
            return step.after_s
        self.onward = step.call if isinstance(step, GoTo) else None
        return None

    def beyond(self, hop: CallFacts) -> CallFacts | None:
        """The hop after one that cannot be made here."""
        return self._core.governor.beyond(hop, self._started_at)

    def refused(self) -> Refused | None:
        """What its caller is told, if nothing was attempted."""
        if self._refusal is None or self.attempts:
            return None
        return self._refused_by(self._refusal)

    def _refused_by(self, decision: Decision) -> Refused:
        alternatives = tuple(str(target) for target in decision.alternatives)
        message = f"{self.facts.target} was not called. {decision.message}"
        if alternatives:
            message += f" Use {' or '.join(alternatives)} instead."
        return Refused(
            str(decision.reason),
            decision.rule,
            decision.retry_after,
            alternatives,
            retryable=decision.retryable,
            message=message,
        )

    def give_up(self) -> None:
        """Nobody waits for it any more."""
        if self._last is not None:
            self._last.said = Failure(FailureClass.CANCELLED)
        self.settle(None)
        self._given_up = True
        self.end()

    def end(self, *, answered: bool = False) -> None:
        """The call is over, once; ``answered``: by another target."""
        if self.outcome is not None:
            return
        self.outcome = outcome = self._judge(answered=answered)
        if self.trail is not None or self._core.listeners:
            self._report(outcome)
        if self._last is not None:
            self._last.error = None  # it holds frames, and they may hold this call

    def _report(self, outcome: Outcome) -> None:
        said = self._said(outcome)
        if self.trail is not None:
            values: dict[str, str | int | float] = {**said}
            if self._version is not None:
                values["switchgear.policy.version"] = self._version
            self.trail.ended(values, self._complaint(outcome))
        if self._core.listeners:
            self._core.tell(self._ended(said))

    def _complaint(self, outcome: Outcome) -> BaseException | str | None:
        """What its caller got instead of an answer."""
        if outcome is Outcome.REFUSED:
            return self.refused()
        if outcome is not Outcome.FAILED:
            return None
        return self.error or FailureClass.TOOL_ERROR.value

    def _judge(self, *, answered: bool) -> Outcome:
        if self._given_up:
            return Outcome.CANCELLED
        if self.succeeded:
            return Outcome.OK if self.attempts == 1 else Outcome.RECOVERED
        if answered:
            return Outcome.FALLBACK
        if not self.attempts:
            return Outcome.REFUSED
        failure = self._last.failure if self._last else None
        if failure and failure.failure_class is FailureClass.CANCELLED:
            return Outcome.CANCELLED
        return Outcome.FAILED

    def _said(self, outcome: Outcome) -> dict[str, str]:
        """How it ended, in the words of its span."""
        first, refusal = self._first, None if self.attempts else self._refusal
        decision = refusal or self._decision
        verdict = decision.verdict if decision else Verdict.ALLOW
        if outcome is Outcome.REFUSED:
            verdict = Verdict.REFUSE
        values = {
            "switchgear.outcome": outcome,
            "switchgear.decision": verdict,
            "switchgear.failure_class": self._failure_class(outcome),
            "switchgear.refusal_reason": refusal.reason if refusal else None,
            "switchgear.rule": self._rule(outcome),
            "switchgear.breaker.state": self._breaker,
            "switchgear.fallback.from": first.facts.target if first else None,
        }
        return {key: str(value) for key, value in values.items() if value is not None}

    def _failure_class(self, outcome: Outcome) -> FailureClass | None:
        if outcome is Outcome.CANCELLED:
            return FailureClass.CANCELLED
        if not self.attempts and self._refusal is not None:
            return FailureClass.REFUSED
        failure = self._last.failure if self._last else None
        return failure.failure_class if failure else None

    def _ended(self, said: dict[str, str]) -> Ended:
        return Ended(
            call_id=self._id,
            kind=self.facts.kind,
            target=self.facts.target,
            tenant=self.facts.tenant,
            outcome=said["switchgear.outcome"],
            attempts=self.attempts,
            failure_class=said.get("switchgear.failure_class"),
            refusal_reason=said.get("switchgear.refusal_reason"),
            rule=said.get("switchgear.rule"),
            fallback_from=said.get("switchgear.fallback.from"),
        )

    def _rule(self, outcome: Outcome) -> str | None:
        """The rule that made this call differ from one without rules."""
        decision = self._refusal or self._decision
        if decision is None:
            return None
        plan, rule = decision.plan, decision.rule
        if outcome is Outcome.FALLBACK and plan.fallback:
            return plan.fallback.id
        if rule is None and self.attempts > 1 and plan.retry:
            return plan.retry.id
        return rule

    def _tell(self, transitions: tuple[Transition, ...]) -> None:
        for one in transitions:
            if self.trail is not None:
                self.trail.event(
                    "circuit_breaker.state_change",
                    {
                        "switchgear.breaker.key": name_of(one.key),
                        "switchgear.breaker.from": one.before,
                        "switchgear.breaker.to": one.after,
                        "switchgear.breaker.generation": one.generation,
                        "switchgear.breaker.cause": one.cause,
                    },
                )
