"""The services of the fleet: what each of them is for, told as runs of its agents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from opentelemetry.trace import Tracer

from dashboards.demo import world
from dashboards.demo.dialects import Dialect, GenAI, OpenInference
from dashboards.demo.run import Run

Job = Callable[[Run], None]


@dataclass(frozen=True, slots=True)
class Service:
    name: str
    job: Job
    dialect: Dialect
    tries: str  # events, nested or siblings: how it tells of retries
    runs_per_s: float  # when it is busiest
    encoding: str = "protobuf"
    environment: str = "production"

    def run(
        self, tracer: Tracer, rng: Random, at_ns: int, *, live_from_s: float
    ) -> None:
        tenant = rng.choices([*world.TENANTS], [*world.TENANTS.values()])[0]
        # People come back: a conversation goes on for some runs of an hour.
        hour = at_ns // (3600 * world.SECOND_NS)
        number = hour * 40 + rng.randrange(40)
        session = f"{self.name[:3]}-{tenant}-{number % 100_000}"
        user = f"{tenant}-user-{number % 23}"
        self.job(
            Run(
                tracer=tracer,
                rng=rng,
                dialect=self.dialect,
                now_ns=at_ns,
                live_from_s=live_from_s,
                about=self.dialect.about(tenant, session, user),
                tries=self.tries,
            )
        )


def support(run: Run) -> None:
    """Answers customers; refunds are the business of an agent of its own."""
    with run.agent("support"):
        run.use("crm.find_contact", email=f"user{run.rng.randrange(500)}@example.com")
        if not run.think("gpt-4o-mini"):
            return
        if run.chance(0.55):
            run.use("docs.lookup", query=f"topic {run.rng.randrange(80)}")
            run.think("gpt-4o-mini")
        if run.chance(0.03):
            run.give_up("translate.text")
            return
        if run.chance(0.3):
            refund(run)
        if run.chance(0.4):
            run.use("mail.send", to="customer", template=run.rng.randrange(9))
        run.think("gpt-4o-mini")


def refund(run: Run) -> None:
    with run.agent("refunds"):
        run.think("gpt-4.1")
        if run.down == "payments" and run.chance(0.6):
            run.refuse("payments.refund", "breaker", "payments breaker")
            return
        run.use("payments.refund", order=run.rng.randrange(9000), amount=12.5)


def research(run: Run) -> None:
    """Reads the web; now and then it goes round in circles."""
    with run.agent("research"):
        run.think("claude-sonnet-4-5")
        if run.chance(0.03):
            for _ in range(run.rng.randrange(4, 8)):
                run.use("search.web", query="the same question again")
                run.think("claude-haiku-4-5")
            return
        for _ in range(run.rng.randrange(1, 4)):
            run.use("search.web", query=f"question {run.rng.randrange(10_000)}")
            run.use("browser.fetch", url=f"https://example.com/{run.rng.random()}")
        if run.chance(0.3):
            run.use("pdf.extract", pages=run.rng.randrange(1, 90))
        if run.chance(0.02):
            run.give_up("browser.fetch")
            return
        run.think("claude-sonnet-4-5")


def billing(run: Run) -> None:
    """Works through accounts without anybody waiting."""
    with run.agent("billing"):
        run.use("sql.query", statement=f"select {run.rng.randrange(1000)}")
        run.think("text-embedding-3-small")
        run.think("gemini-2.5-flash")
        if run.chance(0.25):
            run.use("payments.refund", order=run.rng.randrange(9000), amount=3)
        if run.chance(0.3):
            run.use("mail.send", to="customer", template=run.rng.randrange(4))
        if run.chance(0.15):
            run.use("calendar.create", day=run.rng.randrange(28))


def gateway(run: Run) -> None:
    """Runs tools for others, within quotas."""
    with run.agent("tool-gateway"):
        if run.chance(0.06):
            run.refuse("code.run", "quota", "code.run per tenant")
        else:
            run.use("code.run", program=f"job {run.rng.randrange(100_000)}")
        if run.chance(0.05):
            run.refuse("search.web", "rate_limit", "search.web per second")
        run.use("weather.now", city=run.rng.randrange(40))
        if run.chance(0.5):
            run.use("translate.text", text=run.rng.randrange(10_000))


FLEET = {
    service.name: service
    for service in (
        Service("support-agent", support, GenAI(), "events", 0.55),
        Service("research-agent", research, OpenInference(), "siblings", 0.3),
        Service("billing", billing, GenAI(), "events", 0.3),
        Service("tool-gateway", gateway, GenAI(), "nested", 0.35, encoding="json"),
    )
}
