"""What instances do with the policy they are sent, as pages show it.

The state a socket sends is small: who applied what, in counts and words, and
``digest``, which changes with any detail. Whoever shows details fetches them then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from statistics import median
from typing import Any

from controlplane.convergence import (
    Convergence,
    InstanceStanding,
    Presence,
    Standing,
    convergence,
)
from controlplane.models import DraftChange, DraftState
from dashboards.address import BadAddress
from dashboards.wording import NBSP

DEFAULT = "default"
LONGEST = 100  # of an environment's name
MOST_TILES = 60  # of one service; those that need attention come first
SECOND_MS = 1000

ORDER = (Standing.REJECTED, Standing.BEHIND, Standing.RECEIVED, Standing.APPLIED)
COLOURS = {
    Standing.APPLIED: "--o-ok",
    Standing.RECEIVED: "--o-recovered",
    Standing.BEHIND: "--o-refused",
    Standing.REJECTED: "--o-failed",
}


@dataclass(frozen=True, slots=True)
class Rollout:
    """A view of one environment: how far its newest policy version has come."""

    environment: str = DEFAULT


def parse(values: Mapping[str, Sequence[str]]) -> Rollout:
    name = (values.get("env") or [""])[-1] or DEFAULT
    if len(name) > LONGEST or not name.isprintable():
        message = f"env is a name of at most {LONGEST} characters"
        raise BadAddress(message)
    return Rollout(name)


def state(project_id: int, view: Rollout, *, now: datetime) -> dict[str, Any]:
    found = convergence(project_id, view.environment, now=now)
    drafted = DraftChange.objects.filter(
        draft__project_id=project_id, draft__state=DraftState.OPEN
    )
    return _said(found) | {"drafted": drafted.count()}


def _said(found: Convergence) -> dict[str, Any]:
    here = present(found)
    count = {one: sum(each.standing is one for each in here) for one in Standing}
    meter = [
        {"value": count[one], "colour": COLOURS[one]}
        for one in reversed(ORDER)
        if count[one]
    ]
    return {
        "version": found.version,
        "title": f"v{found.version}" if found.version else "",
        "short": short(found, here),
        "speed": speed(here),
        "meter": meter,
        "total": len(here),
        "applied": count[Standing.APPLIED],
        "digest": digest(found),
    }


def present(found: Convergence) -> list[InstanceStanding]:
    return [one for one in found.instances if one.presence is not Presence.GONE]


def short(found: Convergence, here: Sequence[InstanceStanding]) -> str:
    if found.version is None:
        return "no version yet"
    if not here:
        return "none running" if found.instances else "no instance yet"
    applied = sum(one.standing is Standing.APPLIED for one in here)
    return f"{applied:,} of {len(here):,} applied"


def speed(here: Iterable[InstanceStanding]) -> str:
    taken = [one.applied_ms for one in here if one.applied_ms is not None]
    return f"p50 {after(median(taken))}" if taken else ""


def after(ms: float) -> str:
    if ms < SECOND_MS:
        return f"{ms:.0f}{NBSP}ms"
    return f"{ms / SECOND_MS:,.1f}{NBSP}s"


def digest(found: Convergence) -> str:
    """Changes with whatever a page shows of instances, and not when time passes."""
    seen = [
        (
            one.service,
            one.uid,
            one.standing,
            one.presence,
            one.running_version,
            one.failed_version,
            one.failed_error,
            one.drifted,
        )
        for one in found.instances
    ]
    return sha256(repr((found.version, seen)).encode()).hexdigest()[:16]


def details(project_id: int, view: Rollout, *, now: datetime) -> dict[str, Any]:
    """Every service with its instances, those that need attention first."""
    found = convergence(project_id, view.environment, now=now)
    by_service: dict[str, list[InstanceStanding]] = {}
    for one in present(found):
        by_service.setdefault(one.service, []).append(one)
    # Why is told once, above them all.
    sentences = {one.service: replace(one, why="").sentence for one in found.services}
    return {
        "last": max((one.seen_at for one in found.instances), default=None),
        "problems": problems(present(found)),
        "services": [
            _service(name, sentences[name], those) for name, those in by_service.items()
        ],
    }


def _service(
    name: str, sentence: str, those: Sequence[InstanceStanding]
) -> dict[str, Any]:
    ordered = sorted(those, key=lambda one: (ORDER.index(one.standing), one.uid))
    return {
        "name": name,
        "text": sentence,
        "instances": [tile(one) for one in ordered[:MOST_TILES]],
        "more": max(len(ordered) - MOST_TILES, 0),
    }


def tile(one: InstanceStanding) -> dict[str, str]:
    icons = {Standing.APPLIED: "check", Standing.REJECTED: "x"}
    tones = {Standing.APPLIED: "ok", Standing.REJECTED: "bad"}
    return {
        "name": one.uid,
        "icon": icons.get(one.standing, "clock"),
        "tone": tones.get(one.standing, "waiting"),
        "text": _tile_text(one),
        "title": f"{one.service} {one.uid}: {runs(one)}",
    }


def _tile_text(one: InstanceStanding) -> str:
    if one.standing is Standing.APPLIED:
        return "" if one.applied_ms is None else after(one.applied_ms)
    if one.standing is Standing.BEHIND:
        return f"on v{one.running_version}" if one.running_version else "nothing yet"
    return one.standing.value


def runs(one: InstanceStanding) -> str:
    if one.running_version is None:
        return "runs no policy yet"
    other = ", with content of its own" if one.drifted else ""
    return f"runs v{one.running_version}{other}"


def problems(here: Iterable[InstanceStanding]) -> list[dict[str, str]]:
    """Every rejection once, with all who said the same."""
    said: dict[tuple[str, str, str, int | None], list[InstanceStanding]] = {}
    for one in here:
        if one.standing is Standing.REJECTED:
            reason = (one.failed_error, one.failed_rule, one.failed_pointer)
            said.setdefault((*reason, one.running_version), []).append(one)
    return [_problem(*reason, those) for reason, those in said.items()]


def _problem(
    error: str,
    rule: str,
    pointer: str,
    running: int | None,
    those: Sequence[InstanceStanding],
) -> dict[str, str]:
    who = those[0].uid if len(those) == 1 else f"{len(those)} instances"
    several = "" if len(those) > 1 else "s"
    keeps = (
        f"keep{several} running v{running}" if running else f"run{several} no policy"
    )
    where = " ".join(filter(None, (f"rule {rule}" if rule else "", pointer)))
    return {
        "title": f"{who} {keeps}.",
        "text": f"{error or 'It gave no reason.'}{f' ({where})' if where else ''}",
    }
