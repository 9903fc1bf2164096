"""One call or several: models (and embeddings, which are wrapped like them).

A model span inside a model span belongs to its call: the leaves are the attempts, the
outer span decides. A failed one of another model inside, Pydantic AI's failed "model
request attempt", and whatever has another call id, is a call of its own. A failed call
and the next tool or model span of the same parent are one call when the model is the
same, else the second is the first one's fallback.
"""

from __future__ import annotations

import re
from collections import deque
from functools import lru_cache
from itertools import pairwise

from ingest.derive.drafts import CANCELLED, Draft, Try, Unit, broke, is_refusal, telling
from ingest.derive.trace import Trace
from ingest.records import Category, Span

_MODEL_LIKE = frozenset({Category.MODEL, Category.EMBEDDING})
_SIBLINGS = frozenset({Category.TOOL, Category.MODEL})
_PROVIDER = re.compile(
    r"^(?:(?:us|eu|apac|global)\.)?(?:ai21|amazon|anthropic|azure|bedrock|cohere"
    r"|deepseek|google(?:-gla|-vertex)?|groq|meta|mistral|openai|vertex_ai|xai)[.:]"
    r"(?=[a-z])"
)
_DATE = re.compile(r"[-@](?:\d{8}|\d{4}-\d{2}-\d{2})(?:-v\d+(?::\d+)?)?$")


@lru_cache(maxsize=4096)
def plain_model(name: str) -> str:
    """A model's name without the provider in front and the date behind."""
    short = name.strip().lower().rsplit("/", 1)[-1]
    return _DATE.sub("", _PROVIDER.sub("", short))


def same_model(one: str, other: str) -> bool:
    """Nothing says that a model without a name is another one."""
    return not one or not other or plain_model(one) == plain_model(other)


def model_calls(trace: Trace) -> list[Draft]:
    heads: list[int] = []
    inner: dict[int, list[int]] = {}
    mirrored = _mirrored(trace)
    for place, category in enumerate(trace.categories):
        if category in _MODEL_LIKE:
            outer = mirrored.get(place, trace.above[place])
            if (
                outer >= 0
                and trace.categories[outer] is category
                and not _told_apart(trace.spans[outer], trace.spans[place])
            ):
                inner.setdefault(outer, []).append(place)
            else:
                heads.append(place)
    drafts: list[Draft] = []
    for head in heads:
        if head in inner:
            drafts += _wrapped(trace, head, inner)
        else:
            span, unit = trace.spans[head], Unit(head)
            if span.failed:
                unit.failure = span
            drafts.append(Draft(span.category, unit))
    return _follow_up(trace, drafts, mirrored)


def _told_apart(one: Span, other: Span) -> bool:
    """Calls with ids of their own, such as a call and what stands in for its model."""
    return bool(one.call_id and other.call_id) and one.call_id != other.call_id


def _mirrored(trace: Trace) -> dict[int, int]:
    """What the provider's own SDK tells beside, not inside, an instrumentation.

    Answers told twice share a response id; failures, and streams in some senders, have
    none. The native span lies within the time of the other, of the same parent and
    model, both failed or neither, and each has one.
    """
    natives = [
        place
        for place, span in enumerate(trace.spans)
        if span.native and span.category is Category.MODEL and span.parent_id
    ]
    if not natives:
        return {}
    beside: dict[bytes, list[int]] = {}
    for place, span in enumerate(trace.spans):
        if span.category is Category.MODEL and not (span.native or span.response_id):
            beside.setdefault(span.parent_id, []).append(place)
    waiting = {
        parent: deque(sorted(places, key=trace.order))
        for parent, places in beside.items()
    }
    found: dict[int, int] = {}
    for place in sorted(natives, key=trace.order) if waiting else ():
        others = waiting.get(trace.spans[place].parent_id)
        # In order of start: what ended before this one began is nobody's any more.
        while others and trace.ends[others[0]] <= trace.starts[place]:
            others.popleft()
        if others and _lies_within(trace, place, others[0]):
            found[place] = others.popleft()
    return found


def _lies_within(trace: Trace, place: int, other: int) -> bool:
    one, around = trace.spans[place], trace.spans[other]
    return (
        trace.starts[other] <= trace.starts[place]
        and trace.starts[place] <= trace.ends[place] <= trace.ends[other]
        and one.failed is around.failed
        and same_model(one.name, around.name)
    )


def _wrapped(trace: Trace, head: int, inner: dict[int, list[int]]) -> list[Draft]:
    """The call of an outermost span, and the calls inside that are not its own."""
    outer = trace.spans[head]
    wrap: list[int] = []
    leaves: list[int] = []
    others: list[int] = []
    waiting = [head]
    while waiting:
        place = waiting.pop()
        if place != head and _is_other_call(trace.spans[place], outer):
            others.append(place)
            continue
        inside = inner.get(place)
        (wrap if inside else leaves).append(place)
        waiting.extend(inside or ())
    others.sort(key=trace.order)
    if others and not leaves and outer.failed:
        # Nothing else was tried: the outer span restates the last failure.
        leaves += _innermost(others.pop(), inner)
    drafts = [Draft(outer.category, _unit(trace, head, wrap, leaves))]
    for place in others:
        span = trace.spans[place]
        inside = sorted(_innermost(place, inner), key=trace.order)
        tries = tuple((leaf,) for leaf in inside)
        unit = Unit(place)
        unit.inside, unit.failure = tries, span
        draft = Draft(span.category, unit)
        draft.answered_elsewhere = not outer.failed and trace.ends[head] != 0
        drafts.append(draft)
    return drafts


def _is_other_call(span: Span, outer: Span) -> bool:
    if not span.failed or span.failure_class == CANCELLED:
        return False
    return span.model_attempt or not same_model(span.name, outer.name)


def _innermost(place: int, inner: dict[int, list[int]]) -> list[int]:
    leaves, waiting = [], [place]
    while waiting:
        place = waiting.pop()
        inside = inner.get(place)
        if inside:
            waiting += inside
        else:
            leaves.append(place)
    return leaves


def _unit(trace: Trace, head: int, wrap: list[int], leaves: list[int]) -> Unit:
    outer, unit = trace.spans[head], Unit(head)
    if outer.failed:
        unit.failure = outer
    if not leaves:  # only calls of their own inside: it is the attempt itself
        return unit
    unit.wrap = tuple(wrap)
    unit.inside = _one_per_response(trace, sorted(leaves, key=trace.order))
    told = [trace.spans[place] for place in unit.inside[-1]]
    if outer.failed:
        unit.failure = telling([outer, *told])
    elif telling(told) is not None and trace.ends[head] and not outer.call_id:
        unit.extra = 1  # who has ids of its own for calls shows every attempt
    return unit


def _one_per_response(trace: Trace, leaves: list[int]) -> tuple[Try, ...]:
    """Leaves that tell of the same answer are one attempt."""
    if len(leaves) == 1:
        return ((leaves[0],),)
    tries: dict[bytes | int, list[int]] = {}
    for leaf in leaves:
        span = trace.spans[leaf]
        key = leaf if span.failed or not span.response_id else span.response_id
        tries.setdefault(key, []).append(leaf)
    return tuple(map(tuple, tries.values()))


def _follow_up(
    trace: Trace, drafts: list[Draft], mirrored: dict[int, int]
) -> list[Draft]:
    """Join retries to what they repeat; mark what another model answered."""
    unsettled = [draft for draft in drafts if _may_go_on(trace, draft)]
    if not unsettled:
        return drafts
    of_head = {draft.units[0].head: draft for draft in drafts}
    following = _following(trace, unsettled, mirrored)
    unsettled.sort(key=lambda one: trace.order(one.units[0].head), reverse=True)
    joined: set[int] = set()
    # From the last to the first: what an answer settles, it settles for all before.
    # Meanwhile units of joined drafts stand in reverse, so that each joins in one step.
    for draft in unsettled:
        unit = draft.units[0]
        then = following.get(unit.head, -1)
        later = of_head.get(then)
        if later is None or trace.starts[then] < trace.ends[unit.head]:
            continue
        one, other = trace.spans[unit.head], trace.spans[then]
        if not same_model(one.name, other.name):
            answered = later.answered_elsewhere or _answered(trace, later.units[0])
            draft.answered_elsewhere |= answered
        elif broke(unit.failure) and not _told_apart(one, other):
            later.units.append(unit)
            draft.units = later.units
            draft.answered_elsewhere |= later.answered_elsewhere
            draft.matched = True
            joined.add(then)
    kept = [draft for head, draft in of_head.items() if head not in joined]
    for draft in kept:
        if draft.matched:
            draft.units.reverse()
    return kept


def _may_go_on(trace: Trace, draft: Draft) -> bool:
    unit = draft.units[0]
    span = trace.spans[unit.head]
    if unit.failure is None and span.refusal_reason is None and span.decision is None:
        return False
    return (
        (broke(unit.failure) or is_refusal(span))
        and draft.category is Category.MODEL
        and bool(span.parent_id)
        and trace.ends[unit.head] != 0
    )


def _answered(trace: Trace, unit: Unit) -> bool:
    if is_refusal(trace.spans[unit.head]):
        return False
    return unit.failure is None and trace.ends[unit.head] != 0


def _following(
    trace: Trace, unsettled: list[Draft], mirrored: dict[int, int]
) -> dict[int, int]:
    """For the heads of these: the next tool or model span of the same parent."""
    wanted = {trace.spans[draft.units[0].head].parent_id for draft in unsettled}
    siblings: dict[bytes, list[int]] = {}
    for place, span in enumerate(trace.spans):
        if (
            span.category in _SIBLINGS
            and span.parent_id in wanted
            and place not in mirrored
        ):
            siblings.setdefault(span.parent_id, []).append(place)
    following: dict[int, int] = {}
    for places in siblings.values():
        places.sort(key=trace.order)
        following.update(pairwise(places))
    return following
