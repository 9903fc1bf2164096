"""How often a call was tried, and how each try went.

The count is the largest that any evidence gives, never a sum: spans of attempts, what
spans say (``retry.attempt``, ``call_attempts``, retry events, ``resend_count``), and
requests to one URL of which all but the last failed in a way worth repeating. Attempts
that no span shows failed, else there would not have been another.
"""

from __future__ import annotations

from typing import NamedTuple

from ingest.derive.drafts import (
    CANCELLED,
    REFUSED,
    UNKNOWN,
    Draft,
    Try,
    Unit,
    is_refusal,
    telling,
)
from ingest.derive.trace import Trace
from ingest.records import Category, Coverage, Span
from switchgear.policy.vocabulary import RETRYABLE, FailureClass

_CLASSES = frozenset(word.value for word in FailureClass) - {REFUSED}


class Shown(NamedTuple):
    """An attempt with a span; ``failure`` is its class, ``None`` when it went well."""

    one: Try
    unit: Unit
    failure: str | None


class Requests(NamedTuple):
    """Repeated requests: the classes of the failed ones, and the time between them."""

    times: int
    failures: tuple[str, ...]
    between_ns: int | None


class Attempts(NamedTuple):
    total: int
    shown: list[Shown]  # without the attempt a unit keeps as ``extra``
    errors: tuple[tuple[str, int], ...]
    last_failed: bool
    requests: Requests | None  # when the count rests on them


NONE = Attempts(0, [], (), last_failed=False, requests=None)


def failure_of(span: Span | None) -> str | None:
    """The class of a failure in our words; what ran was not refused."""
    if span is None or not span.failed:
        return None
    return span.failure_class if span.failure_class in _CLASSES else UNKNOWN


def was_refused(trace: Trace, unit: Unit) -> bool:
    """Was every try of it refused before it ran?"""
    if unit.extra:
        return False
    if not unit.inside:
        return is_refusal(trace.spans[unit.head])
    return all(any(is_refusal(trace.spans[p]) for p in one) for one in unit.inside)


def deciding_unit(trace: Trace, draft: Draft) -> Unit:
    """The last that ran and ended; a suppressed retry decides nothing."""
    if len(draft.units) == 1:
        return draft.units[0]
    ran = [unit for unit in draft.units if not was_refused(trace, unit)]
    over = [unit for unit in ran if trace.ends[unit.head]]
    return (over or ran or draft.units)[-1]


def count_attempts(
    trace: Trace, draft: Draft, deciding: Unit, final: str | None
) -> Attempts:
    """``final`` is how the call ended, which is how its deciding attempt ended."""
    shown: list[Shown] = []
    extra = 0
    errors: dict[str, int] = {}
    for unit in draft.units:
        ended = final if unit is deciding else failure_of(unit.failure)
        _show(trace, unit, shown, ended)
        if unit.extra:
            extra += 1
            _count(errors, ended)
    seen = len(shown) + extra
    count, requests = seen, None
    if seen:
        said, requests = _said(trace, draft)
        count = max(seen, said, requests.times if requests else 0)
        if requests and requests.times < count:
            requests = None
        for one in shown:
            _count(errors, one.failure)
        told = requests.failures if requests else ()
        for place in range(count - seen):
            _count(errors, told[place] if place < len(told) else UNKNOWN)
    return Attempts(
        total=count,
        shown=shown,
        errors=tuple(sorted(errors.items())),
        last_failed=count > 0 and final is not None and final != CANCELLED,
        requests=requests,
    )


def _count(errors: dict[str, int], failure: str | None) -> None:
    if failure is not None and failure != CANCELLED:
        errors[failure] = errors.get(failure, 0) + 1


def _show(trace: Trace, unit: Unit, shown: list[Shown], ended: str | None) -> None:
    """``ended`` is how the last try ended, unless another came after it unseen."""
    tries = unit.tries
    last = None if unit.extra else tries[-1]
    for one in tries:
        spans = [trace.spans[member] for member in one]
        if not any(map(is_refusal, spans)):
            failure = ended if one is last else failure_of(telling(spans))
            shown.append(Shown(one, unit, failure))


def _said(trace: Trace, draft: Draft) -> tuple[int, Requests | None]:
    """The largest count that spans of a call, or its requests on the wire, tell."""
    most, repeated = 0, None
    for unit in draft.units:
        for member in unit.members():
            most = max(most, trace.spans[member].attempts)
            wire = trace.wire.get(member)
            if wire:
                most = max(most, *(trace.spans[place].attempts for place in wire))
                found = _repeated(trace, wire)
                if found and _answered_unseen(trace, member, found):
                    found = Requests(found.times + 1, found.failures, None)
                if found and (repeated is None or found.times > repeated.times):
                    repeated = found
    return most, repeated


def _repeated(trace: Trace, wire: list[int]) -> Requests | None:
    """The longest row of the same request where all but the last failed retryably."""
    rows: dict[tuple[int, str], list[int]] = {}
    for place in wire:
        span = trace.spans[place]
        # A method without a URL may go anywhere.
        if span.category is Category.RPC or (
            span.category is Category.HTTP and " " in span.name
        ):
            rows.setdefault((trace.parents[place], span.name), []).append(place)
    best: Requests | None = None
    for row in rows.values():
        if best and len(row) <= best.times:
            continue
        row.sort(key=trace.order)
        failures = [failure_of(trace.spans[place]) for place in row]
        told = [failure for failure in failures if failure in RETRYABLE]
        if [*told, failures[-1]] == failures or told == failures:
            best = Requests(len(row), tuple(told), _between(trace, row))
    return best


def _answered_unseen(trace: Trace, member: int, requests: Requests) -> bool:
    """A model cannot answer without a request that went well."""
    span = trace.spans[member]
    return (
        span.category is Category.MODEL
        and not span.failed
        and trace.ends[member] != 0
        and len(requests.failures) == requests.times
    )


def _between(trace: Trace, row: list[int]) -> int:
    waited, over = 0, trace.ends[row[0]]
    for place in row[1:]:
        waited += max(trace.starts[place] - over, 0)
        over = max(over, trace.ends[place])
    return waited


def coverage_of(trace: Trace, draft: Draft) -> Coverage:
    """Could we see it if this call were retried?"""
    if len(draft.units) > 1 and not draft.matched:
        return Coverage.EXPLICIT
    inferred = draft.matched
    for unit in draft.units:
        inferred = inferred or len(unit.tries) + unit.extra > 1
        for member in unit.members():
            span = trace.spans[member]
            if span.attempts or span.numbered:
                return Coverage.EXPLICIT
            inferred = inferred or member in trace.wire
    return Coverage.INFERRED if inferred else Coverage.INVISIBLE
