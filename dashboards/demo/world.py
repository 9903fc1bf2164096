"""What the fleet meets: customers, tools, models, prime time and bad days. Pure.

Behaviour is drawn from a random source that is handed in, so a seed decides it all;
what the clock decides (outages, how busy it is) is a function of time alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

SECOND_NS = 1_000_000_000
DAY_S = 86_400
# Soon after the start there is something to see, and then again and again.
CALM_S = 60
OUTAGE_EVERY_S = 420
OUTAGE_S = 120


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    typical_ms: float
    fails: float = 0.01  # of its attempts
    trouble: tuple[str, ...] = ("timeout", "unavailable")
    provider: str = ""
    idempotent: bool = True  # it may be called again after a failure


@dataclass(frozen=True, slots=True)
class Model:
    name: str
    provider: str
    typical_ms: float
    reads: int  # input tokens of a typical request
    embeds: bool = False


@dataclass(frozen=True, slots=True)
class Customer:
    """For whom a run is made."""

    tenant: str
    session: str
    user: str


@dataclass(frozen=True, slots=True)
class Used:
    """What one answer of a model took; cached tokens are part of the input."""

    input: int
    output: int
    cached: int
    first_s: float


@dataclass(frozen=True, slots=True)
class Trouble:
    """One failed attempt as its span says it."""

    type: str
    message: str
    took_ms: float
    status_code: int | None = None
    again: bool = True  # a caller without rules would try once more


TENANTS = {
    "acme": 40,
    "globex": 22,
    "initech": 14,
    "umbrella": 9,
    "hooli": 7,
    "stark-labs": 5,
    "wayne": 2,
    "tiny-co": 1,
}
TOOLS = {
    tool.name: tool
    for tool in (
        Tool("search.web", 380, 0.03, ("timeout", "rate_limited"), "websearch"),
        Tool(
            "browser.fetch",
            1400,
            0.08,
            ("timeout", "reset", "reset", "reset", "forbidden"),
            "browser",
        ),
        Tool("crm.find_contact", 90, 0.015, ("unavailable", "not_found")),
        Tool(
            "payments.refund",
            640,
            0.02,
            ("unavailable", "invalid"),
            "payments",
            idempotent=False,
        ),
        Tool("sql.query", 130, 0.03, ("timeout", "invalid")),
        Tool("docs.lookup", 60, 0.004, ("unavailable",)),
        Tool("code.run", 2200, 0.06, ("tool", "timeout"), idempotent=False),
        Tool("pdf.extract", 900, 0.03, ("tool", "timeout")),
        Tool("mail.send", 210, 0.02, ("rate_limited", "reset"), idempotent=False),
        Tool(
            "calendar.create", 180, 0.015, ("unavailable", "conflict"), idempotent=False
        ),
        Tool("weather.now", 150, 0.01, ("reset",)),
        Tool("translate.text", 240, 0.01, ("unavailable",)),
    )
}
MODELS = {
    model.name: model
    for model in (
        Model("gpt-4o-mini", "openai", 900, 1800),
        Model("gpt-4o", "openai", 1900, 3600),
        Model("claude-sonnet-4-5", "anthropic", 2300, 5200),
        Model("claude-haiku-4-5", "anthropic", 700, 1500),
        Model("gemini-2.5-flash", "google", 650, 2400),
        Model("text-embedding-3-small", "openai", 90, 700, embeds=True),
    )
}
# Who is down, one outage after the other.
OUTAGES = ("openai", "payments", "websearch", "openai", "browser", "anthropic")


def busy(at_s: float) -> float:
    """How busy it is at a time of day, from 0.6 at night to 1 in the afternoon."""
    hour = (at_s % DAY_S) / 3600
    return 0.6 + 0.4 * max(0.0, math.sin((hour - 6) / 16 * math.pi))


def outage(at_s: float, *, live_from_s: float) -> str:
    """Which provider is down at a time, "" for none.

    Live, one comes and goes every few minutes; of the past few are remembered.
    """
    number, into_s = divmod(at_s - live_from_s - CALM_S, OUTAGE_EVERY_S)
    remembered = at_s >= live_from_s - 3600 or number % 7 == 0
    if into_s >= OUTAGE_S or not remembered:
        return ""
    return OUTAGES[int(number) % len(OUTAGES)]


def customer(rng: Random, service: str, at_s: float) -> Customer:
    """People come back: a conversation goes on for some runs of an hour."""
    tenant = rng.choices([*TENANTS], [*TENANTS.values()])[0]
    number = (int(at_s) // 3600 * 40 + rng.randrange(40)) % 100_000
    session = f"{service[:3]}-{tenant}-{number}"
    return Customer(tenant, session, f"{tenant}-user-{number % 23}")


def duration_ms(rng: Random, typical_ms: float) -> float:
    """Around what is typical; one in fifty takes much longer."""
    slow = rng.uniform(4, 18) if chance(rng, 0.02) else 1.0
    return typical_ms * rng.lognormvariate(0, 0.35) * slow


def used(rng: Random, model: Model, took_ms: float) -> Used:
    """What an answer that took so long used up."""
    reads = int(model.reads * rng.lognormvariate(0, 0.5))
    return Used(
        input=reads,
        output=0 if model.embeds else int(took_ms / 9),
        cached=int(reads * rng.choice((0, 0, 0.5, 0.8))),
        first_s=took_ms * 0.0002,
    )


# Kind of trouble -> type, what is said, status code, whether to try again.
TROUBLES = {
    "timeout": ("TimeoutError", "timed out after {limit:g} s", None, True),
    "rate_limited": ("RateLimitError", "answered 429 Too Many Requests", 429, True),
    "reset": ("ConnectionError", "connection reset by peer", None, True),
    "unavailable": (
        "ServiceUnavailableError",
        "answered 503 Service Unavailable",
        503,
        True,
    ),
    "forbidden": ("PermissionDenied", "answered 403 Forbidden", 403, False),
    "invalid": ("ValidationError", "the amount must be positive", 422, False),
    "not_found": ("ToolExecutionError", "no such contact", None, False),
    "conflict": ("ToolExecutionError", "the slot is taken", None, False),
    "tool": ("ToolExecutionError", "exit status 1", None, False),
    "context": (
        "ContextWindowExceededError",
        "maximum context length exceeded",
        400,
        False,
    ),
    "filtered": ("ContentFilterError", "withheld by the content filter", None, False),
}


def trouble(rng: Random, name: str, kind: str, typical_ms: float) -> Trouble:
    """What went wrong, and how long that took."""
    error, said, status_code, again = TROUBLES[kind]
    limit_s = max(2.0, round(typical_ms / 250))
    took_ms = limit_s * 1000 if kind == "timeout" else rng.uniform(20, 500)
    message = f"{name}: {said.format(limit=limit_s)}"
    return Trouble(error, message, took_ms, status_code, again)


def chance(rng: Random, share: float) -> bool:
    return rng.random() < share


def attempt(rng: Random, tool: Tool, *, down: str) -> Trouble | None:
    """What happens when a tool is tried once; ``None`` when it works."""
    kinds: tuple[str, ...] = ()
    if tool.provider and tool.provider == down:
        if chance(rng, 0.85):
            kinds = ("timeout", "unavailable")
    elif chance(rng, tool.fails):
        kinds = tool.trouble
    return (
        trouble(rng, tool.name, rng.choice(kinds), tool.typical_ms) if kinds else None
    )


def completion(rng: Random, model: Model, *, down: str) -> Trouble | None:
    """What happens when a model is asked once."""
    kinds: tuple[str, ...] = ()
    if model.provider == down:
        if chance(rng, 0.9):
            kinds = ("unavailable", "unavailable", "timeout")
    elif chance(rng, 0.017):
        kinds = ("rate_limited",) * 8 + ("context", "context", "filtered")
    return (
        trouble(rng, model.name, rng.choice(kinds), model.typical_ms) if kinds else None
    )
