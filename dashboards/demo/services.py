"""The services of the fleet: what each of them is for, told as runs of its agents.

A job says what an agent does, not what happens when that fails: for most services the
client and its rules decide that (``governed``), and one decides it itself (``byhand``).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from dashboards.demo.dialects import GENAI, OPENINFERENCE, Dialect
from dashboards.demo.world import chance

ENVIRONMENT = "production"


class Run(Protocol):
    """One run of an agent, for one customer."""

    rng: Random

    def agent(self, name: str) -> AbstractContextManager[None]: ...

    async def think(self, model: str) -> bool:
        """Ask a model; whether any answered."""

    async def use(self, tool: str, **arguments: str | float) -> bool:
        """Call a tool; whether it worked."""

    async def give_up(self, tool: str) -> None:
        """Call a tool, and leave before it answers."""


async def support(run: Run) -> None:
    """Answers customers; refunds are the business of an agent of its own."""
    rng = run.rng
    with run.agent("support"):
        await run.use("crm.find_contact", email=f"user{rng.randrange(500)}@example.com")
        if not await run.think("gpt-4o-mini"):
            return
        if chance(rng, 0.55):
            await run.use("docs.lookup", query=f"topic {rng.randrange(80)}")
            await run.think("gpt-4o-mini")
        if chance(rng, 0.03):
            await run.give_up("translate.text")
            return
        if chance(rng, 0.4):
            with run.agent("refunds"):
                await run.think("gpt-4o")
                order = rng.randrange(9000)
                await run.use("payments.refund", order=order, amount=12.5)
        if chance(rng, 0.4):
            await run.use("mail.send", to="customer", template=rng.randrange(9))
        await run.think("gpt-4o-mini")


async def research(run: Run) -> None:
    """Reads the web; now and then it goes round in circles."""
    rng = run.rng
    with run.agent("research"):
        await run.think("claude-sonnet-4-5")
        if chance(rng, 0.05):
            for _ in range(rng.randrange(4, 8)):
                await run.use("search.web", query="the same question again")
                await run.think("claude-haiku-4-5")
            return
        for _ in range(rng.randrange(1, 4)):
            await run.use("search.web", query=f"question {rng.randrange(10_000)}")
            await run.use("browser.fetch", url=f"https://example.com/{rng.random()}")
        if chance(rng, 0.3):
            await run.use("pdf.extract", pages=rng.randrange(1, 90))
        if chance(rng, 0.02):
            await run.give_up("browser.fetch")
            return
        await run.think("claude-sonnet-4-5")


async def gateway(run: Run) -> None:
    """Runs tools for others."""
    rng = run.rng
    with run.agent("tool-gateway"):
        await run.use("code.run", program=f"job {rng.randrange(100_000)}")
        if chance(rng, 0.3):
            await run.use("search.web", query=f"question {rng.randrange(10_000)}")
        await run.use("weather.now", city=rng.randrange(40))
        if chance(rng, 0.5):
            await run.use("translate.text", text=f"text {rng.randrange(10_000)}")


async def billing(run: Run) -> None:
    """Works through accounts without anybody waiting."""
    rng = run.rng
    with run.agent("billing"):
        await run.use("sql.query", statement=f"select {rng.randrange(1000)}")
        await run.think("text-embedding-3-small")
        await run.think("gemini-2.5-flash")
        if chance(rng, 0.25):
            await run.use("payments.refund", order=rng.randrange(9000), amount=3)
        if chance(rng, 0.3):
            await run.use("mail.send", to="customer", template=rng.randrange(4))
        if chance(rng, 0.15):
            await run.use("calendar.create", day=rng.randrange(28))


@dataclass(frozen=True, slots=True)
class Service:
    name: str
    job: Callable[[Run], Coroutine[Any, Any, None]]
    runs_per_s: float  # when it is busiest, of all instances together
    instances: int = 2
    # How it is instrumented where it does not use the client.
    dialect: Dialect = GENAI
    encoding: str = "protobuf"
    # Whether it calls through the client, and so obeys; if not, it is only seen.
    obeys: bool = True


FLEET = {
    service.name: service
    for service in (
        Service("support-agent", support, 0.9),
        Service("research-agent", research, 0.5),
        Service("tool-gateway", gateway, 0.8),
        Service(
            "billing",
            billing,
            0.4,
            instances=1,
            dialect=OPENINFERENCE,
            encoding="json",
            obeys=False,
        ),
    )
}
