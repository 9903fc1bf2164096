"""The numbers of a project as a reader sees them, and as its calls say they are.

Both are {(resolution, dimensions): {(group, bucket): amounts}}, so they can be equal.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import product

from ingest.histogram import Pile, pack
from ingest.queries.planner import Segment
from ingest.queries.rollups import Ask, read
from ingest.queries.snapshot import snapshot
from ingest.records import REASONS
from ingest.rollup import COUNTERS, DISTRIBUTIONS, REASON_COUNTERS, Sums
from ingest.series import FIELDS
from tests.ingest.corpus_reader import contributions

RESOLUTIONS = (10, 60, 3_600)
# Each is read from another grouping set, the last from full series.
DIMENSIONS = ((), ("target",), ("tenant",), ("tenant", "target"), ("service",), FIELDS)
EVERY_VIEW = list(product(RESOLUTIONS, DIMENSIONS))
START, END = 1_789_999_200, 1_795_999_200  # whole hours around all test traces
FRACTIONS = (0, 0.5, 0.95, 1)


def seen(project, views=EVERY_VIEW):
    """What the planner's rows and pending ticks add up to, in one snapshot."""
    with snapshot() as select:
        return {view: _read(select, project, *view) for view in views}


def _read(select, project, resolution, by):
    def ask(**wanted):
        steps = range(START, END + 1, resolution)
        segment = Segment(resolution, START, END)
        asked = Ask(project, [segment], by, edges=steps, width=resolution, **wanted)
        return {
            (group, steps[step]): amounts
            for group, parts in read(select, asked).items()
            for step, amounts in parts.items()
        }

    told = {
        at: (tuple(amounts.counters.values()), _quantiles(amounts.piles))
        for at, amounts in ask(counters=COUNTERS, distributions=DISTRIBUTIONS).items()
    }
    told |= {
        at: tuple(amounts.counters.values())
        for at, amounts in ask(
            counters=REASON_COUNTERS, reasons=tuple(REASONS), by_reason=True
        ).items()
    }
    return {at: amounts for at, amounts in told.items() if _anything(amounts)}


def sums_of(calls, views=EVERY_VIEW):
    """The same from (trace id, anchor, call, ...): every call that ended, once."""
    by_trace = defaultdict(list)
    for trace_id, _, call, *_ in calls:
        if call.ended_ns:
            by_trace[trace_id].append(call)
    parts = contributions(by_trace)
    return {view: _sums(parts, *view) for view in views}


def _sums(parts, resolution, by):
    sums, reasons = defaultdict(Sums), defaultdict(lambda: [0] * len(REASON_COUNTERS))
    for part in parts:
        words = dict(zip(FIELDS, part.series, strict=True))
        group = tuple(words[name] for name in by)
        bucket = part.bucket - part.bucket % resolution
        sums[group, bucket].add_sums(Sums.of_call(part, 1))
        for reason, *amounts in part.reasons:
            have = reasons[(*group, reason), bucket]
            have[:] = map(sum, zip(have, amounts, strict=True))
    told = {
        at: (tuple(one.counters), _quantiles(_piles(one))) for at, one in sums.items()
    }
    told |= {at: tuple(amounts) for at, amounts in reasons.items()}
    return {at: amounts for at, amounts in told.items() if _anything(amounts)}


def _piles(sums):
    piles = {}
    for name, cells in zip(DISTRIBUTIONS, sums.distributions, strict=True):
        if cells:
            piles[name] = Pile()
            piles[name].add_packed(pack(cells))
    return piles


def _quantiles(piles):
    ranks = {name: pile.ranks() for name, pile in piles.items()}
    return {
        name: [found.quantile_us(fraction) for fraction in FRACTIONS]
        for name, found in ranks.items()
        if found
    }


def _anything(amounts):
    return (
        any(amounts[0]) or amounts[1] if isinstance(amounts[0], tuple) else any(amounts)
    )
