"""From a question to its answer: what is read, what is chosen, how it is shown.

    totals of every group -> the first ``limit`` -> their steps -> values
                          \\-> everything minus those: ``__other__``

Two readings instead of one, because totals come from few coarse rows and only the
chosen groups need fine ones. Whatever is shown is computed from added parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboards.metrics import times
from dashboards.metrics.catalogue import Metric, Value
from dashboards.metrics.query import MOST_POINTS_TIMES_SERIES, Query
from dashboards.metrics.times import FEW_POINTS, GOOD_POINTS, MOST_POINTS, Steps
from ingest.queries import planner
from ingest.queries.rollups import (
    TARGETS_OF,
    TOTAL,
    Amounts,
    Ask,
    Found,
    Key,
    Only,
    Select,
    merged,
    read,
)
from ingest.records import FAILURE_CODES, REASONS, REFUSAL_CODES
from ingest.series import OTHER

SOURCES = {10: "10s", 60: "1m", 600: "10m", 3_600: "1h", 86_400: "1d"}
_CODES = {"failure_class": FAILURE_CODES, "refusal_reason": REFUSAL_CODES}
_REST: Key = ()


@dataclass(frozen=True, slots=True)
class _Group:
    """A series of the answer: its key, its whole and its steps."""

    key: Key
    total: Amounts
    steps: Mapping[int, Amounts]
    previous: Amounts | None = None


def evaluate(
    query: Query, select: Select, *, project_id: int, now: int
) -> dict[str, Any]:
    """The answer but for ``complete_until`` and ``took_ms``."""
    most = min(MOST_POINTS, MOST_POINTS_TIMES_SERIES // query.limit)
    heavy = query.group_by and _distributions(query.metrics)
    steps = times.steps(
        query.start,
        query.end,
        query.step,
        now=now,
        tz=query.tz,
        good=FEW_POINTS if heavy else GOOD_POINTS,
        most=most,
    )
    reader = _Reader(query, select, steps, project_id=project_id, now=now)
    totals = {
        key: amounts
        for key, amounts in reader.totals().items()
        if any(amounts.counters.values())
    }
    ranked = [key for key in _ranked(query, totals) if OTHER not in key]
    chosen = ranked[: query.limit]
    rest = len(totals) > len(chosen)
    groups = reader.groups(chosen, totals, rest=rest and query.other)
    overflow = any(OTHER in key for key in totals)
    return {
        "meta": {
            "from": times.written(steps.start),
            "to": times.written(steps.end),
            "step_s": steps.width,
            "tz": query.tz.key,
            "source": f"rollup_{SOURCES[reader.resolution]}",
            "series_total": len(ranked),
            "series_returned": len(groups),
            "truncated": len(ranked) > len(chosen),
            "warnings": _warnings(steps, overflow=overflow),
        },
        "timestamps": list(steps.timestamps),
        "series": [_shown(query, steps, group) for group in groups],
    }


class _Reader:
    """Asks for the amounts of a question."""

    def __init__(
        self, query: Query, select: Select, steps: Steps, *, project_id: int, now: int
    ) -> None:
        self.query = query
        self.steps = steps
        self._reason = query.reason
        self.resolution = planner.coarsest(steps.edges)
        self._select = select
        self._project_id = project_id
        self._now = now
        self._columns = tuple(
            "target" if name in TARGETS_OF else name
            for name in query.group_by
            if name not in _CODES
        )
        metrics = (*query.metrics, *(order.metric for order in query.order_by))
        self._counters = tuple(
            dict.fromkeys(name for metric in metrics for name in metric.counters)
        )
        self._distributions = _distributions(query.metrics)

    def totals(self) -> dict[Key, Amounts]:
        """The whole of every group; what they are ordered by is in there."""
        ordered_by = _distributions(order.metric for order in self.query.order_by)
        found = self._read(self.steps.start, self.steps.end, distributions=ordered_by)
        return {key: parts[TOTAL] for key, parts in found.items()}

    def groups(
        self, chosen: Sequence[Key], totals: Mapping[Key, Amounts], *, rest: bool
    ) -> list[_Group]:
        """The chosen groups with their steps; with ``rest`` all others as one."""
        some = chosen if len(totals) > len(chosen) else None
        found = self._stepped(some)
        before = self._before(some) if self.query.compare else None
        groups = [self._group(key, found.get(key, {}), before) for key in chosen]
        if rest:
            groups.append(self._rest(groups))
        return groups

    def _group(
        self,
        key: Key,
        steps: Mapping[int, Amounts],
        before: Found | None,
    ) -> _Group:
        previous = None if before is None else merged(before.get(key, {}))
        return _Group(key, merged(steps), steps, previous)

    def _rest(self, groups: Sequence[_Group]) -> _Group:
        """Everything minus what is shown: totals add up whatever was left out."""
        steps = self._stepped(None, by=False).get(_REST, {})
        before = self._before(None, by=False) if self.query.compare else None
        for group in groups:
            for step, amounts in group.steps.items():
                steps[step].add(amounts, -1)
        rest = self._group(_REST, steps, before)
        if rest.previous is not None:
            for group in groups:
                rest.previous.add(group.previous or Amounts(), -1)
        key = (OTHER,) * len(self.query.group_by)
        return _Group(key, rest.total, rest.steps, rest.previous)

    def _stepped(self, some: Sequence[Key] | None, *, by: bool = True) -> Found:
        return self._read(
            self.steps.start,
            self.steps.end,
            some=some,
            by=by,
            edges=True,
            distributions=self._distributions,
        )

    def _before(self, some: Sequence[Key] | None, *, by: bool = True) -> Found:
        """The totals of the period of equal length before."""
        length = self.steps.end - self.steps.start
        start, end = planner.snapped(
            self.steps.start - length, self.steps.start, now=self._now
        )
        return self._read(
            start, end, some=some, by=by, distributions=self._distributions
        )

    def _read(
        self,
        start: int,
        end: int,
        *,
        distributions: tuple[str, ...],
        some: Sequence[Key] | None = None,
        by: bool = True,
        edges: bool = False,
    ) -> Found:
        reason = self._reason
        segments = planner.cover(start, end)
        if edges:
            segments = planner.cover_steps(start, end, self.steps.edges)
        ask = Ask(
            self._project_id,
            segments,
            by=self._columns if by else (),
            only=(*self._only(), *self._some(some)),
            counters=self._counters,
            distributions=distributions,
            edges=self.steps.edges if edges else (),
            width=self.steps.width if self.steps.even else None,
            reasons=None if reason is None else self._reasons(reason),
            by_reason=by and reason in self.query.group_by,
        )
        found = read(self._select, ask)
        if ask.by_reason:
            found = {self._key(key): part for key, part in found.items()}
        if some is None:
            return found
        wanted = set(some)
        return {key: part for key, part in found.items() if key in wanted}

    def _only(self) -> list[Only]:
        """The filters, and that a call has the tool or model it is grouped by."""
        filters = [
            Only(one.field, one.values, negated=one.negated)
            for one in self.query.filters
            if one.field not in _CODES
        ]
        kinds = [
            Only("kind", (name,)) for name in self.query.group_by if name in TARGETS_OF
        ]
        return filters + kinds

    def _some(self, some: Sequence[Key] | None) -> list[Only]:
        """A filter that lets the chosen groups through, and not many others."""
        if some is None:
            return []
        places = [
            place
            for place, name in enumerate(self.query.group_by)
            if name not in _CODES
        ]
        return [
            Only(column, tuple({_word(key[place]) for key in some}))
            for place, column in zip(places, self._columns, strict=True)
        ]

    def _reasons(self, reason: str) -> tuple[int, ...]:
        codes = set(_CODES[reason].values())
        for one in self.query.filters:
            if one.field == reason:
                named = {_CODES[reason].get(value or "") for value in one.values}
                codes = codes - named if one.negated else codes & named
        return tuple(sorted(codes)) or (0,)

    def _key(self, key: Key) -> Key:
        """Words in the order of ``group_by``; a reason is a code at the end."""
        words = list(key[:-1])
        place = self.query.group_by.index(self._reason or "")
        words.insert(place, REASONS[int(key[-1] or 0)])
        return tuple(words)


def _word(part: str | int | None) -> str | None:
    return None if part is None else str(part)


def _distributions(metrics: Iterable[Metric]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.distribution for one in metrics if one.distribution))


def _ranked(query: Query, totals: Mapping[Key, Amounts]) -> list[Key]:
    """Groups in the order asked for, unknown values last, then by their words."""
    keys = sorted(totals, key=lambda key: [(word is None, word or "") for word in key])
    for order in reversed(query.order_by):
        value = order.metric.value
        sign = -1 if order.descending else 1

        def rank(key: Key, value: Any = value, sign: int = sign) -> tuple[bool, float]:
            found: Value = value(totals[key])
            return found is None, sign * (found or 0)

        keys.sort(key=rank)
    return keys


def _shown(query: Query, steps: Steps, group: _Group) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "labels": dict(zip(query.group_by, group.key, strict=True)),
        "totals": {one.name: one.value(group.total) for one in query.metrics},
    }
    if group.previous is not None:
        previous = group.previous
        shown["previous"] = {one.name: one.value(previous) for one in query.metrics}
    nothing = Amounts()
    parts = [group.steps.get(place, nothing) for place in range(len(steps.timestamps))]
    shown["values"] = {
        one.name: [one.value(part) for part in parts] for one in query.metrics
    }
    return shown


def _warnings(steps: Steps, *, overflow: bool) -> list[dict[str, str]]:
    warnings = []
    if steps.coarsened:
        message = f"The step asked for is too fine for this range: {steps.width} s."
        warnings.append({"code": "step_coarsened", "message": message})
    if overflow:
        message = "There were more names than are kept apart; the rest is __other__."
        warnings.append({"code": "cardinality_capped", "message": message})
    return warnings
