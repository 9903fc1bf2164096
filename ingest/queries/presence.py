"""Whether a project has telemetry at all: what an empty board needs to explain itself.

Each question is one look at an index, whatever the amount stored.
"""

from __future__ import annotations

from dataclasses import dataclass

from ingest.models import Call, Trace

NS = 1_000_000_000
MOST_IN_FLIGHT = 1_000  # more are not counted
MOST_ARRIVING = 500  # traces looked at, the last touched first


@dataclass(frozen=True, slots=True)
class Presence:
    spans: bool
    calls: bool
    last_call: int | None  # unix seconds of the latest end that is stored


def presence(project_id: int) -> Presence:
    calls = Call.objects.filter(project_id=project_id)
    latest = calls.order_by("-ended_ns", "-id").values_list("ended_ns", flat=True)
    ended_ns = latest.first()
    return Presence(
        spans=Trace.objects.filter(project_id=project_id).exists(),
        calls=ended_ns is not None,
        last_call=ended_ns // NS if ended_ns else None,
    )


def first_call(project_id: int) -> int | None:
    """When the oldest call ended that is still stored, in unix seconds."""
    ended = Call.objects.filter(project_id=project_id, ended_ns__gt=0)
    first = ended.order_by("ended_ns", "id").values_list("ended_ns", flat=True).first()
    return None if first is None else first // NS


def in_flight(project_id: int) -> int:
    """Calls that have begun and not ended: they are in no bucket of any rollup."""
    running = Call.objects.filter(project_id=project_id, ended_ns=0)
    return running.order_by("id")[:MOST_IN_FLIGHT].count()


def arriving(project_id: int, *, since_ns: int) -> int:
    """Ended calls without a tenant, of traces touched since whose root is not here.

    Children are often sent before the root that says whose they are.
    """
    rootless = Trace.objects.filter(
        project_id=project_id, rooted=False, touched_at__gte=since_ns
    )
    latest = list(
        rootless.order_by("-touched_at", "-id").values_list("id", flat=True)[
            :MOST_ARRIVING
        ]
    )
    calls = Call.objects.filter(trace__in=latest, series__tenant=None, ended_ns__gt=0)
    return calls.count()
