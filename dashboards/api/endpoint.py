"""What every endpoint has in common, and how it describes itself to the schema."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from controlplane.scope import Scope
from dashboards.api import problems, shapes
from dashboards.api.access import KeyAuthentication, MayRead, MemberAuthentication
from dashboards.api.bodies import BoundedJSON
from dashboards.api.fields import cursor
from dashboards.api.parameters import Parameters

PROJECT = OpenApiParameter(
    "project",
    str,
    description="Which project, for a logged-in member of several; a key has one.",
)

Item = TypeVar("Item")
View = TypeVar("View", bound=Callable[..., Response])
JSON = dict[str, Any]
Answers = Serializer[Any] | dict[Any, Any]


class Endpoint(APIView):
    authentication_classes = [KeyAuthentication, MemberAuthentication]
    permission_classes = [MayRead]
    parser_classes = [BoundedJSON]
    renderer_classes = [JSONRenderer]
    metadata_class = None
    throttle_classes = []
    schema = AutoSchema()

    @property
    def scope(self) -> Scope:
        scope = self.request.auth
        assert isinstance(scope, Scope)  # noqa: S101  MayRead let nothing else in
        return scope

    def get_exception_handler(self) -> Callable[[Exception, JSON], Response]:
        return problems.handle

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        if response.exception:
            # A problem is JSON, whatever else was asked for.
            request.accepted_renderer = JSONRenderer()
            request.accepted_media_type = problems.MEDIA_TYPE
        final = super().finalize_response(request, response, *args, **kwargs)
        final.headers["Cache-Control"] = "no-store"
        return final


def items(
    found: Iterable[Item],
    present: Callable[[Item], JSON],
    after: tuple[int | str, ...] | None,
) -> Response:
    """A list and where it goes on."""
    return Response({"items": [present(one) for one in found], "next": cursor(after)})


def describe(
    name: str,
    summary: str,
    *,
    asks: type[Parameters] | None = None,
    body: Serializer[Any] | None = None,
    answers: Answers,
    path: Mapping[str, str] = {},
    tag: str = "Read",
    headers: Sequence[OpenApiParameter] = (),
    refuses: Collection[int] = (),
) -> Callable[[View], View]:
    """The entry of one operation; ``path`` gives the pattern of each part in braces.

    ``refuses`` are the statuses of refusals that other operations do not have.
    """
    statuses = {400, 401, 403, 406, 500, 503, *refuses}
    statuses |= {404} if path else set()
    statuses |= {413, 415} if body else set()
    refusals: dict[Any, Any] = {
        (status, problems.MEDIA_TYPE): OpenApiResponse(
            shapes.PROBLEM, description=problems.TITLES[status]
        )
        for status in sorted(statuses)
    }
    good = answers if isinstance(answers, dict) else {200: answers}
    parts = [
        OpenApiParameter(part, str, OpenApiParameter.PATH, pattern=f"^{pattern}$")
        for part, pattern in path.items()
    ]
    return extend_schema(
        operation_id=name,
        summary=summary,
        parameters=[
            *parts,
            *headers,
            *([asks] if asks and asks().fields else []),
            PROJECT,
        ],
        request={"application/json": body} if body else None,
        responses=good | refusals,
        tags=[tag],
    )
