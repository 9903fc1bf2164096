"""Calls, traces and what a project holds: each view parses, asks once, and presents."""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter

from rest_framework.request import Request
from rest_framework.response import Response

from dashboards.api import figures, parameters, present, shapes
from dashboards.api.endpoint import Endpoint, describe, items
from dashboards.api.fields import CallId, cursor
from dashboards.api.problems import NotFound
from ingest.queries import calls, inventory, traces


class Calls(Endpoint):
    @describe(
        "calls",
        "Search calls, newest first",
        asks=parameters.CallParameters,
        answers=shapes.CALLS,
    )
    def get(self, request: Request) -> Response:
        asked = parameters.CallParameters.asked(request)
        found = calls.search(self.scope.project_id, asked.search(self.scope))
        return items(found.items, present.call, found.after)


class OneCall(Endpoint):
    @describe(
        "call",
        "One call",
        asks=parameters.Parameters,
        answers=shapes.CALL_IN_FULL,
        path={"id": "[0-9a-f]{32}-[0-9a-f]{16}"},
    )
    def get(self, request: Request, id: CallId) -> Response:  # noqa: A002  its name in the URL
        parameters.Parameters.asked(request)
        found = calls.get(self.scope.project_id, id.trace_id, id.anchor)
        if found is None or self.scope.tenant not in {None, found.call.tenant}:
            raise NotFound("call")
        return Response(present.call_in_full(found))


class OneTrace(Endpoint):
    @describe(
        "trace",
        "The spans of one trace, and the calls made of them",
        asks=parameters.TraceParameters,
        answers=shapes.TRACE,
        path={"trace_id": "[0-9a-f]{32}"},
    )
    def get(self, request: Request, trace_id: bytes) -> Response:
        asked = parameters.TraceParameters.asked(request)
        found = traces.get(
            self.scope.project_id,
            trace_id,
            limit=asked.validated_data["limit"],
            after=asked.after,
        )
        if found is None or not belongs(found, self.scope.tenant):
            raise NotFound("trace")
        following = cursor((found.after.hex(),) if found.after else None)
        return Response(present.trace(found, following))


def belongs(trace: traces.StoredTrace, tenant: str | None) -> bool:
    """Whether a key bound to ``tenant`` may see it: when all of it is theirs."""
    if tenant is None:
        return True
    whose = {one.call.tenant for one in trace.calls}
    return whose == {tenant} and len(trace.calls) == trace.calls_total


class Targets(Endpoint):
    @describe(
        "targets",
        "What is called, by kind and name, with figures of the range",
        asks=parameters.TargetParameters,
        answers=shapes.TARGETS,
    )
    def get(self, request: Request) -> Response:
        asked = parameters.TargetParameters.asked(request)
        found = inventory.targets(
            self.scope.project_id,
            tenant=self.scope.tenant,
            limit=asked.validated_data["limit"],
            kinds=asked.validated_data.get("kind", ()),
            after=asked.validated_data.get("next"),
        )
        beside = [
            one
            for kind, some in groupby(found.items, key=attrgetter("kind"))
            for one in figures.of(
                self.scope,
                "target",
                [target.target for target in some],
                bounds=asked.bounds,
                kind=kind,
            )
        ]
        return items(zip(found.items, beside, strict=True), present.target, found.after)


class Tenants(Endpoint):
    @describe(
        "tenants",
        "Customers of the services",
        asks=parameters.NameParameters,
        answers=shapes.TENANTS,
    )
    def get(self, request: Request) -> Response:
        asked = parameters.NameParameters.asked(request)
        found = inventory.tenants(
            self.scope.project_id,
            tenant=self.scope.tenant,
            limit=asked.validated_data["limit"],
            after=asked.after,
        )
        beside = figures.of(self.scope, "tenant", found.items, bounds=asked.bounds)
        return items(zip(found.items, beside, strict=True), present.tenant, found.after)


class Sessions(Endpoint):
    @describe(
        "sessions",
        "Conversations, the latest first",
        asks=parameters.SessionParameters,
        answers=shapes.SESSIONS,
    )
    def get(self, request: Request) -> Response:
        asked = parameters.SessionParameters.asked(request)
        found, position = inventory.sessions(
            self.scope.project_id,
            tenant=self.scope.tenant,
            limit=asked.validated_data["limit"],
            after=asked.after,
            **asked.bounds,
        )
        return items(found, present.session, parameters.session_cursor(position))
