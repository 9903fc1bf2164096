"""Services and instances over REST: known by their spans, their policy, or both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from controlplane.convergence import InstanceStanding, ServiceConvergence, convergence
from controlplane.models import Instance
from dashboards import fleet
from dashboards.api import figures, parameters, present, shapes
from dashboards.api import policy_shapes as policy
from dashboards.api.endpoint import JSON, Endpoint, describe, items
from dashboards.api.fields import SECOND_NS
from dashboards.api.figures import Figures
from dashboards.api.problems import Problem
from dashboards.fleet import Member
from ingest.queries import inventory
from ingest.queries.inventory import Service


class Services(Endpoint):
    @describe(
        "services",
        "Who calls, how well their retries can be seen, and which policy they run",
        asks=parameters.NameParameters,
        answers=shapes.SERVICES,
    )
    def get(self, request: Request) -> Response:
        asked = parameters.NameParameters.asked(request)
        limit = asked.validated_data["limit"]
        found = inventory.services(
            self.scope.project_id,
            tenant=self.scope.tenant,
            limit=limit,
            after=asked.after,
            **asked.bounds,
        )
        by_name = {one.service: one for one in found.items}
        names = sorted(by_name.keys() | self.asking(asked.after, limit))
        # Beyond the last one known by calls there may be more of them.
        if found.after is not None:
            names = [name for name in names if name <= found.items[-1].service]
        shown = [by_name.get(name) or unseen(name) for name in names[:limit]]
        more = len(names) > limit or found.after is not None
        beside = figures.of(
            self.scope, "service", [one.service for one in shown], bounds=asked.bounds
        )
        rollouts = self.rollouts()
        told = [rollouts.get(one.service, []) for one in shown]
        rows = zip(shown, beside, told, strict=True)
        return items(rows, service, (shown[-1].service,) if more and shown else None)

    def asking(self, after: str | None, limit: int) -> set[str]:
        """Services that asked for policy, which may never have sent a span."""
        if self.scope.tenant is not None:
            return set()
        rows = Instance.objects.filter(project_id=self.scope.project_id)
        if after is not None:
            rows = rows.filter(service__gt=after)
        names = rows.order_by("service").values_list("service", flat=True).distinct()
        return set(names[: limit + 1])

    def rollouts(self) -> dict[str, list[tuple[str, ServiceConvergence]]]:
        """By service, each environment it runs in."""
        if self.scope.tenant is not None:
            return {}
        now = timezone.now()
        found: dict[str, list[tuple[str, ServiceConvergence]]] = {}
        for name in fleet.environments_of(self.scope.project_id):
            for one in convergence(self.scope.project_id, name, now=now).services:
                found.setdefault(one.service, []).append((name, one))
        return found


class Instances(Endpoint):
    @describe(
        "instances",
        "Processes that sent calls in the range, or said in it which policy they run",
        asks=parameters.InstanceParameters,
        answers=shapes.INSTANCES,
    )
    def get(self, request: Request) -> Response:
        asked = parameters.InstanceParameters.asked(request)
        if self.scope.tenant is not None:
            detail = "Instances serve all tenants; this API key is bound to one."
            raise Problem(403, "tenant_not_allowed", detail)
        sent = inventory.instances(self.scope.project_id, **asked.bounds)
        said = [
            (environment, one)
            for environment, one in fleet.standings(
                self.scope.project_id, now=timezone.now()
            )
            if within(one.seen_at, asked.bounds)
        ]
        shown, after = asked.page(fleet.members(sent, said))
        return items(shown, instance, after)


def within(moment: datetime, bounds: Mapping[str, int]) -> bool:
    ns = int(moment.timestamp() * SECOND_NS)
    return bounds["since_ns"] <= ns < bounds["until_ns"]


def unseen(name: str) -> Service:
    """A service no call has named yet."""
    return Service(name, [], Counter())


def service(
    row: tuple[Service, Figures, list[tuple[str, ServiceConvergence]]],
) -> JSON:
    found, beside, rollouts = row
    told = present.service((found, beside))
    environments = {*found.environments, *(name for name, _ in rollouts)}
    return told | {
        "environments": sorted(environments),
        "policy": [rollout(name, one) for name, one in rollouts],
    }


def rollout(environment: str, one: ServiceConvergence) -> JSON:
    return {
        "environment": environment,
        "version": one.version,
        "sentence": one.sentence,
        "instances": one.total,
        "applied": one.applied,
        "rejected": one.rejected,
        "behind": one.behind + one.received,
        "gone": one.gone,
    }


def instance(member: Member) -> JSON:
    sent, said = member.sent, member.standing
    return {
        "service": member.service,
        "environment": member.environment,
        "instance": member.uid,
        "host": sent.host if sent else None,
        "sdk": {
            "name": sent.sdk if sent else None,
            "version": sent.sdk_version if sent else None,
            "language": sent.language if sent else None,
        },
        "spans": sent.spans if sent else 0,
        "last_at": present.safe_moment(sent.last_ns) if sent else None,
        "policy": standing(said) if said else None,
    }


def standing(said: InstanceStanding) -> JSON:
    return {
        "standing": said.standing.value,
        "presence": said.presence.value,
        "running_version": said.running_version,
        "received_version": said.received_version,
        "failed": failed(said),
        "drifted": said.drifted,
        "connected": said.connected,
        "sdk": said.sdk,
        "seen_at": policy.moment(said.seen_at.astimezone(UTC)),
        "applied_ms": said.applied_ms,
    }


def failed(said: InstanceStanding) -> JSON | None:
    if said.failed_version is None:
        return None
    return {
        "version": said.failed_version,
        "rule": said.failed_rule,
        "pointer": said.failed_pointer,
        "error": said.failed_error,
    }
