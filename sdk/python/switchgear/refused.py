"""The exception of a call that was not allowed, worded so that a model can act."""

from __future__ import annotations


class Refused(Exception):
    """A rule did not allow the call; nothing was sent to its target.

    ``reason`` is one of the refusal reasons, ``rule`` the rule's id. ``retry_after``
    is the seconds after which the same call may be allowed, where that is known, and
    ``alternatives`` names targets that may answer instead. ``retryable`` says whether
    the same call can succeed later in this run at all. The text says all of it.
    """

    def __init__(
        self,
        reason: str,
        rule: str | None = None,
        retry_after: float | None = None,
        alternatives: tuple[str, ...] = (),
        *,
        retryable: bool = False,
        message: str = "",
    ) -> None:
        super().__init__(message or f"The call was refused ({reason}).")
        self.reason = reason
        self.rule = rule
        self.retry_after = retry_after
        self.alternatives = alternatives
        self.retryable = retryable
