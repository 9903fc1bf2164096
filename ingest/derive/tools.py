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
from ingest.records import Category

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
    return _joined(trace, units)


def _chained(trace: Trace, outer: int, place: int) -> bool:
    """Is this the same execution, seen again from further inside?"""
    one, other = trace.spans[outer], trace.spans[place]
    if one.category is not other.category or (other.name and one.name != other.name):
        return False
    if one.call_id and other.call_id:
        return one.call_id == other.call_id
    return trace.directly_inside(place)


def _unit(trace: Trace, head: int, inner: dict[int, list[int]]) -> Unit:
    span = trace.spans[head]
    if head not in inner:
        return Unit(head, [(head,)], failure=span if span.failed else None)
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
    deciding = (*wrap, *tries[-1])
    failure = telling(trace.spans[place] for place in deciding)
    return Unit(head, tries, wrap=tuple(wrap), failure=failure)


def _joined(trace: Trace, units: list[Unit]) -> list[Draft]:
    drafts: list[Draft] = []
    by_id: dict[tuple[Category, str, bytes], Draft] = {}
    unanswered: dict[tuple[Category, bytes, str, bytes], _Unanswered] = {}
    for unit in units:
        span = trace.spans[unit.head]
        call_id = span.call_id or _inner_id(trace, unit)
        draft = by_id.get((span.category, span.name, call_id)) if call_id else None
        if draft is not None:
            if _seen_twice(trace, draft.units[-1], unit):
                _see_again(trace, draft.units[-1], unit)
                continue
            draft.units.append(unit)
        retryable = bool(span.arguments and span.parent_id)
        key = (span.category, span.parent_id, span.name, span.arguments)
        earlier = unanswered.get(key) if retryable else None
        if earlier is not None:
            draft = earlier.continued_by(trace, unit, call_id, draft)
        if draft is None:
            draft = Draft(span.category, unit, call_id)
            drafts.append(draft)
        if call_id:
            by_id[(span.category, span.name, call_id)] = draft
        if retryable and broke(unit.failure) and trace.ends[unit.head]:
            unanswered.setdefault(key, _Unanswered()).add(trace, unit, draft)
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


def _see_again(trace: Trace, known: Unit, unit: Unit) -> None:
    if len(unit.tries) > len(known.tries):
        known.wrap = (*known.members(), *unit.wrap)
        known.tries = unit.tries
    else:
        known.tries[-1] += tuple(unit.members())
    spans = [trace.spans[place] for place in (*known.wrap, *known.tries[-1])]
    known.failure = telling(spans)


def _inner_id(trace: Trace, unit: Unit) -> bytes:
    for place in unit.members():
        if trace.spans[place].call_id:
            return trace.spans[place].call_id
    return b""


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

    def continued_by(
        self, trace: Trace, unit: Unit, call_id: bytes, known: Draft | None
    ) -> Draft | None:
        """The call that this unit repeats; ``known`` when its id has a call already."""
        start = trace.starts[unit.head]
        while self.running and self.running[0][0] <= start:
            ended, _, draft = heapq.heappop(self.running)
            self.over[bool(draft.call_id)].append((ended, draft))
        sides = [side for side in self.over[: 1 if call_id else 2] if side]
        if not sides:
            return known
        nearest = max(sides, key=lambda side: side[-1][0])
        ended, draft = nearest[-1]
        if (
            trace.model_started(trace.contexts[unit.head].run, ended, start)
            is not False
        ):
            nearest.clear()  # what ended even earlier has the same answer in between
            return known
        nearest.pop()
        return _continue(draft, unit, call_id, known)


def _continue(draft: Draft, unit: Unit, call_id: bytes, known: Draft | None) -> Draft:
    if known is None:
        draft.units.append(unit)
        draft.call_id = draft.call_id or call_id
        draft.matched = True
        return draft
    # The first had no id and its repetition has one that was seen elsewhere.
    known.units += draft.units
    draft.units = []
    known.matched = True
    return known
