"""What there is in a project: targets, services, tenants, sessions, instances.

Names come from the series table, which is small; what no series knows (sessions, retry
coverage, instances) is read from the newest calls of a time range, of which a bounded
number is looked at.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Count, Max, Min, OuterRef, Q, QuerySet, Subquery
from msgspec import msgpack

from ingest import models
from ingest.callrows import Facts
from ingest.queries.calls import COUNTS, Page, in_window, newer_than, newest_first, nth
from ingest.queries.traces import StoredSpan, spans_of
from ingest.records import OUTCOME_CODES, Coverage

SESSION_SCAN = 50_000  # calls whose sessions one page groups
COVERAGE_SCAN = 5_000  # calls whose retry coverage is counted
INSTANCE_SCAN = 2_000  # calls whose spans' resources are read ...
INSTANCE_BODIES = 100  # ... from at most this many bodies


_unpack = msgpack.Decoder(Facts).decode


@dataclass(frozen=True, slots=True)
class Target:
    kind: str
    target: str
    providers: list[str]
    environments: list[str]
    services: list[str]


@dataclass(frozen=True, slots=True)
class Service:
    service: str
    environments: list[str]
    coverage: Counter[Coverage]  # of its executed calls among the newest looked at


@dataclass(frozen=True, slots=True)
class Session:
    session: str
    who: str | None  # user
    tenant: str | None
    calls: int
    errors: int
    traces: int
    first_ns: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class Instance:
    service: str
    environment: str
    instance: str | None
    sdk: str | None
    sdk_version: str | None
    language: str | None
    host: str | None
    last_ns: int
    spans: int


@dataclass(frozen=True, slots=True)
class SessionPosition:
    """Where a page of sessions begins: below a call, and after a session there."""

    top: tuple[int, int] | None = None  # (ended_ns, id)
    last_ns: int = 0
    session: str | None = None


def targets(
    project_id: int,
    *,
    tenant: str | None = None,
    limit: int,
    kinds: Sequence[str] = (),
    after: tuple[str, str] | None = None,
) -> Page[Target]:
    """By kind and name."""
    series = _series(project_id, tenant)
    if kinds:
        series = series.filter(kind__in=kinds)
    pairs = series.order_by("kind", "target").values_list("kind", "target").distinct()
    if after is not None:
        kind, target = after
        pairs = pairs.filter(kind__gte=kind).exclude(kind=kind, target__lte=target)
    names = list(pairs[: limit + 1])
    page = names[:limit]
    seen: dict[tuple[str, str], list[tuple[str | None, ...]]] = defaultdict(list)
    for kind, target, *rest in (
        series.filter(target__in={target for _, target in page})
        .values_list("kind", "target", "provider", "environment", "service")
        .distinct()
    ):
        seen[kind, target].append(tuple(rest))
    items = [
        Target(*pair, *map(_words, zip(*seen[pair], strict=True))) for pair in page
    ]
    return Page(items, page[-1] if len(names) > limit else None)


def services(
    project_id: int,
    *,
    tenant: str | None = None,
    since_ns: int,
    until_ns: int,
    limit: int,
    after: str | None = None,
) -> Page[Service]:
    """By name."""
    series = _series(project_id, tenant)
    page, following = _names(series, "service", limit=limit, after=after)
    environments: dict[str, list[str]] = defaultdict(list)
    for service, environment in (
        series.filter(service__in=page).values_list("service", "environment").distinct()
    ):
        environments[service].append(environment)
    coverage = _coverage(project_id, since_ns, until_ns, tenant)
    items = [Service(name, _words(environments[name]), coverage[name]) for name in page]
    return Page(items, following)


def tenants(
    project_id: int,
    *,
    tenant: str | None = None,
    limit: int,
    after: str | None = None,
) -> Page[str]:
    """By name."""
    series = _series(project_id, tenant)
    page, following = _names(series, "tenant", limit=limit, after=after)
    return Page(page, following)


def sessions(
    project_id: int,
    *,
    tenant: str | None = None,
    since_ns: int,
    until_ns: int,
    limit: int,
    after: SessionPosition = SessionPosition(),
) -> tuple[list[Session], SessionPosition | None]:
    """Sessions by their latest call, counted over ``SESSION_SCAN`` calls at a time.

    A session with calls in two such slices is shown in both, each with its part.
    """
    window = in_window(project_id, since_ns, until_ns, after.top)
    floor = nth(window, SESSION_SCAN)
    if floor is not None:
        window = newer_than(window, floor)
    if tenant is not None:
        window = window.filter(series__in=_series(project_id, tenant))
    grouped = _grouped(window)
    if after.session is not None:
        grouped = grouped.filter(
            Q(last_ns__lt=after.last_ns)
            | Q(last_ns=after.last_ns, session__gt=after.session)
        )
    found = [Session(**row) for row in grouped[: limit + 1]]
    items = found[:limit]
    if len(found) > limit:
        end = items[-1]
        return items, SessionPosition(after.top, end.last_ns, end.session)
    return items, SessionPosition(floor) if floor else None


def _grouped(window: QuerySet[models.Call]) -> QuerySet[Any, Any]:
    """One row per session, with the fields of ``Session``."""
    return (
        window.filter(COUNTS, session__isnull=False)
        .values("session")
        .annotate(
            last_ns=Max("ended_ns"),
            first_ns=Min("ended_ns"),
            calls=Count("pk"),
            errors=Count("pk", filter=Q(outcome=OUTCOME_CODES["failed"])),
            traces=Count("trace", distinct=True),
            who=Max("user"),
            tenant=Max("series__tenant"),
        )
        .order_by("-last_ns", "session")
    )


def instances(project_id: int, *, since_ns: int, until_ns: int) -> list[Instance]:
    """Who sent the newest calls of the range, as the resources of their spans say."""
    anchor = models.Span.objects.filter(
        trace=OuterRef("trace"), span_id=OuterRef("anchor")
    )
    calls = newest_first(in_window(project_id, since_ns, until_ns, None))
    bodies = dict.fromkeys(
        calls.annotate(body=Subquery(anchor.values("body")[:1])).values_list(
            "body", flat=True
        )[:INSTANCE_SCAN]
    )
    wanted = [body for body in bodies if body is not None][:INSTANCE_BODIES]
    found: dict[tuple[str, str, str | None], Instance] = {}
    for body in models.Body.objects.filter(pk__in=wanted).iterator(chunk_size=10):
        for span in spans_of(body):
            one = _instance(span)
            key = (one.service, one.environment, one.instance)
            found[key] = _joined(found.get(key), one)
    return [found[key] for key in sorted(found, key=_by_names)]


def _by_names(key: tuple[str, str, str | None]) -> tuple[str, str, str]:
    service, environment, instance = key
    return service, environment, instance or ""


def _series(project_id: int, tenant: str | None) -> QuerySet[models.Series]:
    """All the words of a project, or those that go with one tenant."""
    series = models.Series.objects.filter(project_id=project_id, grouping="full")
    return series if tenant is None else series.filter(tenant=tenant)


def _names(
    series: QuerySet[models.Series], column: str, *, limit: int, after: str | None
) -> tuple[list[str], tuple[str] | None]:
    """Distinct words of a dimension, in order; a missing one is no name."""
    series = series.filter(**{f"{column}__isnull": False})
    if after is not None:
        series = series.filter(**{f"{column}__gt": after})
    names = list(
        series.order_by(column).values_list(column, flat=True).distinct()[: limit + 1]
    )
    page = names[:limit]
    return page, (page[-1],) if len(names) > limit else None


def _words(words: Iterable[str | None]) -> list[str]:
    return sorted({word for word in words if word})


def _coverage(
    project_id: int, since_ns: int, until_ns: int, tenant: str | None
) -> dict[str, Counter[Coverage]]:
    counted: dict[str, Counter[Coverage]] = defaultdict(Counter)
    window = in_window(project_id, since_ns, until_ns, None).filter(COUNTS)
    for facts, service, whose in newest_first(window).values_list(
        "facts", "series__service", "series__tenant"
    )[:COVERAGE_SCAN]:
        known = _unpack(bytes(facts))
        if known.attempts and tenant in {None, whose}:
            counted[service][known.coverage] += 1
    return counted


def _instance(span: StoredSpan) -> Instance:
    attributes = span.resource.attributes

    def said(key: str) -> str | None:
        return attributes[key].string_value or None if key in attributes else None

    return Instance(
        service=span.understood.service,
        environment=span.understood.environment,
        instance=said("service.instance.id"),
        sdk=said("telemetry.sdk.name"),
        sdk_version=said("telemetry.sdk.version"),
        language=said("telemetry.sdk.language"),
        host=said("host.name"),
        last_ns=max(span.understood.end_ns, span.understood.start_ns),
        spans=1,
    )


def _joined(known: Instance | None, one: Instance) -> Instance:
    if known is None:
        return one
    newer = max(known, one, key=lambda instance: instance.last_ns)
    return replace(newer, spans=known.spans + one.spans)
