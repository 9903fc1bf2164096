"""Runs without the client: tries, second choices and spans are written by hand.

So a service works that is seen but cannot be steered: three tries, wherever they lead,
and another model that only a deployment can change. The past of all services is told
like this, too, on a clock that moves as fast as it can.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from secrets import token_hex
from typing import Protocol

from opentelemetry import trace
from opentelemetry.trace import Span, StatusCode, Tracer

from dashboards.demo import world
from dashboards.demo.dialects import Attributes, Dialect
from dashboards.demo.services import Service
from dashboards.demo.world import Trouble

MOST_TRIES = 3
SECOND_CHOICE = {
    "gpt-4o-mini": "claude-haiku-4-5",
    "gpt-4o": "claude-sonnet-4-5",
    "claude-sonnet-4-5": "gpt-4o",
    "claude-haiku-4-5": "gpt-4o-mini",
    "gemini-2.5-flash": "gpt-4o-mini",
}


class Clock(Protocol):
    def now_ns(self) -> int: ...
    async def sleep(self, seconds: float) -> None: ...


class Present:
    """Time passes by itself."""

    def now_ns(self) -> int:
        return time.time_ns()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Past:
    """Time passes when somebody waits."""

    def __init__(self, at_s: float) -> None:
        self._now_ns = int(at_s * world.SECOND_NS)

    def now_ns(self) -> int:
        return self._now_ns

    async def sleep(self, seconds: float) -> None:
        self._now_ns += int(seconds * world.SECOND_NS)


@dataclass(slots=True)
class ByHand:
    tracer: Tracer
    rng: Random
    dialect: Dialect
    clock: Clock
    about: Attributes  # for whom: written on every span, the root comes last
    live_from_s: float
    _agents: list[Span] = field(default_factory=list)

    @contextmanager
    def agent(self, name: str) -> Iterator[None]:
        span = self._begin(f"invoke_agent {name}", self.dialect.agent(name))
        self._agents.append(span)
        yield
        self._agents.pop()
        span.end(self.clock.now_ns())

    async def think(self, model: str) -> bool:
        other = SECOND_CHOICE.get(model)
        return await self._ask(model) or (other is not None and await self._ask(other))

    async def _ask(self, name: str) -> bool:
        model = world.MODELS[name]
        told = self.dialect.model(model)
        for number in range(1, MOST_TRIES + 1):
            span = self._begin(f"chat {name}", told)
            took_ms = world.duration_ms(self.rng, model.typical_ms)
            found = world.completion(self.rng, model, down=self._down())
            if found is None:
                used = world.used(self.rng, model, took_ms)
                answer = self.dialect.answer(model, used, f"resp_{token_hex(12)}")
                span.set_attributes(answer)
            if not await self._again(span, found, took_ms, number):
                return found is None
        return False

    async def use(self, tool: str, **arguments: str | float) -> bool:
        """Every try is a span of its own with the same call id."""
        known = world.TOOLS[tool]
        call = f"call_{token_hex(8)}"
        told = self.dialect.tool(known, call, json.dumps(arguments))
        for number in range(1, MOST_TRIES + 1):
            span = self._begin(f"execute_tool {tool}", told)
            took_ms = world.duration_ms(self.rng, known.typical_ms)
            found = world.attempt(self.rng, known, down=self._down())
            if not await self._again(span, found, took_ms, number):
                return found is None
        return False

    async def give_up(self, tool: str) -> None:
        """What the caller does not wait for ends as cancelled."""
        known = world.TOOLS[tool]
        told = self.dialect.tool(known, f"call_{token_hex(8)}", "{}")
        span = self._begin(f"execute_tool {tool}", told)
        left = Trouble("CancelledError", "the user left", known.typical_ms / 2)
        await self._end(span, left, left.took_ms)

    async def _again(
        self, span: Span, found: Trouble | None, took_ms: float, number: int
    ) -> bool:
        """End a try; whether to make another, after a wait that doubles."""
        await self._end(span, found, took_ms if found is None else found.took_ms)
        if found is None or not found.again or number == MOST_TRIES:
            return False
        await self.clock.sleep(0.2 * (1 << number) * self.rng.uniform(0.5, 1))
        return True

    async def _end(self, span: Span, found: Trouble | None, took_ms: float) -> None:
        await self.clock.sleep(took_ms / 1000)
        if found is not None:
            blame(span, found, self.clock.now_ns())
        span.end(self.clock.now_ns())

    def _begin(self, name: str, attributes: Attributes) -> Span:
        within = trace.set_span_in_context(self._agents[-1]) if self._agents else None
        return self.tracer.start_span(
            name,
            within,
            attributes={**self.about, **attributes},
            start_time=self.clock.now_ns(),
        )

    def _down(self) -> str:
        return world.outage(self.clock.now_ns() / 1e9, live_from_s=self.live_from_s)


def run_by_hand(
    service: Service, tracer: Tracer, rng: Random, clock: Clock, *, live_from_s: float
) -> ByHand:
    customer = world.customer(rng, service.name, clock.now_ns() / world.SECOND_NS)
    return ByHand(
        tracer=tracer,
        rng=rng,
        dialect=service.dialect,
        clock=clock,
        about=service.dialect.about(customer),
        live_from_s=live_from_s,
    )


def blame(span: Span, found: Trouble, now_ns: int) -> None:
    span.set_attribute("error.type", found.type)
    if found.status_code is not None:
        span.set_attribute("http.response.status_code", found.status_code)
    span.set_status(StatusCode.ERROR, found.message)
    told = {"exception.type": found.type, "exception.message": found.message}
    span.add_event("exception", told, timestamp=now_ns)
