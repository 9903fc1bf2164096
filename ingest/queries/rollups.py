"""Numbers of a project out of its rollups: the only way anything reads them.

Every amount is in exactly one place: in a rollup row, or in a tick above its writer's
watermark. So a segment is read as rollup rows plus pending ticks, and a segment of
10 s rows of full series as ticks alone, all within one snapshot.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ingest.fold import FINEST_S
from ingest.histogram import Pile, Ranks
from ingest.queries.planner import FROM_A_MINUTE, Segment, grouping_for
from ingest.series import FULL
from ingest.stores.base import Row

# Dimensions that are the target, of calls of that kind.
TARGETS_OF = ("tool", "model")
TOTAL = -1  # the step of amounts that are not spread over time

Key = tuple[str | int | None, ...]
Select = Callable[[str, Sequence[Any]], list[Row]]


@dataclass(frozen=True, slots=True)
class Only:
    """Calls whose dimension is (or is not) one of these values; null is a value."""

    field: str
    values: tuple[str | None, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """What to add up, of which calls, by what.

    ``edges`` are the beginnings of steps and the end of the last, ``width`` their
    distance where it is even; without edges everything is one total. ``reasons`` are
    the codes that rows by reason are restricted to; with them ``counters`` are some
    of ``REASON_COUNTERS``.
    """

    project_id: int
    segments: Sequence[Segment]
    by: tuple[str, ...] = ()
    only: tuple[Only, ...] = ()
    counters: tuple[str, ...] = ()
    distributions: tuple[str, ...] = ()
    edges: Sequence[int] = ()
    width: int | None = None
    reasons: tuple[int, ...] | None = None
    by_reason: bool = False


@dataclass(slots=True)
class Amounts:
    """Sums of counters and of distributions, by name."""

    counters: dict[str, int] = field(default_factory=dict)
    piles: dict[str, Pile] = field(default_factory=dict)
    _ranks: dict[str, Ranks] = field(default_factory=dict)

    def ranks(self, name: str) -> Ranks:
        """A distribution in order; made once, when nothing more comes."""
        ranks = self._ranks.get(name)
        if ranks is None:
            pile = self.piles.get(name)
            ranks = self._ranks[name] = (pile or Pile()).ranks()
        return ranks

    def add(self, other: Amounts, sign: int = 1) -> None:
        for name, amount in other.counters.items():
            self.counters[name] = self.counters.get(name, 0) + sign * amount
        for name, pile in other.piles.items():
            self.piles.setdefault(name, Pile()).add(pile, sign)


Found = dict[Key, dict[int, Amounts]]  # group -> step (or TOTAL) -> amounts


def read(select: Select, ask: Ask) -> Found:
    """Add up what is asked; groups and steps without any row are absent."""
    found: Found = {}
    for segment in ask.segments:
        for source in _sources(ask, segment):
            _sum(select, ask, source, found)
            for name in ask.distributions:
                _collect(select, ask, source, name, found)
    return found


_BUCKETS = ("r.bucket>=%s", "r.bucket<%s")


@dataclass(frozen=True, slots=True)
class _Source:
    """Where rows of a segment are: ``r`` are the rows, ``s`` their series.

    Tables stand in the order they are to be walked: to SQLite ``CROSS JOIN`` means
    just that, and left alone it walks every row of the time range.
    """

    tables: str
    where: tuple[str, ...]
    parameters: tuple[object, ...]
    segment: Segment
    grouping: str
    by_series: bool = False


def _sources(ask: Ask, segment: Segment) -> Iterator[_Source]:
    wanted = {only.field for only in ask.only} | set(ask.by)
    grouping = grouping_for("target" if name in TARGETS_OF else name for name in wanted)
    kind = "" if ask.reasons is None else "_reason"
    tick_id = "r.id" if ask.reasons is None else "r.tick"
    ticks_only = segment.resolution == FINEST_S and grouping in FROM_A_MINUTE
    if ticks_only:
        yield _Source(
            f"ingest_tick{kind} r CROSS JOIN ingest_series s",
            ("s.id=r.series_id", *_BUCKETS),
            (),
            segment,
            FULL,
        )
        return
    yield _Source(
        f"ingest_series s CROSS JOIN ingest_rollup{kind} r",
        ("r.series_id=s.id", *_BUCKETS, "r.resolution=%s"),
        (segment.resolution,),
        segment,
        grouping,
        by_series=True,
    )
    watermark = "in_series" if grouping == FULL else "in_sets"
    yield _Source(
        f"ingest_writer w CROSS JOIN ingest_tick{kind} r CROSS JOIN ingest_series s",
        (
            "NOT w.closed",
            "r.writer_id=w.id",
            f"{tick_id}>w.{watermark}",
            "s.id=r.series_id",
            # With a plus, lest an index by time finds everything that is folded.
            "+r.bucket>=%s",
            "+r.bucket<%s",
        ),
        (),
        segment,
        FULL,
    )


def _where(ask: Ask, source: _Source) -> tuple[str, list[object]]:
    clauses = [*source.where, "s.project_id=%s", "s.grouping=%s"]
    parameters: list[object] = [
        source.segment.start,
        source.segment.end,
        *source.parameters,
        ask.project_id,
        source.grouping,
    ]
    for only in ask.only:
        clause, values = _only(only)
        clauses.append(clause)
        parameters += values
    if ask.reasons is not None:
        clauses.append(f"r.reason IN ({_marks(ask.reasons)})")
        parameters += ask.reasons
    return " AND ".join(clauses), parameters


def _marks(values: Sequence[object]) -> str:
    return ",".join(["%s"] * len(values))


def _only(only: Only) -> tuple[str, list[object]]:
    """SQL of a filter. A tool is the target of a ``tool`` call, no other has one."""
    column = f"s.{only.field}"
    some, none = f"{column} IS NOT NULL", f"{column} IS NULL"
    if only.field in TARGETS_OF:
        column = "s.target"
        some, none = f"s.kind='{only.field}'", f"s.kind<>'{only.field}'"
    values: list[object] = [value for value in only.values if value is not None]
    clause = f"({some} AND {column} IN ({_marks(values)}))"
    if not values:
        clause = "1=0"
    if None in only.values:
        clause = f"({none} OR {clause})"
    return (f"NOT {clause}" if only.negated else clause), values


def _step(ask: Ask) -> str:
    """What names the step in SQL: an index of even steps, else the row's bucket."""
    if not ask.edges:
        return str(TOTAL)
    if ask.width is None:
        return "r.bucket"
    return f"(r.bucket-{ask.edges[0]:d})/{ask.width:d}"


def _key_columns(ask: Ask) -> list[str]:
    columns = [f"s.{name}" for name in ask.by]
    return [*columns, "r.reason"] if ask.by_reason else columns


def _amounts(ask: Ask, row: Row, found: Found) -> Amounts:
    """Where the amounts of a row belong: its key columns, its step."""
    width = len(ask.by) + ask.by_reason
    step = int(row[width])
    if ask.edges and ask.width is None:
        step = bisect_right(ask.edges, step) - 1
    steps = found.get(row[:width])
    if steps is None:
        steps = found[row[:width]] = {}
    amounts = steps.get(step)
    if amounts is None:
        amounts = steps[step] = Amounts()
    return amounts


def _sum(select: Select, ask: Ask, source: _Source, found: Found) -> None:
    if not ask.counters:
        return
    where, parameters = _where(ask, source)
    columns = [*_key_columns(ask), _step(ask)]
    sums = [f"SUM(r.{name})" for name in ask.counters]
    places = [str(place) for place in range(1, len(columns) + 1)]
    # Rollups are walked series by series: grouped so, nothing has to be sorted.
    names = ",".join(["s.id", *places] if source.by_series else places)
    rows = select(
        f"SELECT {','.join(columns + sums)} FROM {source.tables}"  # noqa: S608
        f" WHERE {where} GROUP BY {names}",
        parameters,
    )
    for row in rows:
        amounts = _amounts(ask, row, found).counters
        for name, amount in zip(ask.counters, row[len(columns) :], strict=True):
            amounts[name] = amounts.get(name, 0) + int(amount)


def _collect(
    select: Select, ask: Ask, source: _Source, name: str, found: Found
) -> None:
    where, parameters = _where(ask, source)
    columns = ",".join([*_key_columns(ask), _step(ask), f"r.{name}_cells"])
    rows = select(
        f"SELECT {columns} FROM {source.tables}"  # noqa: S608
        f" WHERE {where} AND r.{name}_cells IS NOT NULL",
        parameters,
    )
    for row in rows:
        piles = _amounts(ask, row, found).piles
        pile = piles.get(name)
        if pile is None:
            pile = piles[name] = Pile()
        pile.add_packed(row[-1])


def complete_until(select: Select, project_id: int, *, now: int) -> int:
    """Up to here everything received is in the numbers.

    Only large traces wait to be derived. The spans one waits for came after its last
    commit but one, and hardly ended earlier than that.
    """
    rows = select(
        "SELECT MIN(touched_at) FROM ingest_trace"
        " WHERE derive_after IS NOT NULL AND project_id=%s",
        (project_id,),
    )
    touched_ns: int | None = rows[0][0]
    until = now if touched_ns is None else min(now, touched_ns // 1_000_000_000)
    return until - until % FINEST_S


def merged(parts: Mapping[int, Amounts]) -> Amounts:
    """The steps of a group added up."""
    whole = Amounts()
    for part in parts.values():
        whole.add(part)
    return whole
