"""One execution try of a call, from its permits to its result."""

from __future__ import annotations

from time import monotonic

from switchgear.classify import Failure
from switchgear.policy.decision import Permits, Result

_NANO = 1_000_000_000
_TOKENS = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
_COST = "gen_ai.usage.cost"
_MOST = 2**63  # what a span can carry


class Attempt:
    """What an attempt holds while it runs, and what is known of it afterwards.

    ``timeout_s`` is the time it may take, ``said`` a failure that nothing raises.
    """

    __slots__ = (
        "began",
        "error",
        "failure",
        "flowing",
        "permits",
        "running",
        "said",
        "timeout_s",
        "took_s",
        "used",
    )

    def __init__(self, permits: Permits, timeout_s: float | None) -> None:
        self.permits = permits
        self.timeout_s = timeout_s
        self.began = monotonic()
        self.took_s = 0.0
        self.running = True
        self.flowing = False  # a stream whose first item was waited for
        self.used: dict[str, int | float] = {}
        self.said: Failure | None = None
        self.failure: Failure | None = None
        self.error: BaseException | None = None

    def over(self, error: BaseException | None, failure: Failure | None) -> None:
        self.running = False
        self.took_s = monotonic() - self.began
        self.error, self.failure = error, failure

    def uses(
        self, inputs: int | None, outputs: int | None, cost_usd: float | None
    ) -> None:
        for key, value in zip(
            (*_TOKENS, _COST), (inputs, outputs, cost_usd), strict=True
        ):
            # Whatever a provider says of itself: only what can be counted is.
            if isinstance(value, int | float) and 0 <= value < _MOST:
                self.used[key] = value

    @property
    def result(self) -> Result:
        """How it ended, for the kernel; what nobody said stays as estimated."""
        failure, used = self.failure, self.used
        if failure is None and not used:
            return Result(None, self.took_s)
        tokens = [int(used[key]) for key in _TOKENS if key in used]
        return Result(
            failure.failure_class if failure else None,
            self.took_s,
            failure.retry_after_s if failure else None,
            sum(tokens) if tokens else None,
            round(used[_COST] * _NANO) if _COST in used else None,
        )
