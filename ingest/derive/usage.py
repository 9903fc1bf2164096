"""Which usage bills: that of the leaves, each answer once.

Containers (agents, steps, tools, model wrappers) restate what happened inside them, so
their usage bills only when nothing inside reported any. The price of a tool is its own:
usage without tokens bills wherever a tool ran.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ingest.derive.drafts import Draft, Try, Unit
from ingest.derive.trace import Trace
from ingest.records import Category, Usage

_Join = Callable[[int | None, int | None], int | None]

_MODEL_LIKE = frozenset({Category.MODEL, Category.EMBEDDING})
_TOOL_LIKE = frozenset({Category.TOOL, Category.RETRIEVAL, Category.GUARDRAIL})
_CONTAINERS = frozenset({Category.AGENT, Category.WORKFLOW, Category.STEP})


def fullness(usage: Usage | None) -> int:
    """How many fields of a usage are told."""
    if usage is None:
        return 0
    return 6 - (
        usage.input,
        usage.output,
        usage.cache_read,
        usage.cache_write,
        usage.reasoning,
        usage.cost,
    ).count(None)


def fullest(usages: Iterable[Usage]) -> Usage | None:
    """One answer told several times, the best teller first: field by field."""
    best: Usage | None = None
    for usage in sorted(usages, key=fullness, reverse=True):
        best = usage if best is None else _each(best, usage, _first)
    return best


def total(one: Usage | None, other: Usage | None) -> Usage | None:
    """Two answers: what both say, added."""
    if one is None or other is None:
        return one or other
    return _each(one, other, _added)


def _first(one: int | None, other: int | None) -> int | None:
    return other if one is None else one


def _added(one: int | None, other: int | None) -> int | None:
    return _first(one, other) if one is None or other is None else one + other


def _each(one: Usage, other: Usage, join: _Join) -> Usage:
    return Usage(
        join(one.input, other.input),
        join(one.output, other.output),
        join(one.cache_read, other.cache_read),
        join(one.cache_write, other.cache_write),
        join(one.reasoning, other.reasoning),
        join(one.cost, other.cost),
    )


def of_tries(trace: Trace, unit: Unit) -> list[Usage | None]:
    """What each attempt of a unit bills."""
    bills = [_of_try(trace, one, unit.wrap) for one in unit.tries]
    if not any(bills):
        for place in reversed(unit.wrap):
            usage = _own(trace, place)
            if usage is not None:
                bills[-1] = usage
                break
    return bills


def _of_try(trace: Trace, one: Try, wrap: Try) -> Usage | None:
    first = trace.spans[one[0]]
    if trace.categories[one[0]] not in _MODEL_LIKE:
        told = (_own(trace, place) for place in one)
        return next((usage for usage in told if usage is not None), None)
    if len(one) == 1 and (not wrap or not first.response_id):
        return first.usage
    tellers = [trace.spans[place] for place in one]
    if any(span.usage for span in tellers):
        tellers += [
            trace.spans[place]
            for place in wrap
            if trace.spans[place].response_id == first.response_id
        ]
    tellers.sort(key=lambda span: not span.native)
    return fullest(span.usage for span in tellers if span.usage is not None)


def _own(trace: Trace, place: int) -> Usage | None:
    """A span's usage, unless it only restates what is inside."""
    usage = trace.spans[place].usage
    category = trace.categories[place]
    if category in _CONTAINERS:
        return None
    if usage is None or category in _MODEL_LIKE:
        return usage
    return usage if not has_tokens(usage) or place in trace.promoted else None


def has_tokens(usage: Usage) -> bool:
    return usage.input is not None or usage.output is not None


def promoted(trace: Trace) -> frozenset[int]:
    """Containers with tokens of which nothing inside reported any."""
    telling = {
        place
        for place, span in enumerate(trace.spans)
        if span.usage is not None
        and has_tokens(span.usage)
        and (span.category in _CONTAINERS or span.category in _TOOL_LIKE)
        and not _inside_model(trace, place)
    }
    if not telling:
        return frozenset()
    reported = [False] * len(trace.spans)  # by something inside
    found = set()
    for place in range(len(reported) - 1, -1, -1):
        if not reported[place]:
            usage = trace.spans[place].usage
            if place in telling:
                found.add(place)
            elif not (
                usage is not None
                and has_tokens(usage)
                and trace.categories[place] in _MODEL_LIKE
            ):
                continue
        if trace.parents[place] >= 0:
            reported[trace.parents[place]] = True
    return frozenset(found)


def _inside_model(trace: Trace, place: int) -> bool:
    above = trace.above[place]
    return above >= 0 and trace.categories[above] in _MODEL_LIKE


def bill_containers(trace: Trace, drafts: list[Draft]) -> None:
    """Usage that only a container told goes to the last answer inside it.

    Where no model call is shown inside, it becomes one: the tokens were spent.
    """
    tellers = [
        place for place in trace.promoted if trace.categories[place] in _CONTAINERS
    ]
    if not tellers:
        return
    last = _last_answers(trace, drafts)
    for place in sorted(tellers):
        draft = last.get(place)
        if draft is None:
            draft = Draft(Category.MODEL, Unit(place))
            drafts.append(draft)
        draft.usage = trace.spans[place].usage


def _last_answers(trace: Trace, drafts: list[Draft]) -> dict[int, Draft]:
    teller = []  # the promoted container around each span; they are never nested
    for place, parent in enumerate(trace.parents):
        if place in trace.promoted:
            teller.append(place)
        else:
            teller.append(teller[parent] if parent >= 0 else -1)
    answers = [
        draft
        for draft in drafts
        if draft.category is Category.MODEL
        and teller[draft.units[-1].head] >= 0
        and draft.units[-1].failure is None
        and trace.ends[draft.units[-1].head]
    ]
    answers.sort(key=lambda draft: trace.order(draft.units[-1].head))
    return {teller[draft.units[-1].head]: draft for draft in answers}
