"""The instances of a project, known by their spans, their policy, or by both.

A resource's ``service.instance.id`` and the ``instance_uid`` of a status are the same
word for the same process: rows that share service, environment and it are one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from controlplane.convergence import InstanceStanding, Presence, convergence
from controlplane.models import Instance
from ingest.queries import inventory

SECOND_NS = 1_000_000_000
Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Member:
    """One running process of a service."""

    service: str
    environment: str
    uid: str | None
    sent: inventory.Instance | None = None
    standing: InstanceStanding | None = None

    @property
    def seen_at(self) -> datetime | None:
        """When it was last heard of, in whichever way."""
        moments = [self.standing.seen_at] if self.standing else []
        if self.sent and self.sent.last_ns:
            moments.append(datetime.fromtimestamp(self.sent.last_ns / SECOND_NS, UTC))
        return max(moments, default=None)


def members(
    sent: Iterable[inventory.Instance],
    standings: Iterable[tuple[str, InstanceStanding]],
) -> list[Member]:
    """Both lists as one, by service, environment and name."""
    found: dict[Key, Member] = {}
    for one in sent:
        key = (one.service, one.environment, one.instance or "")
        found[key] = Member(one.service, one.environment, one.instance, sent=one)
    for environment, said in standings:
        key = (said.service, environment, said.uid)
        known = found.get(key)
        found[key] = Member(
            said.service,
            environment,
            said.uid,
            sent=known.sent if known else None,
            standing=said,
        )
    return [found[key] for key in sorted(found)]


def standings(
    project_id: int, *, now: datetime, environments: Iterable[str] | None = None
) -> list[tuple[str, InstanceStanding]]:
    """What is known of every instance that speaks of policy, with its environment."""
    names = environments_of(project_id) if environments is None else environments
    return [
        (name, one)
        for name in names
        for one in convergence(project_id, name, now=now).instances
    ]


def environments_of(project_id: int) -> list[str]:
    rows = Instance.objects.filter(project_id=project_id).order_by("environment")
    return list(rows.values_list("environment", flat=True).distinct())


def gone(member: Member) -> bool:
    said = member.standing
    return said is not None and said.presence is Presence.GONE
