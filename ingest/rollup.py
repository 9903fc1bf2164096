"""What one call adds to the numbers: every counter is defined on this page.

    call --contribution--> Contribution --Sums.add--> row of a bucket and a series

Everything of a call is in the 10 s bucket of its end, under the series of its words.
Amounts are integers and rows are sums, so taking a contribution away again leaves
exactly what was there before it came, in any order and in anybody's rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ingest import histogram, lanes
from ingest.histogram import cell_of
from ingest.records import FAILURE_CODES, REFUSAL_CODES, Call, Usage
from switchgear.policy.vocabulary import FailureClass, Outcome

BUCKET_S = 10
_BUCKET_NS = BUCKET_S * 1_000_000_000

# The order of these is the order of columns wherever a row is written or read.
COUNTERS = (
    "calls",
    "ok",
    "recovered",
    "fallbacks",
    "refused",
    "cancelled",
    "errors",
    "executed",
    "retried",
    "attempts",
    "retries",
    "attempt_errors",
    "exhausted",
    "refusals",
    "cache_hits",
    "unpriced_calls",
    "tokens_input",
    "tokens_output",
    "tokens_cache_read",
    "tokens_cache_write",
    "tokens_reasoning",
    "cost_nano",
    "wasted_nano",
    "latency_count",
    "latency_sum",
    "work_count",
    "work_sum",
    "backoff_count",
    "backoff_sum",
    "ttft_count",
    "ttft_sum",
)
DISTRIBUTIONS = ("latency", "work", "backoff", "ttft")
CELLS = tuple(f"{name}_cells" for name in DISTRIBUTIONS)
REASON_COUNTERS = ("calls", "errors", "attempt_errors", "refusals")

_WIDTH = len(COUNTERS)
_BIAS = lanes.bias(_WIDTH)
# What one of each counter is worth in a sum.
_ONE = dict(zip(COUNTERS, lanes.units(_WIDTH), strict=True))
_RETRIED = _ONE["retried"]
_RETRIES = _ONE["retries"]
_ATTEMPTS = _ONE["attempts"]
_ATTEMPT_ERRORS = _ONE["attempt_errors"]
_EXHAUSTED = _ONE["exhausted"]
_REFUSED_ONCE = _ONE["refusals"]
_CACHE_HIT = _ONE["cache_hits"]
_UNPRICED = _ONE["unpriced_calls"]
_WASTED = _ONE["wasted_nano"]
_INPUT = _ONE["tokens_input"]
_OUTPUT = _ONE["tokens_output"]
_CACHE_READ = _ONE["tokens_cache_read"]
_CACHE_WRITE = _ONE["tokens_cache_write"]
_REASONING = _ONE["tokens_reasoning"]
_COST = _ONE["cost_nano"]
_EXECUTED_ONCE = _ONE["executed"] + _ATTEMPTS
# Cells of all distributions in one dict: where those of each begin.
_APART = 4_096
_DURATIONS = [
    (place * _APART, _ONE[f"{name}_count"], _ONE[f"{name}_sum"])
    for place, name in enumerate(DISTRIBUTIONS)
]
_CALL = {
    Outcome.OK.value: _ONE["calls"] + _ONE["ok"],
    Outcome.RECOVERED.value: _ONE["calls"] + _ONE["recovered"],
    Outcome.FALLBACK.value: _ONE["calls"] + _ONE["fallbacks"],
    Outcome.CANCELLED.value: _ONE["calls"] + _ONE["cancelled"],
    Outcome.REFUSED.value: _ONE["calls"] + _ONE["refused"],
    Outcome.FAILED.value: _ONE["calls"] + _ONE["errors"],
}
_FAILED = Outcome.FAILED.value
_CANCELLED = Outcome.CANCELLED.value
_CANCELLED_CLASS = FailureClass.CANCELLED.value
_UNKNOWN_CLASS = FailureClass.UNKNOWN.value

# environment, kind, target, provider, service, tenant, agent
SeriesKey = tuple[str, str, str, str | None, str, str | None, str | None]
Reason = tuple[int, int, int, int, int]  # code, then REASON_COUNTERS


class Merged(msgspec.Struct, frozen=True):
    """What the members of one response id say together, for the call that counts."""

    usage: Usage | None
    attempts: int
    attempt_errors: tuple[tuple[str, int], ...]
    outcome: str
    unpriced: bool


class Contribution(msgspec.Struct, frozen=True, gc=False):
    """What one call adds."""

    bucket: int  # unix seconds
    series: SeriesKey
    amounts: int  # of all COUNTERS: see ``lanes``
    cells: list[int]  # of all DISTRIBUTIONS: see ``Sums``
    reasons: list[Reason]


def contribution(call: Call, merged: Merged | None = None) -> Contribution | None:
    """What a call adds to the numbers; ``None`` while nothing of it has ended.

    ``merged`` replaces what only the whole group of a response id knows. A member
    that does not count contributes nothing and is not asked.
    """
    if not call.ended_ns:
        return None
    told = call if merged is None else merged
    failed_attempts = _failed(told.attempt_errors)
    amounts = _CALL[told.outcome] + failed_attempts * _ATTEMPT_ERRORS
    if told.attempts:
        amounts += _attempts(told.attempts, last_failed=call.last_failed)
    if call.refusal_reason is not None:
        amounts += _REFUSED_ONCE
    if call.cache_hit:
        amounts += _CACHE_HIT
    if call.wasted:
        amounts += call.wasted * _WASTED
    if told.unpriced:
        amounts += _UNPRICED
    if told.usage is not None:
        amounts += _usage(told.usage)
    durations, cells = _distributions(call, told)
    return Contribution(
        call.ended_ns // _BUCKET_NS * BUCKET_S,
        series_of(call),
        amounts + durations,
        cells,
        _reasons(call, told, failed_attempts),
    )


def _failed(attempt_errors: tuple[tuple[str, int], ...]) -> int:
    """Failed attempts; one that was cancelled has not failed."""
    return sum(n for failure, n in attempt_errors if failure != _CANCELLED_CLASS)


def _attempts(attempts: int, *, last_failed: bool) -> int:
    if attempts == 1:
        return _EXECUTED_ONCE
    again = attempts - 1
    exhausted = _EXHAUSTED if last_failed else 0
    return _EXECUTED_ONCE + _RETRIED + again * (_ATTEMPTS + _RETRIES) + exhausted


def series_of(call: Call) -> SeriesKey:
    """The words a call is counted under."""
    return (
        call.environment,
        call.kind,
        call.target,
        call.provider,
        call.service,
        call.tenant,
        call.agent,
    )


def _usage(usage: Usage) -> int:
    amounts = 0
    for one, amount in (
        (_INPUT, usage.input),
        (_OUTPUT, usage.output),
        (_CACHE_READ, usage.cache_read),
        (_CACHE_WRITE, usage.cache_write),
        (_REASONING, usage.reasoning),
        (_COST, usage.cost),
    ):
        if amount:
            amounts += amount * one
    return amounts


def _distributions(call: Call, told: Call | Merged) -> tuple[int, list[int]]:
    """Count and sum of the four durations, and the cell of each.

    A skewed clock says nothing about durations, so it is in none of them. Latency is
    that of calls that ran and were not given up.
    """
    amounts = 0
    cells: list[int] = []
    if call.skewed:
        return amounts, cells
    latency_us = call.latency_us
    if not told.attempts or told.outcome == _CANCELLED:
        latency_us = None
    durations = (latency_us, call.work_us, call.backoff_us, call.ttft_us)
    for (first, count, total), us in zip(_DURATIONS, durations, strict=True):
        if us is not None:
            amounts += count + us * total
            cells.append(first + cell_of(us))
    return amounts, cells


def _reasons(call: Call, told: Call | Merged, failed_attempts: int) -> list[Reason]:
    """The call under its failure class and refusal reason, each attempt under its own.

    An error always has a class, so errors by class add up to errors.
    """
    error = 1 if told.outcome == _FAILED else 0
    refusal = 0 if call.refusal_reason is None else 1
    own = call.failure_class or (_UNKNOWN_CLASS if error else None)
    if own is None and not failed_attempts and not refusal:
        return []
    attempts = dict(told.attempt_errors)
    attempts.pop(_CANCELLED_CLASS, None)
    reasons: list[Reason] = []
    if own is not None:
        own_attempts = attempts.pop(own, 0)
        reasons.append((FAILURE_CODES[own], 1, error, own_attempts, refusal))
    for failure, count in attempts.items():
        reasons.append((FAILURE_CODES[failure], 0, 0, count, 0))
    if call.refusal_reason is not None:
        code = REFUSAL_CODES[call.refusal_reason]
        reasons.append((code, 1, error, failed_attempts, 1))
    return reasons


class Sums:
    """The additive part of a row: counters, and the cells of four distributions.

    ``total`` holds all counters (see ``lanes``), ``cells`` those of all distributions:
    the cells of each begin ``_APART`` after those of the one before.
    """

    __slots__ = ("cells", "total")

    def __init__(self, total: int = 0, cells: histogram.Cells | None = None) -> None:
        self.total = total
        self.cells: histogram.Cells = {} if cells is None else cells

    @classmethod
    def of_call(cls, part: Contribution, sign: int) -> Sums:
        """What one call adds (``sign`` 1) or takes away (-1)."""
        return cls(sign * part.amounts, dict.fromkeys(part.cells, sign))

    @classmethod
    def of_row(cls, columns: Sequence[Any]) -> Sums:
        """What a stored row says: counters, then packed cells."""
        sums = cls(lanes.joined(columns[:_WIDTH], _BIAS))
        for place, packed in enumerate(columns[_WIDTH:]):
            if packed is not None:
                first = place * _APART
                for cell, count in histogram.unpack(packed).items():
                    sums.cells[first + cell] = count
        return sums

    @property
    def counters(self) -> list[int]:
        """In the order of ``COUNTERS``."""
        return lanes.apart(self.total, _WIDTH, _BIAS)

    @property
    def distributions(self) -> list[histogram.Cells]:
        """In the order of ``DISTRIBUTIONS``."""
        found: list[histogram.Cells] = [{} for _ in DISTRIBUTIONS]
        for at, count in self.cells.items():
            found[at // _APART][at % _APART] = count
        return found

    def add_sums(self, other: Sums) -> None:
        self.total += other.total
        mine, theirs = self.cells, other.cells
        if len(mine) < len(theirs):
            mine, theirs = theirs.copy(), mine
            self.cells = mine
        have = mine.get
        for at, count in theirs.items():
            mine[at] = have(at, 0) + count

    def copy(self) -> Sums:
        return Sums(self.total, self.cells.copy())

    def negative(self) -> Sums:
        return Sums(-self.total, {at: -count for at, count in self.cells.items()})

    def __bool__(self) -> bool:
        """Whether anything is left of it."""
        return bool(self.total) or any(self.cells.values())

    def packed(self) -> tuple[int | bytes | None, ...]:
        """Counters, then packed cells: the columns of a stored row, in order."""
        return (*self.counters, *map(histogram.pack, self.distributions))
