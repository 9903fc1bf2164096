"""How far the newest policy version has got: which instances run it, and why not.

    11 of 12 on v42, 1 rejected: unknown kind "cache"

Instances count while they are live or stale; who has been silent for longer is gone,
and is only listed. Each was asked for a heartbeat every 30 s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from controlplane import compiling
from controlplane.models import Instance, PolicyVersion

LIVE_WITHIN = timedelta(seconds=75)  # two heartbeats may be lost
GONE_AFTER = timedelta(minutes=10)


class Presence(StrEnum):
    LIVE = "live"
    STALE = "stale"
    GONE = "gone"


class Standing(StrEnum):
    """Where an instance is with the newest version."""

    APPLIED = "applied"
    REJECTED = "rejected"
    RECEIVED = "received"
    BEHIND = "behind"


@dataclass(frozen=True, slots=True)
class InstanceStanding:
    service: str
    uid: str
    sdk: str
    presence: Presence
    standing: Standing
    connected: bool  # a stream is open; else it polls
    drifted: bool  # says it runs this version, but runs other content
    running_version: int | None
    received_version: int | None
    failed_version: int | None
    failed_rule: str
    failed_pointer: str
    failed_error: str
    first_seen_at: datetime
    seen_at: datetime
    applied_ms: int | None  # from the version being made to its saying that it runs


@dataclass(frozen=True, slots=True)
class ServiceConvergence:
    """Counts are of those that are live or stale, but for ``gone``."""

    service: str
    version: int | None
    total: int
    applied: int
    rejected: int
    received: int
    behind: int
    drifted: int
    live: int
    stale: int
    gone: int
    why: str  # the first reason given for a rejection

    @property
    def converged(self) -> bool:
        return self.applied == self.total

    @property
    def sentence(self) -> str:
        if self.version is None:
            return f"no policy version yet, instances: {self.total}"
        parts = [f"{self.applied} of {self.total} on v{self.version}"]
        if self.rejected:
            why = f": {self.why}" if self.why else ""
            parts.append(f"{self.rejected} rejected{why}")
        if self.received:
            parts.append(f"{self.received} applying")
        if self.behind:
            parts.append(f"{self.behind} behind")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Convergence:
    environment: str
    version: int | None
    created_at: datetime | None  # of that version
    services: tuple[ServiceConvergence, ...]
    instances: tuple[InstanceStanding, ...]


def convergence(project_id: int, environment: str, *, now: datetime) -> Convergence:
    """One query for the version, one for the instances."""
    versions = PolicyVersion.objects.of_environment(project_id, environment)
    newest = versions.only("number", "digest", "created_at").first()
    rows = list(
        Instance.objects.in_environment(project_id, environment).order_by(
            "service", "uid", "pk"
        )
    )
    digests = expected_digests(newest, rows)
    standings = tuple(
        standing_of(row, newest, digests.get(row.service), now) for row in rows
    )
    return Convergence(
        environment=environment,
        version=newest.number if newest else None,
        created_at=newest.created_at if newest else None,
        services=tuple(services_of(standings, newest)),
        instances=standings,
    )


def expected_digests(
    newest: PolicyVersion | None, rows: Iterable[Instance]
) -> dict[str, str]:
    """What instances that run the newest version should hold, by service."""
    if newest is None:
        return {}
    services = {row.service for row in rows if row.running_version == newest.number}
    return {
        service: compiling.compiled_for(newest, service).digest for service in services
    }


def standing_of(
    row: Instance, newest: PolicyVersion | None, expected: str | None, now: datetime
) -> InstanceStanding:
    presence = presence_of(row.seen_at, now)
    runs_it = newest is not None and row.running_version == newest.number
    drifted = runs_it and expected and row.running_digest not in {"", expected}
    return InstanceStanding(
        service=row.service,
        uid=row.uid,
        sdk=row.sdk,
        presence=presence,
        standing=where(row, newest),
        connected=row.connected_at is not None and presence is Presence.LIVE,
        drifted=bool(drifted),
        running_version=row.running_version,
        received_version=row.received_version,
        failed_version=row.failed_version,
        failed_rule=row.failed_rule,
        failed_pointer=row.failed_pointer,
        failed_error=row.failed_error,
        first_seen_at=row.first_seen_at,
        seen_at=row.seen_at,
        applied_ms=applied_ms(row, newest) if runs_it else None,
    )


def presence_of(seen_at: datetime, now: datetime) -> Presence:
    silent = now - seen_at
    if silent <= LIVE_WITHIN:
        return Presence.LIVE
    return Presence.STALE if silent <= GONE_AFTER else Presence.GONE


def where(row: Instance, newest: PolicyVersion | None) -> Standing:
    if newest is None:
        return Standing.BEHIND
    if row.running_version == newest.number:
        return Standing.APPLIED
    if row.failed_version == newest.number:
        return Standing.REJECTED
    if row.received_version == newest.number:
        return Standing.RECEIVED
    return Standing.BEHIND


def applied_ms(row: Instance, newest: PolicyVersion | None) -> int | None:
    if row.applied_at is None or newest is None:
        return None
    took = row.applied_at - newest.created_at
    # One that came later took the version at its start: that is no delay of ours.
    if row.first_seen_at > newest.created_at:
        return None
    return max(took // timedelta(milliseconds=1), 0)


def services_of(
    standings: Iterable[InstanceStanding], newest: PolicyVersion | None
) -> Iterable[ServiceConvergence]:
    by_service: dict[str, list[InstanceStanding]] = {}
    for standing in standings:
        by_service.setdefault(standing.service, []).append(standing)
    version = newest.number if newest else None
    for service, those in by_service.items():
        yield counted(service, version, those)


def counted(
    service: str, version: int | None, those: list[InstanceStanding]
) -> ServiceConvergence:
    here = [each for each in those if each.presence is not Presence.GONE]
    standing = Counter(each.standing for each in here)
    presence = Counter(each.presence for each in those)
    reasons = (each.failed_error for each in here if each.standing is Standing.REJECTED)
    return ServiceConvergence(
        service=service,
        version=version,
        total=len(here),
        applied=standing[Standing.APPLIED],
        rejected=standing[Standing.REJECTED],
        received=standing[Standing.RECEIVED],
        behind=standing[Standing.BEHIND],
        drifted=sum(each.drifted for each in here),
        live=presence[Presence.LIVE],
        stale=presence[Presence.STALE],
        gone=presence[Presence.GONE],
        why=next(filter(None, reasons), ""),
    )
