"""Services and their running instances: what each runs, and when it was last seen."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from controlplane.convergence import (
    Convergence,
    InstanceStanding,
    Presence,
    ServiceConvergence,
    Standing,
    convergence,
)
from controlplane.scope import Scope
from dashboards import fleet, rollout
from dashboards.fleet import SECOND_NS, Member
from dashboards.shell import Context, page, shell
from dashboards.wording import plural
from ingest.queries import inventory

logger = logging.getLogger(__name__)

LATELY = timedelta(days=1)
# Reading resources of spans takes a while, and the page asks again with every status.
SPANS_KEPT_S = 15
MOST_ROWS = 500
WORDS = {
    Standing.APPLIED: ("ok", "check", "applied"),
    Standing.RECEIVED: ("recovered", "clock", "applying"),
    Standing.BEHIND: ("refused", "tri", "behind"),
    Standing.REJECTED: ("failed", "x", "rejected"),
}


@require_GET
@page
def instances(request: HttpRequest, scope: Scope) -> HttpResponse:
    context = shell(request, scope, current="instances")
    return render(request, "instances/instances.html", context | _rows(context))


@require_GET
@page
def rows(request: HttpRequest, scope: Scope) -> HttpResponse:
    """The tables alone, fetched again whenever an instance says something."""
    context = shell(request, scope, current="instances")
    return render(request, "instances/_tables.html", context | _rows(context))


def _rows(context: Context) -> Context:
    now = timezone.now()
    project_id, environment = context["scope"].project_id, context["environment"]
    found = convergence(project_id, environment, now=now)
    said = [(environment, one) for one in found.instances]
    sent = [one for one in _sent(project_id, now) if one.environment == environment]
    members = fleet.members(sent, said)
    shown = sorted(members, key=_attention)[:MOST_ROWS]
    return {
        "services": _services(found, members),
        "members": [_row(member, found.version, now) for member in shown],
        "more": len(members) - len(shown),
        "told": f"{plural(len(members), 'instance')} in {environment}",
    }


def _sent(project_id: int, now: datetime) -> list[inventory.Instance]:
    """Who sent spans lately. Without the telemetry store, policy is still shown."""
    key = f"instances-by-spans:{project_id}"
    kept: list[inventory.Instance] | None = cache.get(key)
    if kept is not None:
        return kept
    until_ns = int(now.timestamp()) * SECOND_NS
    since_ns = int((now - LATELY).timestamp()) * SECOND_NS
    try:
        found = inventory.instances(project_id, since_ns=since_ns, until_ns=until_ns)
    except DatabaseError:
        logger.warning("instances.telemetry_failed", exc_info=True)
        return []
    cache.set(key, found, SPANS_KEPT_S)
    return found


def _attention(member: Member) -> tuple[int, str, str]:
    """Rejected and behind first, then the rest; who is gone comes last."""
    said = member.standing
    if said is None:
        return len(rollout.ORDER), member.service, member.uid or ""
    if said.presence is Presence.GONE:
        return len(rollout.ORDER) + 1, member.service, said.uid
    return rollout.ORDER.index(said.standing), member.service, said.uid


def _services(found: Convergence, members: Sequence[Member]) -> list[dict[str, Any]]:
    told = {one.service: one for one in found.services}
    return [_service(name, told.get(name), members) for name in _names(members)]


def _names(members: Sequence[Member]) -> list[str]:
    return sorted({member.service for member in members})


def _service(
    name: str, told: ServiceConvergence | None, members: Sequence[Member]
) -> dict[str, Any]:
    own = [member for member in members if member.service == name]
    silent = sum(member.standing is None for member in own)
    return {
        "name": name,
        "total": told.total if told else 0,
        "applied": told.applied if told else 0,
        "rejected": told.rejected if told else 0,
        "waiting": told.total - told.applied - told.rejected if told else 0,
        "sentence": _sentence(told),
        "silent": silent,
        "gone": told.gone if told else 0,
        "seen": max((m.seen_at for m in own if m.seen_at), default=None),
    }


def _sentence(told: ServiceConvergence | None) -> str:
    if told is None:
        return "asks for no policy"
    return told.sentence if told.total else "none running"


def _row(member: Member, version: int | None, now: datetime) -> dict[str, Any]:
    said, sent = member.standing, member.sent
    tone, icon, word = _state(said)
    return {
        "name": member.uid or "unnamed",
        "service": member.service,
        "sdk": _sdk(member),
        "host": (sent.host if sent else None) or "",
        "running": said.running_version if said else None,
        "tone": tone,
        "icon": icon,
        "word": word,
        "drift": drift(said, version) if said else "",
        "how": _how(said),
        "seen": member.seen_at,
        "spans": sent.spans if sent else 0,
        "gone": fleet.gone(member),
    }


def _state(said: InstanceStanding | None) -> tuple[str, str, str]:
    if said is None:
        return "cancelled", "minus", "only spans"
    if said.presence is Presence.GONE:
        return "cancelled", "minus", "gone"
    return WORDS[said.standing]


def _sdk(member: Member) -> str:
    if member.standing and member.standing.sdk:
        return member.standing.sdk
    sent = member.sent
    if sent is None:
        return ""
    return " ".join(filter(None, (sent.sdk, sent.sdk_version, sent.language)))


def _how(said: InstanceStanding | None) -> str:
    if said is None or said.presence is Presence.GONE:
        return ""
    if said.presence is Presence.STALE:
        return "silent"
    return "stream" if said.connected else "polls"


def drift(said: InstanceStanding, version: int | None) -> str:
    """How what it runs differs from what it was sent; empty when it does not."""
    if said.drifted:
        return "runs content of its own under this number"
    if said.standing is Standing.REJECTED:
        where = " ".join(filter(None, (said.failed_rule, said.failed_pointer)))
        return f"rejected v{said.failed_version}: {said.failed_error}" + (
            f" ({where})" if where else ""
        )
    if (
        version is None
        or said.running_version is None
        or said.running_version >= version
    ):
        return ""
    return f"{plural(version - said.running_version, 'version')} behind"
