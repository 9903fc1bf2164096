"""What the kernel is told about one call: who calls what, for whom, and how much.

Facts never change while a call lasts, whatever is retried. A fallback is a call of
its own, with facts of its own and the same deadline.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CallFacts:
    """One call, as its caller describes it before anything is attempted."""

    kind: str
    target: str
    service: str
    environment: str = "default"
    tenant: str | None = None
    user: str | None = None
    agent: str | None = None
    model: str | None = None
    provider: str | None = None
    server: str | None = None
    idempotent: bool = False
    # A hash of the canonical arguments: it tells a loop from progress.
    arguments: bytes = b""
    # Estimates, known before the call; what it really took settles them.
    tokens: int = 0
    cost_nano: int | None = 0  # None: nobody knows the price
    deadline: float | None = None
    run: str | None = None
    # The call its caller made, when this one stands in for it.
    fallback_for: CallFacts | None = None
