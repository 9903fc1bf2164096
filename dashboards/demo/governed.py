"""Runs on the client: every tool and model is guarded by name, and rules do the rest.

This is all that a service needs. How often something is tried, what stands in for it,
how long it may take, who may call it how often: none of it is written here. It is
edited on the board, and applies from the next call on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from random import Random
from secrets import token_hex

from opentelemetry import trace
from opentelemetry.trace import Tracer

from dashboards.demo import world
from dashboards.demo.dialects import GENAI
from dashboards.demo.world import Customer, Model, Tool, Trouble
from switchgear import Client, Refused, current_call

Guarded = Callable[..., Awaitable[str]]


class Failed(Exception):
    """What a library raises when its server does not answer as hoped."""

    status_code: int | None = None


class Toolbox:
    """The tools and models of the world, behind one client."""

    def __init__(self, client: Client, rng: Random, down: Callable[[], str]) -> None:
        """``down`` says which provider is down now."""
        self.client, self._rng, self._down = client, rng, down
        self.tools = {tool.name: self._guard(tool) for tool in world.TOOLS.values()}
        self.models = {
            model.name: self._guard_model(model) for model in world.MODELS.values()
        }

    def _guard(self, tool: Tool) -> Guarded:
        @self.client.tool(
            tool.name, provider=tool.provider or None, idempotent=tool.idempotent
        )
        async def use(**arguments: str | float) -> str:
            took_ms = world.duration_ms(self._rng, tool.typical_ms)
            await happen(world.attempt(self._rng, tool, down=self._down()), took_ms)
            return "done"

        return use

    def _guard_model(self, model: Model) -> Guarded:
        kind = "embedding" if model.embeds else "model"

        @self.client.guard(kind, model.name, provider=model.provider)
        async def ask(prompt: str) -> str:
            took_ms = world.duration_ms(self._rng, model.typical_ms)
            await happen(world.completion(self._rng, model, down=self._down()), took_ms)
            used = world.used(self._rng, model, took_ms)
            if call := current_call():
                call.used(input_tokens=used.input, output_tokens=used.output)
            # What more there is to say, any instrumentation may say inside the call.
            answer = GENAI.answer(model, used, f"resp_{token_hex(12)}")
            trace.get_current_span().set_attributes(answer)
            return "an answer"

        return ask


async def happen(found: Trouble | None, took_ms: float) -> None:
    """The world answers, or not, after some time."""
    await asyncio.sleep((took_ms if found is None else found.took_ms) / 1000)
    if found is not None:
        kind = type(found.type, (Failed,), {"status_code": found.status_code})
        raise kind(found.message)


@dataclass(slots=True)
class Governed:
    """One run of an agent, for one customer."""

    toolbox: Toolbox
    tracer: Tracer
    rng: Random
    customer: Customer

    @contextmanager
    def agent(self, name: str) -> Iterator[None]:
        told = GENAI.agent(name) | GENAI.about(self.customer)
        run = self.toolbox.client.run(
            agent=name, tenant=self.customer.tenant, user=self.customer.user
        )
        with (
            run,
            self.tracer.start_as_current_span(f"invoke_agent {name}", attributes=told),
        ):
            yield

    async def think(self, model: str) -> bool:
        return await worked(self.toolbox.models[model](prompt=f"step {token_hex(4)}"))

    async def use(self, tool: str, **arguments: str | float) -> bool:
        return await worked(self.toolbox.tools[tool](**arguments))

    async def give_up(self, tool: str) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(world.TOOLS[tool].typical_ms / 2000):
                await self.use(tool)


async def worked(call: Awaitable[str]) -> bool:
    """An agent goes on without what it did not get; a refusal tells it why."""
    try:
        await call
    except (Refused, Failed, TimeoutError):
        return False
    return True
