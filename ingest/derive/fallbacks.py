"""Fallbacks that spans state: ``from`` one target ``to`` another.

The statement may stand on the span that failed, on the one that answered instead, or
on anything around them. It settles the latest failure or refusal of the ``from`` target
that began before the ``to`` target answered: in the same agent run, or where that has
none, in the trace. One statement settles one call. Where no span shows the ``to``
target, its word is taken.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from ingest.derive.drafts import Draft
from ingest.derive.models import plain_model
from ingest.derive.outcome import judge
from ingest.derive.trace import Trace

_LIMIT = 100  # different statements in one trace; nobody makes more in earnest

_Place = tuple[int | None, str]  # agent run (None: anywhere) and target


class _Outcome(NamedTuple):
    began: tuple[int, bytes]
    draft: Draft
    failed: bool


def settle_fallbacks(trace: Trace, drafts: list[Draft]) -> None:
    tellers = [place for place, span in enumerate(trace.spans) if span.fallbacks]
    if not tellers:
        return
    stated = Counter(
        (trace.contexts[place].run, plain_model(source), plain_model(target))
        for place in tellers
        for source, target in trace.spans[place].fallbacks
    )
    outcomes = _outcomes(trace, drafts)
    wanted: dict[_Place, Counter[_Place]] = {}
    for (run, source, target), count in sorted(stated.items())[:_LIMIT]:
        near = any(one.failed for one in outcomes.get((run, source), ()))
        scope = run if near else None
        wanted.setdefault((scope, source), Counter())[(scope, target)] += count
    # The latest first: a fallback that failed may itself have been answered.
    for place in sorted(
        (one for one in wanted if one in outcomes),
        key=lambda one: outcomes[one][-1].began,
        reverse=True,
    ):
        _settle(outcomes, place, wanted[place])


def _outcomes(trace: Trace, drafts: list[Draft]) -> dict[_Place, list[_Outcome]]:
    found: dict[_Place, list[_Outcome]] = {}
    for draft in sorted(drafts, key=lambda one: trace.order(one.units[0].head)):
        head = draft.units[0].head
        failed = judge(trace, draft).final is not None
        one = _Outcome(trace.order(head), draft, failed)
        name = plain_model(trace.spans[head].name)
        for run in (None, trace.contexts[head].run):
            found.setdefault((run, name), []).append(one)
    return found


def _settle(
    outcomes: dict[_Place, list[_Outcome]], source: _Place, targets: Counter[_Place]
) -> None:
    answers = [
        (one.began, 1, target, one)
        for target in targets
        for one in outcomes.get(target, ())
        if not one.failed or one.draft.answered_elsewhere
    ]
    failures = [(one.began, 0, source, one) for one in outcomes[source] if one.failed]
    open_calls: list[Draft] = []
    for _, answered, target, one in sorted(answers + failures, key=lambda row: row[:2]):
        if not answered:
            if not one.draft.answered_elsewhere:
                open_calls.append(one.draft)
        elif open_calls and targets[target]:
            open_calls.pop().answered_elsewhere = True
            targets[target] -= 1
    unseen = sum(count for target, count in targets.items() if target not in outcomes)
    for draft in open_calls[len(open_calls) - unseen :] if unseen else ():
        draft.answered_elsewhere = True
