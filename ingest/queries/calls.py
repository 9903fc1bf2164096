"""Search of stored calls: always within a time range, newest first, bounded in cost.

A page walks the index of a project backwards in time and looks at no more than
``SCAN`` calls, whatever the filters are; a page may therefore be short, even empty,
while there is more to see, and its ``after`` says where to go on. Only calls that
count are shown: of several calls with one provider response id, the winner.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from django.db.models import F, Q, QuerySet
from msgspec import structs

from ingest import models
from ingest.callrows import StoredCall, stored_call
from ingest.derive.responses import decide
from ingest.records import FAILURE_CODES, OUTCOME_CODES, REFUSAL_CODES, Call

SCAN = 50_000
MOST_SERIES = 10_000  # more than this are named by a subquery, not one by one
SERIES_FIELDS = (
    "kind",
    "target",
    "service",
    "environment",
    "provider",
    "tenant",
    "agent",
)

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some items, and the position after them; ``None`` when there is no more."""

    items: Sequence[Item]
    after: tuple[int | str, ...] | None


@dataclass(frozen=True, slots=True)
class CallSearch:
    """Which calls; an empty filter lets everything pass, times are half open."""

    since_ns: int
    until_ns: int
    limit: int = 50
    after: tuple[int, int] | None = None  # (ended_ns, id) of the last call seen
    series: dict[str, Sequence[str]] = field(default_factory=dict)  # SERIES_FIELDS
    outcomes: Sequence[str] = ()
    failure_classes: Sequence[str] = ()
    refusal_reasons: Sequence[str] = ()
    sessions: Sequence[str] = ()
    users: Sequence[str] = ()
    min_latency_us: int | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class FoundCall:
    """A call as it counts: with the usage its response-id group decided."""

    row_id: int
    trace_id: str
    call: Call
    counts: bool = True

    @property
    def id(self) -> str:
        """The trace and the anchor name a call for ever, however often it is derived
        again; the row does not."""
        return f"{self.trace_id}-{self.call.anchor.hex()}"


def search(project_id: int, wanted: CallSearch) -> Page[FoundCall]:
    series = _series(project_id, wanted.series)
    if series == []:
        return Page([], None)
    window = in_window(project_id, wanted.since_ns, wanted.until_ns, wanted.after)
    floor = nth(window, SCAN)
    if floor is not None:
        window = newer_than(window, floor)
    if series is not None:
        window = window.filter(series__in=series)
    rows = newest_first(_matching(window, wanted).filter(COUNTS))
    found = as_found(rows[: wanted.limit + 1])
    page = found[: wanted.limit]
    if len(found) > wanted.limit:
        floor = (page[-1].call.ended_ns, page[-1].row_id)
    return Page(page, floor)


def get(project_id: int, trace_id: bytes, anchor: bytes) -> FoundCall | None:
    found = models.Call.objects.filter(
        trace__project_id=project_id, trace__trace_id=trace_id, anchor=anchor
    )
    return next(iter(as_found(found[:1])), None)


def of_trace(trace: models.Trace, *, limit: int) -> list[FoundCall]:
    found = as_found(models.Call.objects.filter(trace=trace).order_by("pk")[:limit])
    return sorted(found, key=lambda one: (one.call.started_ns, one.id))


# The call is the only one of its response id, or the one that counts for it.
COUNTS = Q(response__isnull=True) | Q(response__winner=F("pk"))


def in_window(
    project_id: int, since_ns: int, until_ns: int, after: tuple[int, int] | None
) -> QuerySet[models.Call]:
    """Ended calls of a time range; what is in flight (0) is in no range."""
    window = models.Call.objects.filter(
        project_id=project_id, ended_ns__gte=max(since_ns, 1), ended_ns__lt=until_ns
    )
    if after is None:
        return window
    ended_ns, row_id = after
    # Two conditions and no OR, so that the index is entered at the right place.
    return window.filter(ended_ns__lte=ended_ns).exclude(
        ended_ns=ended_ns, pk__gte=row_id
    )


def newest_first(calls: QuerySet[models.Call]) -> QuerySet[models.Call]:
    return calls.order_by("-ended_ns", "-pk")


def nth(window: QuerySet[models.Call], count: int) -> tuple[int, int] | None:
    """The last of the newest ``count`` calls, when there are more: index only."""
    keys = newest_first(window).values_list("ended_ns", "pk")
    found = list(keys[count - 1 : count + 1])
    return found[0] if len(found) > 1 else None


def newer_than(
    window: QuerySet[models.Call], floor: tuple[int, int]
) -> QuerySet[models.Call]:
    """``floor`` itself included."""
    ended_ns, row_id = floor
    return window.filter(ended_ns__gte=ended_ns).exclude(
        ended_ns=ended_ns, pk__lt=row_id
    )


def _matching(
    window: QuerySet[models.Call], wanted: CallSearch
) -> QuerySet[models.Call]:
    for column, words, codes in (
        ("outcome", wanted.outcomes, OUTCOME_CODES),
        ("failure_class", wanted.failure_classes, FAILURE_CODES),
        ("refusal_reason", wanted.refusal_reasons, REFUSAL_CODES),
    ):
        if words:
            window = window.filter(**{f"{column}__in": [codes[word] for word in words]})
    if wanted.sessions:
        window = window.filter(session__in=wanted.sessions)
    if wanted.users:
        window = window.filter(user__in=wanted.users)
    if wanted.min_latency_us is not None:
        window = window.filter(latency_us__gte=wanted.min_latency_us)
    if wanted.text:
        window = window.filter(message__icontains=wanted.text)
    return window


def _series(
    project_id: int, wanted: dict[str, Sequence[str]]
) -> list[int] | QuerySet[models.Series, int] | None:
    """The series the words mean, far fewer than the calls that point at them.

    ``None`` when every series is meant; an empty list when there is none, and then
    no call needs to be looked at.
    """
    named = {name: words for name, words in wanted.items() if words}
    if not named:
        return None
    found = models.Series.objects.filter(project_id=project_id, grouping="full")
    for name, words in named.items():
        found = found.filter(**{f"{name}__in": words})
    ids = found.values_list("pk", flat=True)
    first = list(ids[: MOST_SERIES + 1])
    return first if len(first) <= MOST_SERIES else ids


# What ``callrows.stored_call`` reads, in its order, and what a reader needs besides.
COLUMNS = (
    "id",
    "project_id",
    "trace_id",
    "anchor",
    "series_id",
    "response_id",
    "ended_ns",
    "outcome",
    "failure_class",
    "refusal_reason",
    "latency_us",
    "session",
    "user",
    "message",
    "facts",
    *(f"series__{name}" for name in SERIES_FIELDS),
    "response__response_id",
    "trace__trace_id",
    "response__winner",
)


def as_found(calls: QuerySet[models.Call]) -> list[FoundCall]:
    """The calls as they count: what a response id's members say, they say together."""
    rows = [_read(row) for row in calls.values_list(*COLUMNS)]
    groups = _groups({stored.response for _, stored, _ in rows} - {None})
    return [
        FoundCall(
            row_id=stored.id,
            trace_id=trace_id.hex(),
            call=_together(stored, groups),
            counts=stored.response is None or winner == stored.id,
        )
        for trace_id, stored, winner in rows
    ]


def _read(row: tuple[Any, ...]) -> tuple[bytes, StoredCall, int | None]:
    # PostgreSQL hands out binary columns as memory views.
    *columns, trace_id, winner = row
    plain = (bytes(one) if isinstance(one, memoryview) else one for one in columns)
    return bytes(trace_id), stored_call(tuple(plain)), winner


def _groups(responses: set[int | None]) -> dict[int | None, list[tuple[bytes, Call]]]:
    groups: dict[int | None, list[tuple[bytes, Call]]] = defaultdict(list)
    if responses:
        members = models.Call.objects.filter(response__in=responses, ended_ns__gt=0)
        for row in members.values_list(*COLUMNS):
            trace_id, stored, _ = _read(row)
            groups[stored.response].append((trace_id, stored.call))
    return groups


def _together(
    stored: StoredCall, groups: dict[int | None, list[tuple[bytes, Call]]]
) -> Call:
    members = groups.get(stored.response, [])
    if not members:
        return stored.call
    _, merged = decide(members)
    return structs.replace(
        stored.call,
        usage=merged.usage,
        unpriced=merged.unpriced,
        attempts=merged.attempts,
        attempt_errors=merged.attempt_errors,
        outcome=merged.outcome,
    )
