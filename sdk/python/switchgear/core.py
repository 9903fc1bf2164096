"""What all calls of one client share."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from switchgear.clock import Clock
from switchgear.governor import Governor
from switchgear.telemetry import Telemetry
from switchgear.trouble import Trouble


class Ended(NamedTuple):
    """How a call ended, in the words of its span."""

    call_id: str
    kind: str
    target: str
    tenant: str | None
    outcome: str
    attempts: int
    failure_class: str | None
    refusal_reason: str | None
    rule: str | None
    fallback_from: str | None


@dataclass(slots=True)
class Core:
    """One policy, one clock, one voice; ``switchgear.testing`` exchanges parts."""

    service: str
    environment: str
    governor: Governor
    telemetry: Telemetry
    clock: Clock
    trouble: Trouble
    sleep: Callable[[float], object] = time.sleep
    sleep_async: Callable[[float], Awaitable[object]] = asyncio.sleep
    listeners: list[Callable[[Ended], None]] = field(default_factory=list)
    # What is left to do for calls that nobody ended. The garbage collector may run in
    # a thread that holds any lock, so it only leaves word here.
    left: deque[Callable[[], None]] = field(default_factory=deque)

    def tidy(self) -> None:
        while self.left:
            try:
                chore = self.left.popleft()
            except IndexError:  # another thread was quicker
                return
            self._do(chore)

    def tell(self, ended: Ended) -> None:
        for listener in self.listeners:
            self._do(partial(listener, ended))

    def _do(self, chore: Callable[[], object]) -> None:
        try:
            chore()
        except Exception as error:  # noqa: BLE001  it is not this call's trouble
            self.trouble.say("chore", f"something was left undone: {error!r}")
