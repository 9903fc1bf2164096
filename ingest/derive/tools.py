"""One call or several: tools (and retrievals and guardrails, which nest like them).

A chain of spans of one name, each directly inside the last, is one execution: it failed
if any of them says so. Two or more inside one, or one with an attempt number, are the
attempts of the outer span's call. Executions with the same name and call id are one
call. Where an id is missing, the same parent, name and arguments make one call, if the
earlier failed and ended before the later began, and the model was not asked in between.
"""

from __future__ import annotations

import heapq

from ingest.derive.drafts import Draft, Try, Unit, broke, telling
from ingest.derive.trace import Trace
from ingest.records import Category, Span

_TOOL_LIKE = frozenset({Category.TOOL, Category.RETRIEVAL, Category.GUARDRAIL})


def tool_calls(trace: Trace) -> list[Draft]:
    heads: list[int] = []
    inner: dict[int, list[int]] = {}
    for place, category in enumerate(trace.categories):
        if category in _TOOL_LIKE:
            outer = trace.above[place]
            if outer >= 0 and _chained(trace, outer, place):
                inner.setdefault(outer, []).append(place)
            else:
                heads.append(place)
    units = [_unit(trace, head, inner) for head in heads]
    if len(units) > 1:
        units.sort(key=lambda unit: trace.order(unit.head))
    return _joined_by_arguments(trace, _joined_by_id(trace, units))


def _chained(trace: Trace, outer: int, place: int) -> bool:
    """Is this the same execution, seen again from further inside?"""
    one, other = trace.spans[outer], trace.spans[place]
    if one.category is not other.category or (other.name and one.name != other.name):
        return False
    if one.call_id and other.call_id and not _guards(one, other):
        return one.call_id == other.call_id
    return trace.directly_inside(place)


def _guards(one: Span, other: Span) -> bool:
    """Our client's call inside a framework's span: their ids are of different makers.

    Only the client's call says an outcome, and only its attempts are numbered.
    """
    return other.outcome is not None and one.outcome is None and not one.numbered


def _unit(trace: Trace, head: int, inner: dict[int, list[int]]) -> Unit:
    span, unit = trace.spans[head], Unit(head)
    if head not in inner:
        if span.failed:
            unit.failure = span
        return unit
    wrap: list[int] = []
    tries: list[Try] = []
    waiting = [[head]]  # chains whose innermost span is to be looked at
    while waiting:
        chain = waiting.pop()
        inside = inner.get(chain[-1], [])
        if not inside:
            tries.append(tuple(chain))
        elif len(inside) == 1 and not trace.spans[inside[0]].numbered:
            chain.append(inside[0])
            waiting.append(chain)
        else:
            first, *others = sorted(inside, key=trace.order, reverse=True)
            if chain[0] == head:
                wrap, chain = chain, []
            # What an inner wrapper adds to the story, it adds to its last attempt.
            chain.append(first)
            waiting.append(chain)
            waiting.extend([place] for place in others)
    unit.wrap, unit.inside = tuple(wrap), tuple(tries)
    _decide(trace, unit)
    return unit


def _decide(trace: Trace, unit: Unit) -> None:
    """What is around the attempts, and the last of them, say how it went."""
    deciding = (*unit.wrap, *unit.tries[-1])
    unit.failure = telling(trace.spans[place] for place in deciding)


def _joined_by_id(trace: Trace, units: list[Unit]) -> list[Draft]:
    drafts: list[Draft] = []
    by_id: dict[tuple[str, bytes], Draft] = {}
    again: dict[Unit, list[Unit]] = {}
    for unit in units:
        span = trace.spans[unit.head]
        call_id = span.call_id or _inner_id(trace, unit)
        draft = by_id.get((span.name, call_id)) if call_id else None
        if draft is None or draft.category is not span.category:
            draft = Draft(span.category, unit, call_id)
            drafts.append(draft)
            if call_id:
                by_id[(span.name, call_id)] = draft
        elif _seen_twice(trace, draft.units[-1], unit):
            again.setdefault(draft.units[-1], []).append(unit)
        else:
            draft.units.append(unit)
    for known, others in again.items():
        _see_again(trace, known, others)
    return drafts


def _joined_by_arguments(trace: Trace, drafts: list[Draft]) -> list[Draft]:
    if not any(
        unit.failure is not None and trace.spans[unit.head].arguments
        for draft in drafts
        for unit in draft.units
    ):
        return drafts
    unanswered: dict[tuple[Category, bytes, str, bytes], _Unanswered] = {}
    steps = [(unit, draft) for draft in drafts for unit in draft.units]
    steps.sort(key=lambda step: trace.order(step[0].head))
    for unit, draft in steps:
        span = trace.spans[unit.head]
        if not span.arguments or not span.parent_id:
            continue
        key = (span.category, span.parent_id, span.name, span.arguments)
        earlier = unanswered.get(key)
        call = earlier.continued_by(trace, unit, draft) if earlier else draft
        if broke(unit.failure) and trace.ends[unit.head]:
            unanswered.setdefault(key, _Unanswered()).add(trace, unit, call)
    for draft in drafts:
        if draft.matched:
            draft.units.sort(key=lambda unit: trace.order(unit.head))
    return [draft for draft in drafts if draft.units]


def _seen_twice(trace: Trace, known: Unit, unit: Unit) -> bool:
    """Two instrumentations tell of one execution: the second lies within the first.

    A retry begins when its predecessor is over, and then says which attempt it is.
    """
    starts, ends = trace.starts, trace.ends
    return (
        starts[unit.head] < ends[known.head]
        and starts[unit.head] <= ends[unit.head] <= ends[known.head]
        and not trace.spans[unit.head].numbered
    )


def _see_again(trace: Trace, known: Unit, others: list[Unit]) -> None:
    """Who shows the most attempts tells of them; the rest stands around the last."""
    fullest = max([known, *others], key=lambda unit: len(unit.tries))
    around = [
        place
        for unit in (known, *others)
        if unit is not fullest
        for place in unit.members()
    ]
    if len(fullest.tries) > 1:
        known.wrap = tuple(sorted([*fullest.wrap, *around], key=trace.order))
        known.inside = fullest.tries
    else:
        known.inside = ((*known.members(), *around),)
    _decide(trace, known)


def _inner_id(trace: Trace, unit: Unit) -> bytes:
    if not unit.inside:
        return b""
    ids = (trace.spans[place].call_id for place in unit.members())
    return next((call_id for call_id in ids if call_id), b"")


class _Unanswered:
    """Failed executions of one parent, name and arguments that nobody repeated yet.

    ``running`` waits for its end; ``over`` are those that ended before the unit that
    is looked at began, the latest last, apart for those with and without an id.
    """

    __slots__ = ("over", "running")

    def __init__(self) -> None:
        self.running: list[tuple[int, int, Draft]] = []
        self.over: tuple[list[tuple[int, Draft]], list[tuple[int, Draft]]] = ([], [])

    def add(self, trace: Trace, unit: Unit, draft: Draft) -> None:
        heapq.heappush(self.running, (trace.ends[unit.head], unit.head, draft))

    def continued_by(self, trace: Trace, unit: Unit, own: Draft) -> Draft:
        """Join this unit to the call it repeats, if any; the call it is in then."""
        start = trace.starts[unit.head]
        while self.running and self.running[0][0] <= start:
            ended, _, draft = heapq.heappop(self.running)
            self.over[bool(draft.call_id)].append((ended, draft))
        sides = [side for side in self.over[: 1 if own.call_id else 2] if side]
        if not sides:
            return own
        nearest = max(sides, key=lambda side: side[-1][0])
        ended, earlier = nearest[-1]
        if (
            trace.model_started(trace.contexts[unit.head].run, ended, start)
            is not False
        ):
            nearest.clear()  # what ended even earlier has the same answer in between
            return own
        nearest.pop()
        kept, gone = (own, earlier) if own.call_id else (earlier, own)
        kept.units += gone.units
        kept.matched = True
        gone.units = []
        return kept
