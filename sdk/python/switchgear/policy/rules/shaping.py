"""The rules that shape a call: of each kind, exactly one decides.

Names and defaults are those of resilience4j where it has one. A bound that is None
does not exist.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar

from switchgear.policy.rules import parameters as p
from switchgear.policy.rules.rule import SCOPE, Fault, Rule
from switchgear.policy.rules.selectors import Target
from switchgear.policy.vocabulary import RETRYABLE, FailureClass, RefusalReason

_TRANSIENT = tuple(each for each in FailureClass if each in RETRYABLE)
_OUTAGE = (FailureClass.TRANSPORT, FailureClass.TIMEOUT, FailureClass.SERVER_ERROR)
# They say nothing about a server: they may only trip the breaker of one target.
_OF_THE_TARGET = frozenset(
    {
        FailureClass.TOOL_ERROR,
        FailureClass.INVALID_REQUEST,
        FailureClass.CANCELLED,
        FailureClass.REFUSED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry(Rule):
    """Try again after a failure that may pass."""

    KIND: ClassVar[str] = "retry"

    max_attempts: int = field(
        default=3,
        metadata=p.whole(
            "How often a call is tried, the first time included.", least=1, most=10
        ),
    )
    wait_duration_ms: int = field(
        default=200, metadata=p.milliseconds("Wait before the second attempt.", least=0)
    )
    exponential_backoff_multiplier: float = field(
        default=2.0,
        metadata=p.described(
            p.Type.NUMBER,
            "By how much each wait is longer than the one before.",
            least=1,
            most=10,
        ),
    )
    max_wait_ms: int = field(
        default=10_000, metadata=p.milliseconds("No wait is longer.", least=0)
    )
    jitter: str = field(
        default="full",
        metadata=p.choice(
            "Full waits a random part of the time, so that callers spread.",
            ("full", "none"),
        ),
    )
    retry_on: tuple[FailureClass, ...] = field(
        default=_TRANSIENT,
        metadata=p.choices("The failures that are tried again.", FailureClass, least=1),
    )
    respect_retry_after: bool = field(
        default=True,
        metadata=p.described(
            p.Type.FLAG, "Wait as long as the target asks for, if that is longer."
        ),
    )
    retry_budget_percent: int = field(
        default=20,
        metadata=p.percent(
            "Retries may be this share of the calls of a target.", most=1000
        ),
    )
    idempotent_only: bool = field(
        default=True,
        metadata=p.described(
            p.Type.FLAG, "Never repeat a call that may have had an effect."
        ),
    )
    total_deadline_ms: int | None = field(
        default=None,
        metadata=p.milliseconds("The whole call, with all attempts, ends by then."),
    )

    def worst_wait_ms(self) -> float:
        """All waits together, if every attempt fails and nobody is lucky."""
        waits = (
            self.wait_duration_ms * self.exponential_backoff_multiplier**attempt
            for attempt in range(self.max_attempts - 1)
        )
        return sum(min(wait, self.max_wait_ms) for wait in waits)

    def faults(self) -> Iterator[Fault]:
        if self.max_wait_ms < self.wait_duration_ms:
            yield "max_wait_ms", "must be at least wait_duration_ms"
        deadline = self.total_deadline_ms
        if deadline is not None and self.worst_wait_ms() > deadline:
            waits = f"{self.worst_wait_ms():.0f} ms"
            yield "total_deadline_ms", f"leaves no time for waits of up to {waits}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeout(Rule):
    """Give an attempt up when it takes too long."""

    KIND: ClassVar[str] = "timeout"

    timeout_ms: int = field(
        default=30_000, metadata=p.milliseconds("An attempt takes no longer.")
    )
    first_byte_ms: int | None = field(
        default=None, metadata=p.milliseconds("A stream begins by then.")
    )
    idle_stream_ms: int | None = field(
        default=None, metadata=p.milliseconds("A stream is never silent for longer.")
    )

    def faults(self) -> Iterator[Fault]:
        for name in ("first_byte_ms", "idle_stream_ms"):
            part = getattr(self, name)
            if part is not None and part > self.timeout_ms:
                yield name, "must not be longer than timeout_ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreaker(Rule):
    """Stop calling a target that is down, and find out carefully when it is back."""

    KIND: ClassVar[str] = "circuit_breaker"

    failure_rate_threshold: int = field(
        default=50, metadata=p.percent("Opens when so many attempts fail.")
    )
    slow_call_rate_threshold: int = field(
        default=100, metadata=p.percent("Opens when so many attempts are slow.")
    )
    slow_call_duration_threshold_ms: int = field(
        default=60_000, metadata=p.milliseconds("An attempt that takes longer is slow.")
    )
    sliding_window_type: str = field(
        default="time",
        metadata=p.choice("What the window is measured in.", ("time", "count")),
    )
    sliding_window_size: int = field(
        default=60,
        metadata=p.whole(
            "The window: seconds of time, or a count of attempts.", least=1, most=3600
        ),
    )
    minimum_number_of_calls: int = field(
        default=20,
        metadata=p.whole(
            "Fewer attempts in the window prove nothing.", least=5, most=1_000_000
        ),
    )
    wait_duration_in_open_state_ms: int = field(
        default=30_000, metadata=p.milliseconds("Stays open so long the first time.")
    )
    wait_backoff_multiplier: float = field(
        default=2.0,
        metadata=p.described(
            p.Type.NUMBER,
            "How much longer it stays open each time a probe fails.",
            least=1,
            most=10,
        ),
    )
    max_wait_duration_in_open_state_ms: int = field(
        default=300_000, metadata=p.milliseconds("Stays open no longer than this.")
    )
    wait_jitter_percent: int = field(
        default=20,
        metadata=p.percent(
            "By how much waits differ, so that instances do not probe at once.",
            least=0,
        ),
    )
    permitted_calls_in_half_open: int = field(
        default=3,
        metadata=p.whole("How many probes decide when half open.", least=1, most=100),
    )
    max_wait_duration_in_half_open_ms: int = field(
        default=10_000,
        metadata=p.milliseconds("A probe without an answer by then has failed."),
    )
    record_failures: tuple[FailureClass, ...] = field(
        default=_OUTAGE,
        metadata=p.choices("The failures that count.", FailureClass, least=1),
    )
    scope: tuple[str, ...] = field(
        default=("kind", "target", "provider", "server"),
        metadata=p.choices(
            "The calls that share one breaker are alike in these.", SCOPE, least=1
        ),
    )
    operator_state: str = field(
        default="automatic",
        metadata=p.choice(
            "Forced open refuses all; disabled ignores, and metrics only just counts.",
            ("automatic", "forced_open", "disabled", "metrics_only"),
        ),
    )

    def faults(self) -> Iterator[Fault]:
        wait = self.wait_duration_in_open_state_ms
        if self.max_wait_duration_in_open_state_ms < wait:
            name = "max_wait_duration_in_open_state_ms"
            yield name, "must be at least wait_duration_in_open_state_ms"
        counted = self.sliding_window_type == "count"
        if counted and self.sliding_window_size < self.minimum_number_of_calls:
            yield "minimum_number_of_calls", "must fit into sliding_window_size"
        own = [each for each in self.record_failures if each in _OF_THE_TARGET]
        if own and "target" not in self.scope:
            yield "record_failures", f'{own[0]} needs "target" in scope'


@dataclass(frozen=True, slots=True)
class Hop:
    """One target of a fallback chain."""

    target: Target = field(
        metadata=p.described(
            p.Type.TARGET, "What is called instead: tool:search, or only a name."
        )
    )
    timeout_ms: int | None = field(
        default=None, metadata=p.milliseconds("It has so long to answer.")
    )
    max_cost_usd: Decimal | None = field(
        default=None, metadata=p.money("It is passed over when it would cost more.")
    )

    @property
    def max_cost_nano(self) -> int | None:
        return p.nano(self.max_cost_usd)

    def document(self) -> dict[str, object]:
        return p.document_of(self, p.parts(type(self)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback(Rule):
    """Let another target answer."""

    KIND: ClassVar[str] = "fallback"

    chain: tuple[Hop, ...] = field(
        metadata=p.made_of(
            p.Type.CHAIN,
            "The targets that are tried, in this order.",
            Hop,
            least=1,
            most=10,
        )
    )
    on: tuple[FailureClass | RefusalReason, ...] = field(
        default=(*_TRANSIENT, RefusalReason.BREAKER),
        metadata=p.choices(
            "The failures and refusals after which the next one is tried.",
            (*FailureClass, *RefusalReason),
            least=1,
        ),
    )
    max_hops: int = field(
        default=3, metadata=p.whole("Gives up after so many.", least=1, most=10)
    )
    inherit_deadline: bool = field(
        default=True,
        metadata=p.described(p.Type.FLAG, "Keep the deadline of the first call."),
    )

    def faults(self) -> Iterator[Fault]:
        targets = [each.target for each in self.chain]
        if len(set(targets)) < len(targets):
            yield "chain", "names a target twice"
