"""What one call adds to the numbers: every counter is defined on this page.

    call --contribution--> Contribution --Sums.add--> row of a bucket and a series

Everything of a call is in the 10 s bucket of its end, under the series of its words.
Amounts are integers and rows are sums, so taking a contribution away again leaves
exactly what was there before it came, in any order and in anybody's rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import add
from typing import Any

import msgspec

from ingest import histogram
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

_AT = {name: index for index, name in enumerate(COUNTERS)}
_CALLS = _AT["calls"]
_EXECUTED = _AT["executed"]
_RETRIED = _AT["retried"]
_ATTEMPTS = _AT["attempts"]
_RETRIES = _AT["retries"]
_ATTEMPT_ERRORS = _AT["attempt_errors"]
_EXHAUSTED = _AT["exhausted"]
_REFUSALS = _AT["refusals"]
_CACHE_HITS = _AT["cache_hits"]
_UNPRICED = _AT["unpriced_calls"]
_INPUT = _AT["tokens_input"]
_OUTPUT = _AT["tokens_output"]
_CACHE_READ = _AT["tokens_cache_read"]
_CACHE_WRITE = _AT["tokens_cache_write"]
_REASONING = _AT["tokens_reasoning"]
_COST = _AT["cost_nano"]
_WASTED = _AT["wasted_nano"]
_FIRST_COUNT = _AT["latency_count"]
_OUTCOME_AT = {
    Outcome.OK.value: _AT["ok"],
    Outcome.RECOVERED.value: _AT["recovered"],
    Outcome.FALLBACK.value: _AT["fallbacks"],
    Outcome.CANCELLED.value: _AT["cancelled"],
    Outcome.REFUSED.value: _AT["refused"],
    Outcome.FAILED.value: _AT["errors"],
}
_FAILED = Outcome.FAILED.value
_CANCELLED = Outcome.CANCELLED.value
_CANCELLED_CLASS = FailureClass.CANCELLED.value
_UNKNOWN_CLASS = FailureClass.UNKNOWN.value

# environment, kind, target, provider, service, tenant, agent
SeriesKey = tuple[str, str, str, str | None, str, str | None, str | None]
Amounts = list[tuple[int, int]]  # (place in COUNTERS, amount)
Reason = tuple[int, int, int, int, int]  # code, then REASON_COUNTERS


class Merged(msgspec.Struct, frozen=True):
    """What the members of one response id say together, for the call that counts."""

    usage: Usage | None
    attempts: int
    attempt_errors: tuple[tuple[str, int], ...]
    outcome: str
    unpriced: bool


class Contribution(msgspec.Struct, frozen=True, gc=False):
    """What one call adds: sparse, because most of a call is zero."""

    bucket: int  # unix seconds
    series: SeriesKey
    amounts: Amounts
    cells: Amounts  # (place in DISTRIBUTIONS, cell)
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
    amounts = [(_CALLS, 1), (_OUTCOME_AT[told.outcome], 1)]
    if told.attempts:
        _add_attempts(amounts, told.attempts, last_failed=call.last_failed)
    if failed_attempts:
        amounts.append((_ATTEMPT_ERRORS, failed_attempts))
    if call.refusal_reason is not None:
        amounts.append((_REFUSALS, 1))
    if call.cache_hit:
        amounts.append((_CACHE_HITS, 1))
    if call.wasted:
        amounts.append((_WASTED, call.wasted))
    if told.unpriced:
        amounts.append((_UNPRICED, 1))
    if told.usage is not None:
        _add_usage(amounts, told.usage)
    return Contribution(
        call.ended_ns // _BUCKET_NS * BUCKET_S,
        series_of(call),
        amounts,
        _distributions(call, told, amounts),
        _reasons(call, told, failed_attempts),
    )


def _failed(attempt_errors: tuple[tuple[str, int], ...]) -> int:
    """Failed attempts; one that was cancelled has not failed."""
    return sum(n for failure, n in attempt_errors if failure != _CANCELLED_CLASS)


def _add_attempts(amounts: Amounts, attempts: int, *, last_failed: bool) -> None:
    amounts += ((_EXECUTED, 1), (_ATTEMPTS, attempts))
    if attempts > 1:
        amounts += ((_RETRIED, 1), (_RETRIES, attempts - 1))
        if last_failed:
            amounts.append((_EXHAUSTED, 1))


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


def _add_usage(amounts: Amounts, usage: Usage) -> None:
    for place, amount in (
        (_INPUT, usage.input),
        (_OUTPUT, usage.output),
        (_CACHE_READ, usage.cache_read),
        (_CACHE_WRITE, usage.cache_write),
        (_REASONING, usage.reasoning),
        (_COST, usage.cost),
    ):
        if amount:
            amounts.append((place, amount))


def _distributions(call: Call, told: Call | Merged, amounts: Amounts) -> Amounts:
    """Cells of the four durations; count and sum of each join the amounts.

    A skewed clock says nothing about durations, so it is in none of them. Latency is
    that of calls that ran and were not given up.
    """
    cells: Amounts = []
    if call.skewed:
        return cells
    latency_us = call.latency_us
    if not told.attempts or told.outcome == _CANCELLED:
        latency_us = None
    for place, duration_us in enumerate(
        (latency_us, call.work_us, call.backoff_us, call.ttft_us)
    ):
        if duration_us is not None:
            at = _FIRST_COUNT + 2 * place
            amounts += ((at, 1), (at + 1, duration_us))
            cells.append((place, cell_of(duration_us)))
    return cells


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
    """The additive part of a row: counters, and the cells of four distributions."""

    __slots__ = ("cells", "counters")

    def __init__(self) -> None:
        self.counters: list[int] = [0] * len(COUNTERS)
        self.cells: list[histogram.Cells | None] = [None, None, None, None]

    @classmethod
    def of_row(cls, columns: Sequence[Any]) -> Sums:
        """What a stored row says: counters, then packed cells."""
        sums = cls.__new__(cls)
        sums.counters = list(columns[: len(COUNTERS)])
        sums.cells = [
            None if packed is None else histogram.unpack(packed)
            for packed in columns[len(COUNTERS) :]
        ]
        return sums

    def add(self, part: Contribution, sign: int) -> None:
        """Add one call (``sign`` 1) or take it away (-1)."""
        counters = self.counters
        for place, amount in part.amounts:
            counters[place] += sign * amount
        for place, cell in part.cells:
            cells = self.cells[place]
            if cells is None:
                self.cells[place] = {cell: sign}
            else:
                cells[cell] = cells.get(cell, 0) + sign

    def add_sums(self, other: Sums) -> None:
        self.counters = list(map(add, self.counters, other.counters))
        for place, theirs in enumerate(other.cells):
            if not theirs:
                continue
            mine = self.cells[place]
            if mine is None:
                self.cells[place] = theirs.copy()
            elif len(mine) >= len(theirs):
                histogram.add(mine, theirs)
            else:
                self.cells[place] = both = theirs.copy()
                histogram.add(both, mine)

    def copy(self) -> Sums:
        twin = Sums.__new__(Sums)
        twin.counters = self.counters.copy()
        twin.cells = [cells and cells.copy() for cells in self.cells]
        return twin

    def negative(self) -> Sums:
        twin = Sums.__new__(Sums)
        twin.counters = [-amount for amount in self.counters]
        twin.cells = [
            cells and {cell: -count for cell, count in cells.items()}
            for cells in self.cells
        ]
        return twin

    def __bool__(self) -> bool:
        """Whether anything is left of it."""
        return any(self.counters) or any(
            cells and any(cells.values()) for cells in self.cells
        )

    def packed(self) -> tuple[int | bytes | None, ...]:
        """Counters, then packed cells: the columns of a stored row, in order."""
        return (*self.counters, *map(histogram.pack, self.cells))
