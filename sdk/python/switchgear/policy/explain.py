"""Why a call meets the rules it meets: every rule of the snapshot, with a reason.

The answer is that of `Index`, which services obey; only the reasons are found here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from switchgear.policy.documents.snapshot import Snapshot
from switchgear.policy.documents.values import time_text
from switchgear.policy.facts import CallFacts
from switchgear.policy.precedence import Index, decided_by, expired, strength
from switchgear.policy.review.wording import condition_words
from switchgear.policy.rules import KINDS, Mode, Rule
from switchgear.policy.rules.selectors import Condition, fact, holds


class Verdict(StrEnum):
    """What becomes of a rule for one call."""

    APPLIES = "applies"
    SHADOW = "shadow"
    OUTRANKED = "outranked"
    NOT_SELECTED = "not_selected"
    EXPIRED = "expired"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Judged:
    """One rule, and why it applies or does not."""

    rule: Rule
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class KindExplanation:
    """All rules of a kind, the strongest first."""

    kind: str
    winners: tuple[Judged, ...]
    losers: tuple[Judged, ...]

    @property
    def winner(self) -> Rule | None:
        """The first that applies; of a shaping kind the only one."""
        return self.winners[0].rule if self.winners else None


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a policy version says about a call, kind by kind."""

    version: int
    kinds: tuple[KindExplanation, ...]

    def of(self, kind: str) -> KindExplanation:
        return next(each for each in self.kinds if each.kind == kind)


def explain(snapshot: Snapshot, facts: CallFacts, now: float) -> Explanation:
    index = Index(snapshot)
    deciding = index.winners(facts, now)
    shadows = index.shadows(facts, now)
    kinds = []
    for kind in KINDS:
        own = sorted((r for r in snapshot.rules if kind == r.KIND), key=strength)
        shadow = shadows.get(kind)
        judged = [
            _judged(rule, deciding.get(kind, rule), shadow, facts, now) for rule in own
        ]
        winners = tuple(each for each in judged if each.verdict is Verdict.APPLIES)
        losers = tuple(each for each in judged if each.verdict is not Verdict.APPLIES)
        kinds.append(KindExplanation(kind, winners, losers))
    return Explanation(snapshot.version, tuple(kinds))


def _judged(
    rule: Rule, winner: Rule, shadow: Rule | None, facts: CallFacts, now: float
) -> Judged:
    absent = _absent(rule, facts, now)
    if absent is not None:
        return absent
    if rule.mode is Mode.SHADOW:
        return _in_shadow(rule, shadow)
    if rule.LIMITING:
        return Judged(rule, Verdict.APPLIES, "every limit that matches applies")
    if rule is winner:
        return Judged(rule, Verdict.APPLIES, "the strongest rule that matches")
    return Judged(rule, Verdict.OUTRANKED, _outranked(rule, winner))


def _absent(rule: Rule, facts: CallFacts, now: float) -> Judged | None:
    if rule.mode is Mode.OFF:
        return Judged(rule, Verdict.OFF, "the rule is off")
    if rule.expires_at is not None and expired(rule, now):
        reason = f"it ended at {time_text(rule.expires_at)}"
        return Judged(rule, Verdict.EXPIRED, reason)
    for name, condition in rule.selector.conditions:
        if not holds(name, condition, facts):
            return Judged(rule, Verdict.NOT_SELECTED, _missed(name, condition, facts))
    return None


def _missed(name: str, condition: Condition, facts: CallFacts) -> str:
    value = fact(facts, name)
    if name == "target":
        value = f"{facts.kind}:{facts.target}"
    is_ = f"its {name} is {value}" if value else f"it has no {name}"
    return f"the call must have {name} {condition_words(condition)}, but {is_}"


def _in_shadow(rule: Rule, shadow: Rule | None) -> Judged:
    if rule.LIMITING or rule is shadow:
        reason = "in shadow: it records what it would do, and does nothing"
    else:
        reason = "in shadow, and a stronger rule would win over it"
    return Judged(rule, Verdict.SHADOW, reason)


def _outranked(rule: Rule, winner: Rule) -> str:
    criterion = decided_by(winner, rule)
    if criterion == "tier":
        return f"{winner.id} is of tier {winner.tier}, this is {rule.tier}"
    if criterion == "priority":
        return f"{winner.id} has priority {winner.priority}, this has {rule.priority}"
    if criterion == "specificity":
        return f"{winner.id} says more about the call"
    return f"{winner.id} comes first by name, as nothing else tells them apart"
