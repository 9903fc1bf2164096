"""One call, as the code that is guarded sees it."""

from __future__ import annotations

from contextvars import ContextVar, Token
from types import TracebackType
from typing import Self

from switchgear.classify import Failure
from switchgear.policy.vocabulary import FailureClass
from switchgear.way import Way

_running: ContextVar[Call | None] = ContextVar("switchgear_call", default=None)


def current_call() -> Call | None:
    """The call whose attempt runs here: for a guarded function to ask for its time."""
    return _running.get()


class Call(Way):
    """One call; as a block it is attempted once, or refused."""

    _token: Token[Call | None] | None = None

    @property
    def target(self) -> str:
        """What is called; what stands in for another target has its own name here."""
        return self.facts.target

    @property
    def timeout_s(self) -> float | None:
        """The time the running attempt may take, if any rule bounds it.

        Asynchronous attempts are ended when it is over. Others cannot be: hand it on to
        whatever they wait for.
        """
        return self._last.timeout_s if self._last else None

    def used(
        self,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cost_usd: float | None = None,
    ) -> None:
        """What the running attempt used up: budgets count it instead of estimates."""
        if self._last is not None:
            self._last.uses(input_tokens, output_tokens, cost_usd)

    def failed(self, failure_class: str = FailureClass.TOOL_ERROR) -> None:
        """The running attempt failed, although nothing is raised."""
        if self._last is not None:
            self._last.said = Failure(FailureClass(failure_class))

    def __enter__(self) -> Self:
        self.begin()
        self.enter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(error)

    def close(self, error: BaseException | None = None) -> None:
        """The attempt is over, and the call with it."""
        self.leave()
        self.settle(error)
        self.end()

    def begin(self) -> None:
        """Begin the only attempt of a call that is not a function's."""
        refusal = self.admit()
        if refusal is not None:
            refused = self._refused_by(refusal)
            self.end()
            raise refused

    def enter(self) -> None:
        """From here to ``leave`` everything happens inside the attempt."""
        self._token = _running.set(self)
        if self.trail is not None:
            self.trail.enter()

    def leave(self) -> None:
        if self._token is None:
            return
        if self.trail is not None:
            self.trail.leave()
        _running.reset(self._token)
        self._token = None
