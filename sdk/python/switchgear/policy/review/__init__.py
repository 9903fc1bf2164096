"""What an operator should know before rules are published.

Findings are allowed but probably not meant. Contradictions (`check_together`) are not
allowed. Sentences say what a draft changes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from switchgear.policy.precedence import decided_by, strength
from switchgear.policy.review.changes import Sentence, sentences
from switchgear.policy.review.cycles import check_together, fallback_cycle, may_select
from switchgear.policy.review.overlap import covers, overlap, rivals
from switchgear.policy.review.tightness import tighter
from switchgear.policy.rules import (
    Concurrency,
    Fallback,
    Mode,
    Quota,
    Retry,
    Rule,
    Timeout,
)
from switchgear.policy.rules.selectors import Target

__all__ = [
    "Code",
    "Finding",
    "Sentence",
    "check_together",
    "fallback_cycle",
    "review",
    "sentences",
]

MOST_ATTEMPTS = 9
# Only compared, so a month may be its longest.
_MINUTES = {"PT1H": 60, "P1D": 1440, "P1W": 7 * 1440, "P1M": 31 * 1440}


class Code(StrEnum):
    """What a finding is about."""

    AMBIGUOUS = "ambiguous"
    SHADOWED = "shadowed"
    NEVER_BINDS = "never_binds"
    DEAD = "dead"
    UNKNOWN_TARGET = "unknown_target"
    ATTEMPTS_MULTIPLY = "attempts_multiply"
    CHILD_EXCEEDS_PARENT = "child_exceeds_parent"
    SLOT_SHORTER_THAN_TIMEOUT = "slot_shorter_than_timeout"


@dataclass(frozen=True, slots=True)
class Finding:
    """A sentence for the operator; the first rule is the one to look at."""

    code: Code
    rules: tuple[str, ...]
    message: str


def review(rules: Iterable[Rule], targets: Collection[Target] = ()) -> list[Finding]:
    """All findings; with the known targets, also about rules that match none."""
    live = sorted((each for each in rules if each.mode is not Mode.OFF), key=strength)
    found = [
        *_ambiguous(live),
        *_shadowed(live),
        *_never_binding(live),
        *_attempts(live),
        *_children(live),
        *_slots(live),
    ]
    return [*found, *_unknown(live, targets)] if targets else found


def _ambiguous(rules: Sequence[Rule]) -> Iterator[Finding]:
    """Pairs of which only the id says which one decides."""
    for winner, loser in rivals(each for each in rules if not each.LIMITING):
        by_name = decided_by(winner, loser) == "id"
        if by_name and overlap(winner.selector, loser.selector):
            message = (
                f"{winner.id} decides before {loser.id} only because of its name; "
                "give one of them a greater priority"
            )
            yield Finding(Code.AMBIGUOUS, (loser.id, winner.id), message)


def _shadowed(rules: Sequence[Rule]) -> Iterator[Finding]:
    """Rules that a stronger one always forestalls."""
    for winner, loser in rivals(each for each in rules if not each.LIMITING):
        if _always(winner, loser):
            message = f"{loser.id} never decides: {winner.id} matches all its calls"
            yield Finding(Code.SHADOWED, (loser.id, winner.id), message)


def _always(one: Rule, other: Rule) -> bool:
    """Whether one rule is enforced wherever and as long as the other exists."""
    outlives = one.expires_at is None or (
        other.expires_at is not None and one.expires_at >= other.expires_at
    )
    return (
        one.mode is Mode.ENFORCE and outlives and covers(one.selector, other.selector)
    )


def _never_binding(rules: Sequence[Rule]) -> Iterator[Finding]:
    """Limits that are never reached, because another one refuses first."""
    told = set()
    for one, other in rivals(each for each in rules if each.LIMITING):
        # Of two equal ones only the weaker is superfluous.
        tight, loose = (one, other) if _binds_first(one, other) else (other, one)
        if loose.id not in told and _binds_first(tight, loose):
            told.add(loose.id)
            message = f"{loose.id} is never reached: {tight.id} refuses first"
            yield Finding(Code.NEVER_BINDS, (loose.id, tight.id), message)


def _binds_first(tight: Rule, loose: Rule) -> bool:
    return tighter(tight, loose) and _always(tight, loose)


def _attempts(rules: Sequence[Rule]) -> Iterator[Finding]:
    """Chains whose every target is tried again and again."""
    retries = [r for r in rules if isinstance(r, Retry) and r.mode is Mode.ENFORCE]
    for rule in rules:
        if not isinstance(rule, Fallback):
            continue
        targets = 1 + min(rule.max_hops, len(rule.chain))
        many = (r for r in retries if r.max_attempts * targets > MOST_ATTEMPTS)
        own = (r for r in many if overlap(r.selector, rule.selector))
        most = max(own, key=lambda retry: retry.max_attempts, default=None)
        if most is not None:
            message = (
                f"one call may become {most.max_attempts * targets} attempts: "
                f"{targets} targets of {rule.id}, {most.max_attempts} times each "
                f"by {most.id}"
            )
            yield Finding(Code.ATTEMPTS_MULTIPLY, (rule.id, most.id), message)


def _children(rules: Sequence[Rule]) -> Iterator[Finding]:
    """Quotas that are larger than what they are a part of."""
    quotas = {rule.id: rule for rule in rules if isinstance(rule, Quota)}
    for child in quotas.values():
        parent = quotas.get(child.parent or "")
        if parent is None or child.limit <= parent.limit:
            continue
        if _minutes(child) <= _minutes(parent):
            message = f"{child.id} allows more than its parent {parent.id}"
            yield Finding(Code.CHILD_EXCEEDS_PARENT, (child.id, parent.id), message)


def _minutes(quota: Quota) -> int:
    period = quota.window.period
    return _MINUTES.get(period) or int(period.removeprefix("PT").removesuffix("M"))


def _slots(rules: Sequence[Rule]) -> Iterator[Finding]:
    """Slots that are given to others while their holder may still be at work."""
    timeouts = [rule for rule in rules if isinstance(rule, Timeout)]
    for rule in rules:
        if not isinstance(rule, Concurrency) or rule.slot_ttl_s is None:
            continue
        for timeout in timeouts:
            longer = timeout.timeout_ms > rule.slot_ttl_s * 1000
            if longer and overlap(timeout.selector, rule.selector):
                message = (
                    f"{rule.id} gives slots away after {rule.slot_ttl_s} s, while "
                    f"{timeout.id} lets an attempt take {timeout.timeout_ms} ms"
                )
                met = (rule.id, timeout.id)
                yield Finding(Code.SLOT_SHORTER_THAN_TIMEOUT, met, message)


def _unknown(rules: Sequence[Rule], targets: Collection[Target]) -> Iterator[Finding]:
    """Rules about targets that nobody calls, after a rename for instance."""
    names = {target.name for target in targets}
    for rule in rules:
        if not any(may_select(rule.selector, target) for target in targets):
            yield Finding(Code.DEAD, (rule.id,), f"{rule.id} matches no known target")
        hops = rule.chain if isinstance(rule, Fallback) else ()
        for hop in hops:
            known = hop.target in targets or (
                hop.target.kind is None and hop.target.name in names
            )
            if not known:
                message = f"{rule.id} falls back to {hop.target}, which nobody calls"
                yield Finding(Code.UNKNOWN_TARGET, (rule.id,), message)
