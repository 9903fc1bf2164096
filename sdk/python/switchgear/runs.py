"""For whom and within what calls are made, where they do not say so themselves.

A scope follows the flow of control: into tasks that are started inside it, not into
threads unless their context is copied.
"""

from __future__ import annotations

from contextlib import suppress
from contextvars import ContextVar, Token
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from switchgear.governor import Governor


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """What holds for every call inside; compared by identity, which is quick."""

    run: str | None = None
    tenant: str | None = None
    user: str | None = None
    agent: str | None = None
    deadline: float | None = None


NOWHERE = Scope()
scope: ContextVar[Scope] = ContextVar("switchgear_scope", default=NOWHERE)


class Run:
    """One run of an agent, or one request: its calls share one budget.

    When the outermost block of a run is over, what the run used up is forgotten.
    """

    _token: Token[Scope]

    def __init__(self, governor: Governor, inside: Scope, *, begins: bool) -> None:
        self._governor, self._inside, self._begins = governor, inside, begins

    @property
    def id(self) -> str:
        return self._inside.run or ""

    def __enter__(self) -> Self:
        self._token = scope.set(self._inside)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A generator may be resumed in another context: nothing is to be reset there.
        with suppress(ValueError):
            scope.reset(self._token)
        if self._begins:
            self._governor.end_run(self.id)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, trace)
