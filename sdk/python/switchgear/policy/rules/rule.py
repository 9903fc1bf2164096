"""What every rule has, whatever its kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from switchgear.policy.rules import parameters as p
from switchgear.policy.rules.selectors import Selector

# The facts by which calls can be told apart when they share a breaker or a limit.
SCOPE = (
    "kind",
    "target",
    "provider",
    "server",
    "model",
    "tenant",
    "user",
    "agent",
    "service",
    "environment",
)

# A parameter's name and what contradicts the others there.
Fault = tuple[str, str]


class Mode(StrEnum):
    """Whether a rule acts."""

    ENFORCE = "enforce"
    SHADOW = "shadow"
    OFF = "off"


class Tier(StrEnum):
    """Which rules come first, whatever their priority."""

    OVERRIDE = "override"
    NORMAL = "normal"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What every rule has."""

    KIND: ClassVar[str]
    # All limiting rules that match apply; of a shaping kind exactly one does.
    LIMITING: ClassVar[bool] = False

    id: str = field(metadata=p.described(p.Type.SLUG, "Names the rule in its project."))
    rev: int = field(default=1, metadata=p.whole("Grows with every edit.", least=1))
    mode: Mode = field(
        default=Mode.ENFORCE,
        metadata=p.choice(
            "Shadow evaluates and records what would happen, but never acts.", Mode
        ),
    )
    tier: Tier = field(
        default=Tier.NORMAL,
        metadata=p.choice("Override wins over normal, normal over default.", Tier),
    )
    priority: int = field(
        default=0,
        metadata=p.whole(
            "Within a tier the greater wins.", least=-1_000_000, most=1_000_000
        ),
    )
    selector: Selector = field(
        default=Selector(),
        metadata=p.described(p.Type.SELECTOR, "Which calls it is about."),
    )
    expires_at: float | None = field(
        default=None,
        metadata=p.described(p.Type.TIME, "From then on the rule is as good as gone."),
    )

    def faults(self) -> Iterator[Fault]:
        """What in this rule contradicts itself."""
        yield from ()
