"""How long a call took: as its caller saw it, working, and waiting between attempts.

Work is the sum of the attempts, backoff is what is left of the latency, where every
attempt has a span. Where spans only report their waiting, or the requests of one span
show it, that is the backoff and the rest is work. What nobody knows is ``None``.
"""

from __future__ import annotations

from typing import NamedTuple

from ingest.derive.attempts import Attempts
from ingest.derive.drafts import Draft, Unit
from ingest.derive.trace import Trace


class Timing(NamedTuple):
    latency_us: int | None = None
    work_us: int | None = None
    backoff_us: int | None = None
    ttft_us: int | None = None


UNTIMED = Timing()


def span_of(trace: Trace, draft: Draft) -> tuple[int, int]:
    """Start and end as the caller saw them; the end is 0 while nothing has ended."""
    start = min(trace.starts[unit.head] for unit in draft.units)
    ended = trace.ends[draft.units[-1].head]
    if not ended:
        ended = max(
            trace.ends[member] for unit in draft.units for member in unit.members()
        )
    return start, max(start, ended) if ended else 0


def time_call(trace: Trace, draft: Draft, attempts: Attempts) -> Timing:
    last = draft.units[-1]
    if not trace.ends[last.head] or is_skewed(trace, draft):
        return UNTIMED
    start, ended = span_of(trace, draft)
    latency = max(ended - start, 0)
    work, backoff = _split(trace, draft, attempts, latency)
    return Timing(
        latency // 1000,
        None if work is None else work // 1000,
        None if backoff is None else backoff // 1000,
        _first_token(trace, last),
    )


def is_skewed(trace: Trace, draft: Draft) -> bool:
    return bool(trace.skewed) and not trace.skewed.isdisjoint(
        member for unit in draft.units for member in (unit.head, *unit.members())
    )


def _split(
    trace: Trace, draft: Draft, attempts: Attempts, latency: int
) -> tuple[int | None, int | None]:
    """Work and backoff in nanoseconds."""
    reported = _reported(trace, draft)
    shown = attempts.shown
    if len(shown) == attempts.total:
        tries = [one.one[0] for one in shown]
        if not all(trace.ends[place] for place in tries):
            return None, reported
        work = sum(trace.ends[place] - trace.starts[place] for place in tries)
        return work, max(latency - work, 0) if len(tries) > 1 else reported
    if reported is not None:
        return max(latency - reported, 0), reported
    waited = attempts.requests.between_ns if attempts.requests else None
    if waited is not None:
        return max(latency - waited, 0), waited
    return None, None


def _reported(trace: Trace, draft: Draft) -> int | None:
    """What spans say they waited: the outer one for all, else each for itself."""
    found: int | None = None
    for unit in draft.units:
        said = [trace.spans[place].backoff_us for place in unit.wrap]
        if not any(one is not None for one in said):
            said = [
                trace.spans[place].backoff_us for one in unit.tries for place in one
            ]
        told = [one for one in said if one is not None]
        if told:
            found = (found or 0) + 1000 * sum(told)
    return found


def _first_token(trace: Trace, unit: Unit) -> int | None:
    for place in (*unit.wrap, *unit.tries[-1]):
        if trace.spans[place].ttft_us is not None:
            return trace.spans[place].ttft_us
    return None
