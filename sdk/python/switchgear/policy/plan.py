"""How one call is to be made: its shaping rules, and where it may go from here.

Only the chain of the call its caller made counts, and it is walked forwards: what
stands in for a call has no chain of its own. So there are at most `max_hops` + 1 calls,
each with its own retries.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from switchgear.policy.facts import CallFacts
from switchgear.policy.machines.state import Key
from switchgear.policy.rules import CircuitBreaker, Fallback, Hop, Retry, Timeout


@dataclass(frozen=True, slots=True)
class Guard:
    """A breaker's rule and the keys under which its knowledge is kept."""

    rule: CircuitBreaker
    breaker: Key
    throttle: Key


@dataclass(frozen=True, slots=True)
class Plan:
    """The rules that shape a call; of each kind the one that won, or none."""

    retry: Retry | None = None
    timeout: Timeout | None = None
    fallback: Fallback | None = None
    guard: Guard | None = None
    reserve: Key = ()
    # The hop this call itself is, and those that are left.
    hop: Hop | None = None
    hops: tuple[Hop, ...] = ()

    def ends_at(self, call: CallFacts, started_at: float) -> float | None:
        """When the call with all its attempts has to be over."""
        total_ms = self.retry.total_deadline_ms if self.retry else None
        if total_ms is None:
            return call.deadline
        own = started_at + total_ms / 1000
        return own if call.deadline is None else min(own, call.deadline)

    def timeout_s(self, call: CallFacts, started_at: float, now: float) -> float | None:
        """How long an attempt that begins now may take; 0 if there is no time left."""
        bounds = []
        if self.timeout is not None:
            bounds.append(self.timeout.timeout_ms / 1000)
        if self.hop is not None and self.hop.timeout_ms is not None:
            bounds.append(self.hop.timeout_ms / 1000)
        ends_at = self.ends_at(call, started_at)
        if ends_at is not None:
            bounds.append(max(0.0, ends_at - now))
        return min(bounds, default=None)

    def next_hop(
        self, call: CallFacts, started_at: float, now: float
    ) -> CallFacts | None:
        """The facts of the call that stands in next, as far as the chain knows them."""
        if self.fallback is None or not self.hops:
            return None
        target = self.hops[0].target
        first = call.fallback_for or call
        inherited = self.fallback.inherit_deadline
        deadline = self.ends_at(call, started_at) if inherited else None
        if deadline is not None and deadline <= now:
            return None
        return replace(
            first,
            kind=target.kind or first.kind,
            target=target.name,
            model=None,
            provider=None,
            server=None,
            # Whoever knows the new target says so.
            idempotent=False,
            deadline=deadline,
            fallback_for=first,
        )


def hops_after(fallback: Fallback, first: CallFacts, at: CallFacts) -> tuple[Hop, ...]:
    """What is left of the chain of `first` when the call is at `at`."""
    elsewhere = [hop for hop in fallback.chain if not is_at(hop, first, first)]
    hops = tuple(elsewhere[: fallback.max_hops])
    if at is first:
        return hops
    passed = [index for index, hop in enumerate(hops) if is_at(hop, first, at)]
    return hops[passed[0] + 1 :] if passed else ()


def hop_of(fallback: Fallback, first: CallFacts, at: CallFacts) -> Hop | None:
    """The hop of the chain of `first` that the call `at` is."""
    return next((hop for hop in fallback.chain if is_at(hop, first, at)), None)


def is_at(hop: Hop, first: CallFacts, call: CallFacts) -> bool:
    """Whether a call is the one a hop leads to."""
    kind = hop.target.kind or first.kind
    return (kind, hop.target.name) == (call.kind, call.target)
