"""The rules that limit calls: all that match apply, so the strictest decides.

A bound that is None does not exist. Money is `Decimal`, since floats cannot hold it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar

from switchgear.policy.rules import parameters as p
from switchgear.policy.rules.rule import SCOPE, Fault, Rule

_UNITS = ("calls", "tokens_total")
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")
_DAYS = (*_WEEKDAYS, "saturday", "sunday")
# Fractions of a unit that are counted as whole numbers.
_SCALES = {"usd": p.NANO, "seconds": Decimal(1000)}
_PER = p.choices("Calls that differ in one of these do not share it.", SCOPE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit(Rule):
    """So many per period, evenly."""

    KIND: ClassVar[str] = "rate_limit"
    LIMITING: ClassVar[bool] = True

    limit: int = field(metadata=p.whole("How many per period.", least=1))
    period_s: int = field(default=60, metadata=p.seconds("The period."))
    burst: int | None = field(
        default=None,
        metadata=p.whole("How many may come at once; the limit if absent.", least=1),
    )
    unit: str = field(
        default="calls",
        metadata=p.choice("What is counted: attempts or tokens.", _UNITS),
    )
    per: tuple[str, ...] = field(
        default=(),
        metadata=p.choices("Calls that differ in one of these do not share it.", SCOPE),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Concurrency(Rule):
    """So many at a time."""

    KIND: ClassVar[str] = "concurrency"
    LIMITING: ClassVar[bool] = True

    max_concurrent_calls: int = field(
        default=25, metadata=p.whole("How many at a time.", least=1, most=1_000_000)
    )
    slot_ttl_s: int | None = field(
        default=None,
        metadata=p.seconds(
            "A slot not given back by then is free; twice the timeout if absent."
        ),
    )
    per: tuple[str, ...] = field(
        default=(),
        metadata=p.choices("Calls that differ in one of these do not share it.", SCOPE),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When a quota begins anew: a pure function of the time."""

    period: str = field(
        default="P1D", metadata=p.described(p.Type.PERIOD, "How long a window is.")
    )
    tz: str = field(
        default="UTC",
        metadata=p.described(p.Type.ZONE, "Whose days, weeks and months they are."),
    )
    week_start: str = field(
        default="monday",
        metadata=p.choice(
            "The first day of a week.",
            _DAYS,
        ),
    )
    reset_time: str = field(
        default="00:00",
        metadata=p.described(p.Type.CLOCK, "When a day, week or month begins."),
    )

    def document(self) -> dict[str, object]:
        return p.document_of(self, p.parts(type(self)))

    def faults(self) -> Iterator[Fault]:
        if self.week_start != "monday" and self.period != "P1W":
            yield "week_start", "only a window of P1W has a first day"
        if self.reset_time != "00:00" and self.period.startswith("PT"):
            yield "reset_time", "only days, weeks and months begin at a time of day"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota(Rule):
    """So much per day, week or month."""

    KIND: ClassVar[str] = "quota"
    LIMITING: ClassVar[bool] = True

    unit: str = field(
        metadata=p.choice(
            "What is counted.", ("calls", "tokens_total", "usd", "seconds")
        )
    )
    limit: Decimal = field(
        metadata=p.described(p.Type.DECIMAL, "How much per window.", least=0)
    )
    window: Window = field(
        default=Window(),
        metadata=p.made_of(p.Type.OBJECT, "When it begins anew.", Window),
    )
    per: tuple[str, ...] = field(
        default=(),
        metadata=p.choices("Calls that differ in one of these do not share it.", SCOPE),
    )
    parent: str | None = field(
        default=None,
        metadata=p.described(p.Type.SLUG, "The quota this one is a part of."),
    )
    warn_at: tuple[float, ...] = field(
        default=(0.8, 0.95),
        metadata=p.described(
            p.Type.NUMBERS, "Warn when this share of it is gone.", least=0.01, most=1
        ),
    )

    @property
    def limit_units(self) -> int:
        """The limit in what is counted: nano-USD, milliseconds, calls or tokens."""
        return int(p.EXACT.multiply(self.limit, _SCALES.get(self.unit, Decimal(1))))

    def faults(self) -> Iterator[Fault]:
        whole = self.limit == self.limit.to_integral_value()
        if self.unit in _UNITS and not whole:
            yield "limit", f"must be a whole number of {self.unit}"
        if self.parent == self.id:
            yield "parent", "is the rule itself"
        for name, message in self.window.faults():
            yield f"window/{name}", message


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBudget(Rule):
    """What one run of an agent may use up before it is stopped."""

    KIND: ClassVar[str] = "run_budget"
    LIMITING: ClassVar[bool] = True

    max_steps: int | None = field(
        default=None, metadata=p.whole("Calls of any kind.", least=1)
    )
    max_tool_calls: int | None = field(
        default=None, metadata=p.whole("Calls of tools.", least=0)
    )
    max_retries_per_tool: int | None = field(
        default=None,
        metadata=p.whole("Attempts beyond the first, per target.", least=0),
    )
    max_tokens: int | None = field(default=None, metadata=p.whole("Tokens.", least=1))
    max_wall_clock_s: int | None = field(
        default=None, metadata=p.seconds("Time since it began.", most=31 * 86_400)
    )
    max_usd: Decimal | None = field(default=None, metadata=p.money("Cost."))
    loop_threshold: int = field(
        default=3,
        metadata=p.whole(
            "The same target with the same arguments may be called so often.",
            least=1,
            most=1000,
        ),
    )

    @property
    def max_usd_nano(self) -> int | None:
        return p.nano(self.max_usd)


@dataclass(frozen=True, slots=True, kw_only=True)
class KillSwitch(Rule):
    """Refuse at once, for a while."""

    KIND: ClassVar[str] = "kill_switch"
    LIMITING: ClassVar[bool] = True

    effect: str = field(
        default="deny",
        metadata=p.choice("Refuse, or go to the fallback.", ("deny", "fallback")),
    )
    message: str = field(
        default="Switched off by an operator.",
        metadata=p.described(p.Type.TEXT, "What the caller is told.", most=500),
    )

    def faults(self) -> Iterator[Fault]:
        if self.expires_at is None:
            yield "expires_at", "is required: a kill switch must end by itself"
