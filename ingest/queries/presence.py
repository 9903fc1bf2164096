"""Whether a project has telemetry at all: what an empty board needs to explain itself.

Each question is one look at an index, whatever the amount stored.
"""

from __future__ import annotations

from dataclasses import dataclass

from ingest.models import Call, Trace

NS = 1_000_000_000


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
